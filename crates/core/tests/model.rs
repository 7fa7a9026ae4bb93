//! Random lives of sessions, beside a small model that was written apart from the rules.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers fail the test that asked for them"
)]

mod support;

use std::{collections::HashSet, time::Duration};

use proptest::{prelude::*, sample::Index};
use sessile_core::{
    Error, IssuedSession, SessionService, TheftKind, TryRefreshReason, UnauthorisedReason,
    event::{EventKind, RevocationReason},
    policy::{LateRetry, Policy, Revocation, RotationPolicy},
};
use support::{Engine, START, access_token, counting_store::Trouble, refresh_token};

// In milliseconds, like everything in the model.
const GRACE: u64 = 30_000;
const VALIDITY: u64 = 60_000;
const IDLE: u64 = 200_000;
const ABSOLUTE: u64 = 350_000;

#[derive(Clone, Debug)]
enum Step {
    LogIn,
    /// With one of the newest so many tokens.
    Refresh(Index, usize, Mishap),
    Verify(Index),
    Revoke(Index),
    Sweep,
    Wait(u64),
}

/// What happens to the calls that a refresh makes of the store, counted from 1.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    Nothing,
    Fails(usize),
    LosesItsAnswer(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let mishap = prop_oneof![
        6 => Just(Mishap::Nothing),
        1 => (1..=3_usize).prop_map(Mishap::Fails),
        2 => (1..=3_usize).prop_map(Mishap::LosesItsAnswer),
    ];
    let wait = prop_oneof![
        Just(0),
        Just(1),
        Just(1000),
        GRACE - 1..=GRACE + 1,
        VALIDITY - 1..=VALIDITY + 1,
        IDLE - 1..=IDLE + 1,
        0..GRACE,
        0..IDLE / 4,
    ];
    let step = prop_oneof![
        2 => Just(Step::LogIn),
        12 => (any::<Index>(), prop_oneof![Just(4), Just(usize::MAX)], mishap)
            .prop_map(|(token, newest, mishap)| Step::Refresh(token, newest, mishap)),
        4 => any::<Index>().prop_map(Step::Verify),
        1 => any::<Index>().prop_map(Step::Revoke),
        1 => Just(Step::Sweep),
        6 => wait.prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..80)
}

/// What a call is expected to say, and what it said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    NewChild,
    SameChild,
    Accepted,
    Expired,
    SessionExpired,
    NotFound,
    LateRetry,
    LateTheft,
    StaleTheft,
    Fault,
}

#[derive(Debug)]
struct ModelSession {
    is_there: bool,
    newest: usize,
    before_newest: Option<usize>,
    exchanged_at: u64,
    idle_end: u64,
    absolute_end: u64,
}

#[derive(Debug)]
struct ModelToken {
    session: usize,
    /// None until an answer with it has arrived.
    text: Option<String>,
}

#[derive(Debug)]
struct ModelAccessToken {
    session: usize,
    end: u64,
    text: String,
}

#[derive(Debug)]
struct Model {
    now: u64,
    late_is_theft: bool,
    is_immediate: bool,
    sessions: Vec<ModelSession>,
    refresh_tokens: Vec<ModelToken>,
    access_tokens: Vec<ModelAccessToken>,
}

impl Model {
    fn log_in(&mut self) -> usize {
        let session = self.sessions.len();
        self.refresh_tokens.push(ModelToken { session, text: None });
        self.sessions.push(ModelSession {
            is_there: true,
            newest: self.refresh_tokens.len() - 1,
            before_newest: None,
            exchanged_at: 0,
            idle_end: self.now + IDLE,
            absolute_end: self.now + ABSOLUTE,
        });
        session
    }

