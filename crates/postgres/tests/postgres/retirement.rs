use std::time::Duration;

use sessile_core::{
    clock::Timestamp,
    conformance,
    store::{BulkStore as _, Moves, Store as _, StoreErrorKind, StoredSigningKey},
};
use sessile_postgres_fixture::Database;

use crate::{SUPERTOKENS_TABLES, app, kind, open, options, session};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_to_a_store_that_is_held_or_retired() {
    let database = Database::new();
    let mover = open(&database).await;
    let server =
        options(&database).request_timeout(Duration::from_millis(200)).open().await.unwrap();
    let (app, first) = (app(), session());
    server.insert_session(&app, first.clone()).await.unwrap();
    let insert = async || kind(server.insert_session(&app, session()).await);

    let held = mover.hold_writers().await.unwrap();
    assert_eq!(insert().await, Some(StoreErrorKind::Unavailable));
    drop(held);
    // The server learns of it when it sees that the connection is closed.
    while insert().await.is_some() {}

    mover.hold_writers().await.unwrap().retire("elsewhere").await.unwrap();
    assert_eq!(insert().await, Some(StoreErrorKind::NotWritable));
    let remove = std::slice::from_ref(&first.handle);
    let error = server.remove_sessions(&app, remove).await.unwrap_err();
    assert!(error.to_string().contains("moved to another store"), "{error}");
    assert!(server.secret(&app, "new", "secret".into()).await.is_err());
    assert!(server.get_session(&app, &first.handle).await.unwrap().is_some(), "reads go on");
    // A store that is opened now is told the same.
    assert!(open(&database).await.insert_session(&app, session()).await.is_err());
    mover.hold_writers().await.unwrap().retire("elsewhere").await.unwrap();

    mover.reinstate().await.unwrap();
    assert_eq!(insert().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_moved_is_noted() {
    for is_shared in [false, true] {
        let database = Database::new();
        if is_shared {
            database.run(SUPERTOKENS_TABLES);
        }
        let store = open(&database).await;
        assert_eq!(store.moves().await.unwrap(), Moves::default());
        for note in ["first", "second"] {
            store.note_arrival(note).await.unwrap();
        }
        let arrived = Moves { arrival: Some("second".into()), ..Moves::default() };
        assert_eq!(store.moves().await.unwrap(), arrived);
        store.hold_writers().await.unwrap().retire("elsewhere").await.unwrap();
        let moves = open(&database).await.moves().await.unwrap();
        let departure = Some("elsewhere".into());
        assert_eq!(moves, Moves { is_retired: true, departure, ..arrived.clone() });
        store.reinstate().await.unwrap();
        assert_eq!(store.moves().await.unwrap(), arrived);
        assert_eq!(store.secrets(&app()).await.unwrap(), [], "a note is no secret");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_store_refuses_every_write() {
    for is_shared in [false, true] {
        let database = Database::new();
        if is_shared {
            database.run(SUPERTOKENS_TABLES);
        }
        let store = open(&database).await;
        assert_eq!(store.is_shared_with_supertokens(), is_shared);
        let retire =
            async { store.hold_writers().await.unwrap().retire("elsewhere").await.unwrap() };
        conformance::a_retired_store_refuses_every_write(&store, retire).await;
        store.reinstate().await.unwrap();
        store.insert_session(&app(), session()).await.unwrap();
        let left = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal;
            SELECT proname FROM pg_proc WHERE proname LIKE 'sessile%'";
        assert!(database.rows(left).is_empty(), "{:?}", database.rows(left));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_for_a_shared_database_are_checked_before_they_are_put() {
    let (ours, theirs) = (Database::new(), Database::new());
    theirs.run(SUPERTOKENS_TABLES);
    let (ours, theirs) = (open(&ours).await, open(&theirs).await);
    let key = |created_at| StoredSigningKey {
        key_id: format!("d-{created_at}"),
        algorithm: "RS256".into(),
        created_at: Timestamp::from_millis(created_at),
        material: "public|private".into(),
        is_static: false,
    };
    let sealed = StoredSigningKey { material: "sealed1:|".into(), ..key(3) };
    let other = StoredSigningKey { algorithm: "ES256".into(), ..key(3) };
    for keys in [vec![sealed, key(1)], vec![other], vec![key(1), key(2)]] {
        ours.check_signing_keys(&keys).unwrap();
        ours.replace_signing_keys(&app(), keys.clone()).await.unwrap();
        assert_eq!(kind(theirs.check_signing_keys(&keys)), Some(StoreErrorKind::Incompatible));
        let put = theirs.replace_signing_keys(&app(), keys).await;
        assert_eq!(kind(put), Some(StoreErrorKind::Incompatible));
        assert_eq!(theirs.signing_keys(&app()).await.unwrap(), []);
    }
    theirs.check_signing_keys(&[key(2), key(1)]).unwrap();
    theirs.replace_signing_keys(&app(), vec![key(2), key(1)]).await.unwrap();
    assert_eq!(theirs.signing_keys(&app()).await.unwrap(), [key(2), key(1)]);
}
