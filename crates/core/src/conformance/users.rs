use std::{cell::RefCell, collections::BTreeSet};

use super::{
    interleave::{join_all, yield_once},
    samples::{
        NOW, after_now, answered, assert_same, assert_stored, found, fresh_app, fresh_name,
        inserted, session_of,
    },
};
use crate::{
    clock::Timestamp,
    identifier::{AppId, SessionHandle, TenantId, TenantScope},
    store::{Accounts, SessionRecord, Store},
};

#[expect(clippy::expect_used, reason = "the checks name valid tenants")]
fn tenant(name: &str) -> TenantId {
    name.parse().expect("a valid tenant id")
}

/// A session of the user in that tenant, whose name its handle carries.
fn session_in(tenant: &str, user_id: &str) -> SessionRecord {
    let handle = SessionHandle::new(&format!("{}_{tenant}", fresh_name()));
    SessionRecord { handle, ..session_of(user_id) }
}

async fn listed(
    store: &impl Store,
    app: &AppId,
    user_id: &str,
    tenants: &TenantScope,
) -> Vec<SessionRecord> {
    let linked = store.sessions_of_user(app, user_id, Accounts::Linked, tenants, NOW).await;
    let alone = store.sessions_of_user(app, user_id, Accounts::Alone, tenants, NOW).await;
    let linked = answered(linked);
    assert!(linked == answered(alone), "an account that is linked to no other is all of its user");
    linked
}

/// A user's sessions are listed oldest first, without the expired, within the tenants asked for.
pub async fn sessions_of_a_user_are_listed<S: Store>(store: &S) {
    let app = fresh_app();
    assert!(listed(store, &app, "alice", &TenantScope::All).await.is_empty(), "no sessions yet");

    // Neither the order of insertion nor that of the handles is the order of creation.
    let mut expected = Vec::new();
    for (milliseconds, tenant) in
        [(7, "public"), (-3, "t1"), (5, "t2"), (-2_000_000_000_000, "t1"), (0, "t1"), (6, "public")]
    {
        let session = session_in(tenant, "alice");
        let handle = match tenant {
            "public" => SessionHandle::new(&fresh_name()),
            _ => session.handle.clone(),
        };
        let session = SessionRecord { handle, created_at: after_now(milliseconds), ..session };
        expected.push(inserted(store, &app, session).await);
        inserted(store, &app, session_in(tenant, "bob")).await;
    }
    for expires_at in [NOW, after_now(-1), Timestamp::default()] {
        let expired = SessionRecord { expires_at, ..session_in("t1", "alice") };
        inserted(store, &app, expired).await;
    }
    let last_moment = SessionRecord {
        created_at: after_now(8),
        expires_at: after_now(1),
        ..session_in("t1", "alice")
    };
    expected.push(inserted(store, &app, last_moment).await);
    expected.sort_by_key(|session| session.created_at);

    for scope in ["public", "t1", "t2", "t", "t3"].map(|name| TenantScope::Only(tenant(name))) {
        let found = listed(store, &app, "alice", &scope).await;
        let expected: Vec<_> =
            expected.iter().filter(|session| scope.covers(&session.handle.tenant())).collect();
        assert_listed(&found, &expected, &format!("{scope:?}"));
    }
    let found = listed(store, &app, "alice", &TenantScope::All).await;
    assert_listed(&found, &expected.iter().collect::<Vec<_>>(), "all tenants");
    assert!(listed(store, &app, "carol", &TenantScope::All).await.is_empty(), "an unknown user");
}

#[track_caller]
fn assert_listed(found: &[SessionRecord], expected: &[&SessionRecord], when: &str) {
    let handles: Vec<_> = found.iter().map(|session| &session.handle).collect();
    let expected_handles: Vec<_> = expected.iter().map(|session| &session.handle).collect();
    assert_eq!(handles, expected_handles, "the sessions of {when}, oldest first");
    for (found, expected) in found.iter().zip(expected) {
        assert_same(Some(found), expected, when);
    }
}

/// Sessions of one user that are inserted at once are all listed.
pub async fn concurrent_inserts_are_all_listed<S: Store>(store: &S) {
    let app = &fresh_app();
    let inserted = join_all((0..20).map(|_| inserted(store, app, session_of("alice")))).await;
    let inserted: BTreeSet<_> = inserted.into_iter().map(|session| session.handle).collect();
    let listed = listed(store, app, "alice", &TenantScope::All).await;
    let listed: Vec<_> = listed.into_iter().map(|session| session.handle).collect();
    assert_eq!(listed.len(), 20, "sessions listed after 20 inserts at once");
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), inserted);
}

