use std::time::Duration;

use rusqlite::Connection;
use sessile_core::{
    AppId,
    store::{Store, StoreErrorKind},
};
use sessile_sqlite::SqliteStore;

use crate::{Folder, send, session};

/// Locks the file as another process would that writes, until it is dropped.
fn lock(folder: &Folder) -> Connection {
    let connection = Connection::open(folder.file("")).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

#[tokio::test]
async fn concurrent_requests_are_committed_together() {
    let (folder, app) = (Folder::new(), &AppId::default());
    let store = folder.open();
    let before = store.statistics();
    let locked = lock(&folder);
    let inserts: Vec<_> = (0..200).map(|_| send(store.insert_session(app, session()))).collect();
    drop(locked);
    for insert in inserts {
        insert.await.unwrap();
    }
    let after = store.statistics();
    assert_eq!(after.writes - before.writes, 200);
    // What the writer took before the file was locked, and all the rest.
    assert!(after.commits - before.commits <= 2, "{after:?}");
}

#[tokio::test]
async fn a_lone_request_is_committed_at_once() {
    let (folder, app) = (Folder::new(), AppId::default());
    let store = folder.open();
    let before = store.statistics();
    for done in 1..=3 {
        store.insert_session(&app, session()).await.unwrap();
        let after = store.statistics();
        assert_eq!((after.commits - before.commits, after.writes - before.writes), (done, done));
    }
}

#[tokio::test]
async fn a_refused_request_does_not_take_others_with_it() {
    let (folder, app) = (Folder::new(), AppId::default());
    let store = folder.open();
    let sessions = [session(), session()];
    let locked = lock(&folder);
    let first = send(store.insert_session(&app, sessions[0].clone()));
    let again = send(store.insert_session(&app, sessions[0].clone()));
    let other = send(store.insert_session(&app, sessions[1].clone()));
    drop(locked);
    first.await.unwrap();
    assert_eq!(again.await.unwrap_err().kind(), StoreErrorKind::AlreadyExists);
    other.await.unwrap();
    for session in sessions {
        assert!(store.get_session(&app, &session.handle).await.unwrap() == Some(session));
    }
}

#[tokio::test]
async fn a_locked_file_is_reported_to_all_and_changes_nothing() {
    let (folder, app) = (Folder::new(), &AppId::default());
    let options = SqliteStore::options().busy_timeout(Duration::from_millis(50));
    let store = options.open(folder.file("")).unwrap();
    let sessions: Vec<_> = (0..10).map(|_| session()).collect();
    let locked = lock(&folder);
    let inserts: Vec<_> =
        sessions.iter().map(|session| send(store.insert_session(app, session.clone()))).collect();
    for insert in inserts {
        let error = insert.await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(error.to_string().contains("busy timeout"), "{error}");
    }
    // Reading goes on beside a writer.
    for session in &sessions {
        assert!(store.get_session(app, &session.handle).await.unwrap().is_none());
    }
    drop(locked);
    store.insert_session(app, sessions[0].clone()).await.unwrap();
}

#[tokio::test]
async fn a_caller_that_goes_away_changes_nothing_for_others() {
    let (folder, app) = (Folder::new(), AppId::default());
    let store = folder.open();
    let sessions = [session(), session(), session()];
    let locked = lock(&folder);
    let first = send(store.insert_session(&app, sessions[0].clone()));
    drop(send(store.insert_session(&app, sessions[1].clone())));
    drop(send(store.get_session(&app, &sessions[1].handle)));
    let last = send(store.insert_session(&app, sessions[2].clone()));
    drop(locked);
    first.await.unwrap();
    last.await.unwrap();
    for session in sessions {
        assert!(store.get_session(&app, &session.handle).await.unwrap() == Some(session));
    }
}

#[tokio::test]
async fn what_was_sent_before_the_store_was_dropped_is_done() {
    let (folder, app) = (Folder::new(), AppId::default());
    let store = folder.open();
    let sessions: Vec<_> = (0..20).map(|_| session()).collect();
    let locked = lock(&folder);
    // The only clones are in the futures, and go with them.
    let inserts: Vec<_> = sessions
        .iter()
        .map(|session| {
            let (store, app, session) = (store.clone(), app.clone(), session.clone());
            send(async move { store.insert_session(&app, session).await })
        })
        .collect();
    drop((inserts, store));
    drop(locked);
    assert!(folder.is_closed());
    let store = folder.open();
    for session in sessions {
        assert!(store.get_session(&app, &session.handle).await.unwrap() == Some(session));
    }
}
