//! Where the servers of these tests keep their sessions: in memory.

use sessile_core::memory::MemoryStore;

pub(crate) type TestStore = MemoryStore;

/// An empty store.
pub(crate) async fn open() -> TestStore {
    MemoryStore::new()
}
