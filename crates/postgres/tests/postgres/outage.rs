use std::{net::TcpListener, time::Duration};

use sessile_core::store::{
    DataReplacement, RemovedSession, SessionRecord, Store, StoreError, StoreErrorKind,
    StoredSigningKey,
};
use sessile_postgres::{PostgresOptions, PostgresStore};
use sessile_postgres_fixture::{Cluster, Database, Shutdown};
use tokio_postgres::NoTls;

use crate::{NOW, app, kind, open, options, proxy::Proxy, rotation_of, send, session};

/// Asks until it is answered, which says that the store has recovered.
pub(crate) async fn until_answered<T>(mut ask: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_loses_nothing_and_is_found_again() {
    let cluster = Cluster::start(&[]);
    let database = cluster.database();
    let store = open(&database).await;
    let mut rows = Vec::new();
    for _ in 0..20 {
        let row = session();
        store.insert_session(&app(), row.clone()).await.unwrap();
        let rotated = store.rotate_session(&app(), &row.handle, rotation_of(&row)).await;
        rows.push(rotated.unwrap().unwrap());
    }

    for round in 0..3 {
        cluster.stop(Shutdown::Immediate);
        // Each is told at once, however many there are.
        for row in &rows {
            let answer = store.get_session(&app(), &row.handle).await;
            assert_eq!(kind(answer), Some(StoreErrorKind::Unavailable), "round {round}");
            let answer = store.rotate_session(&app(), &row.handle, rotation_of(row)).await;
            assert_eq!(kind(answer), Some(StoreErrorKind::Unavailable), "round {round}");
        }
        cluster.start_again();
        for row in &rows {
            let found = until_answered(async || store.get_session(&app(), &row.handle).await).await;
            assert!(found.as_ref() == Some(row), "round {round}");
        }
        let row = &mut rows[round];
        let rotation = rotation_of(row);
        let rotated = until_answered(async || {
            store.rotate_session(&app(), &row.handle, rotation.clone()).await
        });
        *row = rotated.await.unwrap();
    }
}

/// A connection that ended while nobody used it is no reason for an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_a_quiet_moment_is_not_noticed() {
    let cluster = Cluster::start(&[]);
    let database = cluster.database();
    let store = open(&database).await;
    let row = session();
    store.insert_session(&app(), row.clone()).await.unwrap();
    store.get_session(&app(), &row.handle).await.unwrap().unwrap();
    cluster.stop(Shutdown::Fast);
    cluster.start_again();
    store.get_session(&app(), &row.handle).await.unwrap().unwrap();
    store.rotate_session(&app(), &row.handle, rotation_of(&row)).await.unwrap().unwrap();
}

/// Ends all connections of stores to it.
pub(crate) fn end_connections(database: &Database) {
    database.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'sessile'",
    );
}

/// Whoever is told that nothing happened may act on it.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_happened_is_not_denied() {
    let database = Database::new();
    let proxy = Proxy::to(Cluster::shared().port());
    let (store, _) = by_way_of(&proxy, &database).await;
    let row = session();
    store.insert_session(&app(), row.clone()).await.unwrap();
    // For connections to come.
    let name = database.name();
    database.run(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    proxy.lose_next_answer();
    let answer = store.rotate_session(&app(), &row.handle, rotation_of(&row)).await;
    assert_eq!(kind(answer), Some(StoreErrorKind::Unavailable));
    let found = store.get_session(&app(), &row.handle).await.unwrap().unwrap();
    assert!(found.previous_refresh_token_hash == Some(row.refresh_token_hash));
}

/// However many ask at once, no more connections are made than there are to be.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_connections_are_made_than_were_asked_for() {
    let database = Database::new();
    let proxy = Proxy::to(Cluster::shared().port());
    let options = PostgresOptions::from_url(&database.url_at(proxy.port())).unwrap();
    let store = options.readers(1).writers(1).open().await.unwrap();
    let (store, app) = (&store, &app());
    let rows: Vec<SessionRecord> = (0..50).map(|_| session()).collect();
    for row in &rows {
        open(&database).await.insert_session(app, row.clone()).await.unwrap();
    }
    end_connections(&database);
    let before = proxy.connections();
    let sent: Vec<_> = rows
        .iter()
        .map(|row| send(store.rotate_session(app, &row.handle, rotation_of(row))))
        .collect();
    for answer in sent {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(proxy.connections() - before, 1);
}

