//! Requests that are under way at the same time, and cross in every way between two calls of the
//! store: the promises of `Idempotent` alone say what may come of it.

use std::{cell::RefCell, sync::Arc, time::Duration};

use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{RngAlgorithm, TestError, TestRng, TestRunner},
};
use sessile_core::{
    Error, IssuedSession, SessionHandle, TheftKind,
    event::EventKind,
    policy::{LateRetry, Policy, RotationPolicy},
    store::SessionRecord,
};

use crate::{
    assert_covered, config,
    coverage::Coverage,
    outcomes::{Outcome, outcome_of_error},
    promises::{Claim, Promises},
    steps::{ABSOLUTE, GRACE, IDLE, Rule, VALIDITY},
    support::{Engine, counting_store::Trouble, refresh_token, stored_hash},
};

/// One of several requests: which of the newest tokens it presents, and how long it waits for the
/// others.
#[derive(Clone, Debug)]
struct Request {
    token: Index,
    newest: usize,
    turns: usize,
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    /// Where the session is over.
    LogIn,
    AtOnce(Vec<Request>, Vec<Trouble>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let newest = prop_oneof![4 => Just(1), 6 => Just(2), 1 => Just(usize::MAX)];
    let request = (any::<Index>(), newest, 0..8_usize).prop_map(|(token, newest, turns)| Request {
        token,
        newest,
        turns,
    });
    let trouble = prop_oneof![
        10 => Just(Trouble::None),
        1 => Just(Trouble::Fails),
        1 => Just(Trouble::LosesItsAnswer),
    ];
    let troubles = prop_oneof![
        2 => Just(Vec::new()),
        1 => prop::collection::vec(trouble, 1..12),
    ];
    let wait = prop_oneof![Just(0), Just(1000), GRACE..=GRACE + 1, GRACE - 1..=GRACE + 1, 0..GRACE];
    let requests = prop_oneof![
        1 => prop::collection::vec(request.clone(), 1..3),
        2 => prop::collection::vec(request, 1..6),
    ];
    let step = prop_oneof![
        2 => wait.prop_map(Step::Wait),
        1 => Just(Step::LogIn),
        4 => (requests, troubles)
            .prop_map(|(requests, troubles)| Step::AtOnce(requests, troubles)),
    ];
    prop::collection::vec(step, 1..40)
}

/// One session, and every refresh token that an answer brought.
struct Life {
    engine: Arc<Engine>,
    handle: SessionHandle,
    now: u64,
    late_is_theft: bool,
    tokens: Vec<String>,
    promises: Promises,
    coverage: Coverage,
}

/// What came of requests that crossed.
struct Crossed {
    answers: Vec<(Claim, Outcome)>,
    events: Vec<EventKind>,
    before: Option<SessionRecord>,
    after: Option<SessionRecord>,
    had_troubles: bool,
}

impl Crossed {
    fn presented(&self, claims: &[Claim]) -> bool {
        self.answers.iter().any(|(claim, _)| claims.contains(claim))
    }

    fn answered(&self, is_it: impl Fn(Outcome) -> bool) -> usize {
        self.answers.iter().filter(|(_, outcome)| is_it(*outcome)).count()
    }

    fn told(&self, is_it: impl Fn(EventKind) -> bool) -> usize {
        self.events.iter().filter(|event| is_it(**event)).count()
    }

