//! `docs/rotation.md` and the engine say the same of every situation.
//!
//! Every situation is brought about, and what the engine does is observed. Then the table of the
//! document is read: each situation must fit exactly one of its rows, each row must fit a
//! situation, and every cell must say what was observed.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers fail the test that asked for them"
)]

mod support;

use std::{collections::BTreeSet, fs, time::Duration};

use sessile_core::{
    AntiCsrf, Error, IssuedSession, NewSession, RefreshRequest, SessionService,
    clock::Timestamp,
    event::EventKind,
    policy::{LateRetry, Policy, RotationPolicy},
    rotation::{self, Child, Judgement, PresentedToken, TokenHash},
    store::SessionRecord,
};
use support::{
    Engine, GRACE, MILLISECOND, SECOND, START, access_token, policy_with_grace, refresh_token,
    stored_hash,
};

const REFRESH_TOKEN_VALIDITY: Duration = Duration::from_secs(1000);
/// An absolute end inside the window of the rotation at [`ROTATED_AFTER`].
const SOON: Duration = Duration::from_secs(210);
const ROTATED_AFTER: Duration = Duration::from_secs(200);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Token {
    Unreadable,
    WrongAntiCsrf,
    Current,
    ChildOfCurrent,
    Previous,
    BeforePrevious,
    Displaced,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum RowState {
    AsLoginLeftIt,
    AsRefreshLeftIt,
    SealedChildGone,
    SealedChildDamaged,
    SealedChildNotCurrent,
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

async fn refreshed(engine: &Engine, parent: &IssuedSession) -> IssuedSession {
    let request = request(refresh_token(parent), parent.anti_csrf_token.as_deref());
    engine.refresh(request).await.unwrap()
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
        let second = refreshed(engine, &first).await;
        engine.clock.advance(ROTATED_AFTER / 2);
        let third = refreshed(engine, &second).await;
        let before = engine.row(&handle).await.unwrap();
        engine.put_row(SessionRecord { sealed_child: None, ..before.clone() }).await;
        let fourth = refreshed(engine, &second).await;
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
            RowState::AsLoginLeftIt | RowState::AsRefreshLeftIt | RowState::Missing => {}
        }
        let held = vec![
            held(Token::Current, &fourth, Some(&second)),
            held(Token::ChildOfCurrent, &fifth, Some(&fourth)),
            held(Token::Previous, &second, Some(&first)),
            held(Token::BeforePrevious, &first, None),
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
            token,
            row: self.state,
            period: self.row.as_ref().map(|row| period(row, now)),
            late_retry: engine.policy().late_retry,
            decision: judged.map_or_else(|| "none".to_owned(), |row| held.decision(row, now)),
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
        assert!(after.refresh_token_hash == stored_hash(refresh_token(issued)));
        assert_eq!(after.expires_at, issued.refresh_token.expires_at);

        let current = &self.current().issued;
        if refresh_token(issued) == refresh_token(current) {
            assert_eq!(issued.anti_csrf_token, current.anti_csrf_token);
            assert_eq!(issued.refresh_token.created_at, current.refresh_token.created_at);
            assert!(after == before, "nothing is written");
            return "the same child again; nothing is written".to_owned();
        }
        let known = |held: &Held| refresh_token(&held.issued) == refresh_token(issued);
        assert!(!self.held.iter().any(known), "a new child is none that was there before");
        let again = refreshed(engine, &presented.issued).await;
        assert_eq!(refresh_token(&again), refresh_token(issued), "a new child is kept");

        let prolonged = SessionRecord {
            previous_refresh_token_hash: Some(stored_hash(refresh_token(&presented.issued))),
            rotated_at: Some(now),
            expires_at: now.plus(REFRESH_TOKEN_VALIDITY).min(before.ends_at),
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

impl Held {
    /// What the rules decide by themselves, without an engine.
    fn decision(&self, row: &SessionRecord, now: Timestamp) -> String {
        let presented = PresentedToken {
            hash: stored_hash(refresh_token(&self.issued)),
            parent: self.parent.as_deref().map(stored_hash),
        };
        let judgement =
            rotation::judge(&presented, row, RotationPolicy::Idempotent { grace: GRACE }, now);
        let proposal = rotation::propose(&presented, child(), REFRESH_TOKEN_VALIDITY, now);
        assert_eq!(
            proposal.guard.holds(row),
            judgement == Judgement::Rotate,
            "the guard of the usual case and the judgement agree"
        );
        if judgement == Judgement::WithinGrace {
            check_replacement(&presented, row, now);
        }
        format!("`{judgement:?}`")
    }
}

/// A replacement within the window is right for this row, and for none that has moved since.
fn check_replacement(presented: &PresentedToken, row: &SessionRecord, now: Timestamp) {
    let guard = rotation::replace_child(row, child(), now).guard;
    assert!(guard.holds(row));
    let other = TokenHash::from_bytes([9; 32]);
    for moved in [
        SessionRecord { refresh_token_hash: other, ..row.clone() },
        SessionRecord { refresh_token_hash: presented.hash, ..row.clone() },
        SessionRecord { previous_refresh_token_hash: Some(other), ..row.clone() },
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
            assert!(session_ended);
            assert_eq!(user_id, "alice");
            assert_eq!(Some(session_handle), before.map(|row| &row.handle));
            format!("theft `{}`", kind.code())
        }
        other => panic!("not an answer to a refresh token: {other}"),
    };
    if before.is_some() && after.is_none() {
        format!("{what}; the session ends")
    } else {
        assert!(before == after, "a refusal changes nothing");
        what
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
    const TOKENS: [Token; 7] = [
        Token::Unreadable,
        Token::WrongAntiCsrf,
        Token::Current,
        Token::ChildOfCurrent,
        Token::Previous,
        Token::BeforePrevious,
        Token::Displaced,
    ];
    const STATES: [RowState; 7] = [
        RowState::AsLoginLeftIt,
        RowState::AsRefreshLeftIt,
        RowState::SealedChildGone,
        RowState::SealedChildDamaged,
        RowState::SealedChildNotCurrent,
        RowState::RotationTimeGone,
        RowState::Missing,
    ];
    let mut observations = Vec::new();
    for late_retry in [LateRetry::Unauthorised, LateRetry::TokenTheft] {
        for absolute_lifetime in [None, Some(SOON)] {
            let policy = Policy {
                access_token_validity: 60 * SECOND,
                refresh_token_validity: REFRESH_TOKEN_VALIDITY,
                absolute_lifetime,
                late_retry,
                ..policy_with_grace(GRACE)
            };
            let engine = Engine::with_policy(policy).await;
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
    observations
}

const COLUMNS: [&str; 8] = [
    "Presented token",
    "The row",
    "Time",
    "`late_retry`",
    "Decision",
    "Answer",
    "Event",
    "Store calls",
];
const TOKEN: usize = 0;
const ROW: usize = 1;
const TIME: usize = 2;
const LATE_RETRY: usize = 3;

type Table = Vec<Vec<String>>;

/// The rows of the table under "Outcomes".
fn read_table(document: &str) -> Table {
    let (_, outcomes) = document.split_once("\n## Outcomes\n").unwrap();
    let mut lines = outcomes
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .map(|line| -> Vec<String> {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        });
    assert_eq!(lines.next().unwrap(), COLUMNS);
    assert!(lines.next().unwrap().iter().all(|cell| cell == "---"));
    lines.collect()
}

/// Whether an observed situation is one that the row's first four cells describe.
fn fits(row: &[String], observation: &Observation) -> Result<bool, String> {
    let &Observation { token, row: state, period, late_retry, .. } = observation;
    let of_session = !matches!(token, Token::Unreadable | Token::WrongAntiCsrf);
    let token_fits = match row[TOKEN].as_str() {
        "unreadable" => token == Token::Unreadable,
        "readable, with a wrong anti-CSRF token" => token == Token::WrongAntiCsrf,
        "any of the session" => of_session,
        "current" => token == Token::Current,
        "child of the current one, never used" => token == Token::ChildOfCurrent,
        "previous" => token == Token::Previous,
        "older or unknown" => matches!(token, Token::BeforePrevious | Token::Displaced),
        unknown => return Err(format!("no such token: {unknown}")),
    };
    let there = state != RowState::Missing;
    let usable = matches!(state, RowState::AsRefreshLeftIt | RowState::RotationTimeGone);
    let row_fits = match row[ROW].as_str() {
        "any or none" | "none" if row[TIME] != "any" => {
            return Err(format!("without a row there is no time: {row:?}"));
        }
        "any or none" => true,
        "none" => !there,
        "there" => there,
        "there, with a usable sealed child" => there && usable,
        "there, without a usable sealed child" => there && !usable,
        unknown => return Err(format!("no such state of the row: {unknown}")),
    };
    let time_fits = match row[TIME].as_str() {
        "any" => true,
        "`now` > `expires_at`" => period == Some(Period::Expired),
        "`now` ≤ `expires_at`" => period.is_some_and(|period| period != Period::Expired),
        "in the window" => period == Some(Period::InWindow),
        "after the window" => period == Some(Period::AfterWindow),
        unknown => return Err(format!("no such time: {unknown}")),
    };
    let late_retry_fits = match row[LATE_RETRY].as_str() {
        "any" => true,
        "`Unauthorised`" => late_retry == LateRetry::Unauthorised,
        "`TokenTheft`" => late_retry == LateRetry::TokenTheft,
        unknown => return Err(format!("no such policy: {unknown}")),
    };
    Ok(token_fits && row_fits && time_fits && late_retry_fits)
}

/// Says what is wrong with the table.
fn check(table: &Table, observations: &[Observation]) -> Result<(), String> {
    let mut used = vec![false; table.len()];
    for observation in observations {
        let mut matching = None;
        for (index, row) in table.iter().enumerate() {
            if row.len() != COLUMNS.len() {
                return Err(format!("a row has {} cells: {row:?}", row.len()));
            }
            if fits(row, observation)? && matching.replace(index).is_some() {
                return Err(format!("two rows describe {observation:?}"));
            }
        }
        let index = matching.ok_or_else(|| format!("no row describes {observation:?}"))?;
        used[index] = true;
        let Observation { decision, answer, event, store_calls, .. } = observation;
        let observed = [decision, answer, event, store_calls].map(String::as_str);
        if table[index][LATE_RETRY + 1..] != observed {
            return Err(format!("{:?} is not what happens: {observation:?}", table[index]));
        }
    }
    match used.iter().position(|used| !used) {
        Some(index) => Err(format!("nothing is like {:?}", table[index])),
        None => Ok(()),
    }
}

fn table() -> Table {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rotation.md");
    read_table(&fs::read_to_string(path).unwrap())
}

#[tokio::test]
async fn the_engine_does_what_the_table_says() {
    let observations = observations().await;
    check(&table(), &observations).unwrap();
}

#[tokio::test]
async fn every_change_of_the_table_is_noticed() {
    let observations = observations().await;
    let table = table();
    check(&table, &observations).unwrap();
    for index in 0..table.len() {
        let mut without = table.clone();
        let row = without.remove(index);
        assert!(check(&without, &observations).is_err(), "without {row:?}");
        without.extend([row.clone(), row]);
        assert!(check(&without, &observations).is_err(), "a row twice");

        for column in 0..COLUMNS.len() {
            let mut words: BTreeSet<String> = table.iter().map(|row| row[column].clone()).collect();
            words.insert("something new".to_owned());
            words.remove(&table[index][column]);
            for word in words {
                let mut changed = table.clone();
                changed[index][column].clone_from(&word);
                assert!(
                    check(&changed, &observations).is_err(),
                    "{word:?} instead in {:?}",
                    table[index]
                );
            }
        }
    }
}
