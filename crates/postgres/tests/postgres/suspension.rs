//! What happens while the process forks.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

use sessile_core::store::{Store, StoreErrorKind};
use sessile_postgres_fixture::Database;

use crate::{app, kind, open, session};

/// Polls it once; it must not be done by that.
#[track_caller]
fn begin<T>(call: std::pin::Pin<&mut impl Future<Output = T>>) {
    assert!(call.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// Waits until the server has noticed that the connections are gone.
fn wait_for_the_end_of_connections(database: &Database) {
    let sql = "SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'sessile'";
    while !database.rows(sql).is_empty() {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_suspended_store_has_no_connections_and_calls_wait() {
    let database = Database::new();
    let store = open(&database).await;
    let kept = session();
    store.insert_session(&app(), kept.clone()).await.unwrap();
    store.get_session(&app(), &kept.handle).await.unwrap();
    for _ in 0..3 {
        let suspended = store.suspend().await;
        wait_for_the_end_of_connections(&database);
        let new = session();
        let (app, handle, clone) = (app(), new.handle.clone(), store.clone());
        let mut reading = pin!(store.get_session(&app, &kept.handle));
        let mut writing = pin!(store.insert_session(&app, new));
        let mut suspending = pin!(clone.suspend());
        begin(reading.as_mut());
        begin(writing.as_mut());
        begin(suspending.as_mut());
        drop(suspended);
        // One after the other, and not both at once.
        drop(suspending.await);
        assert!(reading.await.unwrap().is_some());
        writing.await.unwrap();
        assert!(store.get_session(&app, &handle).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_call_that_nobody_polls_holds_up_no_suspension_and_is_answered_afterwards() {
    let database = Database::new();
    let store = open(&database).await;
    let (app, kept, new) = (app(), session(), session());
    store.insert_session(&app, kept.clone()).await.unwrap();
    store.get_session(&app, &kept.handle).await.unwrap();
    let handle = new.handle.clone();
    let mut reading = pin!(store.get_session(&app, &kept.handle));
    let mut writing = pin!(store.insert_session(&app, new));
    begin(reading.as_mut());
    begin(writing.as_mut());
    for _ in 0..3 {
        let suspended = store.suspend().await;
        wait_for_the_end_of_connections(&database);
        drop(suspended);
    }
    assert!(reading.await.unwrap().is_some());
    writing.await.unwrap();
    assert!(store.get_session(&app, &handle).await.unwrap().is_some());
}

#[tokio::test]
async fn a_store_that_is_closed_meanwhile_stays_closed() {
    let database = Database::new();
    let store = open(&database).await;
    let suspended = store.suspend().await;
    let (app, new) = (app(), session());
    let mut reading = pin!(store.get_session(&app, &new.handle));
    let mut writing = pin!(store.insert_session(&app, new.clone()));
    begin(reading.as_mut());
    begin(writing.as_mut());
    store.close();
    drop(suspended);
    assert_eq!(kind(reading.await), Some(StoreErrorKind::Unavailable));
    assert_eq!(kind(writing.await), Some(StoreErrorKind::Unavailable));
    drop(store.suspend().await);
    wait_for_the_end_of_connections(&database);
}
