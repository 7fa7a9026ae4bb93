//! A life of sessions, in the engine and in the model.

use std::time::Duration;

use serde_json::json;
use sessile_core::{
    RefreshRequest, SessionHandle, SessionService, VerifyRequest,
    event::EventKind,
    policy::{LateRetry, Policy, Revocation, RotationPolicy},
};

use crate::{
    coverage::Coverage,
    outcomes::{Outcome, events_of, outcome_of_error},
    planted_faults::Plant,
    promises::{Answer, Promises},
    reference::{Model, ModelSession, payload_of, since_start},
    steps::{ABSOLUTE, IDLE, Mishap, Rule, Step, VALIDITY},
    support::{Engine, object, refresh_token, stored_hash},
};

/// The policy of a life, with the fault that is planted in it.
pub(crate) fn policy_of(
    late_is_theft: bool,
    only: Option<Rule>,
    plant: Option<&'static Plant>,
) -> Policy {
    let mut policy = Policy {
        access_token_validity: Duration::from_millis(VALIDITY),
        refresh_token_validity: Duration::from_millis(IDLE),
        absolute_lifetime: Some(Duration::from_millis(ABSOLUTE)),
        rotation: only.unwrap_or(Rule::Idempotent).policy(),
        late_retry: if late_is_theft { LateRetry::TokenTheft } else { LateRetry::Unauthorised },
        ..Policy::default()
    };
    if let Some(plant) = plant {
        (plant.policy)(&mut policy);
    }
    policy
}

/// A life of sessions, and its model.
pub(crate) struct Life {
    engine: Engine,
    model: Model,
    handles: Vec<SessionHandle>,
    /// The rule of every call, where it is always the same.
    only: Option<Rule>,
    plant: Option<&'static Plant>,
    promises: Vec<Promises>,
    payloads: u64,
    /// How often each thing happened.
    pub(crate) coverage: Coverage,
}

impl Life {
    async fn new(late_is_theft: bool, only: Option<Rule>, plant: Option<&'static Plant>) -> Self {
        let engine = Engine::with_policy(policy_of(late_is_theft, only, plant)).await;
        let model = Model {
            now: 0,
            late_is_theft,
            sessions: Vec::new(),
            refresh_tokens: Vec::new(),
            access_tokens: Vec::new(),
        };
        let (handles, promises, coverage) = (Vec::new(), Vec::new(), Coverage::default());
        Self { engine, model, handles, only, plant, promises, payloads: 0, coverage }
    }

    fn rule_of(&self, rule: Rule) -> (Rule, Option<RotationPolicy>) {
        match self.only {
            Some(only) => (only, None),
            None => (rule, Some(rule.policy())),
        }
    }

    async fn refresh(&mut self, token: usize, mishap: Mishap, rule: Rule) {
        let text = self.model.refresh_tokens[token].text.clone().unwrap();
        let session = self.model.refresh_tokens[token].session;
        let handle = &self.handles[session];
        let (rule, rotation) = self.rule_of(rule);
        let Self { engine, model, .. } = self;
        let is_honest = model.is_honest(token);
        let before = engine.row(handle).await;
        engine.store().set_troubles(mishap.troubles());
        let request = RefreshRequest { rotation, ..RefreshRequest::from(text.as_str()) };
        let result = engine.refresh(request).await;
        engine.store().set_troubles([]);
        let mut after = engine.row(handle).await;
        if let Some(plant) = self.plant {
            let spoiled = plant.row(before.as_ref(), after.clone());
            if let Some(row) = &spoiled
                && spoiled != after
            {
                engine.put_row(row.clone()).await;
            }
            after = spoiled;
        }
        let events = engine.take_event_kinds();
        let observed = match &result {
            Ok(_) if events == [EventKind::Reissued] => Outcome::SameChild,
            Ok(_) => Outcome::NewChild,
            Err(error) => outcome_of_error(error),
        };

        let promises = &mut self.promises[session];
        if matches!(observed, Outcome::Ended(..)) {
            promises.end();
        }
        if self.only == Some(Rule::Idempotent) {
            let answer = Answer {
                outcome: observed,
                child: result.as_ref().ok().map(refresh_token),
                before: before.as_ref(),
                after: after.as_ref(),
                now: model.now,
                late_is_theft: model.late_is_theft,
            };
            promises.check(&text, &answer);
        } else if rule == Rule::Idempotent && is_honest {
            let good = [Outcome::NewChild, Outcome::SameChild, Outcome::Fault];
            assert!(good.contains(&observed), "no honest client is turned away");
        }

        let (expected, change, child) = model.refresh(token, mishap, rule);
        self.coverage.count(format!("{rule:?}: refresh {expected:?} {change:?}"));
        assert_eq!(observed, expected);
        assert_eq!(events, events_of(expected));
        if let Ok(issued) = result {
            assert_eq!(issued.session.handle(), handle);
            model.receive(child.unwrap(), rule, &issued);
        }
    }

