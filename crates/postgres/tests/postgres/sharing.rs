//! Requests that share statements, and stores that share a database.

use sessile_core::{
    SessionHandle, TenantScope,
    clock::Timestamp,
    store::{
        Accounts, DataReplacement, DataVersion, SessionRecord, Store, StoreErrorKind,
        StoredSigningKey, Sweep, TenantStore,
    },
};
use sessile_postgres_fixture::{Cluster, Database};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

use crate::{
    NOW, SUPERTOKENS_TABLES, app, kind, locked::wait_until_set_aside, open, options, rotation_of,
    send, session,
};

/// The statements that PostgreSQL has run in a database.
pub(crate) struct Counter<'a>(&'a Database);

impl<'a> Counter<'a> {
    pub(crate) fn new(database: &'a Database) -> Self {
        database.run("CREATE EXTENSION IF NOT EXISTS pg_stat_statements");
        Self(database)
    }

    fn reset(&self) {
        self.0.run(
            "SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database
            WHERE datname = current_database()",
        );
    }

    /// How often each was run since, without what this type runs itself and what a connection sets
    /// when it is made.
    fn calls(&self) -> Vec<(u32, String)> {
        let rows = self.0.rows(
            "SELECT calls, regexp_replace(query, '\\s+', ' ', 'g')
            FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
            WHERE d.datname = current_database() AND s.query NOT LIKE '%pg_stat_statements%'
                AND s.query NOT LIKE 'SET %'",
        );
        let calls = rows.iter().map(|row| row.split_once('|').unwrap());
        calls.map(|(calls, query)| (calls.parse().unwrap(), query.to_owned())).collect()
    }

    pub(crate) async fn calls_of<T>(&self, answer: impl Future<Output = T>) -> Vec<(u32, String)> {
        self.reset();
        answer.await;
        self.calls()
    }
}

/// A connection of the test's own.
pub(crate) async fn connect(database: &Database) -> Client {
    let (client, driver) = tokio_postgres::connect(&database.url(), NoTls).await.unwrap();
    tokio::spawn(driver);
    client
}

/// Waits until that many statements in the database, or more, wait for a lock, and not only to see
/// whether it is soon free.
pub(crate) fn wait_for_waiting(database: &Database, number: u32) {
    let waiting = format!(
        "SELECT count(*) >= {number} FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'
            AND clock_timestamp() - query_start > interval '50 ms'"
    );
    while database.rows(&waiting) != ["t"] {}
}

