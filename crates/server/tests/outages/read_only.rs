use sessile_postgres_fixture::Database;

use crate::client::{Client, NOT_WRITABLE};

/// Whether the connections to the database that are made from now on can write; there are no others.
fn set_read_only(database: &Database, is_read_only: bool) {
    let name = database.name();
    database.run(&format!(
        "SET default_transaction_read_only = off;
        ALTER DATABASE {name} SET default_transaction_read_only = {is_read_only};
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ));
    let others = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while database.rows(others) != ["0"] {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_writes_is_read() {
    let database = Database::new();
    let client = Client::of(&database).await;
    let session = client.log_in("").await.ok();
    set_read_only(&database, true);
    for _ in 0..3 {
        client.log_in("").await.refused(NOT_WRITABLE);
        client.refresh(&session).await.refused(NOT_WRITABLE);
    }
    client.information(&session).await.ok();
    assert_eq!(client.handles().await.len(), 1);
    assert!(client.is_ready().await);
    client.check_life_without_database(&session).await;

    set_read_only(&database, false);
    let session = client.refresh(&session).await.ok();
    client.verify(&session, true).await.ok();
    client.log_in("").await.ok();
}