    fn refresh(&mut self, token: usize, mishap: Mishap) -> Outcome {
        let now = self.now;
        let session_index = self.refresh_tokens[token].session;
        let session = &self.sessions[session_index];
        let (outcome, calls) = if !session.is_there {
            (Outcome::NotFound, 2)
        } else if now > session.idle_end {
            (Outcome::SessionExpired, 2)
        } else if token == session.newest {
            (Outcome::NewChild, 1)
        } else if Some(token) != session.before_newest {
            (Outcome::StaleTheft, 3)
        } else if now - session.exchanged_at <= GRACE {
            (Outcome::SameChild, 2)
        } else if self.late_is_theft {
            (Outcome::LateTheft, 3)
        } else {
            (Outcome::LateRetry, 3)
        };
        let (is_done, is_heard) = match mishap {
            Mishap::Fails(call) if call <= calls => (false, false),
            Mishap::LosesItsAnswer(call) if call <= calls => (call == calls, false),
            _ => (true, true),
        };
        if is_done {
            let child = self.refresh_tokens.len();
            let session = &mut self.sessions[session_index];
            match outcome {
                Outcome::NewChild => {
                    session.before_newest = Some(token);
                    session.newest = child;
                    session.exchanged_at = now;
                    session.idle_end = (now + IDLE).min(session.absolute_end);
                    self.refresh_tokens.push(ModelToken { session: session_index, text: None });
                }
                Outcome::LateRetry | Outcome::LateTheft | Outcome::StaleTheft => {
                    session.is_there = false;
                }
                _ => {}
            }
        }
        if is_heard { outcome } else { Outcome::Fault }
    }

    fn verify(&self, token: usize) -> Outcome {
        let token = &self.access_tokens[token];
        let session = &self.sessions[token.session];
        if self.now > token.end {
            Outcome::Expired
        } else if !self.is_immediate {
            Outcome::Accepted
        } else if !session.is_there {
            Outcome::NotFound
        } else if self.now >= session.idle_end {
            Outcome::SessionExpired
        } else {
            Outcome::Accepted
        }
    }

    /// Takes the tokens of an answer down, and says whether they are the ones that were expected.
    fn receive(&mut self, session: usize, issued: &IssuedSession) {
        let ModelSession { newest, idle_end, absolute_end, .. } = self.sessions[session];
        let text = refresh_token(issued);
        let child = &mut self.refresh_tokens[newest];
        assert_eq!(child.text.get_or_insert_with(|| text.to_owned()), text, "the same child");
        let known: HashSet<&str> =
            self.refresh_tokens.iter().filter_map(|token| token.text.as_deref()).collect();
        let texts = self.refresh_tokens.iter().filter(|token| token.text.is_some()).count();
        assert_eq!(known.len(), texts, "different children are different");

        let since_start = |end: sessile_core::clock::Timestamp| {
            u64::try_from(end.as_millis() - START.as_millis()).unwrap()
        };
        assert_eq!(since_start(issued.refresh_token.expires_at), idle_end);
        let end = (self.now + VALIDITY).min(absolute_end) / 1000 * 1000;
        assert_eq!(since_start(issued.access_token.expires_at), end);
        let text = access_token(issued).to_owned();
        self.access_tokens.push(ModelAccessToken { session, end, text });
    }
}

fn outcome_of_error(error: &Error) -> Outcome {
    match error {
        Error::Unauthorised { reason: UnauthorisedReason::SessionNotFound } => Outcome::NotFound,
        Error::Unauthorised { reason: UnauthorisedReason::SessionExpired } => {
            Outcome::SessionExpired
        }
        Error::Unauthorised { reason: UnauthorisedReason::LateRetry } => Outcome::LateRetry,
        Error::TryRefreshToken { reason: TryRefreshReason::Expired } => Outcome::Expired,
        Error::TokenTheftDetected { kind: TheftKind::LateRetry, .. } => Outcome::LateTheft,
        Error::TokenTheftDetected { kind: TheftKind::Stale, .. } => Outcome::StaleTheft,
        Error::General(_) => Outcome::Fault,
        other => panic!("nothing that the model knows: {other}"),
    }
}

/// What is told of a refresh that ended so.
fn events_of(outcome: Outcome) -> Vec<EventKind> {
    match outcome {
        Outcome::NewChild => vec![EventKind::Refreshed],
        Outcome::SameChild => vec![EventKind::Reissued],
        Outcome::LateRetry => vec![EventKind::Revoked { reason: RevocationReason::LateRetry }],
        Outcome::LateTheft => vec![EventKind::TheftDetected { kind: TheftKind::LateRetry }],
        Outcome::StaleTheft => vec![EventKind::TheftDetected { kind: TheftKind::Stale }],
        _ => Vec::new(),
    }
}

