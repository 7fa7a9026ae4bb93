//! The applications that are measured, and the sessions in them.

use std::hint::black_box;
#[cfg(feature = "sqlite")]
use std::path::Path;

use axum::{
    Router,
    routing::{get, post},
};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use sessile::{
    IssuedSession, NewSession, SessionService, Sessions, WebConfig, WebSessions,
    axum::{Session, SessionLayer, SessionRejection},
    memory::MemoryStore,
    store::Store,
};

use crate::server::App;

/// What every handler answers that has nothing to tell.
pub const ANSWER: &str = "hello";

/// Clients that are logged in at an application that is measured.
pub const CLIENTS: usize = 1000;

/// What access tokens say about a user, beside the claims of the session.
pub fn jwt_payload() -> Value {
    json!({ "name": "Alice Example", "role": "editor" })
}

/// What is kept with a session: a count, which a handler changes, and something to carry along.
pub fn session_data() -> Value {
    json!({
        "visits": 0,
        "theme": "dark",
        "cart": [{ "article": "4006381333931", "quantity": 2 }],
    })
}

/// Logs that many users in, all at once: a store on a disk waits for it a few times only.
///
/// # Errors
/// The store's.
pub async fn log_in(
    sessions: &impl SessionService,
    users: usize,
) -> Result<Vec<IssuedSession>, sessile::Error> {
    let logins = (0..users).map(|index| {
        let new = NewSession::new(format!("user-{index:05}"));
        sessions.create_session(new.jwt_payload(jwt_payload()).session_data(session_data()))
    });
    try_join_all(logins).await
}

/// The `Cookie` header of a client that has this session.
pub fn cookie(issued: &IssuedSession) -> String {
    format!("sAccessToken={}", issued.access_token.token.expose())
}

async fn hello() -> &'static str {
    ANSWER
}

async fn hello_user(session: Session) -> &'static str {
    black_box(session.get_user_id());
    ANSWER
}

async fn read_data(session: Session) -> Result<String, SessionRejection> {
    let data = session.get_session_data().await?;
    Ok(visits(&data).to_string())
}

async fn count_visit(session: Session) -> Result<String, SessionRejection> {
    let mut data = session.get_session_data().await?;
    let visits = visits(&data) + 1;
    data.insert("visits".to_owned(), visits.into());
    session.update_session_data(&data).await?;
    Ok(visits.to_string())
}

fn visits(data: &sessile::JsonObject) -> u64 {
    data.get("visits").and_then(Value::as_u64).unwrap_or_default()
}

/// An application that knows no sessions. It answers every path that the others have.
pub fn plain() -> Router {
    Router::new().route("/user", get(hello)).route("/data", get(hello).post(hello))
}

/// An application with sessions: `GET /user` looks at the user, `GET /data` reads what is kept
/// with the session, `POST /data` changes it, and `GET /nobody` looks at nothing.
pub fn with_sessions(web: WebSessions) -> Router {
    Router::new()
        .route("/nobody", get(hello))
        .route("/user", get(hello_user))
        .route("/data", get(read_data))
        .route("/data", post(count_visit))
        .layer(SessionLayer::new(web))
}

async fn app(store: impl Store) -> anyhow::Result<App> {
    let sessions = Sessions::builder(store).build().await?;
    let issued = log_in(&sessions, CLIENTS).await?;
    let web = WebSessions::new(sessions, WebConfig::default())?;
    Ok(App { router: with_sessions(web), cookies: issued.iter().map(cookie).collect() })
}

/// The application with its sessions in memory.
///
/// # Errors
/// None that is expected.
pub async fn in_memory() -> anyhow::Result<App> {
    app(MemoryStore::new()).await
}

/// The application with its sessions in a SQLite file, durably.
///
/// # Errors
/// The store's.
#[cfg(feature = "sqlite")]
pub async fn in_sqlite(folder: &Path) -> anyhow::Result<App> {
    app(sessile::sqlite::SqliteStore::open(folder.join("sessions.db"))?).await
}
