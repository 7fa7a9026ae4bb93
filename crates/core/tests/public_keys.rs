//! Public keys for readers that know no key ids, JWTs that are no access tokens, and sessions that
//! end before their access tokens do.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test that asked for it")]

mod support;

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use sessile_core::{
    Algorithm, TryRefreshReason,
    policy::{Policy, SigningKeyKind},
};
use support::{Engine, SECOND, START, object, try_refresh, unauthorised};

const INTERVAL: Duration = Duration::from_secs(500);

fn rs256() -> Policy {
    Policy {
        algorithm: Algorithm::Rs256,
        signing_key_update_interval: INTERVAL,
        access_token_validity: Duration::from_secs(60),
        ..Policy::default()
    }
}

async fn key_ids(engine: &Engine, kind: SigningKeyKind) -> Vec<String> {
    let keys = engine.public_signing_keys(kind).await.unwrap();
    assert!(keys.verifying.contains(&keys.signing));
    keys.verifying.into_iter().map(|key| key.key_id).collect()
}

#[tokio::test]
async fn dynamic_keys_are_listed_newest_first_and_static_ones_apart() {
    let engine = Engine::with_policy(rs256()).await;
    let first = format!("d-{}", START.as_millis());
    assert_eq!(key_ids(&engine, SigningKeyKind::Dynamic).await, [first.as_str()]);
    let fixed = key_ids(&engine, SigningKeyKind::Static).await;
    assert!(fixed.len() == 1 && fixed[0].starts_with("s-"), "{fixed:?}");

    engine.clock.advance(INTERVAL + SECOND);
    let second = format!("d-{}", START.plus(INTERVAL + SECOND).as_millis());
    assert_eq!(key_ids(&engine, SigningKeyKind::Dynamic).await, [second.as_str(), &first]);
    engine.clock.advance(Duration::from_secs(130));
    assert_eq!(key_ids(&engine, SigningKeyKind::Dynamic).await, [second]);
    assert_eq!(key_ids(&engine, SigningKeyKind::Static).await, fixed);
}

#[tokio::test]
async fn a_jwt_is_verified_with_the_public_key_and_is_no_access_token() {
    let engine = Engine::with_policy(rs256()).await;
    for kind in [SigningKeyKind::Dynamic, SigningKeyKind::Static] {
        let claims = object(json!({ "iss": "https://a.example", "exp": 1, "n": null }));
        let token = engine.sign_jwt(claims, 100 * SECOND, kind).await.unwrap();
        let signing = engine.public_signing_keys(kind).await.unwrap().signing;
        let header = decode_header(token.expose()).unwrap();
        assert_eq!(header.kid, Some(signing.key_id));

        // SubjectPublicKeyInfo of an RSA key of 2048 bits has 24 bytes before the RSAPublicKey.
        let der = STANDARD.decode(signing.public_key).unwrap();
        let key = DecodingKey::from_rsa_der(&der[24..]);
        let mut validation = Validation::new(jsonwebtoken::Algorithm::RS256);
        validation.validate_exp = false;
        let claims: Value = decode(token.expose(), &key, &validation).unwrap().claims;
        let (now, end) = (START.as_seconds(), START.as_seconds() + 100);
        let expected = json!({ "iss": "https://a.example", "n": null, "iat": now, "exp": end });
        assert_eq!(claims, expected);
        let read = engine.read(token.expose()).await;
        assert_eq!(try_refresh(read), TryRefreshReason::Malformed);
    }
}

#[tokio::test]
async fn a_session_may_end_before_its_access_token_where_the_policy_allows_it() {
    let short = Policy { refresh_token_validity: 2 * SECOND, ..rs256() };
    assert!(short.check().is_err());
    let engine = Engine::with_policy(Policy { allow_short_sessions: true, ..short }).await;
    let token = engine.log_in("alice").await;
    engine.clock.advance(3 * SECOND);
    assert!(engine.read(support::access_token(&token)).await.is_ok());
    let refreshed = engine.exchange(support::refresh_token(&token)).await;
    assert_eq!(unauthorised(refreshed).code(), "session_expired");
}