    /// Fails where two are told that the session ended with them, or one is told what does not
    /// belong to its token.
    fn check(&self, late_is_theft: bool) {
        let stale = Outcome::Ended(TheftKind::Stale, true);
        let late = Outcome::Ended(TheftKind::LateRetry, late_is_theft);
        // The window of the generation before closes when the newest is presented.
        let may_close = self.presented(&[Claim::Newest]);
        for &(claim, outcome) in &self.answers {
            let fits = match outcome {
                Outcome::Fault => self.had_troubles,
                Outcome::NotFound => self.after.is_none(),
                _ => match claim {
                    Claim::Newest => outcome == Outcome::NewChild,
                    Claim::InWindow => {
                        outcome == Outcome::NewChild || may_close && outcome == stale
                    }
                    Claim::Late => outcome == late || may_close && outcome == stale,
                    Claim::Old => outcome == stale,
                },
            };
            assert!(fits, "{claim:?}: {outcome:?}");
        }

        let ends = self.answered(|outcome| matches!(outcome, Outcome::Ended(..)));
        assert!(ends <= 1 && (ends == 0 || self.after.is_none()), "a session ends once");
        let given = self.answered(|outcome| outcome == Outcome::NewChild);
        let refreshed = self.told(|event| event == EventKind::Refreshed);
        let reissued = self.told(|event| event == EventKind::Reissued);
        assert!(refreshed <= 1, "and one of them makes the child");
        assert_eq!(refreshed + reissued, given);
        assert_eq!(self.events.len(), given + ends, "each end and each answer is told once");

        let is_replayed = self.presented(&[Claim::Late, Claim::Old]);
        if is_replayed && !self.had_troubles {
            assert_eq!(ends, 1, "a replay ends the session");
        }
        let is_closed = may_close && self.presented(&[Claim::InWindow]);
        assert!(is_replayed || is_closed || self.after.is_some(), "no honest client ends it");
    }
}

fn outcome_of(answer: &Result<IssuedSession, Error>) -> Outcome {
    match answer {
        // Which of them it was is told by the events alone.
        Ok(_) => Outcome::NewChild,
        Err(error) => outcome_of_error(error),
    }
}

impl Life {
    async fn new(late_is_theft: bool, policy: impl FnOnce(&mut Policy)) -> Self {
        let mut changed = Policy {
            access_token_validity: Duration::from_millis(VALIDITY),
            refresh_token_validity: Duration::from_millis(IDLE),
            absolute_lifetime: Some(Duration::from_millis(ABSOLUTE)),
            rotation: Rule::Idempotent.policy(),
            late_retry: if late_is_theft { LateRetry::TokenTheft } else { LateRetry::Unauthorised },
            ..Policy::default()
        };
        policy(&mut changed);
        let engine = Arc::new(Engine::with_policy(changed).await);
        let first = engine.log_in("alice").await;
        Self {
            promises: Promises::at_login(refresh_token(&first), 0),
            tokens: vec![refresh_token(&first).to_owned()],
            handle: first.session.handle().clone(),
            engine,
            now: 0,
            late_is_theft,
            coverage: Coverage::default(),
        }
    }

    /// Another session, where the last one is over.
    async fn log_in_again(&mut self) {
        let first = self.engine.log_in("alice").await;
        self.promises = Promises::at_login(refresh_token(&first), self.now);
        self.tokens = vec![refresh_token(&first).to_owned()];
        self.handle = first.session.handle().clone();
    }

