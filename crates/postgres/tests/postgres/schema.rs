use sessile_core::{
    clock::Timestamp,
    store::{Store, StoreErrorKind},
};
use sessile_postgres::PostgresOptions;
use sessile_postgres_fixture::Database;
use tokio::task::JoinSet;

use crate::{NOW, SUPERTOKENS_TABLES, app, kind, open, options, session};

/// Every column, constraint and index of the schema but those of Sessile's own tables.
fn shape(database: &Database, schema: &str) -> Vec<String> {
    database.rows(&format!(
        "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable,
            column_default
        FROM information_schema.columns
        WHERE table_schema = '{schema}' AND table_name NOT LIKE '%sessile\\_%'
        ORDER BY table_name, ordinal_position;
        SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = '{schema}'::regnamespace
            AND conrelid::regclass::text NOT LIKE '%sessile\\_%'
        ORDER BY 1, 2;
        SELECT tablename, indexname, indexdef FROM pg_indexes
        WHERE schemaname = '{schema}' AND tablename NOT LIKE '%sessile\\_%'
        ORDER BY 1, 2;"
    ))
}

fn tables(database: &Database, schema: &str) -> Vec<String> {
    database
        .rows(&format!("SELECT tablename FROM pg_tables WHERE schemaname = '{schema}' ORDER BY 1"))
}

#[tokio::test(flavor = "multi_thread")]
async fn new_tables_are_those_of_the_core() {
    let (ours, theirs) = (Database::new(), Database::new());
    open(&ours).await;
    theirs.run(SUPERTOKENS_TABLES);
    let (ours, theirs) = (shape(&ours, "public"), shape(&theirs, "public"));
    for (our, their) in ours.iter().zip(&theirs) {
        assert_eq!(our, their);
    }
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.len() > 70, "columns, constraints and indexes were compared");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_found_stay_as_they_are() {
    let database = Database::new();
    database.run(SUPERTOKENS_TABLES);
    let before = shape(&database, "public");
    open(&database).await;
    assert_eq!(shape(&database, "public"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_core_makes_at_its_first_start_is_there() {
    let database = Database::new();
    open(&database).await;
    let rows = database.rows("SELECT app_id, tenant_id FROM tenants");
    assert_eq!(rows, ["public|public"]);
    assert_eq!(database.rows("SELECT count(*) FROM session_info"), ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_and_names_can_be_chosen() {
    let database = Database::new();
    let chosen = || {
        let options = options(&database).schema("auth").unwrap();
        let options = options.table_prefix("ST").unwrap().session_info_table("logins").unwrap();
        options.key_value_table("settings").unwrap()
    };
    let store = chosen().open().await.unwrap();
    let session = session();
    store.insert_session(&app(), session.clone()).await.unwrap();
    store.secret(&app(), "refresh_token_key", "secret".into()).await.unwrap();
    assert_eq!(database.rows("SELECT session_handle FROM auth.logins"), [session.handle.as_str()]);
    assert_eq!(
        database.rows("SELECT name, value FROM auth.settings"),
        ["refresh_token_key|secret"]
    );
    let tables = tables(&database, "auth");
    assert!(tables.contains(&"st_jwt_signing_keys".to_owned()), "{tables:?}");
    let is_prefixed = |table: &&String| {
        !table.starts_with("st_") && !["logins", "settings"].contains(&table.as_str())
    };
    assert_eq!(tables.iter().find(is_prefixed), None, "{tables:?}");

    // The same tables, not new ones.
    let again = chosen().open().await.unwrap();
    assert!(again.get_session(&app(), &session.handle).await.unwrap().is_some());
    // Other tables beside them.
    let beside = options(&database).schema("auth").unwrap().open().await.unwrap();
    assert!(beside.get_session(&app(), &session.handle).await.unwrap().is_none());
    let plain = database.rows(
        "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        WHERE c.relname = 'session_info'",
    );
    assert_eq!(plain, ["4"], "the second tables have all their indexes, under other names");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_processes_may_open_an_empty_database_at_once() {
    let database = Database::new();
    let mut opening = JoinSet::new();
    for _ in 0..8 {
        let options = options(&database);
        opening.spawn(async move { options.open().await });
    }
    for store in opening.join_all().await {
        let store = store.unwrap();
        store.insert_session(&app(), session()).await.unwrap();
    }
    assert_eq!(database.rows("SELECT count(*) FROM session_info"), ["8"]);
    assert_eq!(database.rows("SELECT ownership FROM sessile_store"), ["own"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_used_is_refused() {
    let problem = async |sql: &str| {
        let database = Database::new();
        database.run(sql);
        let before = tables(&database, "public");
        let error = options(&database).open().await.err().unwrap();
        assert_eq!(error.kind(), StoreErrorKind::Incompatible, "{error}");
        assert_eq!(tables(&database, "public"), before, "nothing is made in it");
        error.to_string()
    };
    let old = problem(
        "CREATE TABLE session_info (session_handle VARCHAR(255) PRIMARY KEY, user_id VARCHAR(128));",
    );
    assert!(old.await.contains("older than 6.0"));

    let database = Database::new();
    open(&database).await;
    database.run("UPDATE sessile_store SET version = 99");
    let error = options(&database).open().await.err().unwrap();
    assert_eq!(error.kind(), StoreErrorKind::Incompatible, "{error}");
    assert!(error.to_string().contains("newer version"), "{error}");

    // Nor is anything made that the newer version has done without.
    database.run("DROP TABLE sessile_tenant");
    let before = tables(&database, "public");
    let error = options(&database).open().await.err().unwrap();
    assert!(error.to_string().contains("newer version"), "{error}");
    assert_eq!(tables(&database, "public"), before);

    database.run("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    let url = database.url().replace(database.name(), "latin");
    let error = PostgresOptions::from_url(&url).unwrap().open().await.err().unwrap();
    assert_eq!(error.kind(), StoreErrorKind::Incompatible, "{error}");
    assert!(error.to_string().contains("LATIN1"), "{error}");
}

/// Whoever has no right to make tables uses those that are there.
#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_make_tables_is_needed_once() {
    let database = Database::new();
    database.run(&format!(
        "CREATE ROLE \"limited-{0}\" LOGIN; REVOKE ALL ON SCHEMA public FROM PUBLIC;
        GRANT USAGE ON SCHEMA public TO \"limited-{0}\";",
        database.name()
    ));
    let limited = || {
        let user = format!("limited-{}", database.name());
        options(&database).setting("user", &user).unwrap()
    };
    assert_eq!(kind(limited().open().await), Some(StoreErrorKind::NotWritable));
    open(&database).await;
    database.run(&format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \"limited-{}\"",
        database.name()
    ));
    let store = limited().open().await.unwrap();
    let session = session();
    store.insert_session(&app(), session.clone()).await.unwrap();
    let found = store.get_session(&app(), &session.handle).await.unwrap();
    assert_eq!(found.map(|row| row.created_at), Some(NOW));
    assert_eq!(session.expires_at, Timestamp::MAX);
}
