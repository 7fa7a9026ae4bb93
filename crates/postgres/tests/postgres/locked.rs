//! Sessions that another program has locked.

use std::{collections::BTreeSet, time::Duration};

use sessile_core::{
    TenantScope,
    store::{Accounts, DataReplacement, SessionRecord, Store, StoreErrorKind},
};
use sessile_postgres::PostgresOptions;
use sessile_postgres_fixture::{Cluster, Database};
use tokio_postgres::Client;

use crate::{
    NOW, app, kind, open, options,
    outage::end_connections,
    proxy::Proxy,
    rotation_of, send, session,
    sharing::{connect, wait_for_waiting},
};

/// Waits until a request has met with a lock and is asked for again and again, where nothing else
/// is being done.
pub(crate) fn wait_until_set_aside(database: &Database) {
    let last = "SELECT max(query_start) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'sessile'";
    let mut times = BTreeSet::new();
    while times.len() < 5 {
        times.extend(database.rows(last));
    }
}

/// Locks the row of a session until the client commits.
async fn lock(database: &Database, row: &SessionRecord) -> Client {
    let holder = connect(database).await;
    let handle = &row.handle;
    let lock = format!("SELECT * FROM session_info WHERE session_handle = '{handle}' FOR UPDATE");
    holder.batch_execute(&format!("BEGIN; {lock}")).await.unwrap();
    holder
}

/// A session that is locked by another program holds up nobody but who changes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_session_does_not_hold_up_the_others() {
    let database = Database::new();
    let store = open(&database).await;
    let (locked, free) = (session(), session());
    for row in [&locked, &free] {
        store.insert_session(&app(), row.clone()).await.unwrap();
    }
    let holder = connect(&database).await;
    let lock = format!(
        "BEGIN; SELECT * FROM session_info WHERE session_handle = '{}' FOR UPDATE",
        locked.handle
    );
    let app = &app();
    let write = |row: &SessionRecord| {
        let handle = row.handle.clone();
        let store = store.clone();
        async move { store.replace_session_data(app, &handle, "{}".into(), None, NOW).await }
    };
    // One alone, and many more than there are connections.
    for count in [1, 20] {
        holder.batch_execute(&lock).await.unwrap();
        let waiting: Vec<_> = (0..count).map(|_| send(write(&locked))).collect();
        wait_until_set_aside(&database);
        assert_eq!(write(&free).await.unwrap(), DataReplacement::Replaced);
        holder.batch_execute("COMMIT").await.unwrap();
        for answer in waiting {
            assert_eq!(answer.await.unwrap(), DataReplacement::Replaced);
        }
    }
}

/// Neither those that share its statement, nor those whose statement was sent behind that.
#[tokio::test(flavor = "multi_thread")]
async fn locked_sessions_do_not_hold_up_what_came_with_them() {
    const LOCKED: [usize; 2] = [7, 90];
    let database = Database::new();
    let store = options(&database).writers(1).open().await.unwrap();
    let app = &app();
    let rows: Vec<SessionRecord> = (0..100).map(|_| session()).collect();
    for row in &rows {
        store.insert_session(app, row.clone()).await.unwrap();
    }
    let holder = connect(&database).await;
    let lock = format!(
        "BEGIN; SELECT * FROM session_info WHERE session_handle IN ('{}', '{}') FOR UPDATE",
        rows[LOCKED[0]].handle, rows[LOCKED[1]].handle
    );
    macro_rules! at_once {
        ($row:ident => $request:expr, $answer:ident => $check:expr) => {
            for locked in [&LOCKED[..1], &LOCKED] {
                holder.batch_execute(&lock).await.unwrap();
                let mut sent = Vec::new();
                let mut waiting = Vec::new();
                for (number, $row) in rows.iter().enumerate() {
                    match LOCKED.iter().position(|locked| *locked == number) {
                        Some(place) if place < locked.len() => waiting.push(send($request)),
                        Some(_) => {}
                        // And another one, which has to wait for the first.
                        None => sent.extend([send($request), send($request)]),
                    }
                }
                for answer in sent {
                    let $answer = answer.await.unwrap();
                    assert!($check);
                }
                wait_until_set_aside(&database);
                holder.batch_execute("COMMIT").await.unwrap();
                for answer in waiting {
                    let $answer = answer.await.unwrap();
                    assert!($check);
                }
            }
        };
    }
    let unmoved = |row: &SessionRecord| {
        let mut rotation = rotation_of(row);
        rotation.change.current = row.refresh_token_hash;
        rotation
    };
    at_once!(
        row => store.rotate_session(app, &row.handle, unmoved(row)), answer => answer.is_some()
    );
    at_once!(
        row => store.replace_session_data(app, &row.handle, "{}".into(), None, NOW),
        answer => answer == DataReplacement::Replaced
    );
    at_once!(
        row => store.replace_jwt_payload(app, &row.handle, "{}".into(), NOW),
        answer => answer.is_some()
    );
}

