use sessile_core::{bulk_store_conformance, store_conformance, tenant_store_conformance};
use sessile_postgres::PostgresStore;
use sessile_postgres_fixture::Database;

async fn new_store() -> PostgresStore {
    crate::open(&Database::new()).await
}

store_conformance!(new_store);
tenant_store_conformance!(new_store);
bulk_store_conformance!(new_store);
