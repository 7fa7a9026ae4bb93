use super::samples::{
    after_now, answered, assert_same, assert_stored, fresh_app, fresh_name, inserted, random,
    rotation_of, session_of, signing_key,
};
use crate::{
    clock::Timestamp,
    identifier::{AppId, SessionHandle},
    store::{BulkStore, SessionExport as _, SessionRecord, StoredSecret, StoredSigningKey},
};

/// The sessions of the app, in the order in which the store gives them.
pub(super) async fn exported(store: &impl BulkStore, app: &AppId) -> Vec<SessionRecord> {
    let mut export = answered(store.export_sessions().await);
    let mut sessions = Vec::new();
    let mut last = None;
    loop {
        let portion = answered(export.next().await);
        if portion.is_empty() {
            return sessions;
        }
        for (owner, session) in portion {
            let name = Some((owner.to_string(), session.handle.to_string()));
            assert!(last < name, "{name:?} must not come after {last:?}");
            last = name;
            if owner == *app {
                sessions.push(session);
            }
        }
    }
}

/// Every session is exported once and whole, by the bytes of its name.
pub async fn all_sessions_are_exported_in_order<S: BulkStore>(store: &S) {
    let app = fresh_app();
    let mut expected = Vec::new();
    for number in 0..40 {
        let (mut handle, user) = (fresh_name(), format!("user {}", number % 3));
        // Neither case nor tenants change the order.
        if number % 2 == 0 {
            handle = handle.to_uppercase();
        }
        if number % 4 == 1 {
            handle += "_public";
        }
        let row = SessionRecord { handle: SessionHandle::new(&handle), ..session_of(&user) };
        let row = SessionRecord {
            client_label: (number % 5 == 0).then(|| "telephone".to_owned()),
            ends_at: if number % 6 == 0 { Timestamp::MAX } else { after_now(90_000_000) },
            use_static_key: number % 7 == 0,
            ..row
        };
        let row = inserted(store, &app, row).await;
        let rotated = match number % 3 {
            0 => answered(store.rotate_session(&app, &row.handle, rotation_of(&row)).await),
            _ => None,
        };
        expected.push(rotated.unwrap_or(row));
    }
    expected.sort_by(|one, other| one.handle.as_str().cmp(other.handle.as_str()));
    let found = exported(store, &app).await;
    assert_eq!(found.len(), expected.len(), "every session once");
    for (found, expected) in found.iter().zip(&expected) {
        assert_same(Some(found), expected, "exported");
    }
}

/// A session that is put is as it was elsewhere, whatever had its name.
pub async fn sessions_are_put_as_they_are<S: BulkStore>(store: &S) {
    let app = fresh_app();
    let first = inserted(store, &app, session_of("alice")).await;
    let with_child = SessionRecord {
        previous_refresh_token_hash: Some(first.refresh_token_hash),
        rotated_at: Some(after_now(5)),
        sealed_child: Some(random::<40>().to_vec()),
        client_label: Some("tablet".to_owned()),
        user_id: "bob".to_owned(),
        ..session_of("alice")
    };
    let over_first = SessionRecord { handle: first.handle.clone(), ..with_child.clone() };
    answered(store.put_sessions(&app, vec![with_child.clone(), over_first.clone()]).await);
    assert_stored(store, &app, &with_child, "put").await;
    assert_stored(store, &app, &over_first, "put over another").await;

    let plain = SessionRecord {
        handle: over_first.handle.clone(),
        ends_at: Timestamp::MAX,
        ..session_of("carol")
    };
    answered(store.put_sessions(&app, vec![plain.clone()]).await);
    assert_stored(store, &app, &plain, "nothing of the other one is left").await;
    answered(store.put_sessions(&app, Vec::new()).await);
    assert_eq!(exported(store, &app).await.len(), 2);
}

/// The keys that are put are all that there are, in that order.
pub async fn signing_keys_are_replaced<S: BulkStore>(store: &S) {
    let app = fresh_app();
    let made: Vec<StoredSigningKey> =
        [30, 10, 20, 10].map(|time| signing_key(after_now(time))).into();
    answered(store.add_signing_key(&app, made[0].clone(), None).await);
    for keys in [&made[1..], &made[..2], &[], &made] {
        answered(store.check_signing_keys(keys));
        answered(store.replace_signing_keys(&app, keys.to_vec()).await);
        assert_eq!(answered(store.signing_keys(&app).await), keys, "newest first");
    }
    let next = signing_key(after_now(1));
    let newest = made[0].key_id.as_str();
    let keys = answered(store.add_signing_key(&app, next.clone(), Some(newest)).await);
    assert_eq!(keys.first(), Some(&next), "what is added later is newer");
}

/// The secrets that are put are all that there are.
pub async fn secrets_are_replaced<S: BulkStore>(store: &S) {
    let (app, other) = (fresh_app(), fresh_app());
    let secret = |name: &str, value: &str| StoredSecret { name: name.into(), value: value.into() };
    let kept = answered(store.secret(&other, "refresh_token_key", fresh_name()).await);
    answered(store.secret(&app, "gone", fresh_name()).await);
    let both = [secret("a", "first"), secret("refresh_token_key", "second")];
    for secrets in [&both[..], &[secret("refresh_token_key", "third")], &[], &both] {
        answered(store.replace_secrets(&app, secrets.to_vec()).await);
        assert!(answered(store.secrets(&app).await) == secrets, "what was put, and nothing else");
    }
    assert_eq!(answered(store.secret(&app, "a", fresh_name()).await), "first");
    let secrets = answered(store.secrets(&other).await);
    assert!(secrets == [secret("refresh_token_key", &kept)], "those of another app");
}

/// An app is listed once something is kept for it, and so are its secrets.
pub async fn apps_and_secrets_are_listed<S: BulkStore>(store: &S) {
    let (with_session, with_secret) = (fresh_app(), fresh_app());
    inserted(store, &with_session, session_of("alice")).await;
    for name in ["b", "a", "refresh_token_key"] {
        answered(store.secret(&with_secret, name, format!("value of {name}")).await);
    }
    let apps = answered(store.apps().await);
    assert!(apps.is_sorted_by(|one, other| one.as_str() < other.as_str()), "by their bytes");
    assert!(apps.contains(&with_session) && apps.contains(&with_secret), "{apps:?}");
    let secrets = answered(store.secrets(&with_secret).await);
    let names: Vec<_> = secrets.iter().map(|secret| secret.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "refresh_token_key"]);
    assert!(secrets.iter().all(|secret| secret.value == format!("value of {}", secret.name)));
    assert_eq!(answered(store.secrets(&with_session).await), []);
}