/// A connection on which nothing comes any more, and nothing says so, is given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_has_gone_silent_is_replaced() {
    let database = Database::new();
    let proxy = Proxy::to(Cluster::shared().port());
    let options = PostgresOptions::from_url(&database.url_at(proxy.port())).unwrap();
    let options = options.readers(2).writers(1).request_timeout(Duration::from_millis(300));
    let store = options.open().await.unwrap();
    let row = session();
    store.insert_session(&app(), row.clone()).await.unwrap();
    for _ in 0..2 {
        store.get_session(&app(), &row.handle).await.unwrap().unwrap();
    }

    proxy.silence_connections();
    for _ in 0..2 {
        let answer = store.get_session(&app(), &row.handle).await;
        assert_eq!(kind(answer), Some(StoreErrorKind::Unavailable));
    }
    for _ in 0..2 {
        store.get_session(&app(), &row.handle).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_reported() {
    // Nobody accepts what is sent to it.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let closed_port = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    for (port, reason) in [(closed_port, "refused"), (silent_port, "no answer in time")] {
        let url = format!("postgresql://alice:very-secret@127.0.0.1:{port}/shop");
        let options = PostgresOptions::from_url(&url).unwrap();
        let opened = options.connect_timeout(Duration::from_millis(100)).open().await;
        let error = opened.err().unwrap();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        let text = format!("{error} {error:?}");
        assert!(text.contains(reason) && text.contains(&format!("127.0.0.1:{port}")), "{text}");
        assert!(!text.contains("very-secret"), "{text}");
    }
    let database = Database::new();
    let error =
        options(&database).setting("dbname", "nothing").unwrap().open().await.err().unwrap();
    assert!(error.to_string().contains("does not exist"), "{error}");
}

/// A store with one connection of each kind, by way of a proxy, whose statements are prepared.
async fn by_way_of(proxy: &Proxy, database: &Database) -> (PostgresStore, SessionRecord) {
    let options = PostgresOptions::from_url(&database.url_at(proxy.port())).unwrap();
    let store = options.readers(1).writers(1).request_timeout(Duration::from_secs(5));
    let store = store.open().await.unwrap();
    let mut row = session();
    store.insert_session(&app(), row.clone()).await.unwrap();
    row = store.rotate_session(&app(), &row.handle, rotation_of(&row)).await.unwrap().unwrap();
    store.replace_session_data(&app(), &row.handle, "{}".into(), None, NOW).await.unwrap();
    store.get_session(&app(), &row.handle).await.unwrap();
    store.remove_sessions(&app(), &["nothing".into()]).await.unwrap();
    (store, row)
}

/// Where it makes no difference whether something is done once or twice, it is done again when its
/// answer is lost; and where that can be seen, the caller is told what happened.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_when_its_answer_was_lost_is_answered() {
    let database = Database::new();
    let proxy = Proxy::to(Cluster::shared().port());
    let (store, _) = by_way_of(&proxy, &database).await;

    let row = session();
    proxy.lose_next_answer();
    store.insert_session(&app(), row.clone()).await.unwrap();
    assert_eq!(
        kind(store.insert_session(&app(), row.clone()).await),
        Some(StoreErrorKind::AlreadyExists)
    );

    // Prepared again on the new connection.
    store.rotate_session(&app(), &"nothing".into(), rotation_of(&row)).await.unwrap();
    let rotation = rotation_of(&row);
    proxy.lose_next_answer();
    let rotated = store.rotate_session(&app(), &row.handle, rotation.clone()).await;
    let rotated = rotated.unwrap().unwrap();
    assert!(rotated.refresh_token_hash == rotation.change.current);
    assert_eq!(rotated.sealed_child, rotation.change.sealed_child);
    assert!(store.rotate_session(&app(), &row.handle, rotation).await.unwrap().is_none());

    proxy.lose_next_answer();
    let found = store.get_session(&app(), &row.handle).await.unwrap();
    assert!(found == Some(rotated));

    proxy.lose_next_answer();
    let keys = store.add_signing_key(&app(), key(), None).await.unwrap();
    assert!(keys == [key()]);
}

