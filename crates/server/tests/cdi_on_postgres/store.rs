//! Where the servers of these tests keep their sessions: in PostgreSQL.

use sessile_postgres::PostgresStore;
use sessile_postgres_fixture::Database;

pub(crate) type TestStore = PostgresStore;

/// A store in a database of its own.
pub(crate) async fn open() -> TestStore {
    PostgresStore::open(&Database::new().url()).await.unwrap()
}