/// All sessions of a user in the tenants go, expired ones too, but for the exception.
pub async fn sessions_of_a_user_are_removed<S: Store>(store: &S) {
    let app = fresh_app();
    let remove = async |user_id: &str, tenants: &TenantScope, except: Option<&SessionHandle>| {
        let accounts = Accounts::Linked;
        let answer = store.remove_sessions_of_user(&app, user_id, accounts, tenants, except).await;
        let mut handles: Vec<_> = answered(answer)
            .into_iter()
            .map(|session| {
                assert_eq!(session.user_id, user_id, "whose the removed session was");
                session.handle
            })
            .collect();
        handles.sort();
        handles
    };
    let sorted = |sessions: &[&SessionRecord]| {
        let mut handles: Vec<_> = sessions.iter().map(|session| session.handle.clone()).collect();
        handles.sort();
        handles
    };
    assert_eq!(remove("alice", &TenantScope::All, None).await, [], "a user without sessions");

    let public = &inserted(store, &app, session_of("alice")).await;
    let expired = SessionRecord { expires_at: NOW, ..session_in("t1", "alice") };
    let expired = &inserted(store, &app, expired).await;
    let first = &inserted(store, &app, session_in("t1", "alice")).await;
    let second = &inserted(store, &app, session_in("t1", "alice")).await;
    let third = &inserted(store, &app, session_in("t2", "alice")).await;
    let bystander = &inserted(store, &app, session_in("t1", "bob")).await;

    let only = |name| TenantScope::Only(tenant(name));
    assert_eq!(remove("alice", &only("t3"), None).await, [], "a tenant without sessions");
    let removed = remove("alice", &only("t1"), Some(&first.handle)).await;
    assert_eq!(removed, sorted(&[expired, second]), "one tenant, with an exception");
    for left in [public, first, third, bystander] {
        assert_stored(store, &app, left, "left by the removal from a tenant").await;
    }
    for gone in [expired, second] {
        assert!(found(store, &app, &gone.handle).await.is_none(), "after removal from a tenant");
    }
    // An exception that is not one of these sessions excepts nothing.
    let removed = remove("alice", &only("public"), Some(&bystander.handle)).await;
    assert_eq!(removed, sorted(&[public]), "the default tenant");
    let removed = remove("alice", &TenantScope::All, Some(&third.handle)).await;
    assert_eq!(removed, sorted(&[first]), "all tenants, with an exception");
    let removed = remove("alice", &TenantScope::All, None).await;
    assert_eq!(removed, sorted(&[third]), "all tenants");
    assert_eq!(remove("alice", &TenantScope::All, None).await, [], "all tenants again");
    assert_stored(store, &app, bystander, "another user's session").await;
}

/// Whatever was acknowledged before a user's sessions are removed is gone, however many more are
/// being inserted meanwhile; and no session is given twice.
pub async fn no_acknowledged_session_survives_removal<S: Store>(store: &S) {
    let app = &fresh_app();
    let acknowledged = &RefCell::new(Vec::new());
    let removed = &RefCell::new(Vec::new());
    let inserts = &async || {
        for _ in 0..25 {
            let session = inserted(store, app, session_of("alice")).await;
            acknowledged.borrow_mut().push(session.handle);
            yield_once().await;
        }
    };
    let removals = &async || {
        for _ in 0..10 {
            yield_once().await;
            let before: Vec<SessionHandle> = acknowledged.borrow().clone();
            let (user, all) = ("alice", &TenantScope::All);
            let answer =
                store.remove_sessions_of_user(app, user, Accounts::Linked, all, None).await;
            let handles = answered(answer).into_iter().map(|session| session.handle);
            removed.borrow_mut().extend(handles);
            let left = store.sessions_of_user(app, user, Accounts::Linked, all, NOW).await;
            let left = answered(left);
            let survivor = left.iter().find(|session| before.contains(&session.handle));
            assert!(survivor.is_none(), "a session survived that was acknowledged before");
        }
    };
    join_all(
        (0..10).map(
            |number| async move { if number < 8 { inserts().await } else { removals().await } },
        ),
    )
    .await;
    let left = listed(store, app, "alice", &TenantScope::All).await;
    let mut all = removed.borrow().clone();
    all.extend(left.into_iter().map(|session| session.handle));
    all.sort();
    let mut acknowledged = acknowledged.borrow().clone();
    acknowledged.sort();
    assert!(all == acknowledged, "each session must be left, or given to exactly one removal");
}
