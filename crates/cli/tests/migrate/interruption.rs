use std::path::Path;

use sessile::{
    AppId, SessionHandle,
    clock::Timestamp,
    postgres::PostgresStore,
    rotation::TokenHash,
    sqlite::SqliteStore,
    store::{BulkStore as _, SessionRecord},
};
use sessile_postgres_fixture::Database;

use crate::{Server, migrate, paused::Paused};

const SESSIONS: u16 = 12_000;

/// Sessions beside those of a server, whose keys and secrets are there.
pub(crate) async fn fill(path: &Path) {
    let store = SqliteStore::open(path).unwrap();
    let mut bytes = [0; 32];
    let sessions = (0..SESSIONS).map(|number| {
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        SessionRecord {
            handle: SessionHandle::new(&format!("session-{number}")),
            user_id: format!("user {}", number % 100),
            primary_user_id: None,
            refresh_token_hash: TokenHash::from_bytes(bytes),
            previous_refresh_token_hash: None,
            rotated_at: None,
            sealed_child: None,
            jwt_payload: "{}".into(),
            session_data: "{}".into(),
            created_at: Timestamp::from_millis(1),
            expires_at: Timestamp::MAX,
            ends_at: Timestamp::MAX,
            client_label: None,
            use_static_key: false,
        }
    });
    store.put_sessions(&AppId::default(), sessions.collect()).await.unwrap();
}

#[tokio::test]
async fn what_was_killed_goes_on_where_it_was() {
    let database = Database::new();
    let url = database.url();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), "first.db");
    let client = server.log_in("alice");
    fill(&folder.path().join("first.db")).await;
    let arguments = ["--from", "first.db", "--to", &url];

    Paused::start(folder.path(), &arguments).kill();
    let arrived: u16 = database.rows("SELECT count(*) FROM session_info")[0].parse().unwrap();
    assert!((1..SESSIONS).contains(&arrived), "{arrived}");
    // Servers on the source go on as before.
    let other = server.log_in("bob");

    let run = migrate(folder.path(), &arguments, &[]);
    assert!(run.done, "{}", run.progress);
    let total = SESSIONS + 2;
    let copied = format!("pass 1: {total} sessions compared, {} copied", total - arrived);
    assert!(run.progress.contains(&copied), "{arrived} were there: {}", run.progress);
    assert!(run.told.contains(&format!("{total} sessions")), "{}", run.told);

    // Once it is done, doing it again changes nothing.
    let again = migrate(folder.path(), &arguments, &[]);
    assert!(again.done && again.progress.is_empty(), "{}", again.progress);
    let moved = Server::start(folder.path(), &url);
    for client in [client, other] {
        let token = client["accessToken"]["token"].as_str().unwrap();
        assert_eq!(moved.verify(token)["status"], "OK");
    }
}

#[tokio::test]
async fn of_two_moves_at_once_one_is_done() {
    let database = Database::new();
    let url = database.url();
    let folder = tempfile::tempdir().unwrap();
    drop(Server::start(folder.path(), "first.db").log_in("alice"));
    fill(&folder.path().join("first.db")).await;
    let first = Paused::start(folder.path(), &["--from", "first.db", "--to", &url]);
    let second = migrate(folder.path(), &["--from", "first.db", "--to", "second.db"], &[]);
    assert!(second.done, "{}", second.progress);
    let first = first.finish();
    assert!(!first.done && first.progress.contains("moved away meanwhile"), "{}", first.progress);
}

#[tokio::test]
async fn a_target_that_is_not_the_same_in_the_end_is_refused() {
    let database = Database::new();
    let url = database.url();
    // The tables, without anything in them.
    drop(PostgresStore::open(&url).await.unwrap());
    database.run(
        "CREATE FUNCTION plant() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            NEW.session_data := '{\"planted\":true}';
            RETURN NEW;
        END $$;
        CREATE TRIGGER plant BEFORE INSERT ON session_info FOR EACH ROW
            WHEN (NEW.user_id = 'mallory') EXECUTE FUNCTION plant()",
    );
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), "first.db");
    for user in ["alice", "mallory"] {
        server.log_in(user);
    }
    let arguments = ["--from", "first.db", "--to", &url];
    let run = migrate(folder.path(), &arguments, &[]);
    assert!(!run.done && run.told.is_empty(), "{}", run.told);
    assert!(run.progress.contains("the target is not what the source is"), "{}", run.progress);
    server.log_in("the source goes on");

    database.run("DROP TRIGGER plant ON session_info");
    let run = migrate(folder.path(), &arguments, &[]);
    assert!(run.done && run.told.contains("3 sessions"), "{}", run.progress);
}
