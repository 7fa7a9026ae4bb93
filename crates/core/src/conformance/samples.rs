//! What the checks put into a store.

use crate::{
    clock::Timestamp,
    identifier::{AppId, SessionHandle},
    random::{SystemRandom, random_bytes},
    rotation::{Advance, Rotation, RotationChange, RotationGuard, TokenHash, hexadecimal},
    store::{Owner, SessionRecord, Store, StoreError, StoredSigningKey},
};

/// The present moment of all checks: they hand the time in, so any will do.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_123);

/// The moment so many milliseconds after [`NOW`].
pub(super) const fn after_now(milliseconds: i64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() + milliseconds)
}

#[expect(clippy::expect_used, reason = "a check without randomness cannot go on")]
pub(super) fn random<const N: usize>() -> [u8; N] {
    random_bytes(&SystemRandom).expect("randomness")
}

/// A name that nothing else has.
pub(super) fn fresh_name() -> String {
    hexadecimal(&random::<16>())
}

#[expect(clippy::expect_used, reason = "hexadecimal digits are valid in an app id")]
pub(super) fn fresh_app() -> AppId {
    fresh_name().parse().expect("a valid app id")
}

pub(super) fn fresh_handle() -> SessionHandle {
    SessionHandle::new(&fresh_name())
}

pub(super) fn fresh_hash() -> TokenHash {
    TokenHash::from_bytes(random())
}

/// A session of the user that was just created and lasts for an hour, and for a day at most.
pub(super) fn session_of(user_id: &str) -> SessionRecord {
    SessionRecord {
        handle: fresh_handle(),
        user_id: user_id.to_owned(),
        primary_user_id: None,
        refresh_token_hash: fresh_hash(),
        previous_refresh_token_hash: None,
        rotated_at: None,
        sealed_child: None,
        jwt_payload: r#"{"role":"reader"}"#.to_owned(),
        session_data: r#"{"cart":[]}"#.to_owned(),
        created_at: NOW,
        expires_at: after_now(3_600_000),
        ends_at: after_now(86_400_000),
        client_label: None,
        use_static_key: false,
    }
}

/// The rotation of `row` from its current token, which is right now.
pub(super) fn rotation_of(row: &SessionRecord) -> Rotation {
    Rotation {
        guard: RotationGuard {
            current: row.refresh_token_hash,
            or_current: None,
            previous: None,
            alive_at: NOW,
        },
        change: RotationChange {
            current: fresh_hash(),
            sealed_child: Some(random::<48>().to_vec()),
            advance: Some(Advance {
                previous: row.refresh_token_hash,
                rotated_at: NOW,
                expires_at: after_now(7_200_000),
            }),
            use_static_key: None,
        },
    }
}

pub(super) fn signing_key(created_at: Timestamp) -> StoredSigningKey {
    StoredSigningKey {
        key_id: fresh_name(),
        algorithm: "ES256".to_owned(),
        created_at,
        material: fresh_name(),
        is_static: false,
    }
}

/// What the store answered, where the contract leaves it no reason to fail.
#[track_caller]
#[expect(clippy::panic, reason = "a check panics where the store breaks its contract")]
pub(super) fn answered<T>(answer: Result<T, StoreError>) -> T {
    answer.unwrap_or_else(|error| panic!("the store must not fail here: {error}"))
}

/// Inserts the session and gives it back, to be compared with.
pub(super) async fn inserted(
    store: &impl Store,
    app: &AppId,
    session: SessionRecord,
) -> SessionRecord {
    let owner = answered(store.insert_session(app, session.clone()).await);
    assert_eq!(owner, Owner::alone(&session.user_id), "whose the inserted session is");
    session
}

pub(super) async fn found(
    store: &impl Store,
    app: &AppId,
    handle: &SessionHandle,
) -> Option<SessionRecord> {
    answered(store.get_session(app, handle).await)
}

/// Asserts field by field, because sessions do not show their secrets when printed.
#[track_caller]
pub(super) fn assert_same(found: Option<&SessionRecord>, expected: &SessionRecord, when: &str) {
    assert!(found.is_some(), "{when}: a session was expected, and there is none");
    let Some(found) = found else { return };
    assert_eq!(found.handle, expected.handle, "{when}: handle");
    assert_eq!(found.user_id, expected.user_id, "{when}: user_id");
    assert_eq!(found.primary_user_id, expected.primary_user_id, "{when}: primary_user_id");
    assert!(found.refresh_token_hash == expected.refresh_token_hash, "{when}: refresh_token_hash");
    assert!(
        found.previous_refresh_token_hash == expected.previous_refresh_token_hash,
        "{when}: previous_refresh_token_hash"
    );
    assert_eq!(found.rotated_at, expected.rotated_at, "{when}: rotated_at");
    assert!(found.sealed_child == expected.sealed_child, "{when}: sealed_child");
    assert!(found.jwt_payload == expected.jwt_payload, "{when}: jwt_payload");
    assert!(found.session_data == expected.session_data, "{when}: session_data");
    assert_eq!(found.created_at, expected.created_at, "{when}: created_at");
    assert_eq!(found.expires_at, expected.expires_at, "{when}: expires_at");
    assert_eq!(found.ends_at, expected.ends_at, "{when}: ends_at");
    assert_eq!(found.client_label, expected.client_label, "{when}: client_label");
    assert_eq!(found.use_static_key, expected.use_static_key, "{when}: use_static_key");
}

/// Asserts that the store has exactly this session under its name.
pub(super) async fn assert_stored(
    store: &impl Store,
    app: &AppId,
    expected: &SessionRecord,
    when: &str,
) {
    assert_same(found(store, app, &expected.handle).await.as_ref(), expected, when);
}
