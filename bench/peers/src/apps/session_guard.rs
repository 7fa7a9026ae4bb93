//! session-guard with its store in memory, set as it comes. It keeps no data with a session.

use std::{
    hint::black_box,
    net::{Ipv4Addr, SocketAddr},
};

use axum::{
    Extension, Router,
    extract::{ConnectInfo, FromRef, Path},
    routing::{get, post},
};
use sessile_bench::{apps::ANSWER, server::App};
use session_guard::{
    AuthSession, Guard, GuardConfig, GuardError, MemoryStore, NewSession, Sessions,
};

use super::{LOGIN, log_in};

#[derive(Clone)]
struct State {
    guard: Guard<MemoryStore, String>,
}

impl FromRef<State> for Guard<MemoryStore, String> {
    fn from_ref(state: &State) -> Self {
        state.guard.clone()
    }
}

async fn log_user_in(
    sessions: Sessions<MemoryStore, String>,
    Path(user): Path<String>,
) -> Result<(NewSession, &'static str), GuardError> {
    Ok((sessions.login(&user).await?, ANSWER))
}

async fn hello_user(session: AuthSession<String>) -> &'static str {
    black_box(&session.subject);
    ANSWER
}

pub(super) async fn app() -> anyhow::Result<App> {
    let guard =
        Guard::builder(MemoryStore::new(), GuardConfig::default()).subject::<String>().build();
    // It wants to know from where a client calls, which a server tells for each connection.
    let peer = ConnectInfo(SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000)));
    let mut router = Router::new()
        .route("/user", get(hello_user))
        .layer(guard.layer())
        .route(LOGIN, post(log_user_in))
        .layer(Extension(peer))
        .with_state(State { guard });
    let cookies = log_in(&mut router).await?;
    Ok(App { router, cookies })
}
