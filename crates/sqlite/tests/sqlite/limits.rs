use std::{collections::BTreeSet, num::NonZeroUsize};

use sessile_core::{
    NewSession, SessionHandle, SessionService, Sessions,
    policy::Policy,
    store::{SessionLimit, WhenFull},
};
use sessile_sqlite::SqliteStore;

use crate::Folder;

const MAXIMUM: usize = 5;
const LOGINS: usize = 32;

async fn sessions(store: SqliteStore, when_full: WhenFull) -> Sessions<SqliteStore> {
    let maximum = NonZeroUsize::new(MAXIMUM).unwrap();
    let session_limit = Some(SessionLimit { maximum, when_full });
    let policy = Policy { session_limit, ..Policy::default() };
    Sessions::builder(store).policy(policy).build().await.unwrap()
}

async fn handles(sessions: &Sessions<SqliteStore>) -> BTreeSet<SessionHandle> {
    let handles = sessions.get_all_session_handles_for_user("alice").await.unwrap();
    handles.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_logins_at_once_through_two_stores_there_are_never_too_many() {
    for when_full in [WhenFull::EndOldest, WhenFull::Refuse] {
        let folder = Folder::new();
        let engines =
            [sessions(folder.open(), when_full).await, sessions(folder.open(), when_full).await];
        let logins: Vec<_> = (0..LOGINS)
            .map(|number| {
                let engine = engines[number % 2].clone();
                tokio::spawn(async move {
                    let issued = engine.create_session(NewSession::new("alice")).await;
                    assert!(handles(&engine).await.len() <= MAXIMUM);
                    issued.map(|issued| issued.session.handle().clone())
                })
            })
            .collect();
        let mut successful = BTreeSet::new();
        for login in logins {
            match login.await.unwrap() {
                Ok(handle) => assert!(successful.insert(handle)),
                Err(error) => assert_eq!(error.reason_code(), "too_many_sessions"),
            }
        }
        let left = handles(&engines[0]).await;
        assert_eq!(left.len(), MAXIMUM);
        assert!(left.is_subset(&successful));
        assert_eq!(successful.len(), if when_full == WhenFull::Refuse { MAXIMUM } else { LOGINS });
        assert_eq!(handles(&engines[1]).await, left);
    }
}
