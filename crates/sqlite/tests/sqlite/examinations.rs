use std::fs;

use sessile_core::{
    AppId,
    store::{Store as _, StoreErrorKind},
};
use sessile_sqlite::examine;

use crate::{Folder, session};

#[tokio::test]
async fn a_file_is_examined_while_it_is_open() {
    let (folder, app) = (Folder::new(), AppId::default());
    let store = folder.open();
    store.insert_session(&app, session()).await.unwrap();
    store.secret(&app, "refresh_token_key", "secret".into()).await.unwrap();
    store.secret(&app, "sessile_refresh_token_key", "no base64!".into()).await.unwrap();
    let found = examine(folder.file(""), None).unwrap();
    assert_eq!((found.version, found.sessions, found.damage), (found.known_version, 1, None));
    assert_eq!(found.usable_keys, 1);
    let [[app, key, problem]] = found.unusable_keys.as_slice() else { panic!("one is unusable") };
    assert_eq!((app.as_str(), key.as_str()), ("public", "sessile_refresh_token_key"));
    assert!(problem.contains("reading the refresh-token key"), "{problem}");
}

#[tokio::test]
async fn what_is_no_store_is_told_apart() {
    let folder = Folder::new();
    let kind = || examine(folder.file(""), None).unwrap_err().kind();
    assert_eq!(kind(), StoreErrorKind::Unavailable);
    assert!(!folder.file("").exists());
    fs::write(folder.file(""), "").unwrap();
    assert_eq!(examine(folder.file(""), None).unwrap().version, 0);
    rusqlite::Connection::open(folder.file("")).unwrap().execute("CREATE TABLE a (b)", []).unwrap();
    assert_eq!(kind(), StoreErrorKind::Incompatible);
}

#[tokio::test]
async fn damage_is_found() {
    let (folder, app) = (Folder::new(), AppId::default());
    let store = folder.open();
    for _ in 0..200 {
        store.insert_session(&app, session()).await.unwrap();
    }
    drop(store);
    assert!(folder.is_closed());
    // The first page says what the tables are; the rest is their rows.
    let mut bytes = fs::read(folder.file("")).unwrap();
    let page = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
    bytes[page..].iter_mut().for_each(|byte| *byte = !*byte);
    fs::write(folder.file(""), bytes).unwrap();
    match examine(folder.file(""), None) {
        Ok(found) => assert!(found.damage.is_some(), "{found:?}"),
        Err(error) => assert!(error.to_string().contains("malformed"), "{error}"),
    }
}
