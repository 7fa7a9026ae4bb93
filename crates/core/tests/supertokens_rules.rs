//! What SuperTokens' own tests ask of its core, asked of the engine under the policies that follow
//! it.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers fail the test that asked for them"
)]

mod support;

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sessile_core::{
    Algorithm, AntiCsrf, Error, IssueOptions, IssuedSession, NewSession, RefreshRequest,
    RegenerateRequest, SessionHandle, SessionService, TenantScope, TheftKind, TryRefreshReason,
    UnauthorisedReason, VerifiedSession, VerifyRequest,
    clock::ManualClock,
    event::{EventKind, RevocationReason},
    memory::MemoryStore,
    policy::{LateRetry, Policy, RefreshTokenFormat, Revocation, RotationPolicy, SigningKeyKind},
    store::Store,
};
use support::{
    Engine, GRACE, MILLISECOND, SECOND, START, access_token, app, object, refresh_token,
    stored_hash, try_refresh, unauthorised,
};

const ACCESS: Duration = Duration::from_secs(60);
const REFRESH: Duration = Duration::from_secs(1000);
const INTERVAL: Duration = Duration::from_secs(500);
const OVERLAP: Duration = Duration::from_secs(10);

/// Up to CDI 5.5.
fn on_use() -> Policy {
    Policy {
        access_token_validity: ACCESS,
        refresh_token_validity: REFRESH,
        absolute_lifetime: None,
        rotation: RotationPolicy::OnUse,
        algorithm: Algorithm::Rs256,
        refresh_token_format: RefreshTokenFormat::SuperTokens,
        signing_key_update_interval: INTERVAL,
        signing_key_overlap: OVERLAP,
        ..Policy::default()
    }
}

/// From CDI 5.6 on.
fn on_refresh() -> Policy {
    Policy { rotation: RotationPolicy::OnRefresh { grace: GRACE }, ..on_use() }
}

/// What does not depend on the rotation is asked under both.
async fn engines() -> [Engine; 2] {
    [Engine::with_policy(on_use()).await, Engine::with_policy(on_refresh()).await]
}

async fn read_from_store(engine: &Engine, token: &str) -> Result<VerifiedSession, Error> {
    let revocation = Some(Revocation::Immediate);
    engine.verify(VerifyRequest { revocation, ..VerifyRequest::new(token) }).await
}

async fn exchanged(engine: &Engine, token: &IssuedSession) -> IssuedSession {
    engine.exchange(refresh_token(token)).await.unwrap()
}

/// The token that replaced the one that was verified.
fn replacement(session: &VerifiedSession) -> &str {
    session.new_access_token().unwrap().token.expose()
}

