use sessile_postgres::PostgresStore;
use sessile_postgres_fixture::Database;
use tokio::task::{JoinHandle, JoinSet};
use tokio_postgres::Client;

use crate::{connect, options, process_of, upgrade::old_database};

const NAME: &str = "session_info_user_id_app_id_index";
const BUILD: &str =
    "CREATE INDEX CONCURRENTLY session_info_user_id_app_id_index ON session_info (user_id, app_id)";

/// A transaction that looks at the database as it was, and locks no table that is changed: only an
/// index waits for its end.
async fn hold_an_index_up(database: &Database) -> Client {
    let holder = connect(database).await;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM jwt_signing_keys";
    holder.batch_execute(begin).await.unwrap();
    holder
}

/// Waits until that many connections have sent a statement like this last, and those who are to
/// wait do.
fn wait_for_statements(database: &Database, number: u32, like: &str, state: &str) {
    let sent = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND pid <> pg_backend_pid() AND query LIKE '{like}' AND {state}"
    );
    while database.rows(&sent) != [number.to_string()] {}
}

const WAITS: &str = "wait_event_type = 'Lock'";

/// The indexes by user: their number within the database, and whether they are valid.
fn indexes(database: &Database) -> Vec<String> {
    database.rows(&format!(
        "SELECT indexrelid, indisvalid FROM pg_index WHERE indexrelid = to_regclass('{NAME}')"
    ))
}

fn is_valid(index: &str) -> bool {
    index.ends_with("|t")
}

async fn build_by_hand(database: &Database) -> (i32, JoinHandle<bool>) {
    let client = connect(database).await;
    let process = process_of(&client).await;
    let building = tokio::spawn(async move { client.batch_execute(BUILD).await.is_ok() });
    wait_for_statements(database, 1, "CREATE INDEX CONCURRENTLY %", WAITS);
    (process, building)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_builds_it_and_the_others_wait() {
    let database = old_database();
    let holder = hold_an_index_up(&database).await;
    let mut opening = JoinSet::new();
    for _ in 0..3 {
        opening.spawn(options(&database).open());
    }
    wait_for_statements(&database, 1, "CREATE INDEX CONCURRENTLY %", WAITS);
    wait_for_statements(&database, 2, "%pg_try_advisory_lock%", "true");
    let begun = indexes(&database);
    assert!(begun.iter().all(|index| !is_valid(index)), "{begun:?}");

    holder.batch_execute("COMMIT").await.unwrap();
    let stores: Vec<PostgresStore> =
        opening.join_all().await.into_iter().map(Result::unwrap).collect();
    assert_eq!(stores.len(), 3);
    let ready = indexes(&database);
    assert_eq!(ready, begun.iter().map(|index| index.replace("|f", "|t")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_somebody_builds_by_hand_is_waited_for() {
    let database = old_database();
    let holder = hold_an_index_up(&database).await;
    let (_, building) = build_by_hand(&database).await;
    let begun = indexes(&database);
    let opening = tokio::spawn(options(&database).open());
    wait_for_statements(&database, 1, "%LOCK TABLE%SHARE UPDATE EXCLUSIVE%", WAITS);

    holder.batch_execute("COMMIT").await.unwrap();
    opening.await.unwrap().unwrap();
    assert!(building.await.unwrap());
    let ready = indexes(&database);
    assert_eq!(ready, begun.iter().map(|index| index.replace("|f", "|t")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_never_finished_is_built_anew() {
    let database = old_database();
    let holder = hold_an_index_up(&database).await;
    let (process, building) = build_by_hand(&database).await;
    database.run(&format!("SELECT pg_cancel_backend({process})"));
    assert!(!building.await.unwrap());
    holder.batch_execute("COMMIT").await.unwrap();
    let broken = indexes(&database);
    assert!(broken.len() == 1 && !is_valid(&broken[0]), "{broken:?}");

    options(&database).open().await.unwrap();
    let ready = indexes(&database);
    assert!(ready.len() == 1 && is_valid(&ready[0]), "{ready:?}");
}
