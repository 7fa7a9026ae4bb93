//! Whoever awaits the store need not be a task of Tokio.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use sessile_core::store::Store;
use sessile_postgres::PostgresStore;
use sessile_postgres_fixture::Database;
use tokio::runtime::Handle;

use crate::{app, rotation_of, session};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The simplest executor.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn a_store_needs_no_runtime_of_its_caller() {
    let database = Database::new();
    let store = block_on(PostgresStore::open(&database.url())).unwrap();
    let row = session();
    block_on(store.insert_session(&app(), row.clone())).unwrap();
    let rotated = block_on(store.rotate_session(&app(), &row.handle, rotation_of(&row)));
    assert!(rotated.unwrap().is_some());
    assert!(block_on(store.get_session(&app(), &row.handle)).unwrap().is_some());
}

#[test]
fn a_store_outlives_the_runtime_in_which_it_was_opened() {
    let database = Database::new();
    let store = {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(PostgresStore::open(&database.url())).unwrap()
    };
    let row = session();
    block_on(store.insert_session(&app(), row.clone())).unwrap();
    assert!(block_on(store.get_session(&app(), &row.handle)).unwrap().is_some());
}

#[tokio::test]
async fn a_runtime_can_be_given() {
    let options = crate::options(&Database::new()).runtime(Handle::current());
    let store = options.open().await.unwrap();
    let row = session();
    store.insert_session(&app(), row.clone()).await.unwrap();
    assert!(store.get_session(&app(), &row.handle).await.unwrap().is_some());
}

/// The last clone may be dropped by a task that must not wait.
#[tokio::test]
async fn a_store_may_be_dropped_anywhere() {
    let store = PostgresStore::open(&Database::new().url()).await.unwrap();
    store.insert_session(&app(), session()).await.unwrap();
    drop(store);
}
