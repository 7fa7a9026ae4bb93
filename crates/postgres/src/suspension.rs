//! A time without connections.

use std::{
    fmt,
    future::pending,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{OwnedMutexGuard, watch};

use crate::shared::Shared;

/// A store that has no connections, and whose calls wait, for as long as this lives.
#[must_use = "the store has connections again once this is dropped"]
pub struct Suspended {
    shared: Arc<Shared>,
    permits: u32,
    _alone: OwnedMutexGuard<()>,
}

impl Suspended {
    pub(crate) async fn begin(shared: Arc<Shared>) -> Self {
        let alone = Arc::clone(&shared.connector.suspension().turn).lock_owned().await;
        let permits = shared.writers.stop().await;
        let suspended = Self { shared, permits, _alone: alone };
        let shared = &suspended.shared;
        shared.connector.suspension().is_on.send_replace(true);
        shared.readers.forget();
        shared.writers.forget();
        if let Some(connections) = shared.connector.suspension().refuse() {
            connections.send_replace(());
            connections.closed().await;
        }
        suspended
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        self.shared.connector.suspension().end();
        self.shared.writers.go_on(self.permits);
    }
}

impl fmt::Debug for Suspended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Suspended").finish_non_exhaustive()
    }
}

/// Whether there may be connections, and which there are.
#[derive(Debug)]
pub(crate) struct Suspension {
    turn: Arc<tokio::sync::Mutex<()>>,
    number: AtomicU64,
    is_on: watch::Sender<bool>,
    /// Each connection has a receiver; a value tells them to end. Not there while it is on.
    connections: Mutex<Option<watch::Sender<()>>>,
}

impl Default for Suspension {
    fn default() -> Self {
        Self {
            turn: Arc::default(),
            number: AtomicU64::new(0),
            is_on: watch::Sender::new(false),
            connections: Mutex::new(Some(watch::Sender::new(()))),
        }
    }
}

impl Suspension {
    /// How many there were. What is lost while it grows was not lost by a fault.
    pub(crate) fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// Waits until there may be connections.
    pub(crate) async fn over(&self) {
        if *self.is_on.borrow() {
            // It fails when the sender is gone, and that is here.
            drop(self.is_on.subscribe().wait_for(|is_on| !is_on).await);
        }
    }

    /// What a new connection holds for as long as it lives; `None` where there may be none.
    pub(crate) fn admit(&self) -> Option<Admitted> {
        self.connections().as_ref().map(|connections| Admitted(connections.subscribe()))
    }

    /// From here on there is no new connection; gives what tells the others to end.
    fn refuse(&self) -> Option<watch::Sender<()>> {
        // Before: who finds its connection gone sees that it was for this.
        self.number.fetch_add(1, Ordering::AcqRel);
        self.connections().take()
    }

    fn end(&self) {
        *self.connections() = Some(watch::Sender::new(()));
        self.is_on.send_replace(false);
    }

    fn connections(&self) -> MutexGuard<'_, Option<watch::Sender<()>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to have a connection.
#[derive(Clone, Debug)]
pub(crate) struct Admitted(watch::Receiver<()>);

impl Admitted {
    /// Waits until the right ends.
    pub(crate) async fn over(&mut self) {
        if self.0.changed().await.is_err() {
            // The store is gone, and its connections end by themselves.
            pending::<()>().await;
        }
    }
}
