//! Verifications in every situation, as the table of verification describes them.

use sessile_core::{
    policy::{Policy, Revocation, RotationPolicy},
    store::SessionRecord,
};

use crate::{
    lineage::{POLICIES, engine, policy},
    support::{MILLISECOND, SECOND, START},
    table::{Situation, names_policy},
    verification_scene::verification_scenes,
};

/// Which refresh token an access token came with, to the row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Generation {
    Current,
    ChildOfCurrent,
    Previous,
    ChildOfPrevious,
    Other,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Presence {
    There,
    Expired,
    Missing,
}

/// What the engine did with an access token.
#[derive(Debug)]
pub(crate) struct Verification {
    pub(crate) policy: RotationPolicy,
    pub(crate) revocation: Revocation,
    pub(crate) generation: Generation,
    pub(crate) is_marked: bool,
    pub(crate) presence: Presence,
    /// None where there is no row that could say.
    pub(crate) payload_is_stored: Option<bool>,
    pub(crate) answer: String,
    pub(crate) written: String,
    pub(crate) store_calls: String,
}

impl Situation for Verification {
    const HEADING: &str = "Verification";
    const CONDITIONS: &[&str] = &["Policy", "Revocation", "Access token of", "The row", "Payload"];
    const OUTCOMES: &[&str] = &["Answer", "What is written", "Store calls"];
    const OF_A_ROW: &str = "Payload";

    fn fits(&self, column: &str, cell: &str) -> Result<bool, String> {
        let &Self { policy, revocation, generation, is_marked, presence, .. } = self;
        Ok(match (column, cell) {
            ("Policy", _) => names_policy(cell, policy)?,
            ("Revocation", "`AtExpiry`") => revocation == Revocation::AtExpiry,
            ("Revocation", "`Immediate`") => revocation == Revocation::Immediate,
            ("Access token of", "any") => true,
            ("Access token of", "any, unmarked") => !is_marked,
            ("Access token of", "any, marked") => is_marked,
            ("Access token of", "current, marked") => {
                is_marked && generation == Generation::Current
            }
            ("Access token of", "child of the current one, marked") => {
                is_marked && generation == Generation::ChildOfCurrent
            }
            ("Access token of", "any other, marked") => {
                is_marked && !matches!(generation, Generation::Current | Generation::ChildOfCurrent)
            }
            ("Access token of", "current, previous, or marked child of either") => {
                is_known(generation, is_marked)
            }
            ("Access token of", "any other") => !is_known(generation, is_marked),
            ("The row", "any or none") => true,
            ("The row", "none") => presence == Presence::Missing,
            ("The row", "expired") => presence == Presence::Expired,
            ("The row", "there") => presence == Presence::There,
            ("The row", "there or expired") => presence != Presence::Missing,
            ("Payload", "any") => true,
            ("Payload", "as stored") => self.payload_is_stored == Some(true),
            ("Payload", "another") => self.payload_is_stored == Some(false),
            (column, unknown) => return Err(format!("{column}: there is no {unknown}")),
        })
    }

    fn outcomes(&self) -> Vec<&str> {
        vec![&self.answer, &self.written, &self.store_calls]
    }
}

pub(crate) fn is_known(generation: Generation, is_marked: bool) -> bool {
    match generation {
        Generation::Current | Generation::Previous => true,
        Generation::ChildOfCurrent | Generation::ChildOfPrevious => is_marked,
        Generation::Other => false,
    }
}

pub(crate) async fn verifications() -> Vec<Verification> {
    let mut verifications = Vec::new();
    for rotation in POLICIES {
        for absolute_lifetime in [None, Some(61 * SECOND)] {
            let engine = engine(Policy { rotation, absolute_lifetime, ..policy() }).await;
            for scene in verification_scenes(&engine).await {
                engine.clock.set(START.plus(30 * SECOND + MILLISECOND));
                let there = &scene.row;
                let other = SessionRecord { jwt_payload: r#"{"a":1}"#.into(), ..there.clone() };
                for revocation in [Revocation::AtExpiry, Revocation::Immediate] {
                    for carried in &scene.carried {
                        for stored in [there, &other] {
                            let expired =
                                SessionRecord { expires_at: engine.now(), ..stored.clone() };
                            let before = engine.now().minus(MILLISECOND);
                            let long_expired =
                                SessionRecord { expires_at: before, ..stored.clone() };
                            for (row, presence) in [
                                (None, Presence::Missing),
                                (Some(stored), Presence::There),
                                (Some(&expired), Presence::Expired),
                                (Some(&long_expired), Presence::Expired),
                            ] {
                                let observed =
                                    carried.observe(&engine, row, presence, revocation).await;
                                verifications.push(observed);
                            }
                        }
                    }
                }
            }
        }
    }
    verifications
}
