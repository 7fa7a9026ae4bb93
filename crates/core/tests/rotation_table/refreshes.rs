//! Refreshes in every situation, as the table of outcomes describes them.

use sessile_core::policy::{LateRetry, Policy, RotationPolicy};

use crate::{
    lineage::{POLICIES, SOON, engine, policy},
    refresh_scene::Scene,
    table::{Situation, names_policy},
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Token {
    Unreadable,
    WrongAntiCsrf,
    Current,
    ChildOfCurrent,
    Previous,
    BeforePrevious,
    SiblingOfPrevious,
    Displaced,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RowState {
    AsLoginLeftIt,
    AsRefreshLeftIt,
    SealedChildGone,
    SealedChildDamaged,
    SealedChildNotCurrent,
    /// The child that it keeps was given for a displaced one.
    SealedForDisplaced,
    RotationTimeGone,
    /// As an older core left it, which names no previous token.
    PreviousGone,
    Missing,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Period {
    InWindow,
    AfterWindow,
    Expired,
}

/// What the engine did in one situation.
#[derive(Debug)]
pub(crate) struct Observation {
    pub(crate) policy: RotationPolicy,
    pub(crate) token: Token,
    pub(crate) row: RowState,
    /// None where there is no row that could say.
    pub(crate) period: Option<Period>,
    pub(crate) late_retry: LateRetry,
    pub(crate) decision: String,
    pub(crate) answer: String,
    pub(crate) event: String,
    pub(crate) store_calls: String,
}

impl Situation for Observation {
    const HEADING: &str = "Outcomes";
    const CONDITIONS: &[&str] = &["Policy", "Presented token", "The row", "Time", "`late_retry`"];
    const OUTCOMES: &[&str] = &["Decision", "Answer", "Event", "Store calls"];
    const OF_A_ROW: &str = "Time";

    fn fits(&self, column: &str, cell: &str) -> Result<bool, String> {
        let &Self { policy, token, row, period, late_retry, .. } = self;
        let there = row != RowState::Missing;
        // For whom it is sealed, where the token is one that can open any.
        let usable = match token {
            Token::Displaced => row == RowState::SealedForDisplaced,
            _ => matches!(row, RowState::AsRefreshLeftIt | RowState::RotationTimeGone),
        };
        Ok(match (column, cell) {
            ("Policy", _) => names_policy(cell, policy)?,
            ("Presented token", "unreadable") => token == Token::Unreadable,
            ("Presented token", "readable, with a wrong anti-CSRF token") => {
                token == Token::WrongAntiCsrf
            }
            ("Presented token", "any of the session") => {
                !matches!(token, Token::Unreadable | Token::WrongAntiCsrf)
            }
            ("Presented token", "current") => token == Token::Current,
            ("Presented token", "child of the current one, never used") => {
                token == Token::ChildOfCurrent
            }
            ("Presented token", "previous") => token == Token::Previous,
            ("Presented token", "displaced child of the previous one") => token == Token::Displaced,
            ("Presented token", "older or unknown") => {
                matches!(token, Token::BeforePrevious | Token::SiblingOfPrevious)
            }
            ("Presented token", "neither current nor its child") => matches!(
                token,
                Token::Previous
                    | Token::BeforePrevious
                    | Token::SiblingOfPrevious
                    | Token::Displaced
            ),
            ("The row", "any or none") => true,
            ("The row", "none") => !there,
            ("The row", "there") => there,
            ("The row", "there, with a usable sealed child") => there && usable,
            ("The row", "there, without a usable sealed child") => there && !usable,
            ("Time", "any") => true,
            ("Time", "`now` > `expires_at`") => period == Some(Period::Expired),
            ("Time", "`now` ≤ `expires_at`") => {
                period.is_some_and(|period| period != Period::Expired)
            }
            ("Time", "in the window") => period == Some(Period::InWindow),
            ("Time", "after the window") => period == Some(Period::AfterWindow),
            ("`late_retry`", "any") => true,
            ("`late_retry`", "`Unauthorised`") => late_retry == LateRetry::Unauthorised,
            ("`late_retry`", "`TokenTheft`") => late_retry == LateRetry::TokenTheft,
            (column, unknown) => return Err(format!("{column}: there is no {unknown}")),
        })
    }

    fn outcomes(&self) -> Vec<&str> {
        vec![&self.decision, &self.answer, &self.event, &self.store_calls]
    }
}

pub(crate) async fn observations() -> Vec<Observation> {
    const TOKENS: [Token; 8] = [
        Token::Unreadable,
        Token::WrongAntiCsrf,
        Token::Current,
        Token::ChildOfCurrent,
        Token::Previous,
        Token::BeforePrevious,
        Token::SiblingOfPrevious,
        Token::Displaced,
    ];
    const STATES: [RowState; 9] = [
        RowState::AsLoginLeftIt,
        RowState::AsRefreshLeftIt,
        RowState::SealedChildGone,
        RowState::SealedChildDamaged,
        RowState::SealedChildNotCurrent,
        RowState::SealedForDisplaced,
        RowState::RotationTimeGone,
        RowState::PreviousGone,
        RowState::Missing,
    ];
    let mut observations = Vec::new();
    for rotation in POLICIES {
        for late_retry in [LateRetry::Unauthorised, LateRetry::TokenTheft] {
            for absolute_lifetime in [None, Some(SOON)] {
                let engine = engine(Policy { late_retry, absolute_lifetime, rotation, ..policy() });
                let engine = engine.await;
                for state in STATES {
                    let scene = Scene::set(&engine, state).await;
                    for &now in &scene.moments {
                        for token in TOKENS {
                            observations.extend(scene.observe(&engine, token, now).await);
                        }
                    }
                }
            }
        }
    }
    observations
}
