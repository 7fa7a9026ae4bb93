//! Databases that are ready.

use sessile_postgres_fixture::{Database, supertokens};

use crate::{Diagnosis, Server, sessile};

/// A database that a core 12.1 has started on.
pub(crate) fn supertokens_database() -> Database {
    let database = Database::new();
    database.run(supertokens::TABLES);
    database.run(
        "INSERT INTO apps VALUES ('public', 1);
        INSERT INTO tenants VALUES ('public', 'public', 1)",
    );
    database
}

pub(crate) fn diagnose(database: &Database) -> Diagnosis {
    diagnose_with(&["--store", &database.url()], &[])
}

pub(crate) fn diagnose_with(arguments: &[&str], environment: &[(&str, &str)]) -> Diagnosis {
    Diagnosis::of(arguments, environment, tempfile::tempdir().unwrap().path())
}

/// All tables with their columns, schemas and rows.
fn everything(database: &Database) -> Vec<String> {
    database.rows(
        "SELECT attrelid::regclass, attname FROM pg_attribute
            JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'public'::regnamespace
            ORDER BY 1, 2;
        SELECT nspname FROM pg_namespace ORDER BY 1;
        SELECT * FROM apps, tenants, session_info, key_value",
    )
}

#[test]
fn a_database_that_a_core_has_used_is_ready_before_and_after() {
    let database = supertokens_database();
    let before = everything(&database);
    let diagnosis = diagnose(&database);
    assert_eq!(diagnosis.0["ready"], true, "{}", diagnosis.0);
    assert_eq!(diagnosis.checks("note"), [""; 0], "{}", diagnosis.0);
    diagnosis.assert_words("mark", &["none yet", "shared"]);
    assert!(diagnosis.0["wayBack"][0].as_str().unwrap().contains("nothing here yet"));
    assert_eq!(everything(&database), before, "nothing was changed");

    Server::start(&["--store", &database.url()], &[]).log_in();
    let diagnosis = diagnose(&database);
    assert_eq!(diagnosis.0["ready"], true, "{}", diagnosis.0);
    assert_eq!(diagnosis.checks("note"), [""; 0], "{}", diagnosis.0);
    diagnosis.assert_words("mark", &["the database is shared"]);
    diagnosis.assert_words("keys", &["can be used"]);

    // The way back does what it says, and forth again.
    let way_back = diagnosis.0["wayBack"].as_array().unwrap();
    let statement = way_back.iter().find_map(|line| line.as_str().unwrap().split_once("runs: "));
    database.run(statement.unwrap().1);
    assert_eq!(database.rows("SELECT user_id FROM session_info"), ["alice"]);
    assert!(diagnose(&database).checks("problem").is_empty());
    Server::start(&["--store", &database.url()], &[]).log_in();
    assert_eq!(database.rows("SELECT count(*) FROM session_info"), ["2"]);
}

#[test]
fn an_empty_database_is_ready_and_stays_empty() {
    let database = Database::new();
    let diagnosis = diagnose(&database);
    assert_eq!(diagnosis.checks("note"), ["tables"], "{}", diagnosis.0);
    assert!(diagnosis.checks("problem").is_empty());
    assert_eq!(database.rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), ["0"]);
}

#[test]
fn the_tables_of_older_cores_are_ready() {
    let database = supertokens_database();
    database.run(
        "ALTER TABLE session_info DROP COLUMN prev_refresh_token_hash_2,
            DROP COLUMN refresh_token_rotated_at;
        DROP INDEX session_info_user_id_app_id_index",
    );
    let diagnosis = diagnose(&database);
    assert_eq!(diagnosis.checks("note"), ["tables", "indexes"], "{}", diagnosis.0);
    diagnosis.assert_words("tables", &["session_info.refresh_token_rotated_at"]);
    diagnosis.assert_words("indexes", &["CREATE INDEX CONCURRENTLY", "(user_id, app_id)"]);
    assert!(diagnosis.checks("problem").is_empty());
}

#[test]
fn the_configuration_names_the_database() {
    let database = Database::new();
    database.run("CREATE SCHEMA auth");
    let tables = format!("SET search_path TO auth; {}", supertokens::TABLES);
    database.run(&tables);
    database.run("ALTER TABLE auth.session_info RENAME TO logins");
    let environment = [
        ("POSTGRESQL_CONNECTION_URI", database.url()),
        ("POSTGRESQL_TABLE_SCHEMA", "auth".to_owned()),
        ("POSTGRESQL_SESSION_INFO_TABLE_NAME", "logins".to_owned()),
    ];
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(diagnose_with(&[], &environment).checks("problem"), [""; 0]);

    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "postgresql_connection_uri: {}\npostgresql_table_schema: auth\n\
         postgresql_session_info_table_name: logins\n",
        database.url()
    );
    std::fs::write(folder.path().join("config.yaml"), config).unwrap();
    let diagnosis = Diagnosis::of(&["--config", "config.yaml"], &[], folder.path());
    assert_eq!(diagnosis.finding("tables")["level"], "ok", "{}", diagnosis.0);
}

#[test]
fn people_are_told_in_lines() {
    let database = supertokens_database();
    let folder = tempfile::tempdir().unwrap();
    let run = || {
        let mut command = sessile(folder.path());
        let output = command.args(["doctor", "--store", &database.url()]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, told) = run();
    assert_eq!(status, Some(0), "{told}");
    assert!(told.contains("\nready\n") && told.contains("The way back:"), "{told}");
    assert!(told.contains("ok       version       PostgreSQL "), "{told}");

    database.run("ALTER TABLE session_info DROP COLUMN session_data CASCADE");
    let (status, told) = run();
    assert_eq!(status, Some(1), "{told}");
    assert!(told.contains("\nnot ready: tables\n"), "{told}");
}