#[tokio::test(flavor = "multi_thread")]
async fn each_intent_is_one_statement() {
    let database = Database::new();
    let (store, counter) = (open(&database).await, Counter::new(&database));
    let (store, app) = (&store, &app());
    let row = SessionRecord { ends_at: Timestamp::MAX, ..session() };
    let handle = &row.handle;
    let version = DataVersion::of("{}");
    let sweep = Sweep { sessions_expired_before: NOW, keys_created_before: NOW, limit: 10 };
    store.secret(app, "name", "value".into()).await.unwrap();

    macro_rules! check {
        ($intent:literal, $request:expr) => {
            let calls = counter.calls_of($request).await;
            let total: u32 = calls.iter().map(|(calls, _)| calls).sum();
            assert_eq!(total, 1, "{}: {calls:?}", $intent);
        };
    }
    check!("insert", async { store.insert_session(app, row.clone()).await.unwrap() });
    check!("get", async { store.get_session(app, handle).await.unwrap().unwrap() });
    check!("refresh", async {
        store.rotate_session(app, handle, rotation_of(&row)).await.unwrap().unwrap()
    });
    for (expected, right) in [
        (None, DataReplacement::Replaced),
        (Some(version), DataReplacement::Replaced),
        (Some(DataVersion::of("other")), DataReplacement::Conflict),
    ] {
        check!("data", async {
            let data = "{}".to_owned();
            let answer = store.replace_session_data(app, handle, data, expected, NOW).await;
            assert_eq!(answer.unwrap(), right);
        });
    }
    check!("payload", async {
        store.replace_jwt_payload(app, handle, "{}".into(), NOW).await.unwrap().unwrap()
    });
    check!("list", async {
        let listed =
            store.sessions_of_user(app, "alice", Accounts::Linked, &TenantScope::All, NOW).await;
        assert_eq!(listed.unwrap().len(), 1);
    });
    check!("keys", async { store.signing_keys(app).await.unwrap() });
    check!("secret", async { store.secret(app, "name", "other".into()).await.unwrap() });
    check!("tenants", async { store.tenants().await.unwrap() });
    check!("sweep", async { store.sweep(app, sweep).await.unwrap() });
    check!("remove old", async {
        store.remove_sessions_created_before(app, NOW, 10).await.unwrap()
    });
    check!("remove", async {
        let removed = store.remove_sessions(app, std::slice::from_ref(handle)).await;
        assert_eq!(removed.unwrap().len(), 1);
    });
    // With the lock of the user, in a transaction that is sent at once.
    let calls = counter.calls_of(async {
        store
            .remove_sessions_of_user(app, "bob", Accounts::Linked, &TenantScope::All, None)
            .await
            .unwrap()
    });
    assert_eq!(calls.await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_together_share_statements() {
    const SESSIONS: usize = 400;
    let database = Database::new();
    let (store, counter) = (open(&database).await, Counter::new(&database));
    let rows: Vec<SessionRecord> = (0..SESSIONS).map(|_| session()).collect();
    let holder = connect(&database).await;
    macro_rules! at_once {
        ($row:ident => $request:expr, $answer:ident => $check:expr) => {
            // The first statements wait, or their preparation, and everything else for them.
            holder.batch_execute("BEGIN; LOCK TABLE session_info IN SHARE MODE").await.unwrap();
            let calls = counter.calls_of(async {
                let sent: Vec<_> = rows.iter().map(|$row| send($request)).collect();
                wait_for_waiting(&database, 1);
                holder.batch_execute("COMMIT").await.unwrap();
                for (answer, $row) in sent.into_iter().zip(&rows) {
                    let $answer = answer.await.unwrap();
                    assert!($check, "{}", $row.handle);
                }
            });
            let calls = calls.await.into_iter().filter(|(_, query)| query.contains("unnest"));
            let total: u32 = calls.map(|(calls, _)| calls).sum();
            assert!((1..=12).contains(&total), "{SESSIONS} requests in {total} statements");
        };
    }
    let app = &app();
    let data = |row: &SessionRecord| format!("{{\"of\":\"{}\"}}", row.handle);
    at_once!(row => store.insert_session(app, row.clone()), answer => answer.user_id == row.user_id);
    at_once!(
        row => store.rotate_session(app, &row.handle, rotation_of(row)),
        answer => answer.is_some_and(|rotated| {
            rotated.handle == row.handle
                && rotated.previous_refresh_token_hash == Some(row.refresh_token_hash)
        })
    );
    at_once!(
        row => store.replace_session_data(app, &row.handle, data(row), None, NOW),
        answer => answer == DataReplacement::Replaced
    );
    at_once!(
        row => store.replace_jwt_payload(app, &row.handle, "{}".into(), NOW),
        answer => answer.is_some_and(|found| found.session_data == data(row))
    );
    at_once!(
        row => store.remove_sessions(app, std::slice::from_ref(&row.handle)),
        answer => answer.len() == 1 && answer[0].handle == row.handle
    );
    assert_eq!(database.rows("SELECT count(*) FROM session_info"), ["0"]);
}

/// What shares a statement with a request that cannot be done is done all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_done_fails_alone() {
    let database = Database::new();
    database.run(SUPERTOKENS_TABLES);
    let store = options(&database).writers(1).open().await.unwrap();
    let taken = session();
    store.insert_session(&app(), taken.clone()).await.unwrap();

    let holder = connect(&database).await;
    holder.batch_execute("BEGIN; LOCK TABLE session_info IN SHARE MODE").await.unwrap();
    let app = &app();
    let first = send(store.insert_session(app, session()));
    wait_for_waiting(&database, 1);
    let good: Vec<SessionRecord> = (0..5).map(|_| session()).collect();
    let mut sent: Vec<_> =
        good.iter().map(|row| send(store.insert_session(app, row.clone()))).collect();
    let homeless = SessionHandle::new("session_no-such-tenant");
    let homeless = send(store.insert_session(app, SessionRecord { handle: homeless, ..session() }));
    let second = send(store.insert_session(app, SessionRecord { user_id: "bob".into(), ..taken }));
    sent.push(send(store.insert_session(app, session())));
    holder.batch_execute("COMMIT").await.unwrap();

    first.await.unwrap();
    for answer in sent {
        answer.await.unwrap();
    }
    assert_eq!(kind(homeless.await), Some(StoreErrorKind::UnknownTenant));
    assert_eq!(kind(second.await), Some(StoreErrorKind::AlreadyExists));
    assert_eq!(database.rows("SELECT count(*) FROM session_info"), ["8"]);
}

/// A rotation is not taken for another one's because what came with it cannot be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_fails_alone() {
    let database = Database::new();
    let store = options(&database).writers(1).open().await.unwrap();
    let (store, app) = (&store, &app());
    let rows: Vec<SessionRecord> = (0..6).map(|_| session()).collect();
    for row in &rows {
        store.insert_session(app, row.clone()).await.unwrap();
    }
    let unreadable = &rows[3].handle;
    database.run(&format!(
        "UPDATE session_info SET prev_refresh_token_hash_2 = 'none'
        WHERE session_handle = '{unreadable}'"
    ));
    let holder = connect(&database).await;
    holder.batch_execute("BEGIN; LOCK TABLE session_info IN SHARE MODE").await.unwrap();
    let rotate = |row: &SessionRecord| {
        let (handle, mut rotation) = (row.handle.clone(), rotation_of(row));
        if handle == *unreadable {
            rotation.change.advance = None;
        }
        send(async move { store.rotate_session(app, &handle, rotation).await })
    };
    let sent: Vec<_> = rows.iter().map(rotate).collect();
    wait_for_waiting(&database, 1);
    holder.batch_execute("COMMIT").await.unwrap();
    for (answer, row) in sent.into_iter().zip(&rows) {
        match answer.await {
            Ok(rotated) => assert!(rotated.is_some(), "{}", row.handle),
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Other, "{error}");
                assert_eq!(row.handle, *unreadable);
            }
        }
    }
}

