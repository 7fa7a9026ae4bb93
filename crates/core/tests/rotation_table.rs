//! `docs/rotation.md` and the engine say the same of every situation.
//!
//! Every situation is brought about, and what the engine does is observed. Then the tables of the
//! document are read: each situation must fit exactly one row of its table, each row must fit a
//! situation, and every cell must say what was observed.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers fail the test that asked for them"
)]

mod support;

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    time::Duration,
};

use sessile_core::{
    AntiCsrf, Error, IssuedSession, NewSession, RefreshRequest, SessionService, VerifiedSession,
    VerifyRequest,
    clock::Timestamp,
    event::EventKind,
    policy::{LateRetry, Policy, Revocation, RotationPolicy},
    rotation::{self, Child, Judgement, PresentedToken, TokenHash},
    store::SessionRecord,
};
use support::{
    Engine, GRACE, MILLISECOND, SECOND, START, access_token, refresh_token, stored_hash,
};

const REFRESH_TOKEN_VALIDITY: Duration = Duration::from_secs(1000);
/// An absolute end inside the window of the rotation at [`ROTATED_AFTER`].
const SOON: Duration = Duration::from_secs(210);
const ROTATED_AFTER: Duration = Duration::from_secs(200);
const IDEMPOTENT: RotationPolicy = RotationPolicy::Idempotent { grace: GRACE };
const POLICIES: [RotationPolicy; 3] =
    [IDEMPOTENT, RotationPolicy::OnRefresh { grace: GRACE }, RotationPolicy::OnUse];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Token {
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
enum RowState {
    AsLoginLeftIt,
    AsRefreshLeftIt,
    SealedChildGone,
    SealedChildDamaged,
    SealedChildNotCurrent,
    /// The child that it keeps was given for a displaced one.
    SealedForDisplaced,
    RotationTimeGone,
    Missing,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Period {
    InWindow,
    AfterWindow,
    Expired,
}

/// What the engine did in one situation.
#[derive(Debug)]
struct Observation {
    policy: RotationPolicy,
    token: Token,
    row: RowState,
    /// None where there is no row that could say.
    period: Option<Period>,
    late_retry: LateRetry,
    decision: String,
    answer: String,
    event: String,
    store_calls: String,
}

/// A token in a client's hands.
struct Held {
    token: Token,
    issued: IssuedSession,
    parent: Option<String>,
}

/// A session that was brought into a state, with the tokens that its client ever had.
struct Scene {
    state: RowState,
    row: Option<SessionRecord>,
    held: Vec<Held>,
    moments: Vec<Timestamp>,
}

fn request<'a>(text: &'a str, anti_csrf_token: Option<&'a str>) -> RefreshRequest<'a> {
    RefreshRequest {
        anti_csrf: AntiCsrf::Token(anti_csrf_token),
        new_anti_csrf_token: true,
        ..RefreshRequest::from(text)
    }
}

async fn refreshed_under(
    policy: RotationPolicy,
    engine: &Engine,
    parent: &IssuedSession,
) -> IssuedSession {
    let request = request(refresh_token(parent), parent.anti_csrf_token.as_deref());
    engine.refresh(RefreshRequest { rotation: Some(policy), ..request }).await.unwrap()
}

/// Rotated, whatever the engine's own policy is.
async fn refreshed(engine: &Engine, parent: &IssuedSession) -> IssuedSession {
    refreshed_under(IDEMPOTENT, engine, parent).await
}

/// Another child of a token that was rotated already, which displaces the first.
async fn displacing(engine: &Engine, parent: &IssuedSession) -> IssuedSession {
    let row = engine.row(parent.session.handle()).await.unwrap();
    engine.put_row(SessionRecord { sealed_child: None, ..row }).await;
    refreshed(engine, parent).await
}

impl Scene {
    async fn set(engine: &Engine, state: RowState) -> Self {
        engine.clock.set(START);
        let new = NewSession::new("alice").anti_csrf_token(true);
        let first = engine.create_session(new).await.unwrap();
        let handle = first.session.handle().clone();
        let held = |token, issued: &IssuedSession, parent: Option<&IssuedSession>| Held {
            token,
            issued: issued.clone(),
            parent: parent.map(|parent| refresh_token(parent).to_owned()),
        };
        if state == RowState::AsLoginLeftIt {
            let row = engine.row(&handle).await.unwrap();
            let child = refreshed(engine, &first).await;
            let held = vec![
                held(Token::Current, &first, None),
                held(Token::ChildOfCurrent, &child, Some(&first)),
            ];
            return Self { state, moments: moments(START, row.expires_at), row: Some(row), held };
        }
        engine.clock.advance(ROTATED_AFTER / 2);
        let sibling = refreshed(engine, &first).await;
        let second = displacing(engine, &first).await;
        engine.clock.advance(ROTATED_AFTER / 2);
        let third = refreshed(engine, &second).await;
        let before = engine.row(&handle).await.unwrap();
        let mut fourth = displacing(engine, &second).await;
        if state == RowState::SealedForDisplaced {
            fourth = refreshed(engine, &third).await;
        }
        let mut row = engine.row(&handle).await.unwrap();
        let fifth = refreshed(engine, &fourth).await;
        let moments = moments(engine.now(), row.expires_at);
        match state {
            RowState::SealedChildGone => row.sealed_child = None,
            RowState::SealedChildDamaged => {
                *row.sealed_child.as_mut().unwrap().last_mut().unwrap() ^= 1;
            }
            RowState::SealedChildNotCurrent => row.sealed_child = before.sealed_child,
            RowState::RotationTimeGone => row.rotated_at = None,
            RowState::AsLoginLeftIt
            | RowState::AsRefreshLeftIt
            | RowState::SealedForDisplaced
            | RowState::Missing => {}
        }
        let held = vec![
            held(Token::Current, &fourth, Some(&second)),
            held(Token::ChildOfCurrent, &fifth, Some(&fourth)),
            held(Token::Previous, &second, Some(&first)),
            held(Token::BeforePrevious, &first, None),
            held(Token::SiblingOfPrevious, &sibling, Some(&first)),
            held(Token::Displaced, &third, Some(&second)),
        ];
        let row = (state != RowState::Missing).then_some(row);
        Self { state, row, held, moments }
    }

    fn current(&self) -> &Held {
        &self.held[0]
    }

    async fn observe(&self, engine: &Engine, token: Token, now: Timestamp) -> Option<Observation> {
        let held = match token {
            Token::Unreadable | Token::WrongAntiCsrf => self.current(),
            token => self.held.iter().find(|held| held.token == token)?,
        };
        let handle = held.issued.session.handle();
        engine.revoke_session(handle).await.unwrap();
        if let Some(row) = &self.row {
            engine.put_row(row.clone()).await;
        }
        engine.clock.set(now);
        engine.take_events();
        engine.store().take_calls();

        let unreadable = refresh_token(&held.issued).replacen("srt1.", "srt1.A", 1);
        let request = match token {
            Token::Unreadable => request(&unreadable, held.issued.anti_csrf_token.as_deref()),
            Token::WrongAntiCsrf => request(refresh_token(&held.issued), Some("another")),
            _ => request(refresh_token(&held.issued), held.issued.anti_csrf_token.as_deref()),
        };
        let result = engine.refresh(request).await;
        let store_calls = engine.store().take_calls();
        let events = engine.take_event_kinds();
        let after = engine.row(handle).await;
        let judged = self.row.as_ref().filter(|_| held.token == token);
        Some(Observation {
            policy: engine.policy().rotation,
            token,
            row: self.state,
            period: self.row.as_ref().map(|row| period(row, now)),
            late_retry: engine.policy().late_retry,
            decision: judged.map_or_else(
                || "none".to_owned(),
                |row| held.decision(engine.policy().rotation, row, now),
            ),
            answer: match result {
                Ok(issued) => {
                    self.describe_answer(engine, held, &issued, after.as_ref().unwrap()).await
                }
                Err(error) => describe_error(&error, self.row.as_ref(), after.as_ref()),
            },
            event: list(events.into_iter().map(describe_event)),
            store_calls: list(
                store_calls.iter().map(|intent| format!("{intent:?}").to_lowercase()),
            ),
        })
    }

    async fn describe_answer(
        &self,
        engine: &Engine,
        presented: &Held,
        issued: &IssuedSession,
        after: &SessionRecord,
    ) -> String {
        let (now, before) = (engine.now(), self.row.as_ref().unwrap());
        assert!(engine.read(access_token(issued)).await.is_ok());
        assert_eq!(issued.access_token.created_at, now.floor_to_second());
        assert_eq!(issued.session.anti_csrf_token(), issued.anti_csrf_token.as_deref());
        let prolonged = now.plus(REFRESH_TOKEN_VALIDITY).min(before.ends_at);
        let known = |held: &Held| refresh_token(&held.issued) == refresh_token(issued);

        if engine.policy().rotation == RotationPolicy::OnUse {
            assert_eq!(issued.refresh_token.expires_at, prolonged);
            assert!(!self.held.iter().any(known), "each child is another one");
            let promoted = SessionRecord {
                refresh_token_hash: stored_hash(refresh_token(&presented.issued)),
                previous_refresh_token_hash: presented.parent.as_deref().map(stored_hash),
                rotated_at: Some(now),
                expires_at: prolonged,
                sealed_child: None,
                ..before.clone()
            };
            // It is good, whatever became of the row.
            drop(refreshed_under(RotationPolicy::OnUse, engine, issued).await);
            return if after == before {
                "a new child; nothing is written".to_owned()
            } else if *after == promoted {
                "it becomes current, and gets a new child; the session is prolonged".to_owned()
            } else {
                "a new child, and something else".to_owned()
            };
        }

        assert!(after.refresh_token_hash == stored_hash(refresh_token(issued)));
        assert_eq!(after.expires_at, issued.refresh_token.expires_at);
        let current = &self.current().issued;
        if refresh_token(issued) == refresh_token(current) {
            assert_eq!(issued.anti_csrf_token, current.anti_csrf_token);
            assert_eq!(issued.refresh_token.created_at, current.refresh_token.created_at);
            assert!(after == before, "nothing is written");
            return "the same child again; nothing is written".to_owned();
        }
        assert!(!self.held.iter().any(known), "a new child is none that was there before");
        let again = refreshed(engine, &presented.issued).await;
        assert_eq!(refresh_token(&again), refresh_token(issued), "a new child is kept");
        // As a child of the token that is the previous one now, it is known if it is displaced.
        let rival = SessionRecord { refresh_token_hash: OTHER, ..after.clone() };
        engine.put_row(rival).await;
        drop(refreshed(engine, issued).await);

        let prolonged = SessionRecord {
            previous_refresh_token_hash: Some(stored_hash(refresh_token(&presented.issued))),
            rotated_at: Some(now),
            expires_at: prolonged,
            ..before.clone()
        };
        let child = |row| SessionRecord {
            refresh_token_hash: after.refresh_token_hash,
            sealed_child: after.sealed_child.clone(),
            ..row
        };
        if *after == child(before.clone()) {
            "a new child; window and expiry stay".to_owned()
        } else if *after == child(prolonged) {
            "a new child; the session is prolonged".to_owned()
        } else {
            "a new child, and something else".to_owned()
        }
    }
}

const OTHER: TokenHash = TokenHash::from_bytes([9; 32]);

impl Held {
    /// What the rules decide by themselves, without an engine.
    fn decision(&self, policy: RotationPolicy, row: &SessionRecord, now: Timestamp) -> String {
        let presented = PresentedToken {
            hash: stored_hash(refresh_token(&self.issued)),
            parent: self.parent.as_deref().map(stored_hash),
        };
        let judgement = rotation::judge(&presented, row, policy, now);
        let validity = REFRESH_TOKEN_VALIDITY;
        let proposal = rotation::propose(&presented, child(), validity, now);
        assert_eq!(
            proposal.guard.holds(row),
            matches!(judgement, Judgement::Rotate | Judgement::HandOut | Judgement::Promote),
            "the guard of the usual case and the judgement agree"
        );
        let promotion = rotation::propose_promotion(&presented, validity, now, now);
        let promotes = promotion.is_some_and(|promotion| promotion.guard.holds(row));
        assert_eq!(promotes, self.token == Token::ChildOfCurrent && row.expires_at >= now);
        if matches!(judgement, Judgement::WithinGrace | Judgement::ReplaceChild) {
            check_replacement(&presented, row, now);
        }
        format!("`{judgement:?}`")
    }
}

/// A replacement within the window is right for this row, and for none that has moved since.
fn check_replacement(presented: &PresentedToken, row: &SessionRecord, now: Timestamp) {
    let guard = rotation::replace_child(row, child(), now).guard;
    assert!(guard.holds(row));
    for moved in [
        SessionRecord { refresh_token_hash: OTHER, ..row.clone() },
        SessionRecord { refresh_token_hash: presented.hash, ..row.clone() },
        SessionRecord { previous_refresh_token_hash: Some(OTHER), ..row.clone() },
        SessionRecord { previous_refresh_token_hash: None, ..row.clone() },
        SessionRecord { expires_at: now.minus(MILLISECOND), ..row.clone() },
    ] {
        assert!(!guard.holds(&moved));
    }
    assert!(guard.holds(&SessionRecord { expires_at: now, ..row.clone() }));
}

fn child() -> Child {
    Child { hash: TokenHash::from_bytes([1; 32]), sealed: vec![1] }
}

/// Both sides of every boundary.
fn moments(beginning: Timestamp, expires_at: Timestamp) -> Vec<Timestamp> {
    let window_end = beginning.plus(GRACE);
    BTreeSet::from([
        beginning,
        beginning.plus(MILLISECOND),
        window_end.minus(MILLISECOND),
        window_end,
        window_end.plus(MILLISECOND),
        expires_at.minus(MILLISECOND),
        expires_at,
        expires_at.plus(MILLISECOND),
    ])
    .into_iter()
    .collect()
}

fn period(row: &SessionRecord, now: Timestamp) -> Period {
    let milliseconds_since = |then: Timestamp| now.as_millis() - then.as_millis();
    if milliseconds_since(row.expires_at) > 0 {
        Period::Expired
    } else if row.rotated_at.is_some_and(|then| milliseconds_since(then) <= 30_000) {
        Period::InWindow
    } else {
        Period::AfterWindow
    }
}

fn describe_error(
    error: &Error,
    before: Option<&SessionRecord>,
    after: Option<&SessionRecord>,
) -> String {
    let what = match error {
        Error::Unauthorised { reason } => format!("unauthorised `{}`", reason.code()),
        Error::TokenTheftDetected { kind, user_id, session_handle, session_ended } => {
            assert_eq!(*session_ended, after.is_none());
            assert_eq!(user_id, "alice");
            assert_eq!(Some(session_handle), before.map(|row| &row.handle));
            format!("theft `{}`", kind.code())
        }
        other => panic!("not an answer to a refresh token: {other}"),
    };
    if before.is_some() && after.is_none() {
        return format!("{what}; the session ends");
    }
    assert!(before == after, "a refusal changes nothing");
    match error {
        Error::TokenTheftDetected { .. } => format!("{what}; the session goes on"),
        _ => what,
    }
}

fn describe_event(kind: EventKind) -> String {
    match kind {
        EventKind::Revoked { reason } => format!("`Revoked` (`{}`)", reason.code()),
        EventKind::TheftDetected { kind } => format!("`TheftDetected` (`{}`)", kind.code()),
        plain => format!("`{plain:?}`"),
    }
}

fn list(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

async fn observations() -> Vec<Observation> {
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
    const STATES: [RowState; 8] = [
        RowState::AsLoginLeftIt,
        RowState::AsRefreshLeftIt,
        RowState::SealedChildGone,
        RowState::SealedChildDamaged,
        RowState::SealedChildNotCurrent,
        RowState::SealedForDisplaced,
        RowState::RotationTimeGone,
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

fn policy() -> Policy {
    Policy {
        access_token_validity: 60 * SECOND,
        refresh_token_validity: REFRESH_TOKEN_VALIDITY,
        ..Policy::default()
    }
}

async fn engine(policy: Policy) -> Engine {
    Engine::with_policy(policy).await
}

/// Something that happened, and that a row of a table describes.
trait Situation: std::fmt::Debug {
    /// The heading under which the table is.
    const HEADING: &str;
    /// The columns that say what the situation is; the others say what happens in it.
    const CONDITIONS: &[&str];
    const OUTCOMES: &[&str];
    /// The column that says nothing where there may be no row.
    const OF_A_ROW: &str;

    /// Whether the cell describes the situation; an error where it describes none at all.
    fn fits(&self, column: &str, cell: &str) -> Result<bool, String>;

    fn outcomes(&self) -> Vec<&str>;
}

/// Whether a list of policies names this one.
fn names_policy(cell: &str, policy: RotationPolicy) -> Result<bool, String> {
    let name = match policy {
        RotationPolicy::Idempotent { .. } => "`Idempotent`",
        RotationPolicy::OnRefresh { .. } => "`OnRefresh`",
        RotationPolicy::OnUse => "`OnUse`",
        other => panic!("no table has {other:?}"),
    };
    match cell {
        "any" => Ok(true),
        "`Idempotent`, `OnRefresh`" | "`Idempotent`" | "`OnRefresh`" | "`OnUse`" => {
            Ok(cell.split(", ").any(|named| named == name))
        }
        unknown => Err(format!("no such policy: {unknown}")),
    }
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

/// Which refresh token an access token came with, to the row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Generation {
    Current,
    ChildOfCurrent,
    Previous,
    ChildOfPrevious,
    Other,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Presence {
    There,
    Expired,
    Missing,
}

/// What the engine did with an access token.
#[derive(Debug)]
struct Verification {
    policy: RotationPolicy,
    revocation: Revocation,
    generation: Generation,
    is_marked: bool,
    presence: Presence,
    payload_is_stored: bool,
    answer: String,
    written: String,
    store_calls: String,
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
            ("Payload", "as stored") => self.payload_is_stored,
            ("Payload", "another") => !self.payload_is_stored,
            (column, unknown) => return Err(format!("{column}: there is no {unknown}")),
        })
    }

    fn outcomes(&self) -> Vec<&str> {
        vec![&self.answer, &self.written, &self.store_calls]
    }
}

fn is_known(generation: Generation, is_marked: bool) -> bool {
    match generation {
        Generation::Current | Generation::Previous => true,
        Generation::ChildOfCurrent | Generation::ChildOfPrevious => is_marked,
        Generation::Other => false,
    }
}

/// An access token that is to be verified, and what its refresh token is to the row.
struct Carried {
    generation: Generation,
    is_marked: bool,
    issued: IssuedSession,
    parent: Option<String>,
}

/// A row, and access tokens of every generation that it knows or has forgotten.
struct VerificationScene {
    row: SessionRecord,
    carried: Vec<Carried>,
}

async fn verification_scenes(engine: &Engine) -> Vec<VerificationScene> {
    use Generation::{ChildOfCurrent, ChildOfPrevious, Current, Other, Previous};

    let row_of = async |issued: &IssuedSession| engine.row(issued.session.handle()).await.unwrap();
    let handed_out =
        async |parent: &IssuedSession| refreshed_under(RotationPolicy::OnUse, engine, parent).await;
    let log_in = async || {
        let new = NewSession::new("alice").anti_csrf_token(true);
        engine.create_session(new).await.unwrap()
    };
    let marked = |generation, issued: &IssuedSession, parent: &IssuedSession| Carried {
        generation,
        is_marked: true,
        issued: issued.clone(),
        parent: Some(refresh_token(parent).to_owned()),
    };
    let plain = |generation, issued: &IssuedSession| Carried {
        generation,
        is_marked: false,
        issued: issued.clone(),
        parent: None,
    };
    engine.clock.set(START);
    let mut scenes = Vec::new();

    let login = log_in().await;
    let (first, sibling) = (handed_out(&login).await, handed_out(&login).await);
    scenes.push(VerificationScene {
        row: row_of(&login).await,
        carried: vec![plain(Current, &login), marked(ChildOfCurrent, &first, &login)],
    });
    engine.clock.advance(SECOND);
    let second = handed_out(&first).await;
    scenes.push(VerificationScene {
        row: row_of(&login).await,
        carried: vec![
            plain(Previous, &login),
            marked(Current, &first, &login),
            marked(ChildOfPrevious, &sibling, &login),
            marked(ChildOfCurrent, &second, &first),
        ],
    });
    engine.clock.advance(SECOND);
    let third = handed_out(&second).await;
    scenes.push(VerificationScene {
        row: row_of(&login).await,
        carried: vec![
            plain(Other, &login),
            marked(Previous, &first, &login),
            marked(Other, &sibling, &login),
            marked(Current, &second, &first),
            marked(ChildOfCurrent, &third, &second),
        ],
    });

    let login = log_in().await;
    let before = row_of(&login).await;
    let first = refreshed(engine, &login).await;
    scenes.push(VerificationScene {
        row: before,
        carried: vec![plain(Current, &login), plain(ChildOfCurrent, &first)],
    });
    let displaced = refreshed(engine, &first).await;
    let current = displacing(engine, &first).await;
    scenes.push(VerificationScene {
        row: row_of(&login).await,
        carried: vec![
            plain(Other, &login),
            plain(Previous, &first),
            plain(ChildOfPrevious, &displaced),
            plain(Current, &current),
        ],
    });
    scenes
}

impl Carried {
    async fn observe(
        &self,
        engine: &Engine,
        row: Option<&SessionRecord>,
        presence: Presence,
        revocation: Revocation,
    ) -> Verification {
        let handle = self.issued.session.handle();
        engine.revoke_session(handle).await.unwrap();
        if let Some(row) = row {
            engine.put_row(row.clone()).await;
        }
        engine.take_events();
        engine.store().take_calls();
        let request = VerifyRequest {
            revocation: Some(revocation),
            anti_csrf: AntiCsrf::Token(self.issued.anti_csrf_token.as_deref()),
            ..VerifyRequest::new(access_token(&self.issued))
        };
        let result = engine.verify(request).await;
        let store_calls = engine.store().take_calls();
        assert_eq!(engine.take_events(), [], "verification tells nothing");
        let after = engine.row(handle).await;
        let promoted = row.map(|row| SessionRecord {
            refresh_token_hash: stored_hash(refresh_token(&self.issued)),
            previous_refresh_token_hash: self.parent.as_deref().map(stored_hash),
            rotated_at: Some(engine.now()),
            expires_at: engine.now().plus(REFRESH_TOKEN_VALIDITY).min(row.ends_at),
            sealed_child: None,
            ..row.clone()
        });
        let written = if after.as_ref() == row {
            "nothing"
        } else if after == promoted {
            "it becomes current; the session is prolonged"
        } else {
            "something else"
        };
        let answer = match result {
            Ok(session) => self.describe(engine, &session, row).await,
            Err(Error::Unauthorised { reason }) => format!("unauthorised `{}`", reason.code()),
            Err(error) => panic!("not an answer to an access token: {error}"),
        };
        let payload = serde_json::to_string(self.issued.session.jwt_payload()).unwrap();
        Verification {
            policy: engine.policy().rotation,
            revocation,
            generation: self.generation,
            is_marked: self.is_marked,
            presence,
            payload_is_stored: row.is_some_and(|row| row.jwt_payload == payload),
            answer,
            written: written.to_owned(),
            store_calls: list(
                store_calls.iter().map(|intent| format!("{intent:?}").to_lowercase()),
            ),
        }
    }

    async fn describe(
        &self,
        engine: &Engine,
        session: &VerifiedSession,
        row: Option<&SessionRecord>,
    ) -> String {
        let old = &self.issued.session;
        let Some(replacement) = session.new_access_token() else {
            assert_eq!(session.claims(), old.claims());
            return match session.payload_update_available() {
                None => "accepted".to_owned(),
                Some(false) => "accepted, up to date".to_owned(),
                Some(true) => "accepted, to be updated".to_owned(),
            };
        };
        assert_eq!(session.payload_update_available(), None);
        let new = engine.identify(replacement.token.expose()).await.unwrap().unwrap();
        assert_eq!(new.claims(), session.claims());
        let mut expected = old.claims();
        for name in old.jwt_payload().keys() {
            expected.remove(name);
        }
        let ends_at = engine.now().plus(engine.policy().access_token_validity);
        let ends_at = ends_at.min(row.unwrap().ends_at).as_seconds();
        expected.extend(support::object(serde_json::from_str(&row.unwrap().jwt_payload).unwrap()));
        expected.insert("exp".to_owned(), ends_at.into());
        expected.insert("iat".to_owned(), engine.now().as_seconds().into());
        expected.insert("parentRefreshTokenHash1".to_owned(), serde_json::Value::Null);
        assert_eq!(session.claims(), expected);
        assert_eq!(replacement.expires_at.as_seconds(), ends_at);
        assert_eq!(session.access_token_version(), old.access_token_version());
        "accepted and replaced".to_owned()
    }
}

async fn verifications() -> Vec<Verification> {
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
                            for (row, presence) in [
                                (None, Presence::Missing),
                                (Some(stored), Presence::There),
                                (Some(&expired), Presence::Expired),
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

type Table = Vec<Vec<String>>;

/// The rows of the table that describes such situations.
fn read_table<S: Situation>(document: &str) -> Table {
    let (_, section) = document.split_once(&format!("\n## {}\n", S::HEADING)).unwrap();
    let mut lines = section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .map(|line| -> Vec<String> {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        });
    assert_eq!(lines.next().unwrap(), [S::CONDITIONS, S::OUTCOMES].concat());
    assert!(lines.next().unwrap().iter().all(|cell| cell == "---"));
    lines.collect()
}

/// Says what is wrong with a row, whatever happens.
fn check_row<S: Situation>(row: &[String], any: &S) -> Result<(), String> {
    if row.len() != S::CONDITIONS.len() + S::OUTCOMES.len() {
        return Err(format!("a row has {} cells: {row:?}", row.len()));
    }
    let cell = |name| {
        let index = S::CONDITIONS.iter().position(|column| *column == name);
        row[index.unwrap()].as_str()
    };
    if cell("The row").ends_with("none") && cell(S::OF_A_ROW) != "any" {
        return Err(format!("there may be no row that could say: {row:?}"));
    }
    // Words that describe nothing are an error, not a mismatch.
    S::CONDITIONS.iter().zip(row).try_for_each(|(column, cell)| any.fits(column, cell).map(drop))
}

/// Says what is wrong with the table.
fn check<S: Situation>(table: &Table, situations: &[S]) -> Result<(), String> {
    for row in table {
        check_row(row, &situations[0])?;
    }
    let mut used = vec![false; table.len()];
    for situation in situations {
        let mut matching = None;
        for (index, row) in table.iter().enumerate() {
            let mut conditions = S::CONDITIONS.iter().zip(row);
            if conditions.all(|(column, cell)| situation.fits(column, cell) == Ok(true))
                && matching.replace(index).is_some()
            {
                return Err(format!("two rows describe {situation:?}"));
            }
        }
        let index = matching.ok_or_else(|| format!("no row describes {situation:?}"))?;
        used[index] = true;
        if table[index][S::CONDITIONS.len()..] != situation.outcomes() {
            return Err(format!("{:?} is not what happens: {situation:?}", table[index]));
        }
    }
    match used.iter().position(|used| !used) {
        Some(index) => Err(format!("nothing is like {:?}", table[index])),
        None => Ok(()),
    }
}

fn table<S: Situation>() -> Table {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rotation.md");
    read_table::<S>(&fs::read_to_string(path).unwrap())
}

/// The column's words, in all rows.
fn words_of(table: &Table, column: usize) -> BTreeSet<String> {
    table.iter().map(|row| row[column].clone()).collect()
}

/// One of those that are the same by every word of the table.
fn distinct<S: Situation>(table: &Table, situations: Vec<S>) -> Vec<S> {
    let mut seen = HashSet::new();
    let is_new = |situation: &S| {
        let columns = S::CONDITIONS.iter().enumerate();
        let fitting: Vec<bool> = columns
            .flat_map(|(index, column)| {
                let words = words_of(table, index).into_iter();
                words.map(|word| situation.fits(column, &word).unwrap())
            })
            .collect();
        let outcomes: Vec<_> = situation.outcomes().into_iter().map(str::to_owned).collect();
        seen.insert((fitting, outcomes))
    };
    situations.into_iter().filter(is_new).collect()
}

/// Fails where a row could be missing, or a word be another one, and the table still be right.
fn assert_every_change_is_noticed<S: Situation>(situations: Vec<S>) {
    let table = table::<S>();
    let situations = &distinct(&table, situations);
    check(&table, situations).unwrap();
    for index in 0..table.len() {
        let mut without = table.clone();
        let row = without.remove(index);
        assert!(check(&without, situations).is_err(), "without {row:?}");
        without.extend([row.clone(), row]);
        assert!(check(&without, situations).is_err(), "a row twice");

        for column in 0..table[index].len() {
            let mut words = words_of(&table, column);
            words.insert("something new".to_owned());
            words.remove(&table[index][column]);
            for word in words {
                let mut changed = table.clone();
                changed[index][column].clone_from(&word);
                let noticed = check(&changed, situations).is_err();
                assert!(noticed, "{word:?} instead in {:?}", table[index]);
            }
        }
    }
}

#[tokio::test]
async fn refreshing_does_what_the_table_says() {
    check(&table::<Observation>(), &observations().await).unwrap();
}

#[tokio::test]
async fn verification_does_what_the_table_says() {
    check(&table::<Verification>(), &verifications().await).unwrap();
}

#[tokio::test]
async fn every_change_of_the_tables_is_noticed() {
    assert_every_change_is_noticed(observations().await);
    assert_every_change_is_noticed(verifications().await);
}
