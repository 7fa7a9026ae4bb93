use super::samples::{
    NOW, after_now, answered, assert_stored, found, fresh_app, fresh_name, inserted, session_of,
    signing_key,
};
use crate::{
    identifier::{AppId, SessionHandle, TenantId},
    store::{SessionRecord, StoredSigningKey, StoredTenant, TenantStore},
};

#[expect(clippy::expect_used, reason = "the names below are valid")]
pub(super) fn tenant_id(name: &str) -> TenantId {
    name.parse().expect("a valid tenant id")
}

pub(super) fn tenant(app: &AppId, name: &str) -> StoredTenant {
    StoredTenant {
        app: app.clone(),
        tenant: tenant_id(name),
        core_config: "{}".to_owned(),
        first_factors: None,
        required_secondary_factors: None,
        created_at: NOW,
    }
}

/// The tenants of the app, by their names.
pub(super) async fn tenants_of(store: &impl TenantStore, app: &AppId) -> Vec<StoredTenant> {
    let mut tenants = answered(store.tenants().await);
    tenants.retain(|tenant| tenant.app == *app);
    tenants.sort_by(|one, other| one.tenant.cmp(&other.tenant));
    tenants
}

pub(super) fn session_in(tenant: &str) -> SessionRecord {
    let handle = match tenant {
        "public" => fresh_name(),
        tenant => format!("{}_{tenant}", fresh_name()),
    };
    SessionRecord { handle: SessionHandle::new(&handle), ..session_of("alice") }
}

/// A tenant comes back as it was put last, with the time at which it was put first.
pub async fn tenants_are_kept<S: TenantStore>(store: &S) {
    let (app, other) = (fresh_app(), fresh_app());
    assert_eq!(tenants_of(store, &app).await, [], "no tenants yet");

    let public = tenant(&app, "public");
    let first = tenant(&app, "t-1");
    let elsewhere = tenant(&other, "t-1");
    for new in [&public, &first, &elsewhere] {
        assert!(answered(store.put_tenant(new.clone()).await), "a new tenant");
    }
    assert_eq!(tenants_of(store, &app).await, [public.clone(), first.clone()], "two tenants");

    let changed = StoredTenant {
        core_config: r#"{"access_token_validity": 60, "ä": "' \" \\"}"#.to_owned(),
        first_factors: Some(Vec::new()),
        required_secondary_factors: Some(vec!["totp".to_owned(), "otp-email".to_owned()]),
        created_at: after_now(1000),
        ..first
    };
    assert!(!answered(store.put_tenant(changed.clone()).await), "a tenant that was there");
    let kept = StoredTenant { created_at: NOW, ..changed };
    assert_eq!(tenants_of(store, &app).await, [public.clone(), kept.clone()], "after a change");
    assert_eq!(tenants_of(store, &other).await, [elsewhere], "a namesake in another app");

    let cleared =
        StoredTenant { first_factors: None, required_secondary_factors: None, ..kept.clone() };
    answered(store.put_tenant(cleared.clone()).await);
    assert_eq!(tenants_of(store, &app).await, [public, cleared], "after factors were taken away");
}

/// A tenant goes with its own sessions and no others.
pub async fn tenants_are_removed_with_their_sessions<S: TenantStore>(store: &S) {
    let (app, other) = (&fresh_app(), &fresh_app());
    for (app, name) in [(app, "public"), (app, "t-1"), (app, "t-11"), (other, "t-1")] {
        answered(store.put_tenant(tenant(app, name)).await);
    }
    let gone = inserted(store, app, session_in("t-1")).await;
    let public = inserted(store, app, session_in("public")).await;
    let neighbour = inserted(store, app, session_in("t-11")).await;
    let elsewhere = inserted(store, other, session_in("t-1")).await;

    let t1 = tenant_id("t-1");
    assert!(answered(store.remove_tenant(app, &t1).await), "a tenant that is there");
    assert!(!answered(store.remove_tenant(app, &t1).await), "a tenant that is gone");
    assert_eq!(tenants_of(store, app).await, [tenant(app, "public"), tenant(app, "t-11")]);
    assert_eq!(tenants_of(store, other).await, [tenant(other, "t-1")]);
    assert!(found(store, app, &gone.handle).await.is_none(), "a session of the removed tenant");
    assert_stored(store, app, &public, "a session of the public tenant").await;
    assert_stored(store, app, &neighbour, "a session of a tenant with a longer name").await;
    assert_stored(store, other, &elsewhere, "a session of another app").await;
    assert!(answered(store.put_tenant(tenant(app, "t-1")).await), "the tenant made anew");
    assert!(found(store, app, &gone.handle).await.is_none(), "its sessions stay removed");
}

/// An app goes with everything that was its own.
pub async fn apps_are_removed_whole<S: TenantStore>(store: &S) {
    let (app, other) = (&fresh_app(), &fresh_app());
    let mut secrets = Vec::new();
    for app in [app, other] {
        for name in ["public", "t-1"] {
            answered(store.put_tenant(tenant(app, name)).await);
        }
        answered(store.add_signing_key(app, signing_key(NOW), None).await);
        let newest = answered(store.signing_keys(app).await);
        let static_key = StoredSigningKey { is_static: true, ..signing_key(NOW) };
        let newest = newest.first().map(|key| key.key_id.as_str());
        answered(store.add_signing_key(app, static_key, newest).await);
        secrets.push(answered(store.secret(app, "name", fresh_name()).await));
    }
    let gone = inserted(store, app, session_in("t-1")).await;
    let kept = inserted(store, other, session_in("t-1")).await;

    assert!(answered(store.remove_app(app).await), "an app that is there");
    assert!(!answered(store.remove_app(app).await), "an app that is gone");
    assert_eq!(tenants_of(store, app).await, []);
    assert!(found(store, app, &gone.handle).await.is_none(), "a session of the removed app");
    assert!(answered(store.signing_keys(app).await).is_empty(), "keys of the removed app");
    answered(store.put_tenant(tenant(app, "public")).await);
    let secret = answered(store.secret(app, "name", fresh_name()).await);
    assert_ne!(Some(&secret), secrets.first(), "a secret of the removed app");

    assert_eq!(tenants_of(store, other).await.len(), 2, "tenants of another app");
    assert_eq!(answered(store.signing_keys(other).await).len(), 2, "keys of another app");
    assert_stored(store, other, &kept, "a session of another app").await;
    let secret = answered(store.secret(other, "name", fresh_name()).await);
    assert_eq!(Some(&secret), secrets.last(), "a secret of another app");
}
