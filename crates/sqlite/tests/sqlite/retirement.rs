use std::time::Duration;

use sessile_core::{
    AppId, conformance,
    store::{Moves, Store as _, StoreErrorKind, TenantStore as _},
};
use sessile_sqlite::{SqliteStore, examine};

use crate::{Folder, session};

#[tokio::test]
async fn nobody_writes_to_a_store_that_is_held_or_retired() {
    let (folder, app) = (Folder::new(), AppId::default());
    let first = session();
    let mover = folder.open();
    mover.insert_session(&app, first.clone()).await.unwrap();
    // Waiting is another's test; nobody else may be about to end, or have the file locked.
    let options = SqliteStore::options().busy_timeout(Duration::ZERO);
    let server = options.open(folder.file("")).unwrap();
    let insert = async || {
        let inserted = server.insert_session(&app, session()).await;
        inserted.map(drop).map_err(|error| error.kind())
    };

    let held = mover.hold_writers().unwrap();
    assert_eq!(insert().await, Err(StoreErrorKind::Unavailable));
    drop(held);
    assert_eq!(insert().await, Ok(()), "nothing was retired");

    mover.hold_writers().unwrap().retire("elsewhere").unwrap();
    assert_eq!(insert().await, Err(StoreErrorKind::NotWritable));
    let remove = std::slice::from_ref(&first.handle);
    let error = server.remove_sessions(&app, remove).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::NotWritable);
    assert!(error.to_string().contains("moved to another store"), "{error}");
    assert!(server.secret(&app, "new", "secret".into()).await.is_err());
    assert!(server.remove_app(&app).await.is_err());
    assert!(server.get_session(&app, &first.handle).await.unwrap().is_some(), "reads go on");
    // A store that is opened now is told the same.
    assert!(folder.open().insert_session(&app, session()).await.is_err());
    mover.hold_writers().unwrap().retire("elsewhere").unwrap();

    assert!(examine(folder.file(""), None).unwrap().is_retired);

    mover.reinstate().unwrap();
    assert!(!examine(folder.file(""), None).unwrap().is_retired);
    assert_eq!(insert().await, Ok(()));
}

#[tokio::test]
async fn a_retired_store_refuses_every_write() {
    let folder = Folder::new();
    let store = folder.open();
    let retire = async { store.hold_writers().unwrap().retire("elsewhere").unwrap() };
    conformance::a_retired_store_refuses_every_write(&store, retire).await;
    store.reinstate().unwrap();
    store.insert_session(&AppId::default(), session()).await.unwrap();
}

#[tokio::test]
async fn what_was_moved_is_noted() {
    let folder = Folder::new();
    let store = folder.open();
    assert_eq!(store.moves().await.unwrap(), Moves::default());
    for note in ["first", "second"] {
        store.note_arrival(note).await.unwrap();
    }
    let arrived = Moves { arrival: Some("second".into()), ..Moves::default() };
    assert_eq!(store.moves().await.unwrap(), arrived);
    store.hold_writers().unwrap().retire("elsewhere").unwrap();
    let moves = folder.open().moves().await.unwrap();
    let departure = Some("elsewhere".into());
    assert_eq!(moves, Moves { is_retired: true, departure, ..arrived.clone() });
    store.reinstate().unwrap();
    assert_eq!(store.moves().await.unwrap(), arrived);
}
