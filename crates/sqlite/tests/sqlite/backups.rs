use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use sessile_core::{
    AppId, NewSession, SessionService, Sessions, VerifyRequest, WrappingKey,
    random::SystemRandom,
    store::{SessionRecord, Store, StoreErrorKind},
};
use sessile_sqlite::SqliteStore;

use crate::{Folder, session};

impl Folder {
    fn copy(&self) -> PathBuf {
        self.0.path().join("copy.db")
    }

    /// The names of all files beside the database's own.
    fn others(&self) -> Vec<String> {
        let names = fs::read_dir(self.0.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.starts_with("sessions.db")).collect()
    }
}

async fn engine(store: SqliteStore, key: &WrappingKey) -> Sessions<SqliteStore> {
    Sessions::builder(store).wrapping_key(key.clone()).build().await.unwrap()
}

#[tokio::test]
async fn a_copy_is_a_store_with_everything_in_it() {
    let (folder, key) = (Folder::new(), WrappingKey::generate(&SystemRandom).unwrap());
    let original = engine(folder.open(), &key).await;
    let issued = original.create_session(NewSession::new("alice")).await.unwrap();
    let child = original.refresh(issued.refresh_token.token.expose().into()).await.unwrap();
    original.store().back_up(folder.copy()).await.unwrap();
    assert_eq!(folder.others(), ["copy.db"]);
    // What happens from now on is not in the copy.
    let late = original.create_session(NewSession::new("alice")).await.unwrap();
    original.revoke_session(issued.session.handle()).await.unwrap();

    let restored = engine(SqliteStore::open(folder.copy()).unwrap(), &key).await;
    let again = restored.refresh(issued.refresh_token.token.expose().into()).await.unwrap();
    assert_eq!(again.refresh_token.token, child.refresh_token.token, "its sealed child too");
    let verified = restored.verify(VerifyRequest::new(child.access_token.token.expose())).await;
    assert!(verified.is_ok(), "with the same keys");
    let handles = restored.get_all_session_handles_for_user("alice").await.unwrap();
    assert_eq!(handles, [issued.session.handle().clone()]);
    assert_ne!(handles[0], *late.session.handle());

    let elsewhere = WrappingKey::generate(&SystemRandom).unwrap();
    let wrong = Sessions::builder(SqliteStore::open(folder.copy()).unwrap());
    assert!(wrong.wrapping_key(elsewhere).build().await.is_err(), "and with no other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_copy_is_of_one_moment_while_writes_go_on() {
    let (folder, app) = (Folder::new(), AppId::default());
    let store = folder.open();
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = {
        let (store, app, is_over) = (store.clone(), app.clone(), Arc::clone(&is_over));
        tokio::spawn(async move {
            let mut written: Vec<SessionRecord> = Vec::new();
            while !is_over.load(Ordering::SeqCst) {
                let row = session();
                store.insert_session(&app, row.clone()).await.unwrap();
                written.push(row);
            }
            written
        })
    };
    let mut copies = Vec::new();
    for number in 0..5 {
        let before = session();
        store.insert_session(&app, before.clone()).await.unwrap();
        let copy = folder.0.path().join(format!("copy-{number}.db"));
        store.back_up(&copy).await.unwrap();
        copies.push((copy, before));
    }
    is_over.store(true, Ordering::SeqCst);
    let written = writer.await.unwrap();
    for (path, before) in copies {
        let copy = SqliteStore::open(&path).unwrap();
        let found = copy.get_session(&app, &before.handle).await.unwrap();
        assert!(found.as_ref() == Some(&before), "what was acknowledged before is in it");
        // The writer wrote one after the other, so a copy of one moment has no gap.
        let mut number = 0;
        for row in &written {
            match copy.get_session(&app, &row.handle).await.unwrap() {
                Some(found) => assert!(found == *row),
                None => break,
            }
            number += 1;
        }
        for row in &written[number..] {
            assert!(copy.get_session(&app, &row.handle).await.unwrap().is_none());
        }
    }
}

#[tokio::test]
async fn a_store_reads_on_and_stays_as_it_was_after_a_backup() {
    let (folder, app) = (Folder::new(), AppId::default());
    let store = SqliteStore::options().readers(1).open(folder.file("")).unwrap();
    let row = session();
    store.insert_session(&app, row.clone()).await.unwrap();
    for number in 0..3 {
        store.back_up(folder.0.path().join(number.to_string())).await.unwrap();
        assert!(store.get_session(&app, &row.handle).await.unwrap() == Some(row.clone()));
    }
    let again = store.back_up(folder.0.path().join("0")).await.unwrap_err();
    assert_eq!(again.kind(), StoreErrorKind::NotWritable);
}

/// Also where there is one thread only that reads.
#[tokio::test]
async fn nobody_who_reads_waits_for_backups() {
    const BACKUPS: usize = 20;
    let (folder, app) = (Folder::new(), AppId::default());
    let store = SqliteStore::options().readers(1).open(folder.file("")).unwrap();
    let row = session();
    store.insert_session(&app, row.clone()).await.unwrap();
    let back_up = |number: usize| {
        let (store, copy) = (store.clone(), folder.0.path().join(number.to_string()));
        tokio::spawn(async move { store.back_up(copy).await.unwrap() })
    };
    let backups: Vec<_> = (0..BACKUPS).map(back_up).collect();
    // Now they are sent, before the reading.
    tokio::task::yield_now().await;
    store.get_session(&app, &row.handle).await.unwrap().unwrap();
    assert!(!backups.iter().all(tokio::task::JoinHandle::is_finished));
    for backup in backups {
        backup.await.unwrap();
    }
}

#[tokio::test]
async fn what_is_there_is_never_overwritten() {
    let (folder, app) = (Folder::new(), AppId::default());
    let store = folder.open();
    store.insert_session(&app, session()).await.unwrap();
    for content in ["", "Dear diary"] {
        fs::write(folder.copy(), content).unwrap();
        let refused = store.back_up(folder.copy()).await.unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::NotWritable);
        assert!(refused.to_string().contains("there already"), "{refused}");
        assert_eq!(fs::read_to_string(folder.copy()).unwrap(), content);
    }
    let itself = store.back_up(folder.file("")).await.unwrap_err();
    assert_eq!(itself.kind(), StoreErrorKind::NotWritable);
    let missing = folder.0.path().join("missing").join("copy.db");
    let refused = store.back_up(missing).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::NotWritable);
    assert_eq!(folder.others(), ["copy.db"]);
}

#[tokio::test]
async fn a_backup_that_fails_leaves_nothing_behind() {
    let (folder, app) = (Folder::new(), AppId::default());
    let store = folder.open();
    for _ in 0..200 {
        store.insert_session(&app, session()).await.unwrap();
    }
    drop(store);
    assert!(folder.is_closed());
    // Pages of rows, not those that are read when the file is opened.
    let mut content = fs::read(folder.file("")).unwrap();
    let end = content.len();
    content[end / 2..].fill(0xff);
    fs::write(folder.file(""), content).unwrap();

    let store = folder.open();
    let failed = store.back_up(folder.copy()).await.unwrap_err();
    assert_eq!(failed.kind(), StoreErrorKind::Other, "{failed}");
    assert_eq!(folder.others(), [""; 0]);
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_a_copy() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    let store = folder.open();
    store.insert_session(&AppId::default(), session()).await.unwrap();
    store.back_up(folder.copy()).await.unwrap();
    assert_eq!(fs::metadata(folder.copy()).unwrap().permissions().mode() & 0o7777, 0o600);
}
