use sessile_core::{bulk_store_conformance, store_conformance, tenant_store_conformance};
use sessile_sqlite::SqliteStore;

use crate::Folder;

struct Fixture {
    store: SqliteStore,
    _folder: Folder,
}

impl Fixture {
    async fn open() -> Self {
        let folder = Folder::new();
        Self { store: folder.open(), _folder: folder }
    }

    fn store(&self) -> &SqliteStore {
        &self.store
    }
}

store_conformance!(Fixture::open, Fixture::store);
tenant_store_conformance!(Fixture::open, Fixture::store);
bulk_store_conformance!(Fixture::open, Fixture::store);
