//! tower-sessions, set as it comes, in memory and in SQLite.

use std::path::Path;

use anyhow::ensure;
use sessile_bench::server::App;
use tower_sessions_sqlx_store::{
    SqliteStore,
    sqlx::{
        SqlitePool, query_scalar,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};

/// The same application on either version of tower-sessions: its stores in SQL databases go with
/// the one before the newest.
macro_rules! application {
    ($sessions:ident) => {
        use std::hint::black_box;

        use axum::{
            Router,
            extract::Path,
            response::{IntoResponse, Response},
            routing::{get, post},
        };
        use http::StatusCode;
        use sessile_bench::{
            apps::{ANSWER, session_data},
            server::App,
        };
        use $sessions::{Session, SessionManagerLayer, SessionStore, session::Error};

        use crate::apps::{LOGIN, log_in};

        /// An error of the store.
        pub(super) struct Failure(Error);

        impl From<Error> for Failure {
            fn from(error: Error) -> Self {
                Self(error)
            }
        }

        impl IntoResponse for Failure {
            fn into_response(self) -> Response {
                (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
            }
        }

        async fn log_user_in(
            Path(user): Path<String>,
            session: Session,
        ) -> Result<&'static str, Failure> {
            session.insert("user", user).await?;
            for (key, value) in session_data().as_object().into_iter().flatten() {
                session.insert(key, value).await?;
            }
            Ok(ANSWER)
        }

        async fn hello_user(session: Session) -> Result<&'static str, Failure> {
            black_box(session.get::<String>("user").await?);
            Ok(ANSWER)
        }

        async fn read_data(session: Session) -> Result<String, Failure> {
            let visits: u64 = session.get("visits").await?.unwrap_or_default();
            Ok(visits.to_string())
        }

        async fn count_visit(session: Session) -> Result<String, Failure> {
            let visits = session.get::<u64>("visits").await?.unwrap_or_default() + 1;
            session.insert("visits", visits).await?;
            Ok(visits.to_string())
        }

        pub(super) async fn app(store: impl SessionStore + Clone) -> anyhow::Result<App> {
            let mut router = Router::new()
                .route(LOGIN, post(log_user_in))
                .route("/user", get(hello_user))
                .route("/data", get(read_data).post(count_visit))
                .layer(SessionManagerLayer::new(store));
            let cookies = log_in(&mut router).await?;
            Ok(App { router, cookies })
        }
    };
}

mod newest {
    application!(tower_sessions);
}

mod for_sqlx {
    application!(tower_sessions_for_sqlx);
}

pub(super) async fn in_memory() -> anyhow::Result<App> {
    newest::app(tower_sessions::MemoryStore::default()).await
}

/// With so many connections to the database, each as durable as Sessile's.
pub(super) async fn in_sqlite(folder: &Path, connections: u32) -> anyhow::Result<App> {
    let options = SqliteConnectOptions::new()
        .filename(folder.join(format!("tower-sessions-{connections}.db")))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new()
        .min_connections(connections)
        .max_connections(connections)
        .connect_with(options)
        .await?;
    check_durability(&pool, connections).await?;
    let store = SqliteStore::new(pool.clone());
    store.migrate().await?;
    let app = for_sqlx::app(store).await?;
    check_durability(&pool, connections).await?;
    Ok(app)
}

/// Asks each connection of the pool whether it is set as it was told to.
async fn check_durability(pool: &SqlitePool, connections: u32) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for _ in 0..connections {
        let mut connection = pool.acquire().await?;
        let synchronous: i64 =
            query_scalar("PRAGMA synchronous").fetch_one(&mut *connection).await?;
        let journal: String =
            query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await?;
        ensure!(synchronous == 2, "synchronous is {synchronous}, not FULL");
        ensure!(journal == "wal", "the journal is {journal}, not WAL");
        all.push(connection);
    }
    Ok(())
}
