//! What the engine's tests have in common: a clock that stands still, a store that counts, and
//! the events that were told.

#![expect(dead_code, reason = "each test file uses a part of it")]
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the test that asked for it"
)]

pub(crate) mod counting_store;
pub(crate) mod forge;

use std::{
    ops::Deref,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use counting_store::{CountingStore, Intent};
use serde_json::Value;
use sessile_core::{
    AppId, Error, GeneralError, IssuedSession, JsonObject, NewSession, RefreshRequest,
    RegenerateRequest, Regenerated, SessionHandle, SessionService, Sessions, SessionsBuilder,
    TryRefreshReason, UnauthorisedReason, VerifiedSession, VerifyRequest, WrappingKey,
    clock::{Clock, ManualClock, Timestamp},
    event::{Event, EventKind},
    memory::MemoryStore,
    policy::{Policy, RotationPolicy},
    random::SystemRandom,
    rotation::TokenHash,
    store::{SessionRecord, Store},
};

/// When every test begins, unless it says otherwise: a whole second, as claims carry it.
pub(crate) const START: Timestamp = Timestamp::from_seconds(1_700_000_000);

pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const GRACE: Duration = Duration::from_secs(30);

/// An engine on a [`CountingStore`], with its clock and its events.
pub(crate) struct Engine {
    sessions: Sessions<CountingStore>,
    pub(crate) clock: Arc<ManualClock>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Engine {
    /// With every default.
    pub(crate) async fn new() -> Self {
        Self::with_policy(Policy::default()).await
    }

    pub(crate) async fn with_policy(policy: Policy) -> Self {
        Self::start(&MemoryStore::new(), policy, |builder| builder).await.unwrap()
    }

    /// On a store that others may use too; `complete` says the rest.
    pub(crate) async fn start(
        store: &MemoryStore,
        policy: Policy,
        complete: impl FnOnce(SessionsBuilder<CountingStore>) -> SessionsBuilder<CountingStore>,
    ) -> Result<Self, Error> {
        Self::start_at(store, &Arc::new(ManualClock::at(START)), policy, complete).await
    }

    pub(crate) async fn start_at(
        store: &MemoryStore,
        clock: &Arc<ManualClock>,
        policy: Policy,
        complete: impl FnOnce(SessionsBuilder<CountingStore>) -> SessionsBuilder<CountingStore>,
    ) -> Result<Self, Error> {
        let events = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&events);
        let builder = Sessions::builder(CountingStore::on(store.clone()))
            .clock(Arc::clone(clock))
            .policy(policy)
            .on_event(move |event| told.lock().unwrap().push(event.clone()));
        let sessions = complete(builder).build().await?;
        sessions.store().take_calls();
        Ok(Self { sessions, clock: Arc::clone(clock), events })
    }

    /// The events since the last time that this was asked.
    pub(crate) fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }

    pub(crate) fn take_event_kinds(&self) -> Vec<EventKind> {
        self.take_events().into_iter().map(|event| event.kind).collect()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn log_in(&self, user_id: &str) -> IssuedSession {
        self.create_session(NewSession::new(user_id)).await.unwrap()
    }

    pub(crate) async fn exchange(&self, refresh_token: &str) -> Result<IssuedSession, Error> {
        self.refresh(RefreshRequest::from(refresh_token)).await
    }

    pub(crate) async fn read(&self, access_token: &str) -> Result<VerifiedSession, Error> {
        self.verify(VerifyRequest::new(access_token)).await
    }

    /// Replaces the payload by access token.
    pub(crate) async fn regenerate_with(
        &self,
        access_token: &str,
        jwt_payload: Value,
    ) -> Result<Regenerated, Error> {
        let jwt_payload = Some(object(jwt_payload));
        self.regenerate(RegenerateRequest { access_token, jwt_payload }).await
    }

    /// What the store is asked until `answer` is there.
    pub(crate) async fn calls_of<T>(&self, answer: impl Future<Output = T>) -> Vec<Intent> {
        self.store().take_calls();
        answer.await;
        self.store().take_calls()
    }

    /// The row as it is, past the counting.
    pub(crate) async fn row(&self, handle: &SessionHandle) -> Option<SessionRecord> {
        self.store().inner().get_session(self.app(), handle).await.unwrap()
    }

    /// Makes the row what another program could have made it.
    pub(crate) async fn put_row(&self, row: SessionRecord) {
        let store = self.store().inner();
        store.remove_sessions(self.app(), std::slice::from_ref(&row.handle)).await.unwrap();
        store.insert_session(self.app(), row).await.unwrap();
    }
}

impl Deref for Engine {
    type Target = Sessions<CountingStore>;

    fn deref(&self) -> &Self::Target {
        &self.sessions
    }
}

/// Why the answer is "unauthorised".
#[track_caller]
pub(crate) fn unauthorised<T>(result: Result<T, Error>) -> UnauthorisedReason {
    match result.map(drop).unwrap_err() {
        Error::Unauthorised { reason } => reason,
        other => panic!("not unauthorised: {other}"),
    }
}

/// Why the answer is "try refresh token".
#[track_caller]
pub(crate) fn try_refresh<T>(result: Result<T, Error>) -> TryRefreshReason {
    match result.map(drop).unwrap_err() {
        Error::TryRefreshToken { reason } => reason,
        other => panic!("not a refused access token: {other}"),
    }
}

/// What the fault is.
#[track_caller]
pub(crate) fn fault<T>(result: Result<T, Error>) -> GeneralError {
    match result.map(drop).unwrap_err() {
        Error::General(error) => error,
        other => panic!("not a fault: {other}"),
    }
}

/// The defaults with another grace period.
pub(crate) fn policy_with_grace(grace: Duration) -> Policy {
    Policy { rotation: RotationPolicy::Idempotent { grace }, ..Policy::default() }
}

pub(crate) fn wrapping_key() -> WrappingKey {
    WrappingKey::generate(&SystemRandom).unwrap()
}

pub(crate) fn app(name: &str) -> AppId {
    name.parse().unwrap()
}

/// The object that `value` is.
pub(crate) fn object(value: Value) -> JsonObject {
    serde_json::from_value(value).unwrap()
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the row keeps of a token: SHA-256 of the hexadecimal digits of its SHA-256.
pub(crate) fn stored_hash(token: &str) -> TokenHash {
    let inner = hexadecimal(digest(&SHA256, token.as_bytes()).as_ref());
    TokenHash::from_bytes(digest(&SHA256, inner.as_bytes()).as_ref().try_into().unwrap())
}

/// The refresh token of an answer.
pub(crate) fn refresh_token(issued: &IssuedSession) -> &str {
    issued.refresh_token.token.expose()
}

/// The access token of an answer.
pub(crate) fn access_token(issued: &IssuedSession) -> &str {
    issued.access_token.token.expose()
}
