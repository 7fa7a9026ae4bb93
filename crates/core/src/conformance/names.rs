use super::samples::{
    NOW, after_now, answered, assert_stored, found, fresh_app, fresh_name, inserted, rotation_of,
    session_of, signing_key,
};
use crate::{
    clock::Timestamp,
    identifier::{SessionHandle, TenantScope},
    store::{Accounts, SessionRecord, Store, StoredSigningKey, Sweep, Swept},
};

/// Nothing of one app is seen or changed in the name of another, equal names included.
pub async fn apps_are_kept_apart<S: Store>(store: &S) {
    let (ours, theirs) = (fresh_app(), fresh_app());
    let mine = inserted(store, &ours, session_of("alice")).await;
    assert!(found(store, &theirs, &mine.handle).await.is_none(), "reading another app's session");
    let rotated = store.rotate_session(&theirs, &mine.handle, rotation_of(&mine)).await;
    assert!(answered(rotated).is_none(), "rotating another app's session");

    let same_handle = SessionRecord { handle: mine.handle.clone(), ..session_of("alice") };
    let same_handle = inserted(store, &theirs, same_handle).await;
    assert_stored(store, &ours, &mine, "a handle in two apps").await;
    assert_stored(store, &theirs, &same_handle, "a handle in two apps").await;

    let replaced =
        store.replace_session_data(&theirs, &mine.handle, r#"{"x":1}"#.into(), None, NOW).await;
    answered(replaced);
    let replaced = store.replace_jwt_payload(&theirs, &mine.handle, "{}".into(), NOW).await;
    answered(replaced);
    let rotated = store.rotate_session(&theirs, &mine.handle, rotation_of(&same_handle)).await;
    assert!(answered(rotated).is_some(), "rotating the other session of that name");
    assert_stored(store, &ours, &mine, "after its namesake was changed").await;

    let listed =
        store.sessions_of_user(&ours, "alice", Accounts::Linked, &TenantScope::All, NOW).await;
    assert_eq!(answered(listed).len(), 1, "sessions of a user who is in two apps");
    let removed = store
        .remove_sessions_of_user(&theirs, "alice", Accounts::Linked, &TenantScope::All, None)
        .await;
    let handles = answered(removed).into_iter().map(|removed| removed.handle);
    assert!(handles.eq([same_handle.handle]), "removing a user of one app");
    let removed = store.remove_sessions(&theirs, std::slice::from_ref(&mine.handle)).await;
    assert_eq!(answered(removed), [], "removing another app's session");
    assert_stored(store, &ours, &mine, "after its namesake was removed").await;

    let key = signing_key(NOW);
    answered(store.add_signing_key(&ours, key.clone(), None).await);
    assert_eq!(answered(store.signing_keys(&theirs).await), [], "another app's keys");
    let namesake = StoredSigningKey { material: fresh_name(), ..key.clone() };
    let added = store.add_signing_key(&theirs, namesake.clone(), None).await;
    assert!(answered(added) == [namesake.clone()], "a key id in two apps");
    assert!(answered(store.signing_keys(&ours).await) == [key.clone()], "a key id in two apps");

    let everything = Sweep {
        sessions_expired_before: Timestamp::MAX,
        keys_created_before: Timestamp::MAX,
        limit: 1000,
    };
    let swept = answered(store.sweep(&theirs, everything).await);
    assert_eq!(swept, Swept { sessions: 0, keys: 1 }, "sweeping another app");
    assert_stored(store, &ours, &mine, "after another app was swept").await;
    assert!(answered(store.signing_keys(&ours).await) == [key], "after another app was swept");

    for (app, secret) in [(&ours, "ours"), (&theirs, "theirs")] {
        let kept = store.secret(app, "name", secret.to_owned()).await;
        assert_eq!(answered(kept), secret, "a secret of that name in two apps");
    }
}

/// Names are compared byte by byte: no case, accent, trailing space or wildcard is overlooked.
pub async fn names_are_compared_exactly<S: Store>(store: &S) {
    let app = fresh_app();
    let name = fresh_name();
    let names: Vec<String> = ["alice", "Alice", "alice ", "álice", "a\u{301}lice", "alic_", "%"]
        .iter()
        .map(|end| format!("{name}-{end}"))
        .collect();
    let mut sessions = Vec::new();
    for (milliseconds, name) in (0..).zip(&names) {
        let session = SessionRecord {
            handle: SessionHandle::new(name),
            created_at: after_now(milliseconds),
            ..session_of(name)
        };
        sessions.push(inserted(store, &app, session).await);
        let kept = store.secret(&app, name, name.clone()).await;
        assert_eq!(answered(kept), *name, "a secret with a similar name");
    }
    for session in &sessions {
        assert_stored(store, &app, session, "beside similar names").await;
        let listed = store
            .sessions_of_user(&app, &session.user_id, Accounts::Linked, &TenantScope::All, NOW)
            .await;
        assert!(answered(listed) == [session.clone()], "listing {:?}", session.user_id);
    }
    for session in &sessions {
        let removed = store
            .remove_sessions_of_user(
                &app,
                &session.user_id,
                Accounts::Linked,
                &TenantScope::All,
                None,
            )
            .await;
        let removed = answered(removed);
        assert!(
            removed.iter().map(|removed| &removed.handle).eq([&session.handle]),
            "removing {:?}",
            session.user_id
        );
    }
}