/// Each is done when it is free, whatever else is locked.
#[tokio::test(flavor = "multi_thread")]
async fn each_locked_session_waits_for_its_own_lock() {
    let database = Database::new();
    let store = options(&database).writers(1).open().await.unwrap();
    let (store, app) = (&store, &app());
    let rows: Vec<SessionRecord> = (0..60).map(|_| session()).collect();
    let mut holders = Vec::new();
    for row in &rows {
        store.insert_session(app, row.clone()).await.unwrap();
        holders.push(lock(&database, row).await);
    }
    let data = |row: &SessionRecord| format!("\"{}\"", row.handle);
    let write = |row: &SessionRecord| {
        let (handle, data) = (row.handle.clone(), data(row));
        send(async move { store.replace_session_data(app, &handle, data, None, NOW).await })
    };
    let waiting: Vec<_> = rows.iter().map(write).collect();
    for (holder, answer) in holders.iter().zip(waiting).rev() {
        holder.batch_execute("COMMIT").await.unwrap();
        assert_eq!(answer.await.unwrap(), DataReplacement::Replaced);
    }
    let wrong = "SELECT count(*) FROM session_info
        WHERE session_data <> '\"' || session_handle || '\"'";
    assert_eq!(database.rows(wrong), ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_stays_locked_is_reported() {
    let database = Database::new();
    let options = options(&database).writers(1).request_timeout(Duration::from_millis(500));
    let store = options.open().await.unwrap();
    let row = session();
    store.insert_session(&app(), row.clone()).await.unwrap();
    let holder = lock(&database, &row).await;
    let answers = [
        store.rotate_session(&app(), &row.handle, rotation_of(&row)).await.err(),
        store.replace_session_data(&app(), &row.handle, "{}".into(), None, NOW).await.err(),
        store.replace_jwt_payload(&app(), &row.handle, "{}".into(), NOW).await.err(),
        store.remove_sessions(&app(), std::slice::from_ref(&row.handle)).await.err(),
    ];
    for error in answers.map(Option::unwrap) {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(error.to_string().contains("nothing was done"), "{error}");
    }
    holder.batch_execute("COMMIT").await.unwrap();
    assert!(store.get_session(&app(), &row.handle).await.unwrap() == Some(row));
}

/// Logging out, and logging in a user of whom all sessions are about to end.
#[tokio::test(flavor = "multi_thread")]
async fn logins_and_removals_make_way_too() {
    let database = Database::new();
    let stores = [open(&database).await, options(&database).writers(1).open().await.unwrap()];
    let app = &app();
    let rows: Vec<SessionRecord> = (0..40).map(|_| session()).collect();
    for row in &rows {
        stores[0].insert_session(app, row.clone()).await.unwrap();
    }
    let holder = lock(&database, &rows[7]).await;
    let (all, accounts) = (TenantScope::All, Accounts::Linked);
    let ended = send(stores[0].remove_sessions_of_user(app, "alice", accounts, &all, None));
    wait_for_waiting(&database, 1);

    let login = |number: usize| {
        let user_id = if number == 7 { "alice".to_owned() } else { format!("user {number}") };
        stores[1].insert_session(app, SessionRecord { user_id, ..session() })
    };
    let mut logins: Vec<_> = (0..40).map(|number| Some(send(login(number)))).collect();
    let held_up = logins[7].take().unwrap();
    for answer in logins.into_iter().flatten() {
        answer.await.unwrap();
    }
    let one = std::slice::from_ref(&rows[7].handle);
    let locked = send(stores[1].remove_sessions(app, one));
    let free = SessionRecord { user_id: "bob".into(), ..session() };
    stores[1].insert_session(app, free.clone()).await.unwrap();
    let removed = stores[1].remove_sessions(app, &[free.handle]).await.unwrap();
    assert_eq!(removed.len(), 1);
    holder.batch_execute("COMMIT").await.unwrap();
    held_up.await.unwrap();
    assert_eq!(ended.await.unwrap().len() + locked.await.unwrap().len(), 40);
}

/// Nor do those who end all sessions of a user, and wait for one of them.
#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_for_many_sessions_leave_room_for_others() {
    let database = Database::new();
    let store = options(&database).writers(2).open().await.unwrap();
    let (store, app) = (&store, &app());
    let (locked, free) = (session(), SessionRecord { user_id: "bob".into(), ..session() });
    for row in [&locked, &free] {
        store.insert_session(app, row.clone()).await.unwrap();
    }
    let holder = lock(&database, &locked).await;
    let all = &TenantScope::All;
    let end = || store.remove_sessions_of_user(app, "alice", Accounts::Linked, all, None);
    let waiting: Vec<_> = (0..3).map(|_| send(end())).collect();
    wait_for_waiting(&database, 1);
    for _ in 0..3 {
        let answer = store.replace_session_data(app, &free.handle, "{}".into(), None, NOW).await;
        assert_eq!(answer.unwrap(), DataReplacement::Replaced);
    }
    holder.batch_execute("COMMIT").await.unwrap();
    let mut ended = 0;
    for answer in waiting {
        ended += answer.await.unwrap().len();
    }
    assert_eq!(ended, 1);
}

/// Whoever has been told that the time is over may have done something else since.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_too_late_is_not_done() {
    let database = Database::new();
    let row = session();
    open(&database).await.insert_session(&app(), row.clone()).await.unwrap();
    let proxy = Proxy::to(Cluster::shared().port());
    let options = PostgresOptions::from_url(&database.url_at(proxy.port()));
    let options = options.unwrap().writers(1).request_timeout(Duration::from_millis(300));
    let store = options.open().await.unwrap();
    let (store, app) = (&store, &app());
    let write = |text: &str| {
        let text = format!("\"{text}\"");
        store.replace_session_data(app, &row.handle, text, None, NOW)
    };
    end_connections(&database);
    // A connection is being made all the while.
    proxy.keep_answers_back();
    assert_eq!(kind(write("late").await), Some(StoreErrorKind::Unavailable));
    proxy.let_answers_through();
    let other = session();
    while store.insert_session(app, other.clone()).await.is_err() {}
    while store.replace_session_data(app, &other.handle, "{}".into(), None, NOW).await.is_err() {}
    let found = store.get_session(app, &row.handle).await.unwrap().unwrap();
    assert_eq!(found.session_data, row.session_data);
}
