use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_lock::{RwLock, RwLockWriteGuardArc};
use sessile::{sqlite::SqliteStore, store::StoreError};

/// A store in a file, which is closed while the process forks: SQLite cannot be used on both sides
/// of a fork.
#[derive(Debug)]
pub(crate) struct FileStore {
    path: PathBuf,
    store: Arc<RwLock<SqliteStore>>,
    /// There while the process forks. Who needs the store waits for it to go.
    forking: Mutex<Option<RwLockWriteGuardArc<SqliteStore>>>,
}

impl FileStore {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let store = Arc::new(RwLock::new(SqliteStore::open(path)?));
        Ok(Self { path: path.to_owned(), store, forking: Mutex::new(None) })
    }

    /// The store, as it is open now.
    pub(crate) async fn current(&self) -> SqliteStore {
        self.store.read().await.clone()
    }

    /// Finishes what was begun and closes the file for good.
    pub(crate) fn close(&self) {
        self.store.read_blocking().close();
    }

    /// Finishes what was begun and closes the file until `end_fork`. Nobody holds the lock for
    /// longer than it takes to look at the store, so this waits for the disk alone.
    pub(crate) fn begin_fork(&self) {
        let store = self.store.write_arc_blocking();
        store.close();
        *self.forking() = Some(store);
    }

    /// Opens the file again, for this process; the forked one has let go of this store.
    pub(crate) fn end_fork(&self) -> Result<(), StoreError> {
        if let Some(mut store) = self.forking().take() {
            *store = SqliteStore::open(&self.path)?;
        }
        Ok(())
    }

    fn forking(&self) -> MutexGuard<'_, Option<RwLockWriteGuardArc<SqliteStore>>> {
        self.forking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
