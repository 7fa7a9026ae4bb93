//! Access tokens of version 1, as the first cores signed them: they are read, and replaced in
//! kind, and nobody is given one.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test that asked for it")]

mod support;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use sessile_core::{
    AccessTokenVersion, Algorithm, GeneralError, IssueOptions, IssuedSession, NewSession,
    RefreshRequest, SessionService as _, TryRefreshReason, UnauthorisedReason,
    policy::{Policy, RotationPolicy},
    store::Store as _,
};
use support::{
    Engine, MILLISECOND, SECOND, access_token, fault, forge::Forge, object, refresh_token,
    try_refresh, unauthorised,
};

/// Base64 of `{"alg":"RS256","typ":"JWT","version":"1"}`.
const HEADER: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsInZlcnNpb24iOiIxIn0=";

const V1: AccessTokenVersion = AccessTokenVersion::V1;

fn policy() -> Policy {
    Policy {
        algorithm: Algorithm::Rs256,
        access_token_version: AccessTokenVersion::V2,
        rotation: RotationPolicy::OnUse,
        ..Policy::default()
    }
}

/// An engine, and what signs with its key.
async fn engine() -> (Engine, Forge) {
    let engine = Engine::with_policy(policy()).await;
    let keys = engine.store().inner().signing_keys(engine.app()).await.unwrap();
    let forge = Forge::of(&keys[0]);
    (engine, forge)
}

fn signed(forge: &Forge, header: &str, claims: &Value) -> String {
    let text = forge.sign_parts(header, &STANDARD.encode(claims.to_string()));
    let (message, signature) = text.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    format!("{message}.{}", STANDARD.encode(signature))
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&STANDARD.decode(part).unwrap()).unwrap()
}

/// The access token of a session as a core would have signed it that knew no other version.
fn aged(forge: &Forge, issued: &IssuedSession) -> String {
    signed(forge, HEADER, &claims(access_token(issued)))
}

#[tokio::test]
async fn a_token_is_read() {
    let (engine, forge) = engine().await;
    let payload = json!({ "userId": "the payload's own", "none": null });
    let new = NewSession::new("alice").jwt_payload(payload.clone()).anti_csrf_token(true);
    let issued = engine.create_session(new).await.unwrap();
    let session = engine.read(&aged(&forge, &issued)).await.unwrap();
    assert_eq!(session.access_token_version(), V1);
    assert_eq!(session.handle(), issued.session.handle());
    assert_eq!((session.user_id(), session.tenant().as_str()), ("alice", "public"));
    assert_eq!(session.jwt_payload(), &object(payload));
    assert_eq!(session.anti_csrf_token(), issued.anti_csrf_token.as_deref());
    assert_eq!(session.expires_at(), issued.access_token.expires_at);
    engine.clock.set(session.expires_at());
    assert!(engine.read(&aged(&forge, &issued)).await.is_ok());
    engine.clock.advance(MILLISECOND);
    let ended = engine.read(&aged(&forge, &issued)).await;
    assert_eq!(try_refresh(ended), TryRefreshReason::Expired);
}

#[tokio::test]
async fn a_regenerated_token_keeps_the_version() {
    let (engine, forge) = engine().await;
    let issued =
        engine.create_session(NewSession::new("alice").anti_csrf_token(true)).await.unwrap();
    let old = aged(&forge, &issued);
    engine.clock.advance(SECOND);
    let payload = json!({ "sessionHandle": "the payload's own" });
    let again = engine.regenerate_with(&old, payload.clone()).await.unwrap();
    assert_eq!(again.session.access_token_version(), V1);
    let token = again.access_token.unwrap();
    assert_eq!(token.token.expose().split('.').next(), Some(HEADER));
    let mut expected = claims(&old);
    expected["timeCreated"] = engine.now().as_millis().into();
    expected["userData"] = payload.clone();
    assert_eq!(claims(token.token.expose()), expected);
    assert_eq!(engine.read(token.token.expose()).await.unwrap().jwt_payload(), &object(payload));
    engine.revoke_session(issued.session.handle()).await.unwrap();
    let gone = engine.regenerate_with(&old, json!({})).await;
    assert_eq!(unauthorised(gone), UnauthorisedReason::SessionNotFound);
}