fn key() -> StoredSigningKey {
    StoredSigningKey {
        key_id: "own".into(),
        algorithm: "ES256".into(),
        created_at: NOW,
        material: "public|private".into(),
        is_static: false,
    }
}

/// Where doing it twice would not be the same as once, the caller is told that the outcome is not
/// known.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_done_is_reported_as_unknown() {
    let database = Database::new();
    let proxy = Proxy::to(Cluster::shared().port());
    let (store, row) = by_way_of(&proxy, &database).await;

    proxy.lose_next_answer();
    let data = r#"{"n":1}"#.to_owned();
    let answer = store.replace_session_data(&app(), &row.handle, data, None, NOW).await;
    let error = answer.err().unwrap();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("unknown"), "{error}");
    let found = store.get_session(&app(), &row.handle).await.unwrap().unwrap();
    assert_eq!(found.session_data, r#"{"n":1}"#);

    store.remove_sessions(&app(), &["nothing".into()]).await.unwrap();
    proxy.lose_next_answer();
    let answer = store.remove_sessions(&app(), std::slice::from_ref(&row.handle)).await;
    assert_eq!(kind(answer), Some(StoreErrorKind::Unavailable));
    let again = store.remove_sessions(&app(), std::slice::from_ref(&row.handle)).await.unwrap();
    assert_eq!(again, [] as [RemovedSession; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_come_is_not_waited_for_for_ever() {
    let database = Database::new();
    let proxy = Proxy::to(Cluster::shared().port());
    let options = PostgresOptions::from_url(&database.url_at(proxy.port())).unwrap();
    let store = options.request_timeout(Duration::from_secs(1)).open().await.unwrap();
    let row = session();
    until_answered(async || store.insert_session(&app(), row.clone()).await).await;
    proxy.keep_answers_back();
    let answer = store.get_session(&app(), &row.handle).await;
    assert_eq!(kind(answer), Some(StoreErrorKind::Unavailable));
    let answer = store.replace_session_data(&app(), &row.handle, "{}".into(), None, NOW).await;
    assert_eq!(kind(answer), Some(StoreErrorKind::Unavailable));
    proxy.let_answers_through();
    let found = until_answered(async || store.get_session(&app(), &row.handle).await).await;
    assert!(found.is_some());
    let replaced = until_answered(async || {
        store.replace_session_data(&app(), &row.handle, "{}".into(), None, NOW).await
    });
    assert_eq!(replaced.await, DataReplacement::Replaced);
}

/// Whoever was told that it took too long does not see it done much later.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_waited_too_long_is_not_done_any_more() {
    let database = Database::new();
    let proxy = Proxy::to(Cluster::shared().port());
    let options = PostgresOptions::from_url(&database.url_at(proxy.port())).unwrap();
    let store = options.writers(1).request_timeout(Duration::from_secs(1)).open().await;
    let (store, rows) = (store.unwrap(), [session(), session()]);
    for row in &rows {
        until_answered(async || store.insert_session(&app(), row.clone()).await).await;
    }
    let app = &app();
    let write = async |row: &SessionRecord, data: &str| {
        store.replace_session_data(app, &row.handle, data.to_owned(), None, NOW).await
    };
    until_answered(async || write(&rows[0], "{}").await).await;
    proxy.keep_answers_back();
    let late = r#"{"late":true}"#;
    let done = "SELECT count(*) FROM session_info WHERE session_data LIKE '%late%'";
    let (first, second) = tokio::join!(write(&rows[0], late), async {
        // The first is done and not answered; the second waits for its connection.
        while database.rows(done) != ["1"] {
            tokio::task::yield_now().await;
        }
        write(&rows[1], late).await
    });
    assert_eq!(kind(first), Some(StoreErrorKind::Unavailable));
    assert_eq!(kind(second), Some(StoreErrorKind::Unavailable));
    proxy.let_answers_through();
    until_answered(async || write(&rows[0], "{}").await).await;
    let found = until_answered(async || store.get_session(app, &rows[1].handle).await).await;
    assert_eq!(found.unwrap().session_data, "{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_waits_too_long_is_given_up() {
    let database = Database::new();
    let store = options(&database).request_timeout(Duration::from_secs(1));
    let store = store.open().await.unwrap();
    let row = session();
    until_answered(async || store.insert_session(&app(), row.clone()).await).await;
    let (holder, driver) = tokio_postgres::connect(&database.url(), NoTls).await.unwrap();
    tokio::spawn(driver);
    holder.batch_execute("BEGIN; SELECT * FROM session_info FOR UPDATE").await.unwrap();
    let answer = store.rotate_session(&app(), &row.handle, rotation_of(&row)).await;
    assert_eq!(kind(answer), Some(StoreErrorKind::Unavailable));
    // Reading waits for nobody.
    until_answered(async || store.get_session(&app(), &row.handle).await).await;
    holder.batch_execute("COMMIT").await.unwrap();
    let rotation = rotation_of(&row);
    let rotated =
        until_answered(async || store.rotate_session(&app(), &row.handle, rotation.clone()).await);
    assert!(rotated.await.is_some());
}

/// Those that shared a statement are not tried one by one when their callers have gone.
#[tokio::test(flavor = "multi_thread")]
async fn statements_that_wait_too_long_are_given_up_together() {
    let database = Database::new();
    let store = options(&database).request_timeout(Duration::from_secs(1));
    let store = store.open().await.unwrap();
    let rows: Vec<SessionRecord> = (0..20).map(|_| session()).collect();
    for row in &rows {
        until_answered(async || store.insert_session(&app(), row.clone()).await).await;
    }
    let (holder, driver) = tokio_postgres::connect(&database.url(), NoTls).await.unwrap();
    tokio::spawn(driver);
    holder.batch_execute("BEGIN; SELECT * FROM session_info FOR UPDATE").await.unwrap();
    let app = &app();
    let sent: Vec<_> = rows
        .iter()
        .map(|row| send(store.rotate_session(app, &row.handle, rotation_of(row))))
        .collect();
    for answer in sent {
        assert_eq!(kind(answer.await), Some(StoreErrorKind::Unavailable));
    }
    let now = database.rows("SELECT clock_timestamp()").remove(0);
    let waiting = format!(
        "SELECT query_start > '{now}' FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'"
    );
    loop {
        let waiting = database.rows(&waiting);
        assert!(!waiting.contains(&"t".to_owned()), "a statement that nobody waits for");
        if waiting.is_empty() {
            break;
        }
    }
    holder.batch_execute("COMMIT").await.unwrap();
    for row in &rows {
        let rotation = rotation_of(row);
        let rotate = async || store.rotate_session(app, &row.handle, rotation.clone()).await;
        assert!(until_answered(rotate).await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_writes_can_be_read() {
    let database = Database::new();
    let row = session();
    open(&database).await.insert_session(&app(), row.clone()).await.unwrap();
    let name = database.name();
    database.run(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    let store = open(&database).await;
    assert!(store.get_session(&app(), &row.handle).await.unwrap().is_some());
    for answer in [
        kind(store.insert_session(&app(), session()).await),
        kind(store.rotate_session(&app(), &row.handle, rotation_of(&row)).await),
        kind(store.replace_session_data(&app(), &row.handle, "{}".into(), None, NOW).await),
        kind(store.remove_sessions(&app(), std::slice::from_ref(&row.handle)).await),
        kind(store.add_signing_key(&app(), key(), None).await),
    ] {
        assert_eq!(answer, Some(StoreErrorKind::NotWritable));
    }
    database.run(&format!(
        "SET default_transaction_read_only = off;
        ALTER DATABASE {name} RESET default_transaction_read_only"
    ));
    store.insert_session(&app(), session()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_closed_says_so() {
    let store = open(&Database::new()).await;
    let other = store.clone();
    store.insert_session(&app(), session()).await.unwrap();
    other.close();
    let answer = store.insert_session(&app(), session()).await;
    assert_eq!(kind(answer), Some(StoreErrorKind::Unavailable));
    let answer = store.get_session(&app(), &"x".into()).await;
    assert!(answer.err().unwrap().to_string().contains("closed"));
}
