use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use sessile_core::{
    AppId,
    rotation::{Advance, Rotation, RotationChange, RotationGuard, TokenHash},
    store::{DataReplacement, DataVersion, SessionRecord, Store},
};
use sessile_sqlite::SqliteStore;

use crate::{Folder, NOW, session};

fn count(session: &SessionRecord) -> u32 {
    session.session_data.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_stores_lose_no_increment() {
    let (folder, app) = (Folder::new(), AppId::default());
    let stores = [folder.open(), folder.open()];
    let counter = SessionRecord { session_data: "0".into(), ..session() };
    let handle = counter.handle.clone();
    stores[0].insert_session(&app, counter).await.unwrap();

    let increment = async |store: SqliteStore| {
        for _ in 0..5 {
            loop {
                let row = store.get_session(&app, &handle).await.unwrap().unwrap();
                let (next, version) = (count(&row) + 1, DataVersion::of(&row.session_data));
                let replaced =
                    store.replace_session_data(&app, &handle, next.to_string(), Some(version), NOW);
                match replaced.await.unwrap() {
                    DataReplacement::Replaced => break,
                    DataReplacement::Conflict => {}
                    DataReplacement::NoSession => panic!("the session is gone"),
                }
            }
        }
    };
    tokio::join!(
        increment(stores[0].clone()),
        increment(stores[1].clone()),
        increment(stores[0].clone()),
        increment(stores[1].clone()),
    );
    for store in &stores {
        let row = store.get_session(&app, &handle).await.unwrap().unwrap();
        assert_eq!(count(&row), 20);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_stores_rotate_a_session_once() {
    let folder = Folder::new();
    let stores = [folder.open(), folder.open()];
    let row = session();
    stores[0].insert_session(&AppId::default(), row.clone()).await.unwrap();

    let rotations: Vec<_> = (2..18)
        .map(|number| {
            let (store, handle) = (stores[number % 2].clone(), row.handle.clone());
            let rotation = Rotation {
                guard: RotationGuard {
                    current: row.refresh_token_hash,
                    or_current: None,
                    previous: None,
                    alive_at: NOW,
                },
                change: RotationChange {
                    current: TokenHash::from_bytes([u8::try_from(number).unwrap(); 32]),
                    sealed_child: None,
                    advance: Some(Advance {
                        previous: row.refresh_token_hash,
                        rotated_at: NOW,
                        expires_at: row.expires_at,
                    }),
                    use_static_key: None,
                },
            };
            tokio::spawn(async move {
                store.rotate_session(&AppId::default(), &handle, rotation).await.unwrap()
            })
        })
        .collect();
    let mut winners = Vec::new();
    for rotation in rotations {
        winners.extend(rotation.await.unwrap());
    }
    assert_eq!(winners.len(), 1);
    for store in &stores {
        let found = store.get_session(&AppId::default(), &row.handle).await.unwrap();
        assert!(found.as_ref() == winners.first());
    }
}

#[tokio::test]
async fn a_store_sees_what_another_has_acknowledged() {
    let (folder, app) = (Folder::new(), AppId::default());
    let stores = [folder.open(), folder.open()];
    for number in 0..20 {
        let row = session();
        stores[number % 2].insert_session(&app, row.clone()).await.unwrap();
        let found = stores[(number + 1) % 2].get_session(&app, &row.handle).await.unwrap();
        assert!(found == Some(row));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_is_never_idle_leaves_others_their_turn() {
    let (folder, app) = (Folder::new(), AppId::default());
    let busy = folder.open();
    let other = SqliteStore::options().busy_timeout(Duration::from_secs(1));
    let other = other.open(folder.file("")).unwrap();
    let is_done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let (busy, app, is_done) = (busy.clone(), app.clone(), Arc::clone(&is_done));
            tokio::spawn(async move {
                while !is_done.load(Ordering::Relaxed) {
                    busy.insert_session(&app, session()).await.unwrap();
                }
            })
        })
        .collect();
    let mut refused = 0;
    for _ in 0..50 {
        refused += u32::from(other.insert_session(&app, session()).await.is_err());
    }
    is_done.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(refused, 0, "of 50 writes beside those of a busy store");
}

#[test]
fn many_may_open_a_new_file_at_once() {
    for _ in 0..10 {
        let folder = Folder::new();
        let barrier = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    folder.open()
                });
            }
        });
    }
}
