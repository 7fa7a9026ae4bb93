use std::{net::TcpListener, time::Duration};

use sessile_core::store::{Store, StoreErrorKind};
use sessile_postgres::PostgresOptions;
use sessile_postgres_fixture::{Cluster, Database, Shutdown};

use crate::{app, kind, outage::end_connections, session};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_passed_over() {
    let database = Database::new();
    let closed_port = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = database.url_at_any_of(&[closed_port, Cluster::shared().port()]);
    let store = PostgresOptions::from_url(&url).unwrap().open().await.unwrap();
    store.insert_session(&app(), session()).await.unwrap();
}

/// A server that accepts connections and says nothing costs its time once, and not whenever a
/// connection is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_silent_is_passed_over() {
    let database = Database::new();
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let ports = [silent.local_addr().unwrap().port(), Cluster::shared().port()];
    let options = PostgresOptions::from_url(&database.url_at_any_of(&ports)).unwrap();
    let store = options.connect_timeout(Duration::from_millis(200)).open().await.unwrap();
    for _ in 0..3 {
        end_connections(&database);
        let row = session();
        store.insert_session(&app(), row.clone()).await.unwrap();
        store.get_session(&app(), &row.handle).await.unwrap().unwrap();
    }
    silent.set_nonblocking(true).unwrap();
    assert_eq!(silent.incoming().map_while(Result::ok).count(), 1);
}

/// The one that takes writes is found, and found again when another one takes its place.
#[tokio::test(flavor = "multi_thread")]
async fn the_primary_is_found_and_followed() {
    const READ_ONLY: (&str, &str) = ("default_transaction_read_only", "on");
    let clusters = [Cluster::start(&[]), Cluster::start(&[])];
    let databases = [clusters[0].database(), clusters[1].database()];
    // Two servers stand for one and its replica: what is in the one is in the other.
    for database in &databases {
        crate::open(database).await;
    }
    let restart = |index: usize, settings: &[(&str, &str)]| {
        clusters[index].set(settings);
        clusters[index].stop(Shutdown::Fast);
        clusters[index].start_again();
    };
    let count =
        |index: usize| databases[index].rows("SELECT count(*) FROM session_info")[0].clone();

    restart(0, &[READ_ONLY]);
    let ports = [clusters[0].port(), clusters[1].port()];
    let url = databases[0].url_at_any_of(&ports);
    let options = || PostgresOptions::from_url(&url).unwrap();
    let store = options().open().await.unwrap();
    let row = session();
    store.insert_session(&app(), row.clone()).await.unwrap();
    assert_eq!([count(0), count(1)], ["0", "1"]);
    let any = options().setting("target_session_attrs", "any").unwrap();
    let answer = any.open().await.unwrap().insert_session(&app(), session()).await;
    assert_eq!(kind(answer), Some(StoreErrorKind::NotWritable));

    // The old primary does not end the connections of its clients, also of those who only read.
    let read = async || store.get_session(&app(), &row.handle).await.unwrap().is_some();
    assert_eq!([read().await, read().await], [true, true]);
    restart(0, &[]);
    databases[1]
        .run("ALTER SYSTEM SET default_transaction_read_only = on; SELECT pg_reload_conf()");
    while databases[1].rows("SHOW default_transaction_read_only") != ["on"] {}
    let refused = store.insert_session(&app(), session()).await;
    assert_eq!(kind(refused), Some(StoreErrorKind::NotWritable));
    store.insert_session(&app(), session()).await.unwrap();
    assert_eq!([count(0), count(1)], ["1", "1"]);
    assert_eq!([read().await, read().await], [false, false], "which is in the old one");
}