#[tokio::test]
async fn the_first_use_of_a_child_replaces_it_in_kind() {
    let (engine, forge) = engine().await;
    let first = engine.log_in("alice").await;
    let child = engine.exchange(refresh_token(&first)).await.unwrap();
    let used = engine.read(&aged(&forge, &child)).await.unwrap();
    let replacement = used.new_access_token().unwrap().token.expose();
    assert_eq!(replacement.split('.').next(), Some(HEADER));
    assert!(claims(replacement).get("parentRefreshTokenHash1").is_none());
    let row = engine.row(first.session.handle()).await.unwrap();
    assert!(row.refresh_token_hash == support::stored_hash(refresh_token(&child)));
    assert!(engine.read(replacement).await.unwrap().new_access_token().is_none());
}

#[tokio::test]
async fn what_was_not_signed_so_is_refused() {
    use TryRefreshReason::{Malformed, UnknownKey};
    let (engine, forge) = engine().await;
    let issued = engine.log_in("alice").await;
    let good = claims(access_token(&issued));
    let [_, encoded, signature] =
        access_token(&issued).split('.').collect::<Vec<_>>().try_into().unwrap();
    let (_, stranger) = self::engine().await;
    let of_v5 = json!({ "sub": "alice", "exp": 1, "iat": 1, "sessionHandle": "a" });
    let mut refused = vec![
        // A signature is of one header.
        (format!("{HEADER}.{encoded}.{signature}"), UnknownKey),
        (format!("{HEADER}.{encoded}."), UnknownKey),
        (signed(&stranger, HEADER, &good), UnknownKey),
        (signed(&forge, HEADER, &of_v5), Malformed),
        (signed(&forge, HEADER.trim_end_matches('='), &good), Malformed),
        (forge.sign_parts(HEADER, encoded), Malformed),
    ];
    for header in [
        r#"{"typ":"JWT","alg":"RS256","version":"1"}"#,
        r#"{"alg":"RS256","typ":"JWT","version":1}"#,
        r#"{"alg":"none","typ":"JWT","version":"1"}"#,
        r#"{"alg":"RS256","typ":"JWT","version":"1","kid":"x"}"#,
    ] {
        refused.push((signed(&forge, &STANDARD.encode(header), &good), Malformed));
    }
    for name in AccessTokenVersion::V1.protected_claims() {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(*name);
        refused.push((signed(&forge, HEADER, &claims), Malformed));
    }
    for (token, reason) in refused {
        assert_eq!(try_refresh(engine.read(&token).await), reason, "{token}");
        assert!(engine.identify(&token).await.unwrap().is_none());
        let changed = engine.regenerate_with(&token, json!({ "admin": true })).await;
        assert_eq!(try_refresh(changed), reason, "{token}");
    }
}

#[tokio::test]
async fn no_session_is_given_one() {
    let (engine, forge) = engine().await;
    let issue = IssueOptions { access_token_version: Some(V1), ..IssueOptions::default() };
    let first = engine.log_in("alice").await;
    let new = NewSession::new("bob").issue(issue);
    let refresh = RefreshRequest { issue, ..RefreshRequest::from(refresh_token(&first)) };
    for refused in [engine.create_session(new).await, engine.refresh(refresh).await] {
        let GeneralError::Configuration(problem) = fault(refused) else { panic!("another fault") };
        assert!(problem.contains("V1 is only read"), "{problem}");
    }
    assert_eq!(engine.get_all_session_handles_for_user("bob").await.unwrap(), []);
    let old = Policy { access_token_version: V1, ..policy() };
    assert!(matches!(old.check(), Err(GeneralError::Configuration(_))));

    // Its refresh is the way out.
    assert!(engine.read(&aged(&forge, &first)).await.is_ok());
    let next = engine.exchange(refresh_token(&first)).await.unwrap();
    assert_eq!(next.session.access_token_version(), AccessTokenVersion::V2);
}