async fn live(steps: Vec<Step>, late_is_theft: bool, is_immediate: bool) {
    let engine = Engine::with_policy(Policy {
        access_token_validity: Duration::from_millis(VALIDITY),
        refresh_token_validity: Duration::from_millis(IDLE),
        absolute_lifetime: Some(Duration::from_millis(ABSOLUTE)),
        rotation: RotationPolicy::Idempotent { grace: Duration::from_millis(GRACE) },
        late_retry: if late_is_theft { LateRetry::TokenTheft } else { LateRetry::Unauthorised },
        revocation: if is_immediate { Revocation::Immediate } else { Revocation::AtExpiry },
        ..Policy::default()
    })
    .await;
    let mut model = Model {
        now: 0,
        late_is_theft,
        is_immediate,
        sessions: Vec::new(),
        refresh_tokens: Vec::new(),
        access_tokens: Vec::new(),
    };
    let mut handles = Vec::new();
    for step in steps {
        engine.take_events();
        match step {
            Step::Wait(milliseconds) => {
                model.now += milliseconds;
                engine.clock.advance(Duration::from_millis(milliseconds));
            }
            Step::LogIn => {
                let issued = engine.log_in("alice").await;
                handles.push(issued.session.handle().clone());
                let session = model.log_in();
                model.receive(session, &issued);
                assert_eq!(engine.take_event_kinds(), [EventKind::Created]);
            }
            // Before the first login there is nothing to choose from.
            _ if handles.is_empty() => {}
            Step::Refresh(index, newest, mishap) => {
                let count = model.refresh_tokens.len();
                let token = count - 1 - index.index(count.min(newest));
                let Some(text) = model.refresh_tokens[token].text.clone() else { continue };
                let session = model.refresh_tokens[token].session;
                let arriving = |call: usize| std::iter::repeat_n(Trouble::None, call - 1);
                match mishap {
                    Mishap::Nothing => {}
                    Mishap::Fails(call) => {
                        engine.store().set_troubles(arriving(call).chain([Trouble::Fails]));
                    }
                    Mishap::LosesItsAnswer(call) => {
                        let lost = [Trouble::LosesItsAnswer];
                        engine.store().set_troubles(arriving(call).chain(lost));
                    }
                }
                let result = engine.exchange(&text).await;
                engine.store().set_troubles([]);
                let expected = model.refresh(token, mishap);
                let events = engine.take_event_kinds();
                let observed = match &result {
                    Ok(_) if events == [EventKind::Reissued] => Outcome::SameChild,
                    Ok(_) => Outcome::NewChild,
                    Err(error) => outcome_of_error(error),
                };
                assert_eq!(observed, expected);
                assert_eq!(events, events_of(expected));
                if let Ok(issued) = result {
                    assert_eq!(issued.session.handle(), &handles[session]);
                    model.receive(session, &issued);
                }
            }
            Step::Verify(index) => {
                let token = index.index(model.access_tokens.len());
                let result = engine.read(&model.access_tokens[token].text).await;
                let observed = result.as_ref().map_or_else(outcome_of_error, |_| Outcome::Accepted);
                assert_eq!(observed, model.verify(token));
                if let Ok(session) = result {
                    assert_eq!(session.handle(), &handles[model.access_tokens[token].session]);
                }
            }
            Step::Revoke(index) => {
                let session = index.index(handles.len());
                let was_there = engine.revoke_session(&handles[session]).await.unwrap();
                assert_eq!(was_there, model.sessions[session].is_there);
                model.sessions[session].is_there = false;
            }
            Step::Sweep => {
                let swept = engine.sweep(usize::MAX).await.unwrap().sessions;
                let now = model.now;
                let over = |session: &&mut ModelSession| session.is_there && session.idle_end < now;
                let over = model.sessions.iter_mut().filter(over);
                assert_eq!(swept, over.map(|session| session.is_there = false).count());
            }
        }
        for (session, handle) in model.sessions.iter().zip(&handles) {
            let information = engine.get_session_information(handle).await.unwrap();
            let is_live = session.is_there && model.now < session.idle_end;
            assert_eq!(information.is_some(), is_live);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_engine_does_what_the_model_does(
        steps in steps(),
        late_is_theft in any::<bool>(),
        is_immediate in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(live(steps, late_is_theft, is_immediate));
    }
}
