//! Callers that begin a call and then do something else for long, as a future in a `select!` or an
//! executor that is busy does: they must not hold up anybody.

use sessile_core::{
    TenantScope,
    store::{Accounts, SessionRecord, Store},
};
use sessile_postgres_fixture::Database;

use crate::{NOW, app, open, options, send, session};

#[tokio::test(flavor = "multi_thread")]
async fn who_begins_to_connect_does_not_hold_up_others() {
    let database = Database::new();
    let row = session();
    open(&database).await.insert_session(&app(), row.clone()).await.unwrap();
    // It has connected to write, and not yet to read.
    let store = options(&database).readers(1).open().await.unwrap();
    let app = app();
    let parked = send(store.get_session(&app, &row.handle));
    assert!(store.get_session(&app, &row.handle).await.unwrap().is_some());
    assert!(parked.await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_begins_to_prepare_a_statement_does_not_hold_up_others() {
    let database = Database::new();
    let row = session();
    open(&database).await.insert_session(&app(), row.clone()).await.unwrap();
    let store = options(&database).readers(1).open().await.unwrap();
    let app = app();
    // From here on it is connected.
    store.signing_keys(&app).await.unwrap();
    let parked = send(store.get_session(&app, &row.handle));
    assert!(store.get_session(&app, &row.handle).await.unwrap().is_some());
    assert!(parked.await.unwrap().is_some());
}

/// The answer to the one who is parked is much larger than what a connection keeps for him.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_take_a_large_answer_does_not_hold_up_others() {
    let database = Database::new();
    let store = options(&database).readers(1).open().await.unwrap();
    let app = app();
    let data = format!("{{\"text\":\"{}\"}}", "x".repeat(100_000));
    for _ in 0..20 {
        let row = SessionRecord { session_data: data.clone(), ..session() };
        store.insert_session(&app, row).await.unwrap();
    }
    let list = || store.sessions_of_user(&app, "alice", Accounts::Linked, &TenantScope::All, NOW);
    list().await.unwrap();
    store.signing_keys(&app).await.unwrap();
    let parked = send(list());
    store.signing_keys(&app).await.unwrap();
    assert_eq!(parked.await.unwrap().len(), 20);
}
