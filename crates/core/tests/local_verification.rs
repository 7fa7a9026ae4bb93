//! Verification without waiting: what it answers, it answers as verification does, and where the
//! store has a say it answers nothing.

mod support;

use std::{sync::Arc, time::Duration};

use sessile_core::{
    AntiCsrf, NewSession, SessionService, TryRefreshReason, VerifyRequest,
    clock::ManualClock,
    memory::MemoryStore,
    policy::{Policy, Revocation, RotationPolicy},
};
use support::{Engine, SECOND, START, access_token, refresh_token, try_refresh};

#[tokio::test]
async fn a_good_token_is_read_at_once_and_carries_itself() {
    let engine = Engine::new().await;
    let issued = engine.log_in("alice").await;
    engine.store().take_calls();
    let read = engine.verify_locally(&VerifyRequest::new(access_token(&issued))).unwrap().unwrap();
    assert_eq!(read.user_id(), "alice");
    assert_eq!(read.access_token().expose(), access_token(&issued));
    assert_eq!(issued.session.access_token().expose(), access_token(&issued));
    assert!(engine.store().take_calls().is_empty());
}

#[tokio::test]
async fn a_bad_token_is_refused_as_it_is_otherwise() {
    let engine = Engine::new().await;
    let new = NewSession::new("alice").anti_csrf_token(true);
    let issued = engine.create_session(new).await.unwrap();
    let token = access_token(&issued);
    let request = VerifyRequest::new(token);
    let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
    let cases = [
        (VerifyRequest::new("nonsense"), TryRefreshReason::Malformed),
        (VerifyRequest::new(&unsigned), TryRefreshReason::SignatureInvalid),
        (
            VerifyRequest { anti_csrf: AntiCsrf::Token(Some("another")), ..request },
            TryRefreshReason::AntiCsrfMismatch,
        ),
        (
            VerifyRequest { anti_csrf: AntiCsrf::Token(None), ..request },
            TryRefreshReason::AntiCsrfMismatch,
        ),
    ];
    for (request, reason) in cases {
        assert_eq!(try_refresh(engine.verify_locally(&request).unwrap()), reason);
        assert_eq!(try_refresh(engine.verify(request).await), reason);
    }
    // Also one that is remembered.
    assert!(engine.verify_locally(&request).unwrap().is_ok());
    engine.clock.advance(Duration::from_secs(3600) + SECOND);
    let expired = engine.verify_locally(&request).unwrap();
    assert_eq!(try_refresh(expired), TryRefreshReason::Expired);
}

#[tokio::test]
async fn nothing_is_answered_where_the_store_has_a_say() {
    let engine = Engine::new().await;
    let issued = engine.log_in("alice").await;
    let request = VerifyRequest::new(access_token(&issued));
    assert!(engine.verify_locally(&request).is_some());
    for request in [
        VerifyRequest { revocation: Some(Revocation::Immediate), ..request },
        VerifyRequest { login_within: Some(SECOND), ..request },
    ] {
        assert!(engine.verify_locally(&request).is_none());
    }

    let policy = Policy { revocation: Revocation::Immediate, ..Policy::default() };
    let immediate = Engine::with_policy(policy).await;
    let issued = immediate.log_in("alice").await;
    let request = VerifyRequest::new(access_token(&issued));
    assert!(immediate.verify_locally(&request).is_none());
    let at_expiry = VerifyRequest { revocation: Some(Revocation::AtExpiry), ..request };
    assert!(immediate.verify_locally(&at_expiry).unwrap().is_ok());
}

#[tokio::test]
async fn the_first_use_of_a_child_is_the_stores() {
    let policy = Policy { rotation: RotationPolicy::OnUse, ..Policy::default() };
    let engine = Engine::with_policy(policy).await;
    let parent = engine.log_in("alice").await;
    let child = engine.exchange(refresh_token(&parent)).await.unwrap();
    let of = |token| engine.verify_locally(&VerifyRequest::new(token));
    assert!(of(access_token(&parent)).unwrap().is_ok());
    assert!(of(access_token(&child)).is_none());
    let used = engine.read(access_token(&child)).await.unwrap();
    let replacement = used.new_access_token().unwrap();
    assert_eq!(used.access_token(), &replacement.token);
    assert!(of(replacement.token.expose()).unwrap().is_ok());
}

#[tokio::test]
async fn a_key_that_another_process_made_is_the_stores() {
    let store = MemoryStore::new();
    let clock = Arc::new(ManualClock::at(START));
    let start = || Engine::start_at(&store, &clock, Policy::default(), |builder| builder);
    let (one, other) = (start().await.unwrap(), start().await.unwrap());
    clock.advance(Duration::from_secs(169 * 3600));
    let issued = one.log_in("alice").await;
    let request = VerifyRequest::new(access_token(&issued));
    assert!(other.verify_locally(&request).is_none());
    assert_eq!(other.verify(request).await.unwrap().user_id(), "alice");
    assert!(other.verify_locally(&request).unwrap().is_ok());
}
