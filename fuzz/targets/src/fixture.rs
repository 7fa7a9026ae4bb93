//! Engines on stores in memory, and how they are asked without a runtime.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use sessile_core::{
    AccessTokenVersion, Algorithm, AppId, IssuedSession, NewSession, SessionService as _, Sessions,
    clock::{ManualClock, Timestamp},
    memory::MemoryStore,
    policy::{Policy, RefreshTokenFormat},
};

/// When everything happens: a whole second, as claims carry it.
pub(crate) const START: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// What a future gives that waits for nothing: nothing does on a store in memory.
pub(crate) fn answer<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("a store in memory made somebody wait"),
    }
}

pub(crate) type Engine = Sessions<MemoryStore>;

pub(crate) fn app() -> AppId {
    AppId::default()
}

pub(crate) fn engine(store: &MemoryStore, policy: Policy) -> Engine {
    let clock = Arc::new(ManualClock::at(START));
    answer(Sessions::builder(store.clone()).clock(clock).policy(policy).build()).unwrap()
}

/// Every kind of access token.
pub(crate) const KINDS: [(AccessTokenVersion, Algorithm); 6] = [
    (AccessTokenVersion::V5, Algorithm::Es256),
    (AccessTokenVersion::V5, Algorithm::EdDsa),
    (AccessTokenVersion::V4, Algorithm::Es256),
    (AccessTokenVersion::V3, Algorithm::EdDsa),
    (AccessTokenVersion::V2, Algorithm::Rs256),
    (AccessTokenVersion::V5, Algorithm::Rs256),
];

pub(crate) const FORMATS: [RefreshTokenFormat; 2] =
    [RefreshTokenFormat::Sessile, RefreshTokenFormat::SuperTokens];

/// A session of `alice` of each kind, in one store, and an engine that knows all their keys.
pub(crate) fn sessions_of_every_kind() -> (Engine, Vec<IssuedSession>) {
    let store = MemoryStore::new();
    let mut issued = Vec::new();
    for (index, (version, algorithm)) in KINDS.into_iter().enumerate() {
        let policy = Policy {
            access_token_version: version,
            algorithm,
            refresh_token_format: FORMATS[index % 2],
            ..Policy::default()
        };
        let new = NewSession::new("alice")
            .jwt_payload(serde_json::json!({ "role": "editor" }))
            .anti_csrf_token(index == 0);
        issued.push(answer(engine(&store, policy).create_session(new)).unwrap());
    }
    (engine(&store, Policy::default()), issued)
}

pub(crate) fn access_token(issued: &IssuedSession) -> &str {
    issued.access_token.token.expose()
}

pub(crate) fn refresh_token(issued: &IssuedSession) -> &str {
    issued.refresh_token.token.expose()
}
