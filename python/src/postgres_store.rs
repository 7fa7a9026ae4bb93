use std::sync::{Mutex, MutexGuard, PoisonError};

use sessile::postgres::{PostgresStore as Store, Suspended};

use crate::call::block_on;

/// A store in PostgreSQL, which has no connections while the process forks: none can be used on
/// both sides of a fork.
#[derive(Debug)]
pub(crate) struct PostgresStore {
    pub(crate) store: Store,
    /// There while the process forks. Calls wait for it to go.
    forking: Mutex<Option<Suspended>>,
}

impl PostgresStore {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, forking: Mutex::new(None) }
    }

    /// Finishes what was begun and ends the connections for good; waits for a fork to be over.
    pub(crate) fn close(&self) {
        let suspended = block_on(self.store.suspend());
        self.store.close();
        drop(suspended);
    }

    /// Finishes what was begun and ends the connections until `end_fork`.
    pub(crate) fn begin_fork(&self) {
        let suspended = block_on(self.store.suspend());
        *self.forking() = Some(suspended);
    }

    /// Lets calls go on, in the process that has forked; the first of them connects.
    pub(crate) fn end_fork(&self) {
        drop(self.forking().take());
    }

    fn forking(&self) -> MutexGuard<'_, Option<Suspended>> {
        self.forking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
