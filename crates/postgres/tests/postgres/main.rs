//! The PostgreSQL store on a real server.

#![expect(clippy::unwrap_used, reason = "in a test, what must not fail may panic")]

use std::{
    future::{Future, ready},
    pin::Pin,
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Poll, Waker},
};

use sessile_core::{
    AppId, SessionHandle,
    clock::Timestamp,
    rotation::{Advance, Rotation, RotationChange, RotationGuard, TokenHash},
    store::{SessionRecord, StoreError, StoreErrorKind},
};
use sessile_postgres::{PostgresOptions, PostgresStore};
use sessile_postgres_fixture::{Database, supertokens::TABLES as SUPERTOKENS_TABLES};
use tokio_postgres::{Client, NoTls};

mod conformance;
mod core_tokens;
mod encryption;
mod examination;
mod failover;
mod hosts;
mod linked;
mod locked;
mod log;
mod outage;
mod ownership;
mod parked;
mod proxy;
mod retirement;
mod runtime;
mod schema;
mod sharing;
mod suspension;
mod takeover;
mod upgrade;
mod upgrade_under_load;
mod user_index;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A connection of the test's own.
async fn connect(database: &Database) -> Client {
    let (client, driver) = tokio_postgres::connect(&database.url(), NoTls).await.unwrap();
    tokio::spawn(driver);
    client
}

/// The number of its process on the server.
async fn process_of(client: &Client) -> i32 {
    client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0)
}

async fn open(database: &Database) -> PostgresStore {
    PostgresStore::open(&database.url()).await.unwrap()
}

fn options(database: &Database) -> PostgresOptions {
    PostgresOptions::from_url(&database.url()).unwrap()
}

fn app() -> AppId {
    AppId::default()
}

fn kind<T>(answer: Result<T, StoreError>) -> Option<StoreErrorKind> {
    answer.err().map(|error| error.kind())
}

/// Polls the request once: it is sent now, not when it is awaited.
fn send<'a, T: 'a>(request: impl Future<Output = T> + 'a) -> Pin<Box<dyn Future<Output = T> + 'a>> {
    let mut request = Box::pin(request);
    match request.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Box::pin(ready(answer)),
        Poll::Pending => request,
    }
}

/// A number that nothing else in the process has.
fn fresh_number() -> u32 {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

fn fresh_hash() -> TokenHash {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&fresh_number().to_be_bytes());
    TokenHash::from_bytes(bytes)
}

/// A session whose name no other session of the process has, and that has nothing which a
/// SuperTokens core would not keep.
fn session() -> SessionRecord {
    session_named(&format!("session-{}", fresh_number()))
}

fn session_named(handle: &str) -> SessionRecord {
    SessionRecord {
        handle: SessionHandle::new(handle),
        user_id: "alice".into(),
        primary_user_id: None,
        refresh_token_hash: fresh_hash(),
        previous_refresh_token_hash: None,
        rotated_at: None,
        sealed_child: None,
        jwt_payload: "{}".into(),
        session_data: "{}".into(),
        created_at: NOW,
        expires_at: Timestamp::MAX,
        ends_at: Timestamp::MAX,
        client_label: None,
        use_static_key: false,
    }
}

/// The rotation from the row's current token to a new one, with a child to seal.
fn rotation_of(row: &SessionRecord) -> Rotation {
    Rotation {
        guard: RotationGuard {
            current: row.refresh_token_hash,
            or_current: None,
            previous: None,
            alive_at: NOW,
        },
        change: RotationChange {
            current: fresh_hash(),
            sealed_child: Some(vec![7; 100]),
            advance: Some(Advance {
                previous: row.refresh_token_hash,
                rotated_at: NOW,
                expires_at: Timestamp::MAX,
            }),
            use_static_key: None,
        },
    }
}