/// All sessions of a user end at one moment: what is added while they are about to is there after.
#[tokio::test(flavor = "multi_thread")]
async fn no_session_begins_while_all_of_its_user_are_about_to_end() {
    let database = Database::new();
    let stores = [open(&database).await, open(&database).await];
    let (locked, app) = (session(), &app());
    stores[0].insert_session(app, locked.clone()).await.unwrap();
    let holder = connect(&database).await;
    holder.batch_execute("BEGIN; SELECT * FROM session_info FOR UPDATE").await.unwrap();

    let all = TenantScope::All;
    let ended = send(stores[0].remove_sessions_of_user(app, "alice", Accounts::Linked, &all, None));
    wait_for_waiting(&database, 1);
    let (login, other) = (session(), SessionRecord { user_id: "bob".into(), ..session() });
    let added = send(stores[1].insert_session(app, login.clone()));
    wait_until_set_aside(&database);
    // Nobody else waits for that.
    stores[1].insert_session(app, other).await.unwrap();
    holder.batch_execute("COMMIT").await.unwrap();

    let ended = ended.await.unwrap().into_iter().map(|session| session.handle);
    assert!(ended.eq([locked.handle]));
    added.await.unwrap();
    let left = stores[0].sessions_of_user(app, "alice", Accounts::Linked, &all, NOW).await.unwrap();
    assert_eq!(left.iter().map(|row| &row.handle).collect::<Vec<_>>(), [&login.handle]);
}

/// Of two stores, as two processes have them, one wins each race, and neither waits for the other
/// while that waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stores_on_one_database_agree_and_never_deadlock() {
    const SESSIONS: usize = 60;
    const ROUNDS: usize = 12;
    let database = Database::new();
    let stores = [open(&database).await, open(&database).await];
    let mut rows: Vec<SessionRecord> = (0..SESSIONS).map(|_| session()).collect();
    for row in &rows {
        stores[0].insert_session(&app(), row.clone()).await.unwrap();
    }
    for round in 0..ROUNDS {
        let mut clients = JoinSet::new();
        for number in 0..2 * SESSIONS {
            let store = stores[number % 2].clone();
            // Each store is given the sessions in another order.
            let index = if number % 2 == 0 { number / 2 } else { SESSIONS - 1 - number / 2 };
            let row = rows[index].clone();
            clients.spawn(async move {
                let app = app();
                let data = "{}".to_owned();
                store.replace_session_data(&app, &row.handle, data, None, NOW).await.unwrap();
                store.replace_jwt_payload(&app, &row.handle, "{}".into(), NOW).await.unwrap();
                let rotated = store.rotate_session(&app, &row.handle, rotation_of(&row)).await;
                (index, rotated.unwrap())
            });
        }
        let answers = clients.join_all().await;
        let mut winners = vec![0; SESSIONS];
        for (index, rotated) in answers {
            if let Some(rotated) = rotated {
                winners[index] += 1;
                rows[index] = rotated;
            }
        }
        assert!(winners.iter().all(|winners| *winners == 1), "round {round}: {winners:?}");
    }
    let removals = JoinSet::from_iter((0..8).map(|number| {
        let (store, mut handles) = (
            stores[number % 2].clone(),
            rows.iter().map(|row| row.handle.clone()).collect::<Vec<_>>(),
        );
        handles.rotate_left(number * 7);
        async move {
            if number < 6 {
                store.remove_sessions(&app(), &handles).await.unwrap().len()
            } else {
                let all = &TenantScope::All;
                store
                    .remove_sessions_of_user(&app(), "alice", Accounts::Linked, all, None)
                    .await
                    .unwrap()
                    .len()
            }
        }
    }));
    let removed: usize = removals.join_all().await.into_iter().sum();
    assert_eq!(removed, SESSIONS, "each is given to one of them");
    let log = Cluster::shared().log();
    assert!(!log.contains("deadlock detected"), "{log}");
}

/// However many stores and a core add a key at once, the newest is one key for all.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stores_on_one_database_add_one_key() {
    let database = Database::new();
    let stores = [open(&database).await, open(&database).await];
    let mut adding = JoinSet::new();
    for number in 0..16_i64 {
        let store = stores[number as usize % 2].clone();
        let key = StoredSigningKey {
            key_id: format!("d-{number}"),
            algorithm: "RS256".into(),
            created_at: Timestamp::from_millis(number),
            material: "public|private".into(),
            is_static: false,
        };
        adding.spawn(async move { store.add_signing_key(&app(), key, None).await.unwrap() });
    }
    let answers = adding.join_all().await;
    assert!(answers.iter().all(|keys| keys.len() == 1 && *keys == answers[0]));
    let rows = "SELECT count(*) FROM session_access_token_signing_keys";
    assert_eq!(database.rows(rows), ["1"]);
}
