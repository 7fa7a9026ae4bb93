//! Accounts that are linked to a primary user, in a database that has users: who a session is said
//! to belong to, and whose sessions are meant.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test that asked for it")]

mod support;

use std::num::NonZeroUsize;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sessile_core::{
    AccessTokenVersion, Error, GeneralError, IssueOptions, IssuedSession, NewSession,
    RefreshRequest, RegenerateRequest, SessionHandle, SessionService, TenantScope, VerifyRequest,
    event::EventKind,
    policy::{Policy, Revocation, RotationPolicy},
    store::{SessionLimit, WhenFull},
};
use support::{
    Engine, GRACE, SECOND, access_token, counting_store::Intent, refresh_token, unauthorised,
};

const ALL: TenantScope = TenantScope::All;

/// An engine in whose database the accounts `google` and `github` are linked to `alice`, who has
/// an account herself; `bob` is linked to nobody.
async fn engine(policy: Policy) -> Engine {
    let engine = Engine::with_policy(policy).await;
    engine.store().link("google", "alice");
    engine.store().link("github", "alice");
    engine
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[track_caller]
fn assert_users(issued: &IssuedSession, user: &str, account: &str) {
    assert_eq!((issued.session.user_id(), issued.session.recipe_user_id()), (user, account));
    let claims = claims(access_token(issued));
    assert_eq!((&claims["sub"], &claims["rsub"]), (&json!(user), &json!(account)));
}

#[tokio::test]
async fn tokens_name_the_primary_user_and_the_account() {
    let engine = engine(Policy::default()).await;
    for (account, user) in [("google", "alice"), ("alice", "alice"), ("bob", "bob")] {
        let calls = engine.calls_of(async { engine.log_in(account).await }).await;
        assert_eq!(calls, [Intent::Insert], "{account}");
        let issued = engine.log_in(account).await;
        assert_users(&issued, user, account);
        let verified = engine.read(access_token(&issued)).await.unwrap();
        assert_eq!((verified.user_id(), verified.recipe_user_id()), (user, account));

        engine.clock.advance(SECOND);
        let refreshed = engine.exchange(refresh_token(&issued)).await.unwrap();
        assert_users(&refreshed, user, account);
        // The same child once more, within the grace period.
        let again = engine.exchange(refresh_token(&issued)).await.unwrap();
        assert_users(&again, user, account);

        let payload = json!({ "role": "editor" });
        let token = access_token(&refreshed);
        let regenerated = engine.regenerate_with(token, payload).await.unwrap().session;
        assert_eq!((regenerated.user_id(), regenerated.recipe_user_id()), (user, account));
        let handle = issued.session.handle();
        let information = engine.get_session_information(handle).await.unwrap().unwrap();
        assert_eq!((&*information.user_id, &*information.recipe_user_id), (user, account));
        assert_eq!(engine.row(handle).await.unwrap().user_id, account, "what is kept");
    }
}

#[tokio::test]
async fn older_versions_name_the_primary_user_alone() {
    let policy = Policy {
        algorithm: sessile_core::Algorithm::Rs256,
        access_token_version: AccessTokenVersion::V4,
        ..Policy::default()
    };
    let engine = engine(policy).await;
    for version in [AccessTokenVersion::V3, AccessTokenVersion::V4] {
        let options =
            IssueOptions { access_token_version: Some(version), ..IssueOptions::default() };
        let issued = engine.create_session(NewSession::new("google").issue(options)).await.unwrap();
        let claims = claims(access_token(&issued));
        assert_eq!((&claims["sub"], claims.get("rsub")), (&json!("alice"), None));
    }
    let options = IssueOptions {
        access_token_version: Some(AccessTokenVersion::V2),
        ..IssueOptions::default()
    };
    let issued = engine.create_session(NewSession::new("google").issue(options)).await.unwrap();
    assert_eq!(engine.read(access_token(&issued)).await.unwrap().user_id(), "alice");
    let refreshed = engine.exchange(refresh_token(&issued)).await.unwrap();
    assert_eq!(refreshed.session.user_id(), "alice");
}

#[tokio::test]
async fn a_session_from_before_the_link_goes_on_and_is_shown_by_the_next_refresh() {
    let immediate = Policy { revocation: Revocation::Immediate, ..Policy::default() };
    for policy in [
        immediate.clone(),
        Policy { rotation: RotationPolicy::OnRefresh { grace: GRACE }, ..immediate.clone() },
        Policy { rotation: RotationPolicy::OnUse, ..immediate },
    ] {
        let engine = Engine::with_policy(policy).await;
        let issued = engine.log_in("google").await;
        assert_users(&issued, "google", "google");
        engine.store().link("google", "alice");

        // What a token says is what was so when it was signed.
        let verified = engine.read(access_token(&issued)).await.unwrap();
        assert_eq!(verified.user_id(), "google");
        let handle = issued.session.handle();
        let information = engine.get_session_information(handle).await.unwrap().unwrap();
        assert_eq!(information.user_id, "alice");
        let request = RegenerateRequest { access_token: access_token(&issued), jwt_payload: None };
        let regenerated = engine.regenerate(request).await.unwrap();
        assert_eq!(regenerated.session.user_id(), "alice");

        let refreshed = engine.exchange(refresh_token(&issued)).await.unwrap();
        assert_users(&refreshed, "alice", "google");
        let first_use = VerifyRequest::new(access_token(&refreshed));
        let verified = engine.verify(first_use).await.unwrap();
        assert_eq!((verified.user_id(), verified.recipe_user_id()), ("alice", "google"));
    }
}

#[tokio::test]
async fn a_theft_and_the_events_name_the_primary_user() {
    let engine = engine(Policy::default()).await;
    let issued = engine.log_in("google").await;
    let second = engine.exchange(refresh_token(&issued)).await.unwrap();
    let third = engine.exchange(refresh_token(&second)).await.unwrap();
    drop(engine.exchange(refresh_token(&third)).await.unwrap());
    match engine.exchange(refresh_token(&issued)).await {
        Err(Error::TokenTheftDetected { user_id, recipe_user_id, .. }) => {
            assert_eq!((&*user_id, &*recipe_user_id), ("alice", "google"));
        }
        other => panic!("no theft: {other:?}"),
    }
    let one = engine.log_in("google").await;
    engine.revoke_session(one.session.handle()).await.unwrap();
    drop(engine.log_in("github").await);
    engine.revoke_all_sessions_for_user("google").await.unwrap();
    drop(engine.log_in("github").await);
    engine.clock.advance(SECOND);
    engine.revoke_sessions_created_before(engine.now()).await.unwrap();
    let events = engine.take_events();
    assert_eq!(events.len(), 11);
    assert!(events.iter().all(|event| event.user_id == "alice"), "{events:?}");
}

#[tokio::test]
async fn a_limit_counts_the_sessions_of_an_account() {
    let maximum = NonZeroUsize::new(1).unwrap();
    let limit = SessionLimit { maximum, when_full: WhenFull::EndOldest };
    let engine = engine(Policy { session_limit: Some(limit), ..Policy::default() }).await;
    let first = engine.log_in("google").await;
    let other = engine.log_in("github").await;
    engine.take_events();
    engine.clock.advance(SECOND);
    let second = engine.log_in("google").await;
    assert_users(&second, "alice", "google");
    assert!(engine.row(first.session.handle()).await.is_none());
    assert!(engine.row(other.session.handle()).await.is_some());
    let events = engine.take_events();
    assert!(matches!(events[0].kind, EventKind::Revoked { .. }), "{events:?}");
    assert!(events.iter().all(|event| event.user_id == "alice"), "{events:?}");
}

#[tokio::test]
async fn a_user_is_found_by_the_id_of_any_of_its_accounts() {
    let engine = engine(Policy::default()).await;
    let mut handles = Vec::new();
    for account in ["alice", "google", "github", "google", "bob"] {
        handles.push(engine.log_in(account).await.session.handle().clone());
        engine.clock.advance(SECOND);
    }
    let named = |places: &[usize]| -> Vec<SessionHandle> {
        places.iter().map(|place| handles[*place].clone()).collect()
    };
    for (user, linked, alone) in [
        ("alice", &[0, 1, 2, 3][..], &[0][..]),
        ("google", &[0, 1, 2, 3], &[1, 3]),
        ("github", &[0, 1, 2, 3], &[2]),
        ("bob", &[4], &[4]),
        ("carol", &[], &[]),
    ] {
        let found = engine.get_all_session_handles_for_user(user).await.unwrap();
        assert_eq!(found, named(linked), "{user}");
        let found = engine.get_sessions_of_account(user, &ALL).await.unwrap();
        let found: Vec<_> = found.into_iter().map(|session| session.handle).collect();
        assert_eq!(found, named(alone), "{user} alone");
    }

    let ended = engine.revoke_sessions_of_account("google", &ALL, Some(&handles[1])).await.unwrap();
    assert_eq!(ended, named(&[3]));
    let ended = engine.revoke_sessions_of_user("google", &ALL, Some(&handles[1])).await.unwrap();
    assert_eq!(ended.len(), 2, "of the other accounts");
    let left = engine.get_all_session_handles_for_user("alice").await.unwrap();
    assert_eq!(left, named(&[1]));
    assert_eq!(engine.get_all_session_handles_for_user("bob").await.unwrap(), named(&[4]));
}

/// The id of the primary user may be so long that the token does not fit any more.
#[tokio::test]
async fn a_token_that_the_primary_user_makes_too_large_leaves_no_session() {
    let engine = engine(Policy { cookie_limit: Some(1000), ..Policy::default() }).await;
    engine.store().link("short", &"long".repeat(64));
    let payload = json!({ "text": "x".repeat(120) });
    let new = |account: &str| NewSession::new(account).jwt_payload(payload.clone());
    let session = engine.create_session(new("bob")).await.unwrap().session;
    let refused = engine.create_session(new("short")).await;
    assert!(
        matches!(refused, Err(Error::General(GeneralError::PayloadTooLarge { .. }))),
        "{refused:?}"
    );
    assert!(engine.get_sessions_of_account("short", &ALL).await.unwrap().is_empty());
    assert!(engine.row(session.handle()).await.is_some());
}

#[tokio::test]
async fn an_ended_session_of_a_linked_account_is_not_refreshed() {
    let engine = engine(Policy::default()).await;
    let issued = engine.log_in("google").await;
    engine.revoke_all_sessions_for_user("alice").await.unwrap();
    let refused = engine.refresh(RefreshRequest::from(refresh_token(&issued))).await;
    unauthorised(refused);
}
