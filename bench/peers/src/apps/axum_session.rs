//! axum_session with its sessions in memory, set as it comes.

use std::hint::black_box;

use axum::{
    Router,
    extract::Path,
    routing::{get, post},
};
use axum_session::{Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore};
use sessile_bench::{
    apps::{ANSWER, session_data},
    server::App,
};

use super::{LOGIN, log_in};

async fn log_user_in(Path(user): Path<String>, session: Session<SessionNullPool>) -> &'static str {
    session.set("user", user);
    for (key, value) in session_data().as_object().into_iter().flatten() {
        session.set(key, value);
    }
    ANSWER
}

async fn hello_user(session: Session<SessionNullPool>) -> &'static str {
    black_box(session.get::<String>("user"));
    ANSWER
}

async fn read_data(session: Session<SessionNullPool>) -> String {
    session.get::<u64>("visits").unwrap_or_default().to_string()
}

async fn count_visit(session: Session<SessionNullPool>) -> String {
    let visits = session.get::<u64>("visits").unwrap_or_default() + 1;
    session.set("visits", visits);
    visits.to_string()
}

pub(super) async fn app() -> anyhow::Result<App> {
    let store = SessionStore::<SessionNullPool>::new(None, SessionConfig::default()).await?;
    let mut router = Router::new()
        .route(LOGIN, post(log_user_in))
        .route("/user", get(hello_user))
        .route("/data", get(read_data).post(count_visit))
        .layer(SessionLayer::new(store));
    let cookies = log_in(&mut router).await?;
    Ok(App { router, cookies })
}
