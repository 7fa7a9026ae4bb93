use sessile_core::{store_conformance, tenant_store_conformance};
use sessile_postgres::PostgresStore;
use sessile_postgres_fixture::Database;

async fn open() -> PostgresStore {
    PostgresStore::open(&Database::new().url()).await.unwrap()
}

store_conformance!(open);
tenant_store_conformance!(open);
