use super::samples::{
    NOW, after_now, answered, assert_stored, found, fresh_app, inserted, session_of, signing_key,
};
use crate::{
    clock::Timestamp,
    identifier::TenantScope,
    store::{Accounts, SessionRecord, Store, StoredSigningKey, Sweep, Swept},
};

/// A sweep removes what is before its moments, and not what is at them.
pub async fn a_sweep_removes_what_is_before<S: Store>(store: &S) {
    let app = fresh_app();
    let sweep =
        Sweep { sessions_expired_before: NOW, keys_created_before: after_now(-1000), limit: 100 };
    let swept = answered(store.sweep(&app, sweep.clone()).await);
    assert_eq!(swept, Swept::default(), "sweeping an app without anything");

    let mut gone = Vec::new();
    for expires_at in [after_now(-1), Timestamp::default(), Timestamp::from_millis(i64::MIN)] {
        gone.push(inserted(store, &app, SessionRecord { expires_at, ..session_of("alice") }).await);
    }
    let mut left = Vec::new();
    for expires_at in [NOW, after_now(1), Timestamp::MAX] {
        let ends_at = Timestamp::MAX;
        let session = SessionRecord { expires_at, ends_at, ..session_of("alice") };
        left.push(inserted(store, &app, session).await);
    }
    let mut newest = None;
    for milliseconds in [-2000, -1001, -1000, -999] {
        let key = signing_key(after_now(milliseconds));
        let next = key.key_id.clone();
        answered(store.add_signing_key(&app, key, newest.as_deref()).await);
        newest = Some(next);
    }
    let fixed = StoredSigningKey { is_static: true, ..signing_key(after_now(-2000)) };
    answered(store.add_signing_key(&app, fixed, newest.as_deref()).await);
    let keys = answered(store.signing_keys(&app).await);

    let swept = answered(store.sweep(&app, sweep.clone()).await);
    assert_eq!(swept, Swept { sessions: 3, keys: 2 });
    for session in &gone {
        assert!(found(store, &app, &session.handle).await.is_none(), "a session swept");
    }
    for session in &left {
        assert_stored(store, &app, session, "a session that a sweep must leave").await;
    }
    let long_ago = Timestamp::from_millis(i64::MIN);
    let listed =
        store.sessions_of_user(&app, "alice", Accounts::Linked, &TenantScope::All, long_ago).await;
    assert_eq!(answered(listed).len(), left.len(), "sessions of the user after a sweep");
    let keys_left = answered(store.signing_keys(&app).await);
    assert!(keys_left == keys[..3], "the keys that a sweep must leave, newest first");

    let again = answered(store.sweep(&app, sweep).await);
    assert_eq!(again, Swept::default(), "sweeping again");
}

/// No more sessions go in one call than its limit, and repeated calls remove them all.
pub async fn a_sweep_respects_its_limit<S: Store>(store: &S) {
    let app = fresh_app();
    let mut handles = Vec::new();
    for _ in 0..10 {
        let expired = SessionRecord { expires_at: after_now(-1), ..session_of("alice") };
        handles.push(inserted(store, &app, expired).await.handle);
    }
    let alive = inserted(store, &app, session_of("alice")).await;
    let mut left = handles.len();
    for (limit, expected) in [(0, 0), (4, 4), (1, 1), (4, 4), (4, 1), (usize::MAX, 0)] {
        let sweep = Sweep {
            sessions_expired_before: NOW,
            keys_created_before: Timestamp::from_millis(i64::MIN),
            limit,
        };
        let swept = answered(store.sweep(&app, sweep).await);
        assert_eq!(swept, Swept { sessions: expected, keys: 0 }, "with {left} left, limit {limit}");
        left -= expected;
        let mut found_now = 0;
        for handle in &handles {
            found_now += usize::from(found(store, &app, handle).await.is_some());
        }
        assert_eq!(found_now, left, "sessions left after a sweep of at most {limit}");
    }
    assert_stored(store, &app, &alive, "a session that is not expired").await;
}
