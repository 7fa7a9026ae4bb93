//! Random lives of sessions under every rotation policy, beside small models that were written
//! apart from the rules.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers fail the test that asked for them"
)]

mod support;

use std::{collections::HashSet, time::Duration};

use proptest::{prelude::*, sample::Index};
use serde_json::json;
use sessile_core::{
    Error, IssuedSession, RefreshRequest, SessionHandle, SessionService, TheftKind,
    TryRefreshReason, UnauthorisedReason, VerifiedSession, VerifyRequest,
    clock::Timestamp,
    event::{EventKind, RevocationReason},
    policy::{LateRetry, Policy, Revocation, RotationPolicy},
};
use support::{Engine, START, access_token, counting_store::Trouble, object, refresh_token};

// In milliseconds, like everything in the model.
const GRACE: u64 = 30_000;
const VALIDITY: u64 = 60_000;
const IDLE: u64 = 200_000;
const ABSOLUTE: u64 = 350_000;

/// Which of the three policies a call follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Rule {
    Idempotent,
    OnRefresh,
    OnUse,
}

impl Rule {
    fn policy(self) -> RotationPolicy {
        let grace = Duration::from_millis(GRACE);
        match self {
            Self::Idempotent => RotationPolicy::Idempotent { grace },
            Self::OnRefresh => RotationPolicy::OnRefresh { grace },
            Self::OnUse => RotationPolicy::OnUse,
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    LogIn,
    /// With one of the newest so many tokens.
    Refresh(Index, usize, Mishap, Rule),
    /// With one of the newest so many tokens, and whether the store is asked.
    Verify(Index, usize, bool, Rule),
    ReplacePayload(Index),
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

impl Mishap {
    /// How many of that many calls take effect, and whether the answer is heard.
    fn of(self, calls: usize) -> (usize, bool) {
        match self {
            Self::Fails(call) if call <= calls => (call - 1, false),
            Self::LosesItsAnswer(call) if call <= calls => (call, false),
            _ => (calls, true),
        }
    }

    fn troubles(self) -> Vec<Trouble> {
        let (arriving, last) = match self {
            Self::Nothing => return Vec::new(),
            Self::Fails(call) => (call - 1, Trouble::Fails),
            Self::LosesItsAnswer(call) => (call - 1, Trouble::LosesItsAnswer),
        };
        std::iter::repeat_n(Trouble::None, arriving).chain([last]).collect()
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let mishap = prop_oneof![
        8 => Just(Mishap::Nothing),
        1 => (1..=3_usize).prop_map(Mishap::Fails),
        2 => (1..=3_usize).prop_map(Mishap::LosesItsAnswer),
    ];
    let rule = prop_oneof![Just(Rule::Idempotent), Just(Rule::OnRefresh), Just(Rule::OnUse)];
    let newest = prop_oneof![3 => Just(4), 1 => Just(usize::MAX)];
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
        14 => (any::<Index>(), newest.clone(), mishap, rule.clone())
            .prop_map(|(token, newest, mishap, rule)| Step::Refresh(token, newest, mishap, rule)),
        8 => (any::<Index>(), newest, any::<bool>(), rule)
            .prop_map(|(token, newest, immediate, rule)| {
                Step::Verify(token, newest, immediate, rule)
            }),
        1 => any::<Index>().prop_map(Step::ReplacePayload),
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
    /// As `Accepted`, and whether the stored payload is another one.
    AcceptedWith(bool),
    Replaced,
    RotatedOut,
    Expired,
    SessionExpired,
    NotFound,
    /// The session ends, and is it called a theft?
    Ended(TheftKind, bool),
    /// A theft that ends nothing.
    Reported,
    Fault,
}

#[derive(Debug)]
struct ModelSession {
    is_there: bool,
    current: usize,
    previous: Option<usize>,
    exchanged_at: u64,
    /// Who can be given the current token again.
    kept_for: Option<usize>,
    idle_end: u64,
    absolute_end: u64,
    payload: u64,
}

#[derive(Debug)]
struct ModelToken {
    session: usize,
    parent: Option<usize>,
    /// None until an answer with it has arrived.
    text: Option<String>,
}

#[derive(Debug)]
struct ModelAccessToken {
    session: usize,
    /// The refresh token that it came with.
    generation: usize,
    is_marked: bool,
    end: u64,
    payload: u64,
    text: String,
}

#[derive(Debug)]
struct Model {
    now: u64,
    late_is_theft: bool,
    sessions: Vec<ModelSession>,
    refresh_tokens: Vec<ModelToken>,
    access_tokens: Vec<ModelAccessToken>,
}

/// What a refresh does to the row, with the number of the call that does it.
enum Change {
    None,
    Rotate,
    Replace,
    Promote,
    End,
}

impl Model {
    fn log_in(&mut self) -> usize {
        let session = self.sessions.len();
        self.refresh_tokens.push(ModelToken { session, parent: None, text: None });
        self.sessions.push(ModelSession {
            is_there: true,
            current: self.refresh_tokens.len() - 1,
            previous: None,
            exchanged_at: 0,
            kept_for: None,
            idle_end: self.now + IDLE,
            absolute_end: self.now + ABSOLUTE,
            payload: 0,
        });
        session
    }

    fn child_of(&mut self, parent: usize) -> usize {
        let session = self.refresh_tokens[parent].session;
        self.refresh_tokens.push(ModelToken { session, parent: Some(parent), text: None });
        self.refresh_tokens.len() - 1
    }

    /// What SuperTokens' core says up to CDI 5.5, in the order of its steps.
    fn used(&self, token: usize) -> (Outcome, Change, usize) {
        let ModelToken { session, parent, .. } = self.refresh_tokens[token];
        let session = &self.sessions[session];
        if !session.is_there {
            (Outcome::NotFound, Change::None, 1)
        } else if session.idle_end < self.now {
            (Outcome::SessionExpired, Change::None, 1)
        } else if token == session.current {
            (Outcome::NewChild, Change::None, 1)
        } else if parent == Some(session.current) {
            (Outcome::NewChild, Change::Promote, 3)
        } else {
            (Outcome::Reported, Change::None, 1)
        }
    }

    /// What SuperTokens' core says from CDI 5.6 on, in the order of its cases.
    fn refreshed(&self, token: usize) -> (Outcome, Change, usize) {
        let ModelToken { session, parent, .. } = self.refresh_tokens[token];
        let session = &self.sessions[session];
        let ended = |kind| {
            let is_theft = kind == TheftKind::Stale || self.late_is_theft;
            (Outcome::Ended(kind, is_theft), Change::End, 3)
        };
        if !session.is_there {
            return (Outcome::NotFound, Change::None, 2);
        }
        if session.idle_end < self.now {
            return (Outcome::SessionExpired, Change::None, 2);
        }
        if token == session.current || parent == Some(session.current) {
            return (Outcome::NewChild, Change::Rotate, 1);
        }
        match session.previous {
            Some(previous) if previous == token => {
                if self.now <= session.exchanged_at + GRACE {
                    (Outcome::NewChild, Change::Replace, 3)
                } else {
                    ended(TheftKind::LateRetry)
                }
            }
            Some(previous) if parent == Some(previous) => ended(TheftKind::OrphanedBranch),
            _ => ended(TheftKind::Stale),
        }
    }

    /// Whether the token is one that an honest client can still hold: of the two newest
    /// generations, the newest of which is not older than the grace period.
    fn is_honest(&self, token: usize) -> bool {
        let ModelToken { session, parent, .. } = self.refresh_tokens[token];
        let session = &self.sessions[session];
        let newest = [Some(session.current), session.previous];
        session.is_there
            && self.now <= session.idle_end
            && self.now <= session.exchanged_at + GRACE
            && (newest.contains(&Some(token)) || parent.is_some() && newest.contains(&parent))
    }

    /// As [`refreshed`](Self::refreshed), but that nobody who may be honest is turned away, and
    /// whoever can be given the same child again is.
    fn forgiven(&self, token: usize) -> (Outcome, Change, usize) {
        let session = &self.sessions[self.refresh_tokens[token].session];
        match self.refreshed(token) {
            usual @ (_, Change::Rotate, _) => usual,
            _ if self.is_honest(token) && session.kept_for == Some(token) => {
                (Outcome::SameChild, Change::None, 2)
            }
            _ if self.is_honest(token) => (Outcome::NewChild, Change::Replace, 3),
            strict => strict,
        }
    }

    /// The outcome, and the refresh token that the answer carries.
    fn refresh(&mut self, token: usize, mishap: Mishap, rule: Rule) -> (Outcome, Option<usize>) {
        let now = self.now;
        let index = self.refresh_tokens[token].session;
        let (outcome, change, calls) = match rule {
            Rule::Idempotent => self.forgiven(token),
            Rule::OnRefresh => self.refreshed(token),
            Rule::OnUse => self.used(token),
        };
        let (effective, is_heard) = mishap.of(calls);
        let mut child = None;
        match change {
            Change::Rotate if effective >= 1 => {
                let new = self.child_of(token);
                self.move_on(new, token, Some(token));
                child = Some(new);
            }
            Change::Replace if effective >= 3 => {
                let new = self.child_of(self.sessions[index].previous.unwrap());
                let session = &mut self.sessions[index];
                session.current = new;
                session.kept_for = Some(token);
                child = Some(new);
            }
            Change::Promote if effective >= 2 => {
                let parent = self.refresh_tokens[token].parent.unwrap();
                self.move_on(token, parent, None);
            }
            Change::End if effective >= 3 => self.sessions[index].is_there = false,
            _ => {}
        }
        if !is_heard {
            return (Outcome::Fault, None);
        }
        match outcome {
            Outcome::NewChild if rule == Rule::OnUse => child = Some(self.child_of(token)),
            Outcome::SameChild => child = Some(self.sessions[index].current),
            Outcome::NewChild => {}
            _ => child = None,
        }
        assert!(now >= self.sessions[index].exchanged_at);
        (outcome, child)
    }

    fn move_on(&mut self, current: usize, previous: usize, kept_for: Option<usize>) {
        let now = self.now;
        let session = &mut self.sessions[self.refresh_tokens[current].session];
        session.current = current;
        session.previous = Some(previous);
        session.exchanged_at = now;
        session.kept_for = kept_for;
        session.idle_end = (now + IDLE).min(session.absolute_end);
    }

    fn verify(&mut self, access_token: usize, is_immediate: bool, rule: Rule) -> Outcome {
        let token = &self.access_tokens[access_token];
        let (generation, is_marked) = (token.generation, token.is_marked);
        let parent = self.refresh_tokens[generation].parent.filter(|_| is_marked);
        let session = &self.sessions[token.session];
        let differs = is_immediate && session.payload != token.payload;
        if self.now > token.end {
            return Outcome::Expired;
        }
        if is_immediate && !session.is_there {
            return Outcome::NotFound;
        }
        match rule {
            Rule::Idempotent if is_immediate && self.now >= session.idle_end => {
                Outcome::SessionExpired
            }
            Rule::OnRefresh if is_immediate => {
                let known = [Some(session.current), session.previous];
                let is_known = known.contains(&Some(generation))
                    || parent.is_some() && known.contains(&parent);
                if is_known { Outcome::AcceptedWith(differs) } else { Outcome::RotatedOut }
            }
            Rule::Idempotent | Rule::OnRefresh => Outcome::Accepted,
            Rule::OnUse if !is_marked && !differs => Outcome::Accepted,
            Rule::OnUse if !session.is_there => Outcome::NotFound,
            Rule::OnUse => {
                let promotes = parent == Some(session.current);
                if !promotes && generation != session.current && !differs {
                    return Outcome::Accepted;
                }
                if let Some(parent) = parent
                    && promotes
                {
                    self.move_on(generation, parent, None);
                }
                Outcome::Replaced
            }
        }
    }

    fn access_token_end(&self, session: usize) -> u64 {
        (self.now + VALIDITY).min(self.sessions[session].absolute_end) / 1000 * 1000
    }

    /// Takes the tokens of an answer down, and says whether they are the ones that were expected.
    fn receive(&mut self, child: usize, rule: Rule, issued: &IssuedSession) {
        let session = self.refresh_tokens[child].session;
        let text = refresh_token(issued);
        let known = self.refresh_tokens[child].text.get_or_insert_with(|| text.to_owned());
        assert_eq!(known, text, "the same child");
        let texts: Vec<&str> =
            self.refresh_tokens.iter().filter_map(|token| token.text.as_deref()).collect();
        let different: HashSet<&&str> = texts.iter().collect();
        assert_eq!(different.len(), texts.len(), "different children are different");

        let ModelSession { idle_end, absolute_end, payload, .. } = self.sessions[session];
        let is_handed_out = rule == Rule::OnUse && self.refresh_tokens[child].parent.is_some();
        let expected = if is_handed_out { (self.now + IDLE).min(absolute_end) } else { idle_end };
        assert_eq!(since_start(issued.refresh_token.expires_at), expected);
        let end = self.access_token_end(session);
        assert_eq!(since_start(issued.access_token.expires_at), end);
        self.access_tokens.push(ModelAccessToken {
            session,
            generation: child,
            is_marked: is_handed_out,
            end,
            payload,
            text: access_token(issued).to_owned(),
        });
    }

    /// Takes an access token down that came in another one's place.
    fn receive_replacement(&mut self, access_token: usize, verified: &VerifiedSession) {
        let ModelAccessToken { session, generation, .. } = self.access_tokens[access_token];
        let end = self.access_token_end(session);
        let replacement = verified.new_access_token().unwrap();
        assert_eq!(since_start(replacement.expires_at), end);
        let payload = self.sessions[session].payload;
        assert_eq!(payload_of(verified), payload);
        self.access_tokens.push(ModelAccessToken {
            session,
            generation,
            is_marked: false,
            end,
            payload,
            text: replacement.token.expose().to_owned(),
        });
    }
}

fn since_start(moment: Timestamp) -> u64 {
    u64::try_from(moment.as_millis() - START.as_millis()).unwrap()
}

fn payload_of(session: &VerifiedSession) -> u64 {
    session.jwt_payload().get("number").map_or(0, |number| number.as_u64().unwrap())
}

fn outcome_of_error(error: &Error) -> Outcome {
    match error {
        Error::Unauthorised { reason } => match reason {
            UnauthorisedReason::SessionNotFound => Outcome::NotFound,
            UnauthorisedReason::SessionExpired => Outcome::SessionExpired,
            UnauthorisedReason::RotatedOut => Outcome::RotatedOut,
            UnauthorisedReason::LateRetry => Outcome::Ended(TheftKind::LateRetry, false),
            UnauthorisedReason::OrphanedBranch => Outcome::Ended(TheftKind::OrphanedBranch, false),
            other => panic!("nothing that the model knows: {other}"),
        },
        Error::TryRefreshToken { reason: TryRefreshReason::Expired } => Outcome::Expired,
        Error::TokenTheftDetected { kind, session_ended: true, .. } => Outcome::Ended(*kind, true),
        Error::TokenTheftDetected { kind: TheftKind::Stale, .. } => Outcome::Reported,
        Error::General(_) => Outcome::Fault,
        other => panic!("nothing that the model knows: {other}"),
    }
}

/// What is told of a refresh that ended so.
fn events_of(outcome: Outcome) -> Vec<EventKind> {
    match outcome {
        Outcome::NewChild => vec![EventKind::Refreshed],
        Outcome::SameChild => vec![EventKind::Reissued],
        Outcome::Ended(kind, true) => vec![EventKind::TheftDetected { kind }],
        Outcome::Ended(TheftKind::LateRetry, false) => {
            vec![EventKind::Revoked { reason: RevocationReason::LateRetry }]
        }
        Outcome::Ended(_, false) => {
            vec![EventKind::Revoked { reason: RevocationReason::OrphanedBranch }]
        }
        Outcome::Reported => vec![EventKind::TheftDetected { kind: TheftKind::Stale }],
        _ => Vec::new(),
    }
}

/// A life of sessions, and its model.
struct Life {
    engine: Engine,
    model: Model,
    handles: Vec<SessionHandle>,
    /// The rule of every call, where it is always the same.
    only: Option<Rule>,
    payloads: u64,
}

impl Life {
    async fn new(late_is_theft: bool, only: Option<Rule>) -> Self {
        let engine = Engine::with_policy(Policy {
            access_token_validity: Duration::from_millis(VALIDITY),
            refresh_token_validity: Duration::from_millis(IDLE),
            absolute_lifetime: Some(Duration::from_millis(ABSOLUTE)),
            rotation: only.unwrap_or(Rule::Idempotent).policy(),
            late_retry: if late_is_theft { LateRetry::TokenTheft } else { LateRetry::Unauthorised },
            ..Policy::default()
        })
        .await;
        let model = Model {
            now: 0,
            late_is_theft,
            sessions: Vec::new(),
            refresh_tokens: Vec::new(),
            access_tokens: Vec::new(),
        };
        Self { engine, model, handles: Vec::new(), only, payloads: 0 }
    }

    async fn refresh(&mut self, token: usize, mishap: Mishap, rule: Rule) {
        let Self { engine, model, .. } = self;
        let Some(text) = model.refresh_tokens[token].text.clone() else { return };
        let session = model.refresh_tokens[token].session;
        let (rule, rotation) = match self.only {
            Some(only) => (only, None),
            None => (rule, Some(rule.policy())),
        };
        let is_honest = model.is_honest(token);
        engine.store().set_troubles(mishap.troubles());
        let request = RefreshRequest { rotation, ..RefreshRequest::from(text.as_str()) };
        let result = engine.refresh(request).await;
        engine.store().set_troubles([]);
        let (expected, child) = model.refresh(token, mishap, rule);
        let events = engine.take_event_kinds();
        let observed = match &result {
            Ok(_) if events == [EventKind::Reissued] => Outcome::SameChild,
            Ok(_) => Outcome::NewChild,
            Err(error) => outcome_of_error(error),
        };
        assert_eq!(observed, expected);
        assert_eq!(events, events_of(expected));
        if rule == Rule::Idempotent && is_honest {
            let good = [Outcome::NewChild, Outcome::SameChild, Outcome::Fault];
            assert!(good.contains(&observed), "no honest client is turned away");
        }
        if rule == Rule::OnUse {
            assert!(model.sessions[session].is_there || observed != Outcome::Reported);
        }
        if let Ok(issued) = result {
            assert_eq!(issued.session.handle(), &self.handles[session]);
            model.receive(child.unwrap(), rule, &issued);
        }
    }

    async fn verify(&mut self, token: usize, is_immediate: bool, rule: Rule) {
        let Self { engine, model, .. } = self;
        let (rule, rotation) = match self.only {
            Some(only) => (only, None),
            None => (rule, Some(rule.policy())),
        };
        let revocation = if is_immediate { Revocation::Immediate } else { Revocation::AtExpiry };
        let request = VerifyRequest {
            revocation: Some(revocation),
            rotation,
            ..VerifyRequest::new(&model.access_tokens[token].text)
        };
        let result = engine.verify(request).await;
        let observed = match &result {
            Ok(session) if session.new_access_token().is_some() => Outcome::Replaced,
            Ok(session) => {
                session.payload_update_available().map_or(Outcome::Accepted, Outcome::AcceptedWith)
            }
            Err(error) => outcome_of_error(error),
        };
        assert_eq!(observed, model.verify(token, is_immediate, rule));
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
                assert_eq!(self.engine.take_event_kinds(), [EventKind::Created]);
            }
            // Before the first login there is nothing to choose from.
            _ if self.handles.is_empty() => {}
            Step::Refresh(index, newest, mishap, rule) => {
                let count = self.model.refresh_tokens.len();
                let token = count - 1 - index.index(count.min(newest));
                self.refresh(token, mishap, rule).await;
            }
            Step::Verify(index, newest, is_immediate, rule) => {
                let count = self.model.access_tokens.len();
                let token = count - 1 - index.index(count.min(newest));
                self.verify(token, is_immediate, rule).await;
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
}

async fn live(steps: Vec<Step>, late_is_theft: bool, only: Option<Rule>) {
    let mut life = Life::new(late_is_theft, only).await;
    for step in steps {
        life.engine.take_events();
        life.step(step).await;
        for (session, handle) in life.model.sessions.iter().zip(&life.handles) {
            let information = life.engine.get_session_information(handle).await.unwrap();
            let is_live = session.is_there && life.model.now < session.idle_end;
            assert_eq!(information.is_some(), is_live);
        }
    }
}

fn run(steps: Vec<Step>, late_is_theft: bool, only: Option<Rule>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(live(steps, late_is_theft, only));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn under_idempotent_no_honest_client_is_turned_away(
        steps in steps(),
        late_is_theft in any::<bool>(),
    ) {
        run(steps, late_is_theft, Some(Rule::Idempotent));
    }

    #[test]
    fn under_on_refresh_the_outcomes_are_those_of_supertokens_from_cdi_5_6_on(
        steps in steps(),
        late_is_theft in any::<bool>(),
    ) {
        run(steps, late_is_theft, Some(Rule::OnRefresh));
    }

    #[test]
    fn under_on_use_the_outcomes_are_those_of_supertokens_up_to_cdi_5_5(
        steps in steps(),
        late_is_theft in any::<bool>(),
    ) {
        run(steps, late_is_theft, Some(Rule::OnUse));
    }

    #[test]
    fn every_call_may_follow_another_policy(
        steps in steps(),
        late_is_theft in any::<bool>(),
    ) {
        run(steps, late_is_theft, None);
    }
}