#[track_caller]
fn assert_theft(
    result: Result<IssuedSession, Error>,
    of: &IssuedSession,
    kind: TheftKind,
    ends: bool,
) {
    match result.map(drop).unwrap_err() {
        Error::TokenTheftDetected {
            session_handle, user_id, kind: found, session_ended, ..
        } => {
            assert_eq!((&session_handle, user_id.as_str()), (of.session.handle(), "alice"));
            assert_eq!((found, session_ended), (kind, ends));
        }
        other => panic!("not a theft: {other}"),
    }
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn key_id(token: &str) -> String {
    part(token, 0)["kid"].as_str().unwrap().to_owned()
}

async fn published(engine: &Engine) -> Vec<String> {
    let document = engine.get_json_web_key_set().await.unwrap().document;
    let keys = document["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_token_whose_child_was_verified_is_stolen() {
    let engine = Engine::with_policy(on_use()).await;
    let first = engine.log_in("alice").await;
    let second = exchanged(&engine, &first).await;
    drop(exchanged(&engine, &first).await);
    engine.take_events();
    assert!(engine.read(access_token(&second)).await.unwrap().new_access_token().is_some());
    for _ in 0..2 {
        let answer = engine.exchange(refresh_token(&first)).await;
        assert_theft(answer, &first, TheftKind::Stale, false);
        let kind = TheftKind::Stale;
        assert_eq!(engine.take_event_kinds(), [EventKind::TheftDetected { kind }]);
    }
    assert!(engine.exchange(refresh_token(&second)).await.is_ok(), "the session goes on");
}

#[tokio::test]
async fn a_token_whose_child_was_refreshed_is_stolen() {
    let engine = Engine::with_policy(on_use()).await;
    let first = engine.log_in("alice").await;
    let second = exchanged(&engine, &first).await;
    let third = exchanged(&engine, &second).await;
    let answer = engine.exchange(refresh_token(&first)).await;
    assert_theft(answer, &first, TheftKind::Stale, false);
    drop(exchanged(&engine, &second).await);
    drop(exchanged(&engine, &third).await);
    let answer = engine.exchange(refresh_token(&second)).await;
    assert_theft(answer, &first, TheftKind::Stale, false);
}

#[tokio::test]
async fn of_two_siblings_the_one_that_is_used_first_wins() {
    let engine = Engine::with_policy(on_use()).await;
    let first = engine.log_in("alice").await;
    let row = engine.row(first.session.handle()).await;
    let (one, other) = (exchanged(&engine, &first).await, exchanged(&engine, &first).await);
    assert!(engine.row(first.session.handle()).await == row, "refreshing changes nothing");
    drop(engine.read(access_token(&one)).await.unwrap());
    for stolen in [&first, &other] {
        let answer = engine.exchange(refresh_token(stolen)).await;
        assert_theft(answer, &first, TheftKind::Stale, false);
    }
    drop(exchanged(&engine, &one).await);
    let orphan = engine.read(access_token(&other)).await.unwrap();
    assert!(orphan.new_access_token().is_none(), "its access token is good until it ends");
}

#[tokio::test]
async fn a_session_that_is_verified_and_refreshed_again_and_again_is_one_row() {
    for policy in [on_use(), on_refresh()] {
        let engine = Engine::with_policy(policy).await;
        let mut token = engine.log_in("alice").await;
        let handle = token.session.handle().clone();
        for _ in 0..5 {
            let session = engine.read(access_token(&token)).await.unwrap();
            if let Some(replacement) = session.new_access_token() {
                let again = engine.read(replacement.token.expose()).await.unwrap();
                assert!(again.new_access_token().is_none());
            }
            engine.clock.advance(ACCESS + SECOND);
            let expired = engine.read(access_token(&token)).await;
            assert_eq!(try_refresh(expired), TryRefreshReason::Expired);
            token = exchanged(&engine, &token).await;
            let handles = engine.get_all_session_handles_for_user("alice").await.unwrap();
            assert_eq!(handles, std::slice::from_ref(&handle));
        }
    }
}

#[tokio::test]
async fn an_access_token_of_two_generations_ago_is_good_until_it_ends() {
    let engine = Engine::with_policy(on_use()).await;
    let first = engine.log_in("alice").await;
    let second = exchanged(&engine, &first).await;
    let third = exchanged(&engine, &second).await;
    drop(exchanged(&engine, &third).await);
    let row = engine.row(first.session.handle()).await;
    let session = engine.read(access_token(&second)).await.unwrap();
    assert_eq!(session.handle(), first.session.handle());
    assert!(session.new_access_token().is_none());
    assert!(engine.row(first.session.handle()).await == row);
}

#[tokio::test]
async fn what_has_expired_is_refused() {
    for engine in engines().await {
        let issued = engine.log_in("alice").await;
        engine.clock.set(issued.access_token.expires_at);
        assert!(engine.read(access_token(&issued)).await.is_ok());
        engine.clock.advance(MILLISECOND);
        let refused = engine.read(access_token(&issued)).await;
        assert_eq!(try_refresh(refused), TryRefreshReason::Expired);

        let handle = issued.session.handle();
        let other = engine.log_in("alice").await;
        engine.clock.set(START.plus(REFRESH + MILLISECOND));
        let refused = engine.exchange(refresh_token(&issued)).await;
        assert_eq!(unauthorised(refused), UnauthorisedReason::SessionExpired);
        // Nor is it listed, read or changed.
        let handles = engine.get_all_session_handles_for_user("alice").await.unwrap();
        assert_eq!(handles, [other.session.handle().clone()]);
        assert!(engine.get_session_information(handle).await.unwrap().is_none());
        for refused in [
            engine.get_session_data(handle).await.map(drop),
            engine.get_jwt_payload(handle).await.map(drop),
            engine.update_session_data(handle, object(json!({}))).await,
            engine.update_jwt_payload(handle, object(json!({}))).await,
        ] {
            assert_eq!(unauthorised(refused), UnauthorisedReason::SessionNotFound);
        }
        assert_eq!(
            engine.sweep(100).await.unwrap().sessions,
            1,
            "a sweep removes it, and no other"
        );
        assert!(engine.row(other.session.handle()).await.is_some());
    }
}

#[tokio::test]
async fn a_session_that_was_revoked_is_over_where_the_store_is_asked() {
    for engine in engines().await {
        let issued = engine.log_in("alice").await;
        assert!(engine.revoke_session(issued.session.handle()).await.unwrap());
        assert!(engine.read(access_token(&issued)).await.is_ok());
        let refused = read_from_store(&engine, access_token(&issued)).await;
        assert_eq!(unauthorised(refused), UnauthorisedReason::SessionNotFound);
        let refused = engine.exchange(refresh_token(&issued)).await;
        assert_eq!(unauthorised(refused), UnauthorisedReason::SessionNotFound);
        engine.clock.advance(ACCESS + SECOND);
        let refused = engine.read(access_token(&issued)).await;
        assert_eq!(try_refresh(refused), TryRefreshReason::Expired);
    }
}

#[tokio::test]
async fn only_existence_counts_where_the_store_is_asked() {
    for engine in engines().await {
        let issued = engine.log_in("alice").await;
        let mut row = engine.row(issued.session.handle()).await.unwrap();
        row.expires_at = START;
        engine.put_row(row).await;
        engine.clock.advance(SECOND);
        assert!(read_from_store(&engine, access_token(&issued)).await.is_ok());
        let refused = engine.regenerate_with(access_token(&issued), json!({})).await;
        assert_eq!(unauthorised(refused), UnauthorisedReason::SessionNotFound, "but not to change");
    }
}

#[tokio::test]
async fn revoking_gives_what_was_there() {
    for engine in engines().await {
        let mut of_alice = Vec::new();
        for _ in 0..3 {
            of_alice.push(engine.log_in("alice").await.session.handle().clone());
        }
        let other = engine.log_in("bob").await.session.handle().clone();
        let mut revoked = engine.revoke_all_sessions_for_user("alice").await.unwrap();
        revoked.sort();
        of_alice.sort();
        assert_eq!(revoked, of_alice);
        let unknown = SessionHandle::new("unknown");
        let mixed = [unknown.clone(), other.clone(), of_alice[0].clone(), other.clone()];
        assert_eq!(engine.revoke_multiple_sessions(&mixed).await.unwrap(), [other]);
        assert_eq!(engine.revoke_multiple_sessions(&[unknown]).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_sweep_removes_the_keys_that_verify_nothing_any_more() {
    let engine = Engine::with_policy(on_use()).await;
    let first = published(&engine).await;
    engine.clock.set(START.plus(INTERVAL + 2 * ACCESS));
    drop(engine.log_in("alice").await);
    assert_eq!(engine.sweep(100).await.unwrap().keys, 0);
    assert!(published(&engine).await.contains(&first[0]));
    engine.clock.advance(MILLISECOND);
    assert_eq!(engine.sweep(100).await.unwrap().keys, 1);
    assert!(!published(&engine).await.contains(&first[0]));
}

#[tokio::test]
async fn a_payload_that_is_changed_by_handle_is_seen_where_the_store_is_asked() {
    let engine = Engine::with_policy(on_use()).await;
    let old = json!({ "a": null, "deep": { "list": [1, { "b": null }], "big": 9_007_199_254_740_993_i64 } });
    let issued = engine.create_session(NewSession::new("alice").jwt_payload(&old)).await.unwrap();
    let (token, handle) = (access_token(&issued), issued.session.handle());
    assert_eq!(engine.read(token).await.unwrap().jwt_payload(), &object(old.clone()));
    for new in [json!({ "role": "admin", "a": null }), json!({})] {
        engine.update_jwt_payload(handle, object(new.clone())).await.unwrap();
        assert_eq!(engine.get_jwt_payload(handle).await.unwrap(), object(new.clone()));
        let plain = engine.read(token).await.unwrap();
        assert_eq!(plain.jwt_payload(), &object(old.clone()));
        assert!(plain.new_access_token().is_none());

        engine.clock.advance(SECOND);
        let asked = read_from_store(&engine, token).await.unwrap();
        assert_eq!(asked.jwt_payload(), &object(new.clone()));
        let replaced = replacement(&asked);
        assert_eq!(asked.expires_at(), engine.now().plus(ACCESS));
        assert!(read_from_store(&engine, replaced).await.unwrap().new_access_token().is_none());
        assert_eq!(engine.read(replaced).await.unwrap().jwt_payload(), &object(new.clone()));
        assert!(engine.read(token).await.unwrap().new_access_token().is_none());

        let next = exchanged(&engine, &issued).await;
        assert_eq!(next.session.jwt_payload(), &object(new));
    }
    // The same members in another order are no change.
    let row = engine.row(handle).await.unwrap();
    let new = NewSession::new("alice").jwt_payload(json!({ "a": 1, "b": 2 }));
    let issued = engine.create_session(new).await.unwrap();
    let reordered = sessile_core::store::SessionRecord {
        jwt_payload: r#"{"b":2,"a":1}"#.to_owned(),
        ..engine.row(issued.session.handle()).await.unwrap()
    };
    engine.put_row(reordered).await;
    let asked = read_from_store(&engine, access_token(&issued)).await.unwrap();
    assert!(asked.new_access_token().is_none());
    assert_eq!(row.rotated_at, None);
}

#[tokio::test]
async fn a_payload_is_regenerated_in_place() {
    for engine in engines().await {
        let new = NewSession::new("alice").jwt_payload(json!({ "a": 1 })).anti_csrf_token(true);
        let first = engine.create_session(new).await.unwrap();
        let request = RefreshRequest {
            new_anti_csrf_token: true,
            ..RefreshRequest::from(refresh_token(&first))
        };
        let issued = engine.refresh(request).await.unwrap();
        let token = access_token(&issued);
        let before = engine.row(first.session.handle()).await.unwrap();
        engine.clock.advance(SECOND);
        let again = engine.regenerate_with(token, json!({ "b": null })).await.unwrap();
        let text = again.access_token.unwrap();
        let (old, new) = (part(token, 1), part(text.token.expose(), 1));
        for kept in ["exp", "refreshTokenHash1", "parentRefreshTokenHash1", "antiCsrfToken"] {
            assert_eq!(old[kept], new[kept], "{kept}");
        }
        assert_eq!(new["iat"], engine.now().as_seconds());
        assert_eq!((new.get("a"), new.get("b")), (None, Some(&Value::Null)));
        let after = engine.row(first.session.handle()).await.unwrap();
        let expected = sessile_core::store::SessionRecord {
            jwt_payload: r#"{"b":null}"#.to_owned(),
            ..before
        };
        assert!(after == expected, "nothing else of the row is touched");

        // Without a payload it keeps the stored one.
        let keep = RegenerateRequest { access_token: token, jwt_payload: None };
        let kept = engine.regenerate(keep.clone()).await.unwrap();
        assert_eq!(kept.session.jwt_payload(), &object(json!({ "b": null })));
        // Signed by the key of now, after the old one stopped signing.
        let handle = first.session.handle();
        engine.clock.set(START.plus(INTERVAL));
        let expired = engine.regenerate_with(token, json!({ "c": 1 })).await.unwrap();
        assert!(expired.access_token.is_none());
        assert_eq!(engine.get_jwt_payload(handle).await.unwrap(), object(json!({ "c": 1 })));
        engine.revoke_session(handle).await.unwrap();
        let refused = engine.regenerate(keep).await;
        assert_eq!(unauthorised(refused), UnauthorisedReason::SessionNotFound);
    }
}

#[tokio::test]
async fn a_token_is_regenerated_after_the_key_has_changed() {
    let engine = Engine::with_policy(on_use()).await;
    engine.clock.set(START.plus(INTERVAL - SECOND));
    let issued = engine.log_in("alice").await;
    engine.clock.advance(SECOND);
    let again = engine.regenerate_with(access_token(&issued), json!({})).await.unwrap();
    let again = again.access_token.unwrap();
    assert_ne!(key_id(again.token.expose()), key_id(access_token(&issued)));
    assert!(engine.read(again.token.expose()).await.is_ok());
}

#[tokio::test]
async fn a_dynamic_key_is_published_before_it_signs_and_a_static_one_stays() {
    for engine in engines().await {
        let dynamic = engine.log_in("alice").await;
        let new = NewSession::new("alice").issue(signed_by(SigningKeyKind::Static));
        let fixed = engine.create_session(new).await.unwrap();
        let first = key_id(access_token(&dynamic));
        let last = key_id(access_token(&fixed));
        assert!(first.starts_with("d-") && last.starts_with("s-"));
        for _ in 0..2 {
            assert_eq!(published(&engine).await, [first.clone(), last.clone()]);
        }
        engine.clock.set(START.plus(INTERVAL - OVERLAP + MILLISECOND));
        let [newest, second, third] = published(&engine).await.try_into().unwrap();
        assert_eq!((second.as_str(), third.as_str()), (first.as_str(), last.as_str()));
        let in_overlap = exchanged(&engine, &dynamic).await;
        assert_eq!(key_id(access_token(&in_overlap)), first, "the old one still signs");
        engine.clock.set(START.plus(INTERVAL));
        let after = exchanged(&engine, &in_overlap).await;
        assert_eq!(key_id(access_token(&after)), newest);
        assert_eq!(key_id(access_token(&exchanged(&engine, &fixed).await)), last);
        assert!(engine.read(access_token(&in_overlap)).await.is_ok());

        // A key that another program has, and this app does not.
        let stranger = Engine::with_policy(on_use()).await;
        stranger.clock.advance(SECOND);
        let store = MemoryStore::new();
        let clock = Arc::new(ManualClock::at(START.plus(SECOND)));
        let stranger = Engine::start_at(&store, &clock, on_use(), |builder| builder).await.unwrap();
        let token = stranger.log_in("alice").await;
        let refused = engine.read(access_token(&token)).await;
        assert_eq!(try_refresh(refused), TryRefreshReason::UnknownKey);
    }
}

fn signed_by(kind: SigningKeyKind) -> IssueOptions {
    IssueOptions { signing_key_kind: Some(kind), ..IssueOptions::default() }
}

#[tokio::test]
async fn a_refresh_switches_the_kind_of_key_and_the_session_keeps_it() {
    for rotation in [
        RotationPolicy::OnUse,
        RotationPolicy::OnRefresh { grace: GRACE },
        RotationPolicy::Idempotent { grace: GRACE },
    ] {
        let engine = Engine::with_policy(Policy { rotation, ..on_use() }).await;
        let new = NewSession::new("alice").issue(signed_by(SigningKeyKind::Static));
        let mut token = engine.create_session(new).await.unwrap();
        assert!(key_id(access_token(&token)).starts_with("s-"));
        for (kind, start) in [
            (None, "s-"),
            (Some(SigningKeyKind::Dynamic), "d-"),
            (None, "d-"),
            (Some(SigningKeyKind::Static), "s-"),
            (Some(SigningKeyKind::Static), "s-"),
            (None, "s-"),
        ] {
            let issue = IssueOptions { signing_key_kind: kind, ..IssueOptions::default() };
            let request = RefreshRequest { issue, ..RefreshRequest::from(refresh_token(&token)) };
            let next = engine.refresh(request).await.unwrap();
            assert!(key_id(access_token(&next)).starts_with(start), "{rotation:?}");
            let row = engine.row(token.session.handle()).await.unwrap();
            assert_eq!(row.use_static_key, start == "s-");
            if let Some(new) = engine.read(access_token(&next)).await.unwrap().new_access_token() {
                assert!(key_id(new.token.expose()).starts_with(start));
            }
            let again = engine.regenerate_with(access_token(&next), json!({})).await.unwrap();
            assert!(key_id(again.access_token.unwrap().token.expose()).starts_with(start));
            token = next;
        }

        // A retry that asks for another kind than the lost request gets it.
        let lost = exchanged(&engine, &token).await;
        let issue = signed_by(SigningKeyKind::Dynamic);
        let request = RefreshRequest { issue, ..RefreshRequest::from(refresh_token(&token)) };
        let again = engine.refresh(request).await.unwrap();
        assert!(key_id(access_token(&again)).starts_with("d-"), "{rotation:?}");
        let same = refresh_token(&again) == refresh_token(&lost);
        assert_eq!(same, matches!(rotation, RotationPolicy::Idempotent { .. }));
        if same {
            // The kind alone was written: the child is kept, and given again as it was.
            engine.clock.advance(SECOND);
            let again = exchanged(&engine, &token).await;
            assert_eq!(refresh_token(&again), refresh_token(&lost));
            assert_eq!(again.refresh_token.created_at, lost.refresh_token.created_at);
        }
    }
}

fn guarded_login() -> NewSession {
    NewSession::new("alice").anti_csrf_token(true)
}

#[tokio::test]
async fn anti_csrf_tokens_are_checked_where_both_sides_have_them() {
    for engine in engines().await {
        let refresh = async |token: &IssuedSession, given: AntiCsrf<'_>, wanted| {
            let request = RefreshRequest {
                anti_csrf: given,
                new_anti_csrf_token: wanted,
                ..RefreshRequest::from(refresh_token(token))
            };
            engine.refresh(request).await
        };
        let plain = engine.log_in("alice").await;
        let child = refresh(&plain, AntiCsrf::Token(None), true).await.unwrap();
        assert!(child.anti_csrf_token.is_some(), "a session that began without gets one");
        let guarded = engine.create_session(guarded_login()).await.unwrap();
        for wrong in [None, Some("another")] {
            let refused = refresh(&guarded, AntiCsrf::Token(wrong), true).await;
            assert_eq!(unauthorised(refused), UnauthorisedReason::AntiCsrfMismatch);
        }
        let without = refresh(&guarded, AntiCsrf::Unchecked, false).await.unwrap();
        assert_eq!(without.anti_csrf_token, None);
        let guarded = engine.create_session(guarded_login()).await.unwrap();
        let given = AntiCsrf::Token(guarded.anti_csrf_token.as_deref());
        let next = refresh(&guarded, given, true).await.unwrap();
        assert!(next.anti_csrf_token.is_some());
        assert_ne!(next.anti_csrf_token, guarded.anti_csrf_token, "each refresh has its own");

        let own = guarded.anti_csrf_token.as_deref();
        let verify = async |token: &IssuedSession, anti_csrf| {
            engine
                .verify(VerifyRequest { anti_csrf, ..VerifyRequest::new(access_token(token)) })
                .await
        };
        assert!(verify(&guarded, AntiCsrf::Token(own)).await.is_ok());
        assert!(verify(&guarded, AntiCsrf::Unchecked).await.is_ok());
        for refused in [
            verify(&guarded, AntiCsrf::Token(None)).await,
            verify(&guarded, AntiCsrf::Token(Some("another"))).await,
            verify(&plain, AntiCsrf::Token(None)).await,
            verify(&plain, AntiCsrf::Token(own)).await,
        ] {
            assert_eq!(try_refresh(refused), TryRefreshReason::AntiCsrfMismatch);
        }
    }
}

#[tokio::test]
async fn a_wrong_anti_csrf_token_makes_nothing_current() {
    let engine = Engine::with_policy(on_use()).await;
    let new = NewSession::new("alice").anti_csrf_token(true);
    let first = engine.create_session(new).await.unwrap();
    let request =
        RefreshRequest { new_anti_csrf_token: true, ..RefreshRequest::from(refresh_token(&first)) };
    let second = engine.refresh(request).await.unwrap();
    let row = engine.row(first.session.handle()).await;
    for wrong in [None, Some("another")] {
        let anti_csrf = AntiCsrf::Token(wrong);
        let request = VerifyRequest { anti_csrf, ..VerifyRequest::new(access_token(&second)) };
        let refused = engine.verify(request).await;
        assert_eq!(try_refresh(refused), TryRefreshReason::AntiCsrfMismatch);
        assert!(engine.row(first.session.handle()).await == row);
    }
    let anti_csrf = AntiCsrf::Token(second.anti_csrf_token.as_deref());
    let request = VerifyRequest { anti_csrf, ..VerifyRequest::new(access_token(&second)) };
    let session = engine.verify(request).await.unwrap();
    assert_eq!(session.anti_csrf_token(), second.anti_csrf_token.as_deref(), "it stays the same");
}

#[tokio::test]
async fn a_refresh_token_survives_a_restart_and_no_other_key() {
    let (store, clock) = (MemoryStore::new(), Arc::new(ManualClock::at(START)));
    let start =
        async || Engine::start_at(&store, &clock, on_use(), |builder| builder).await.unwrap();
    let token = start().await.log_in("alice").await;
    let token = exchanged(&start().await, &token).await;
    let elsewhere = Engine::with_policy(on_use()).await;
    let [sealed, nonce, version] =
        refresh_token(&token).split('.').collect::<Vec<_>>().try_into().unwrap();
    let engine = start().await;
    let other_app = engine.for_app(app("shop"), on_use()).await.unwrap();
    let refused = other_app.refresh(refresh_token(&token).into()).await;
    assert_eq!(unauthorised(refused), UnauthorisedReason::RefreshTokenInvalid);
    let refused = elsewhere.exchange(refresh_token(&token)).await;
    assert_eq!(unauthorised(refused), UnauthorisedReason::RefreshTokenInvalid);
    for bad in [
        String::new(),
        format!("{}A.{nonce}.{version}", &sealed[1..]),
        format!("{sealed}.{}.{version}", "0".repeat(64)),
        format!("{sealed}.{nonce}.V0"),
        format!("{sealed}.{version}"),
    ] {
        let refused = engine.exchange(&bad).await;
        assert_eq!(unauthorised(refused), UnauthorisedReason::RefreshTokenInvalid, "{bad}");
    }
    assert!(engine.exchange(refresh_token(&token)).await.is_ok());
}

#[tokio::test]
async fn a_rotation_keeps_the_previous_token_for_the_grace_period() {
    let engine = Engine::with_policy(on_refresh()).await;
    let first = engine.log_in("alice").await;
    let handle = first.session.handle();
    engine.clock.advance(SECOND);
    let second = exchanged(&engine, &first).await;
    let row = engine.row(handle).await.unwrap();
    assert!(row.refresh_token_hash == stored_hash(refresh_token(&second)));
    assert!(row.previous_refresh_token_hash == Some(stored_hash(refresh_token(&first))));
    assert_eq!(row.rotated_at, Some(engine.now()));
    assert_eq!(row.expires_at, engine.now().plus(REFRESH));
    assert_eq!(part(access_token(&second), 1)["parentRefreshTokenHash1"], Value::Null);

    engine.clock.advance(GRACE);
    let again = exchanged(&engine, &first).await;
    assert_ne!(refresh_token(&again), refresh_token(&second));
    let after = engine.row(handle).await.unwrap();
    assert!(after.refresh_token_hash == stored_hash(refresh_token(&again)));
    assert!(after.previous_refresh_token_hash == row.previous_refresh_token_hash);
    assert_eq!((after.rotated_at, after.expires_at), (row.rotated_at, row.expires_at));
}

#[tokio::test]
async fn each_reuse_after_a_rotation_has_its_name_and_ends_the_session() {
    for late_retry in [LateRetry::TokenTheft, LateRetry::Unauthorised] {
        let engine = Engine::with_policy(Policy { late_retry, ..on_refresh() }).await;
        for kind in [TheftKind::LateRetry, TheftKind::OrphanedBranch, TheftKind::Stale] {
            let first = engine.log_in("alice").await;
            let second = exchanged(&engine, &first).await;
            let token = match kind {
                TheftKind::LateRetry => {
                    engine.clock.advance(GRACE + MILLISECOND);
                    &first
                }
                TheftKind::OrphanedBranch => {
                    drop(exchanged(&engine, &first).await);
                    &second
                }
                _ => {
                    drop(exchanged(&engine, &second).await);
                    &first
                }
            };
            engine.take_events();
            let answer = engine.exchange(refresh_token(token)).await;
            let told = match (late_retry, kind) {
                (LateRetry::Unauthorised, TheftKind::LateRetry) => {
                    assert_eq!(unauthorised(answer), UnauthorisedReason::LateRetry);
                    EventKind::Revoked { reason: RevocationReason::LateRetry }
                }
                (LateRetry::Unauthorised, TheftKind::OrphanedBranch) => {
                    assert_eq!(unauthorised(answer), UnauthorisedReason::OrphanedBranch);
                    EventKind::Revoked { reason: RevocationReason::OrphanedBranch }
                }
                _ => {
                    assert_theft(answer, &first, kind, true);
                    EventKind::TheftDetected { kind }
                }
            };
            assert_eq!(engine.take_event_kinds(), [told]);
            assert!(engine.row(first.session.handle()).await.is_none());
        }
    }
}

#[tokio::test]
async fn after_a_rotation_verification_writes_nothing() {
    let engine = Engine::with_policy(on_refresh()).await;
    let first = engine.log_in("alice").await;
    let handle = first.session.handle();
    let displaced = exchanged(&engine, &first).await;
    let second = exchanged(&engine, &first).await;
    let row = engine.row(handle).await;
    for good in [&first, &second] {
        let session = engine.read(access_token(good)).await.unwrap();
        assert_eq!(session.payload_update_available(), None, "nobody asked the store");
        let session = read_from_store(&engine, access_token(good)).await.unwrap();
        assert_eq!(session.payload_update_available(), Some(false));
        assert!(session.new_access_token().is_none());
    }
    let refused = read_from_store(&engine, access_token(&displaced)).await;
    assert_eq!(unauthorised(refused), UnauthorisedReason::RotatedOut);
    assert!(engine.read(access_token(&displaced)).await.is_ok(), "who asks nobody hears nothing");
    assert!(engine.row(handle).await == row);
    engine.update_jwt_payload(handle, object(json!({ "a": 1 }))).await.unwrap();
    let session = read_from_store(&engine, access_token(&second)).await.unwrap();
    assert_eq!(session.payload_update_available(), Some(true));
    assert!(session.jwt_payload().is_empty(), "it is the token's payload");

    // The same row, asked as the older rule asks: the first use of a child moves the session on.
    let request = RefreshRequest {
        rotation: Some(RotationPolicy::OnUse),
        ..RefreshRequest::from(refresh_token(&second))
    };
    let child = engine.refresh(request).await.unwrap();
    let request = VerifyRequest {
        rotation: Some(RotationPolicy::OnUse),
        ..VerifyRequest::new(access_token(&child))
    };
    assert!(engine.verify(request).await.unwrap().new_access_token().is_some());
    let row = engine.row(handle).await.unwrap();
    assert!(row.refresh_token_hash == stored_hash(refresh_token(&child)));
    assert!(row.previous_refresh_token_hash == Some(stored_hash(refresh_token(&second))));
}

#[tokio::test]
async fn tenants_of_an_app_share_their_keys_and_their_users() {
    for engine in engines().await {
        let new = NewSession::new("alice").tenant("t1".parse().unwrap());
        let issued = engine.create_session(new).await.unwrap();
        assert!(issued.session.handle().as_str().ends_with("_t1"));
        assert_eq!(engine.read(access_token(&issued)).await.unwrap().tenant().as_str(), "t1");
        let listed = async |tenants: TenantScope| {
            engine.get_sessions_of_user("alice", &tenants).await.unwrap().len()
        };
        assert_eq!(listed(TenantScope::All).await, 1);
        assert_eq!(listed(TenantScope::Only("t1".parse().unwrap())).await, 1);
        assert_eq!(listed(TenantScope::Only("public".parse().unwrap())).await, 0);
        let next = exchanged(&engine, &issued).await;
        assert_eq!(next.session.tenant().as_str(), "t1");

        let other_app = engine.for_app(app("shop"), engine.policy().clone()).await.unwrap();
        let refused = other_app.verify(VerifyRequest::new(access_token(&issued))).await;
        assert!(matches!(refused, Err(Error::TryRefreshToken { .. })));
        assert_eq!(engine.store().inner().signing_keys(engine.app()).await.unwrap().len(), 1);
    }
}
