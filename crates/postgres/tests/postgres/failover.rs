//! A primary with a standby, which takes its place.

use sessile_core::store::{SessionRecord, Store, StoreErrorKind};
use sessile_postgres::PostgresOptions;
use sessile_postgres_fixture::{Cluster, Shutdown};

use crate::{app, kind, outage::until_answered, rotation_of, session};

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_the_place_of_its_primary_and_nothing_is_lost() {
    let primary = Cluster::start(&[]);
    let database = primary.database();
    let standby = primary.start_standby();
    let url = database.url_at_any_of(&[primary.port(), standby.port()]);
    let store = PostgresOptions::from_url(&url).unwrap().open().await.unwrap();
    let rotate = async |row: &SessionRecord| {
        store.rotate_session(&app(), &row.handle, rotation_of(row)).await
    };
    let mut rows = Vec::new();
    for _ in 0..20 {
        let row = session();
        store.insert_session(&app(), row.clone()).await.unwrap();
        rows.push(rotate(&row).await.unwrap().unwrap());
    }

    primary.stop(Shutdown::Immediate);
    // The standby would not take the write, and is not asked to.
    for row in &rows {
        assert_eq!(kind(rotate(row).await), Some(StoreErrorKind::Unavailable));
        let answer = store.get_session(&app(), &row.handle).await;
        assert_eq!(kind(answer), Some(StoreErrorKind::Unavailable));
    }
    standby.promote();
    for row in &rows {
        let found = until_answered(async || store.get_session(&app(), &row.handle).await).await;
        assert!(found.as_ref() == Some(row));
        let rotated = until_answered(async || rotate(row).await).await.unwrap();
        assert!(rotate(row).await.unwrap().is_none());
        assert!(store.get_session(&app(), &row.handle).await.unwrap() == Some(rotated));
    }
}

/// Which a store may be opened on for what only reads, such as verifying access tokens.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_read_and_not_written() {
    // What is acknowledged is shown by the standby, too.
    let primary = Cluster::start(&[("synchronous_commit", "remote_apply")]);
    let database = primary.database();
    let standby = primary.start_standby();
    let open = async |port| PostgresOptions::from_url(&database.url_at(port)).unwrap().open().await;
    // There are no tables yet, and none can be made here.
    assert_eq!(kind(open(standby.port()).await), Some(StoreErrorKind::NotWritable));

    let row = session();
    let store = open(primary.port()).await.unwrap();
    store.insert_session(&app(), row.clone()).await.unwrap();
    let copy = open(standby.port()).await.unwrap();
    assert!(copy.get_session(&app(), &row.handle).await.unwrap().as_ref() == Some(&row));
    for answer in [
        kind(copy.insert_session(&app(), session()).await),
        kind(copy.rotate_session(&app(), &row.handle, rotation_of(&row)).await),
        kind(copy.remove_sessions(&app(), std::slice::from_ref(&row.handle)).await),
        kind(copy.secret(&app(), "new", "secret".into()).await),
    ] {
        assert_eq!(answer, Some(StoreErrorKind::NotWritable));
    }
    assert!(copy.get_session(&app(), &row.handle).await.unwrap() == Some(row));
}
