use std::num::NonZeroUsize;

use super::{
    bulk::exported,
    samples::{
        NOW, after_now, answered, fresh_app, inserted, rotation_of, session_of, signing_key,
    },
    tenants::{session_in, tenant, tenant_id, tenants_of},
};
use crate::{
    clock::Timestamp,
    identifier::{AppId, TenantScope},
    store::{
        Accounts, BulkStore, SessionLimit, SessionRecord, StoreError, StoreErrorKind, StoredSecret,
        StoredSigningKey, StoredTenant, Sweep, WhenFull,
    },
};

/// Everything that is kept of an app.
async fn content(
    store: &impl BulkStore,
    app: &AppId,
) -> (Vec<StoredTenant>, Vec<StoredSigningKey>, Vec<StoredSecret>, Vec<SessionRecord>) {
    (
        tenants_of(store, app).await,
        answered(store.signing_keys(app).await),
        answered(store.secrets(app).await),
        exported(store, app).await,
    )
}

fn kind<T>(answer: Result<T, StoreError>) -> Option<StoreErrorKind> {
    answer.err().map(|error| error.kind())
}

/// A key that a SuperTokens core could read too.
fn key(created_at: Timestamp) -> StoredSigningKey {
    StoredSigningKey {
        key_id: format!("d-{}", created_at.as_millis()),
        algorithm: "RS256".to_owned(),
        material: "public|private".to_owned(),
        ..signing_key(created_at)
    }
}

/// Once `retire` has kept all writers out, as it is done with a store whose sessions were moved
/// elsewhere, no intent that would change anything is acknowledged: each fails with
/// [`StoreErrorKind::NotWritable`], and all is as it was.
pub async fn a_retired_store_refuses_every_write<S: BulkStore>(
    store: &S,
    retire: impl Future<Output = ()>,
) {
    let (app, new_app) = (&fresh_app(), &fresh_app());
    for name in ["public", "t-1"] {
        answered(store.put_tenant(tenant(app, name)).await);
    }
    answered(store.add_signing_key(app, key(NOW), None).await);
    answered(store.secret(app, "name", "secret".to_owned()).await);
    let row = &inserted(store, app, session_in("public")).await;
    let expired = SessionRecord { expires_at: after_now(1), ..session_in("t-1") };
    inserted(store, app, expired).await;
    let before = content(store, app).await;
    retire.await;

    let (handle, handles) = (&row.handle, std::slice::from_ref(&row.handle));
    let (user, all) = (row.user_id.as_str(), &TenantScope::All);
    let limit = SessionLimit { maximum: NonZeroUsize::MIN, when_full: WhenFull::EndOldest };
    let sweep = Sweep {
        sessions_expired_before: after_now(2),
        keys_created_before: after_now(2),
        limit: 10,
    };
    let newest = key(NOW).key_id;
    let with_factors =
        StoredTenant { first_factors: Some(vec!["otp".to_owned()]), ..tenant(app, "t-1") };
    let text = || "{}".to_owned();
    // It may be elsewhere by now, and be changed there.
    let unknown = &session_of("bob");
    let (no_handle, no_handles) = (&unknown.handle, std::slice::from_ref(&unknown.handle));
    let outcomes = [
        (
            "rotate_session, unknown",
            kind(store.rotate_session(app, no_handle, rotation_of(unknown)).await),
        ),
        (
            "replace_session_data, unknown",
            kind(store.replace_session_data(app, no_handle, text(), None, NOW).await),
        ),
        (
            "replace_jwt_payload, unknown",
            kind(store.replace_jwt_payload(app, no_handle, text(), NOW).await),
        ),
        ("remove_sessions, unknown", kind(store.remove_sessions(app, no_handles).await)),
        (
            "remove_sessions_of_user, unknown",
            kind(store.remove_sessions_of_user(app, "bob", Accounts::Linked, all, None).await),
        ),
        (
            "remove_sessions_created_before, unknown",
            kind(store.remove_sessions_created_before(app, Timestamp::default(), 10).await),
        ),
        ("insert_session", kind(store.insert_session(app, session_of("bob")).await)),
        (
            "insert_session_within",
            kind(store.insert_session_within(app, session_of(user), limit, NOW).await),
        ),
        ("rotate_session", kind(store.rotate_session(app, handle, rotation_of(row)).await)),
        (
            "replace_session_data",
            kind(store.replace_session_data(app, handle, text(), None, NOW).await),
        ),
        ("replace_jwt_payload", kind(store.replace_jwt_payload(app, handle, text(), NOW).await)),
        ("remove_sessions", kind(store.remove_sessions(app, handles).await)),
        (
            "remove_sessions_of_user",
            kind(store.remove_sessions_of_user(app, user, Accounts::Linked, all, None).await),
        ),
        (
            "remove_sessions_created_before",
            kind(store.remove_sessions_created_before(app, after_now(1), 10).await),
        ),
        (
            "add_signing_key",
            kind(store.add_signing_key(app, key(after_now(1)), Some(&newest)).await),
        ),
        ("secret", kind(store.secret(app, "new", text()).await)),
        ("secret of a core", kind(store.secret(app, "refresh_token_key", text()).await)),
        ("sweep", kind(store.sweep(app, sweep).await)),
        ("put_tenant, a new one", kind(store.put_tenant(tenant(app, "t-2")).await)),
        ("put_tenant, unchanged", kind(store.put_tenant(tenant(app, "t-1")).await)),
        ("put_tenant, with factors", kind(store.put_tenant(with_factors).await)),
        ("put_tenant, of a new app", kind(store.put_tenant(tenant(new_app, "public")).await)),
        ("remove_tenant", kind(store.remove_tenant(app, &tenant_id("t-1")).await)),
        ("remove_tenant, public", kind(store.remove_tenant(app, &tenant_id("public")).await)),
        ("remove_app", kind(store.remove_app(app).await)),
        ("put_sessions", kind(store.put_sessions(app, vec![session_of("bob")]).await)),
        ("replace_secrets", kind(store.replace_secrets(app, Vec::new()).await)),
        ("replace_signing_keys", kind(store.replace_signing_keys(app, Vec::new()).await)),
    ];
    let refused = Some(StoreErrorKind::NotWritable);
    let others: Vec<_> = outcomes.iter().filter(|(_, outcome)| *outcome != refused).collect();
    assert!(others.is_empty(), "not refused, or not as a store that takes no writes: {others:?}");
    assert!(content(store, app).await == before, "something has changed");
    assert_eq!(tenants_of(store, new_app).await, [], "a tenant was made");
}