    async fn at_once(&mut self, requests: Vec<Request>, troubles: Vec<Trouble>) {
        self.engine.take_events();
        let before = self.engine.row(&self.handle).await;
        let had_troubles = !troubles.is_empty();
        self.engine.store().set_troubles(troubles);
        let mut tasks = Vec::new();
        for Request { token, newest, turns } in requests {
            let count = self.tokens.len();
            let text = self.tokens[count - 1 - token.index(count.min(newest))].clone();
            let claim = self.promises.claim(&text, self.now);
            let engine = Arc::clone(&self.engine);
            let task = tokio::spawn(async move {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                engine.exchange(&text).await
            });
            tasks.push((claim, task));
        }
        let (mut answers, mut children) = (Vec::new(), Vec::new());
        for (claim, task) in tasks {
            let answer = task.await.unwrap();
            answers.push((claim, outcome_of(&answer)));
            children.extend(answer.ok().map(|issued| (claim, refresh_token(&issued).to_owned())));
        }
        self.engine.store().set_troubles([]);
        let events = self.engine.take_event_kinds();
        let after = self.engine.row(&self.handle).await;
        let crossed = Crossed { answers, events, before, after, had_troubles };

        for (claim, outcome) in &crossed.answers {
            self.coverage.count(format!("{claim:?} {outcome:?}"));
        }
        if crossed.before.is_none() {
            assert_eq!(crossed.events, []);
            let refused = [Outcome::NotFound, Outcome::Fault];
            assert!(crossed.answers.iter().all(|(_, outcome)| refused.contains(outcome)));
        } else if self.promises.is_over(self.now) {
            assert_eq!(crossed.events, []);
            assert!(crossed.after == crossed.before);
            let refused = [Outcome::SessionExpired, Outcome::Fault];
            assert!(crossed.answers.iter().all(|(_, outcome)| refused.contains(outcome)));
        } else {
            crossed.check(self.late_is_theft);
            let before = self.promises.newest();
            let is_newest = |(claim, _): &&(Claim, String)| *claim == Claim::Newest;
            // A session that one of them ended says no more what another one made of it.
            let made = children.iter().find(is_newest).map(|(_, child)| stored_hash(child));
            let row = crossed.after.as_ref();
            let newest = row.map(|row| row.refresh_token_hash).or(made).unwrap_or(before);
            for (claim, child) in &children {
                let expected = if *claim == Claim::InWindow { before } else { newest };
                assert!(stored_hash(child) == expected, "all get the same child");
            }
            self.promises.follow(newest, self.now);
        }
        for (_, child) in children {
            if !self.tokens.contains(&child) {
                self.tokens.push(child);
            }
        }
    }
}

fn live(steps: Vec<Step>, late_is_theft: bool, policy: impl FnOnce(&mut Policy)) -> Coverage {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut life = Life::new(late_is_theft, policy).await;
        for step in steps {
            match step {
                Step::Wait(milliseconds) => {
                    life.now += milliseconds;
                    life.engine.clock.advance(Duration::from_millis(milliseconds));
                }
                Step::LogIn => {
                    if life.engine.row(&life.handle).await.is_none() {
                        life.log_in_again().await;
                    }
                }
                Step::AtOnce(requests, troubles) => life.at_once(requests, troubles).await,
            }
        }
        life.coverage
    })
}

#[test]
fn however_requests_cross_no_honest_client_is_turned_away() {
    let coverage = RefCell::new(Coverage::default());
    let mut runner = TestRunner::new(config());
    let result = runner.run(&(steps(), any::<bool>()), |(steps, late_is_theft)| {
        coverage.borrow_mut().add(live(steps, late_is_theft, |_| {}));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let expected = [
        "Newest NewChild",
        "Newest NotFound",
        "Newest Fault",
        "InWindow NewChild",
        "InWindow NotFound",
        "InWindow Fault",
        "InWindow Ended(Stale, true)",
        "Late Ended(LateRetry",
        "Late Ended(Stale, true)",
        "Late NotFound",
        "Old Ended(Stale, true)",
        "Old NotFound",
    ];
    assert_covered(&coverage.into_inner(), 5, &expected);
}

type Change = fn(&mut Policy);

/// What another policy than the promised one does is found without a model.
#[test]
fn a_broken_promise_is_found() {
    let faults: [(&str, Change); 4] = [
        ("each retry gets another child", |policy| policy.rotation = Rule::OnRefresh.policy()),
        ("a refresh changes nothing", |policy| policy.rotation = Rule::OnUse.policy()),
        ("the window is too short", |policy| {
            let grace = Duration::from_millis(GRACE - 1);
            policy.rotation = RotationPolicy::Idempotent { grace };
        }),
        ("the window is too long", |policy| {
            let grace = Duration::from_millis(GRACE + 1);
            policy.rotation = RotationPolicy::Idempotent { grace };
        }),
    ];
    for (name, fault) in faults {
        let config = ProptestConfig { max_shrink_iters: 0, ..config() };
        let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(config, random);
        let result = runner.run(&(steps(), any::<bool>()), |(steps, late_is_theft)| {
            drop(live(steps, late_is_theft, fault));
            Ok(())
        });
        assert!(matches!(result, Err(TestError::Fail(..))), "nobody finds that {name}");
    }
}
