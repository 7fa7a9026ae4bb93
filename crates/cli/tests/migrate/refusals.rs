use sessile_postgres_fixture::{Database, supertokens};

use crate::{Server, migrate, refresh_token};

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[test]
fn a_shared_database_takes_no_sealed_keys() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    Server::start(folder, "first.db").log_in("alice");
    let database = Database::new();
    database.run(supertokens::TABLES);
    let url = database.url();
    let arguments = ["--from", "first.db", "--to", &url];
    let run = migrate(folder, &arguments, &[("SESSILE_WRAPPING_KEY", KEY)]);
    assert!(!run.done && run.progress.contains("cannot read sealed keys"), "{}", run.progress);
    let rows = database.rows("SELECT count(*) FROM session_info");
    assert_eq!(rows, ["0"], "nothing was copied");

    // In the open it takes them, and a core finds all of them.
    let run = migrate(folder, &arguments, &[]);
    assert!(run.done, "{}", run.progress);
    let rows = database.rows(
        "SELECT count(*) FROM session_info;
        SELECT count(*) FROM session_access_token_signing_keys WHERE value NOT LIKE 'sealed%';
        SELECT count(*) FROM key_value WHERE value LIKE '1000:%'",
    );
    assert_eq!(rows, ["1", "1", "1"]);
}

#[test]
fn a_target_with_other_sessions_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for file in ["first.db", "second.db"] {
        Server::start(folder, file).log_in(file);
    }
    let run = migrate(folder, &["--from", "first.db", "--to", "second.db"], &[]);
    assert!(!run.done && run.progress.contains("second.db is not empty"), "{}", run.progress);
    let run = migrate(folder, &["--from", "none.db", "--to", "third.db"], &[]);
    assert!(!run.done && run.progress.contains("no file none.db"), "{}", run.progress);
    let run = migrate(folder, &["--from", "first.db", "--to", "memory"], &[]);
    assert!(!run.done && run.progress.contains("memory cannot be moved"), "{}", run.progress);
}

#[test]
fn a_store_that_was_moved_can_be_reinstated() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = Server::start(folder, "first.db");
    let token = refresh_token(&server.log_in("alice"));
    assert!(migrate(folder, &["--from", "first.db", "--to", "second.db"], &[]).done);
    assert_eq!(Server::refresh(&server.address, &token).0, "503");
    assert!(migrate(folder, &["--reinstate", "first.db"], &[]).done);
    assert_eq!(Server::refresh(&server.address, &token).1["status"], "OK");
}

#[test]
fn a_sealed_database_keeps_its_key_from_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let token = refresh_token(&Server::start(folder, "first.db").log_in("alice"));
    let database = Database::new();
    let url = database.url();
    let sealed = [("SESSILE_WRAPPING_KEY", KEY)];
    let run = migrate(folder, &["--from", "first.db", "--to", &url], &sealed);
    assert!(run.done, "{}", run.progress);
    let rows = database.rows("SELECT DISTINCT left(value, 8) FROM sessile_secret");
    assert_eq!(rows, ["sealed1:"]);
    let run = migrate(folder, &["--from", &url, "--to", "second.db"], &[]);
    assert!(!run.done && run.progress.contains("are sealed"), "{}", run.progress);

    let run = migrate(folder, &["--from", &url, "--to", "third.db"], &sealed);
    assert!(run.done, "{}", run.progress);
    std::fs::write(folder.join("third.db.key"), KEY).unwrap();
    let server = Server::start(folder, "third.db");
    assert_eq!(Server::refresh(&server.address, &token).1["status"], "OK");
}