    async fn verify(&mut self, token: usize, is_immediate: bool, mishap: Mishap, rule: Rule) {
        let (rule, rotation) = self.rule_of(rule);
        let Self { engine, model, .. } = self;
        let revocation = if is_immediate { Revocation::Immediate } else { Revocation::AtExpiry };
        let request = VerifyRequest {
            revocation: Some(revocation),
            rotation,
            ..VerifyRequest::new(&model.access_tokens[token].text)
        };
        engine.store().set_troubles(mishap.troubles());
        let result = engine.verify(request).await;
        engine.store().set_troubles([]);
        let observed = match &result {
            Ok(session) if session.new_access_token().is_some() => Outcome::Replaced,
            Ok(session) => {
                session.payload_update_available().map_or(Outcome::Accepted, Outcome::AcceptedWith)
            }
            Err(error) => outcome_of_error(error),
        };
        let (expected, change) = model.verify(token, is_immediate, mishap, rule);
        self.coverage.count(format!("{rule:?}: verify {expected:?} {change:?}"));
        assert_eq!(observed, expected);
        assert_eq!(engine.take_events(), []);
        let Ok(session) = result else { return };
        assert_eq!(session.handle(), &self.handles[model.access_tokens[token].session]);
        if observed == Outcome::Replaced {
            model.receive_replacement(token, &session);
        } else {
            assert_eq!(payload_of(&session), model.access_tokens[token].payload);
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Wait(milliseconds) => {
                self.model.now += milliseconds;
                self.engine.clock.advance(Duration::from_millis(milliseconds));
            }
            Step::LogIn => {
                let issued = self.engine.log_in("alice").await;
                self.handles.push(issued.session.handle().clone());
                let session = self.model.log_in();
                let first = self.model.sessions[session].current;
                self.model.receive(first, Rule::Idempotent, &issued);
                self.promises.push(Promises::at_login(refresh_token(&issued), self.model.now));
                assert_eq!(self.engine.take_event_kinds(), [EventKind::Created]);
            }
            // Before the first login there is nothing to choose from.
            _ if self.handles.is_empty() => {}
            Step::Refresh(pick, mishap, rule) => {
                let Model { sessions, refresh_tokens, .. } = &self.model;
                let is_heard = |index: &usize| refresh_tokens[*index].text.is_some();
                let heard: Vec<_> = (0..refresh_tokens.len()).filter(is_heard).collect();
                let session_of = |index: &usize| &sessions[refresh_tokens[*index].session];
                let token = heard[pick.of(heard.iter().map(|index| session_of(index).is_there))];
                self.refresh(token, mishap, rule).await;
            }
            Step::Verify(pick, is_immediate, mishap, rule) => {
                let Model { sessions, access_tokens, .. } = &self.model;
                let token =
                    pick.of(access_tokens.iter().map(|token| sessions[token.session].is_there));
                self.verify(token, is_immediate, mishap, rule).await;
            }
            Step::WaitFor(pick, boundary, offset) => {
                let session = pick.of(self.model.sessions.iter().map(|session| session.is_there));
                let moment = self.model.moment_of(session, boundary) + offset - 1;
                let wait = moment.saturating_sub(self.model.now);
                self.model.now += wait;
                self.engine.clock.advance(Duration::from_millis(wait));
            }
            Step::ReplacePayload(index) => {
                let session = index.index(self.handles.len());
                self.payloads += 1;
                let payload = object(json!({ "number": self.payloads }));
                let handle = &self.handles[session];
                let result = self.engine.update_jwt_payload(handle, payload).await;
                let row = &mut self.model.sessions[session];
                let is_live = row.is_there && self.model.now < row.idle_end;
                assert_eq!(result.is_ok(), is_live);
                if is_live {
                    row.payload = self.payloads;
                }
            }
            Step::Revoke(index) => {
                let session = index.index(self.handles.len());
                let was_there = self.engine.revoke_session(&self.handles[session]).await.unwrap();
                assert_eq!(was_there, self.model.sessions[session].is_there);
                self.model.sessions[session].is_there = false;
            }
            Step::Sweep => {
                let swept = self.engine.sweep(usize::MAX).await.unwrap().sessions;
                let now = self.model.now;
                let over = |session: &&mut ModelSession| session.is_there && session.idle_end < now;
                let over = self.model.sessions.iter_mut().filter(over);
                assert_eq!(swept, over.map(|session| session.is_there = false).count());
            }
        }
    }

    /// The row says what the model says.
    async fn check_rows(&self) {
        for (session, handle) in self.model.sessions.iter().zip(&self.handles) {
            let information = self.engine.get_session_information(handle).await.unwrap();
            let is_live = session.is_there && self.model.now < session.idle_end;
            assert_eq!(information.is_some(), is_live);
            let row = self.engine.row(handle).await;
            assert_eq!(row.is_some(), session.is_there);
            let Some(row) = row else { continue };
            let text_of = |token: usize| self.model.refresh_tokens[token].text.as_deref();
            // A token whose answer was lost is known to nobody.
            if let Some(text) = text_of(session.current) {
                assert!(row.refresh_token_hash == stored_hash(text));
            }
            let previous = row.previous_refresh_token_hash;
            assert!(previous == session.previous.and_then(text_of).map(stored_hash));
            let rotated_at = session.previous.map(|_| session.exchanged_at);
            assert_eq!(row.rotated_at.map(since_start), rotated_at);
            assert_eq!(since_start(row.expires_at), session.idle_end);
        }
    }
}

/// Lives through the steps, and counts what happened.
pub(crate) fn live(
    steps: Vec<Step>,
    late_is_theft: bool,
    only: Option<Rule>,
    plant: Option<&'static Plant>,
) -> Coverage {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut life = Life::new(late_is_theft, only, plant).await;
        for step in steps {
            life.engine.take_events();
            life.step(step).await;
            life.check_rows().await;
        }
        life.coverage
    })
}
