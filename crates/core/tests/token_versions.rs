//! Access tokens of every version and both formats of refresh token, byte for byte, made and read
//! by programs that share no code with the engine's.

#![expect(clippy::unwrap_used, reason = "the helpers fail the test that asked for them")]

mod support;

use std::{collections::BTreeSet, num::NonZeroU32, sync::Arc, time::Duration};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    pbkdf2,
    rsa::PublicKeyComponents,
    signature::RSA_PKCS1_2048_8192_SHA256,
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use sessile_core::{
    AccessTokenVersion, Algorithm, AntiCsrf, Error, GeneralError, IssueOptions, IssuedSession,
    NewSession, RefreshRequest, SessionService, TryRefreshReason, UnauthorisedReason, WrappingKey,
    clock::ManualClock,
    memory::MemoryStore,
    policy::{Policy, RefreshTokenFormat, RotationPolicy, SigningKeyKind},
    store::{Store, StoredSigningKey},
};
use support::{
    Engine, MILLISECOND, SECOND, START, access_token, app, fault, forge::Forge, hexadecimal,
    object, refresh_token, try_refresh, unauthorised, wrapping_key,
};

use AccessTokenVersion::{V2, V3, V4, V5};

const VERSIONS: [AccessTokenVersion; 4] = [V2, V3, V4, V5];
const V2_HEADER: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsInZlcnNpb24iOiIyIn0=";

/// What SuperTokens' core does.
fn policy() -> Policy {
    Policy {
        algorithm: Algorithm::Rs256,
        rotation: RotationPolicy::OnUse,
        absolute_lifetime: None,
        refresh_token_format: RefreshTokenFormat::SuperTokens,
        ..Policy::default()
    }
}

fn of_version(version: AccessTokenVersion) -> IssueOptions {
    IssueOptions { access_token_version: Some(version), ..IssueOptions::default() }
}

async fn created(engine: &Engine, version: AccessTokenVersion, payload: Value) -> IssuedSession {
    let new = NewSession::new("alice").jwt_payload(payload).issue(of_version(version));
    engine.create_session(new).await.unwrap()
}

async fn refreshed(engine: &Engine, token: &IssuedSession, issue: IssueOptions) -> IssuedSession {
    let request = RefreshRequest { issue, ..RefreshRequest::from(refresh_token(token)) };
    engine.refresh(request).await.unwrap()
}

async fn stored_keys(engine: &Engine) -> Vec<StoredSigningKey> {
    engine.store().inner().signing_keys(engine.app()).await.unwrap()
}

fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

/// The bytes of a part, as this version writes them and no other way.
fn decoded(version: AccessTokenVersion, part: &str) -> Vec<u8> {
    match version {
        V2 => STANDARD.decode(part).unwrap(),
        _ => URL_SAFE_NO_PAD.decode(part).unwrap(),
    }
}

fn claims(version: AccessTokenVersion, token: &str) -> Value {
    serde_json::from_slice(&decoded(version, parts(token)[1])).unwrap()
}

fn header(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts(token)[0]).unwrap()).unwrap()
}

fn names(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn inner_hash(token: &str) -> String {
    hexadecimal(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes()).as_ref())
}

/// Checks a signature with a published key, by its numbers alone.
fn is_signed_by(key: &Value, version: AccessTokenVersion, token: &str) -> bool {
    let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    PublicKeyComponents { n: number("n"), e: number("e") }
        .verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &decoded(version, signature))
        .is_ok()
}

async fn published(engine: &Engine) -> Vec<Value> {
    let document = engine.get_json_web_key_set().await.unwrap().document;
    document["keys"].as_array().unwrap().clone()
}

async fn published_names(engine: &Engine) -> Vec<String> {
    let keys = published(engine).await;
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn v2_is_minted_byte_for_byte() {
    let engine = Engine::with_policy(policy()).await;
    engine.clock.advance(123 * MILLISECOND);
    let issued = created(&engine, V2, json!({ "key": "value", "none": null })).await;
    let token = access_token(&issued);
    let [header, claims, signature] = parts(token);
    assert_eq!(header, V2_HEADER);
    assert_eq!(STANDARD.decode(header).unwrap(), br#"{"alg":"RS256","typ":"JWT","version":"2"}"#);
    let expected = format!(
        concat!(
            r#"{{"userId":"alice","expiryTime":1700003600123,"timeCreated":1700000000123,"#,
            r#""sessionHandle":"{}","refreshTokenHash1":"{}","#,
            r#""userData":{{"key":"value","none":null}}}}"#
        ),
        issued.session.handle(),
        inner_hash(refresh_token(&issued)),
    );
    assert_eq!(String::from_utf8(STANDARD.decode(claims).unwrap()).unwrap(), expected);
    assert_eq!(signature.len(), 344);
    assert_eq!(issued.access_token.created_at, engine.now(), "to the millisecond");
    assert_eq!(issued.access_token.expires_at, engine.now().plus(3600 * SECOND));

    // What is null is left out, and what is not is there.
    let child = RefreshRequest {
        new_anti_csrf_token: true,
        issue: of_version(V2),
        ..RefreshRequest::from(refresh_token(&issued))
    };
    let child = engine.refresh(child).await.unwrap();
    let claims = self::claims(V2, access_token(&child));
    assert_eq!(claims["parentRefreshTokenHash1"], inner_hash(refresh_token(&issued)));
    assert_eq!(claims["antiCsrfToken"], child.anti_csrf_token.unwrap());
    assert_eq!(names(&claims).len(), 8);
}

#[tokio::test]
async fn v3_to_v5_are_minted_byte_for_byte() {
    const COMMON: [&str; 8] = [
        "sub",
        "exp",
        "iat",
        "sessionHandle",
        "refreshTokenHash1",
        "parentRefreshTokenHash1",
        "antiCsrfToken",
        "key",
    ];
    let engine = Engine::with_policy(policy()).await;
    engine.clock.advance(999 * MILLISECOND);
    for (version, own) in [(V3, [].as_slice()), (V4, &["tId"]), (V5, &["tId", "rsub"])] {
        let new = NewSession::new("alice")
            .tenant("t1".parse().unwrap())
            .jwt_payload(json!({ "key": "value" }))
            .issue(of_version(version));
        let issued = engine.create_session(new).await.unwrap();
        let token = access_token(&issued);
        let [encoded_header, encoded_claims, signature] = parts(token);
        for part in [encoded_header, encoded_claims, signature] {
            assert!(!part.contains(['+', '/', '=']));
        }
        let key = &stored_keys(&engine).await[0];
        let number = version.number();
        let expected =
            json!({ "alg": "RS256", "kid": key.key_id, "typ": "JWT", "version": number });
        assert_eq!(header(token), expected);
        assert_eq!(key.key_id, format!("d-{}", START.as_millis()));

        let claims = claims(version, token);
        assert_eq!(names(&claims), COMMON.into_iter().chain(own.iter().copied()).collect());
        assert_eq!(claims["sub"], "alice");
        assert_eq!(
            (&claims["iat"], &claims["exp"]),
            (&json!(1_700_000_000), &json!(1_700_003_600))
        );
        assert_eq!(claims["refreshTokenHash1"], inner_hash(refresh_token(&issued)));
        assert_eq!(
            (&claims["parentRefreshTokenHash1"], &claims["antiCsrfToken"]),
            (&Value::Null, &Value::Null)
        );
        assert!(claims.get("tId").is_none_or(|tenant| tenant == "t1"));
        assert!(claims.get("rsub").is_none_or(|user| user == "alice"));
        assert_eq!(issued.access_token.created_at, START, "rounded down to the second");
        assert_eq!(issued.access_token.expires_at, START.plus(3600 * SECOND));
        assert_eq!(issued.refresh_token.created_at, engine.now(), "which is not");
    }
}

#[tokio::test]
async fn every_version_is_signed_by_the_published_key_and_read_back() {
    let engine = Engine::with_policy(policy()).await;
    for version in VERSIONS {
        let payload = json!({ "n": null, "big": 9_007_199_254_740_993_i64, "deep": [{ "a": {} }] });
        let issued = created(&engine, version, payload.clone()).await;
        let token = access_token(&issued);
        let [key] = published(&engine).await.try_into().unwrap();
        assert!(is_signed_by(&key, version, token));
        let changed = token.replacen('.', ".A", 1);
        assert!(!is_signed_by(&key, version, &changed));
        // The stored half says the same key in another form.
        let public = Forge::of(&stored_keys(&engine).await[0]).public().to_vec();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let unparsed =
            aws_lc_rs::signature::UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
        assert!(unparsed.verify(message.as_bytes(), &decoded(version, signature)).is_ok());

        let session = engine.read(token).await.unwrap();
        assert_eq!(session.jwt_payload(), &object(payload));
        assert_eq!((session.user_id(), session.recipe_user_id()), ("alice", "alice"));
        assert_eq!(session.access_token_version(), version);
        assert_eq!(session.handle(), issued.session.handle());
        assert_eq!(session.expires_at(), issued.access_token.expires_at);
        assert_eq!(session.claims(), issued.session.claims());
    }
}

#[tokio::test]
async fn a_v2_token_of_an_older_core_is_read() {
    let engine = Engine::with_policy(policy()).await;
    let forge = Forge::of(&stored_keys(&engine).await[0]);
    let claims = json!({
        "sessionHandle": "handle",
        "userId": "alice",
        "refreshTokenHash1": "hash",
        "userData": { "userId": "the payload's own" },
        "antiCsrfToken": null,
        "expiryTime": START.as_millis(),
        "timeCreated": 1,
        "lmrt": 2,
    });
    let token = signed_v2(&forge, V2_HEADER, &claims);
    let session = engine.read(&token).await.unwrap();
    assert_eq!(session.handle().as_str(), "handle");
    assert_eq!(session.jwt_payload(), &object(json!({ "userId": "the payload's own" })));
    engine.clock.advance(MILLISECOND);
    assert_eq!(try_refresh(engine.read(&token).await), TryRefreshReason::Expired);
}

/// A V2 token with a good signature, over whatever header and claims.
fn signed_v2(forge: &Forge, header: &str, claims: &Value) -> String {
    let signed = forge.sign_parts(header, &STANDARD.encode(claims.to_string()));
    let (message, signature) = signed.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    format!("{message}.{}", STANDARD.encode(signature))
}

#[tokio::test]
async fn hostile_v2_tokens_are_refused() {
    let engine = Engine::with_policy(policy()).await;
    let issued = created(&engine, V2, json!({})).await;
    let token = access_token(&issued);
    let [_, encoded, signature] = parts(token);
    let good = claims(V2, token);
    let forge = Forge::of(&stored_keys(&engine).await[0]);
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        signed_v2(&forge, V2_HEADER, &claims)
    };
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        signed_v2(&forge, V2_HEADER, &claims)
    };
    assert!(engine.read(&with("lmrt", json!(1))).await.is_ok());

    use TryRefreshReason::{Malformed, UnknownKey};
    let mut refused = vec![
        (format!("{V2_HEADER}.{encoded}."), UnknownKey),
        (format!("{V2_HEADER}.{encoded}.{}", STANDARD.encode([0; 256])), UnknownKey),
        (format!("{V2_HEADER}.{}.{signature}", STANDARD.encode("{}")), UnknownKey),
        (format!("{V2_HEADER}.{encoded}.{}", signature.trim_end_matches('=')), Malformed),
        (format!("{V2_HEADER}.{encoded}.!"), Malformed),
        (forge.sign_parts(V2_HEADER, encoded), Malformed),
        (format!("{token}.{signature}"), Malformed),
        (format!("{V2_HEADER}..{signature}"), UnknownKey),
        (signed_v2(&forge, V2_HEADER.trim_end_matches('='), &good), Malformed),
    ];
    // The same words in another order, another version, another algorithm, one word more.
    for header in [
        r#"{"typ":"JWT","alg":"RS256","version":"2"}"#,
        r#"{"alg":"RS256","typ":"JWT","version":"0"}"#,
        r#"{"alg":"none","typ":"JWT","version":"2"}"#,
        r#"{"alg":"HS256","typ":"JWT","version":"2"}"#,
        r#"{"alg":"RS256","typ":"JWT","version":"2","kid":"x"}"#,
        r#"{"alg":"RS256", "typ":"JWT","version":"2"}"#,
    ] {
        refused.push((signed_v2(&forge, &STANDARD.encode(header), &good), Malformed));
        let text = forge.sign(header, good.to_string().as_bytes());
        refused.push((text, Malformed));
    }
    for name in
        ["userId", "expiryTime", "timeCreated", "sessionHandle", "refreshTokenHash1", "userData"]
    {
        refused.push((without(name), Malformed));
        refused.push((with(name, Value::Null), Malformed));
        refused.push((with(name, json!([])), Malformed));
    }
    for name in ["parentRefreshTokenHash1", "antiCsrfToken"] {
        refused.push((with(name, json!(1)), Malformed));
    }
    refused.push((with("expiryTime", json!(1.5)), Malformed));
    refused.push((with("userData", json!("{}")), Malformed));
    // V3's claims under V2's header are not V2's.
    let v3 = claims(V3, access_token(&created(&engine, V3, json!({})).await));
    refused.push((signed_v2(&forge, V2_HEADER, &v3), Malformed));
    let stranger = Engine::with_policy(policy()).await;
    refused.push((access_token(&created(&stranger, V2, json!({})).await).to_owned(), UnknownKey));
    for (token, reason) in refused {
        assert_eq!(try_refresh(engine.read(&token).await), reason, "{token}");
        assert!(engine.identify(&token).await.unwrap().is_none());
    }
    // Read by an engine with no RSA key, it is of a key that is not there.
    let elliptic = Engine::new().await;
    assert_eq!(try_refresh(elliptic.read(token).await), UnknownKey);
}

#[tokio::test]
async fn v2_is_for_rsa_keys_alone() {
    let engine = Engine::new().await;
    let first = engine.log_in("alice").await;
    let row = engine.row(first.session.handle()).await;
    let new = NewSession::new("alice").issue(of_version(V2));
    let refresh =
        RefreshRequest { issue: of_version(V2), ..RefreshRequest::from(refresh_token(&first)) };
    for refused in [engine.create_session(new).await, engine.refresh(refresh).await] {
        assert!(matches!(fault(refused), GeneralError::Configuration(_)));
    }
    assert!(engine.row(first.session.handle()).await == row, "nothing was changed for it");
    assert_eq!(engine.get_all_session_handles_for_user("alice").await.unwrap().len(), 1);

    // A store whose policy went on to another algorithm still has V2 tokens about.
    let (store, clock) = (MemoryStore::new(), Arc::new(ManualClock::at(START)));
    let before = Engine::start_at(&store, &clock, policy(), |builder| builder).await.unwrap();
    let old = created(&before, V2, json!({})).await;
    let after = Engine::start_at(&store, &clock, Policy::default(), |builder| builder).await;
    let after = after.unwrap();
    assert!(after.read(access_token(&old)).await.is_ok());
    let refused = after.regenerate_with(access_token(&old), json!({})).await;
    assert!(matches!(fault(refused), GeneralError::Configuration(_)));
    let next = after.exchange(refresh_token(&old)).await.unwrap();
    assert_eq!(next.session.access_token_version(), V5);
}

#[tokio::test]
async fn a_nested_payload_may_have_any_claim() {
    let engine = Engine::with_policy(policy()).await;
    let payload = json!({ "userId": "mine", "sessionHandle": null });
    let issued = created(&engine, V2, payload.clone()).await;
    let again = engine.regenerate_with(access_token(&issued), payload.clone()).await.unwrap();
    assert_eq!(again.session.jwt_payload(), &object(payload));
    assert_eq!(
        (again.session.user_id(), again.session.handle()),
        ("alice", issued.session.handle())
    );
}

#[tokio::test]
async fn what_a_version_does_not_know_is_the_payloads() {
    let engine = Engine::with_policy(policy()).await;
    for (version, claim, next_version) in [(V3, "tId", V4), (V3, "rsub", V5), (V4, "rsub", V5)] {
        let payload = json!({ claim: "mine" });
        let issued = created(&engine, version, payload.clone()).await;
        let session = engine.read(access_token(&issued)).await.unwrap();
        assert_eq!(session.jwt_payload(), &object(payload.clone()));
        assert_eq!(session.tenant().as_str(), "public");
        assert_eq!(session.recipe_user_id(), "alice");
        let again = engine.regenerate_with(access_token(&issued), payload).await.unwrap();
        assert_eq!(again.session.jwt_payload()[claim], "mine");

        // In the next version it is a claim of the session's own, which a payload cannot set.
        let request = RefreshRequest {
            issue: of_version(next_version),
            ..RefreshRequest::from(refresh_token(&issued))
        };
        let GeneralError::ProtectedClaim { claim: named } = fault(engine.refresh(request).await)
        else {
            panic!("{claim} is protected in {next_version:?}")
        };
        assert_eq!(named, claim);
        let same = refreshed(&engine, &issued, of_version(version)).await;
        assert_eq!(same.session.jwt_payload()[claim], "mine");
    }
}

#[tokio::test]
async fn a_stored_payload_never_stands_in_for_a_claim_of_the_sessions() {
    // Written by an engine of an older version, into a row that a newer one has tokens of.
    let (store, clock) = (MemoryStore::new(), Arc::new(ManualClock::at(START)));
    let new = Engine::start_at(&store, &clock, policy(), |builder| builder).await.unwrap();
    let old = Policy { access_token_version: V3, ..policy() };
    let old = Engine::start_at(&store, &clock, old, |builder| builder).await.unwrap();
    let issued = new.log_in("alice").await;
    let payload = object(json!({ "tId": "t9", "rsub": "mallory" }));
    old.update_jwt_payload(issued.session.handle(), payload).await.unwrap();

    let refused = new.exchange(refresh_token(&issued)).await;
    assert!(matches!(fault(refused), GeneralError::ProtectedClaim { .. }));
    let request =
        sessile_core::RegenerateRequest { access_token: access_token(&issued), jwt_payload: None };
    let refused = new.regenerate(request).await;
    assert!(matches!(fault(refused), GeneralError::ProtectedClaim { .. }));
}

#[tokio::test]
async fn each_version_protects_its_own_claims() {
    let engine = Engine::with_policy(policy()).await;
    let all = ["sub", "exp", "iat", "sessionHandle", "refreshTokenHash1"];
    let all = all.into_iter().chain(["parentRefreshTokenHash1", "antiCsrfToken", "tId", "rsub"]);
    let all: Vec<&str> = all.collect();
    let legacy = ["userId", "expiryTime", "timeCreated", "sessionHandle", "refreshTokenHash1"];
    for (version, protected) in
        [(V2, legacy.as_slice()), (V3, &all[..7]), (V4, &all[..8]), (V5, &all[..9])]
    {
        assert_eq!(version.protected_claims(), protected);
        let issued = created(&engine, version, json!({})).await;
        for claim in all.iter().chain(&legacy).collect::<BTreeSet<_>>() {
            let payload = json!({ *claim: "x" });
            let new = NewSession::new("alice").jwt_payload(&payload).issue(of_version(version));
            let made = engine.create_session(new).await;
            // V2 keeps the payload apart; whether it may name such a claim is up to who asks.
            let is_refused = protected.contains(claim) && version != V2;
            assert_eq!(made.is_err(), is_refused, "{claim} in {version:?}");
            let replaced = engine.regenerate_with(access_token(&issued), payload).await;
            assert_eq!(replaced.is_err(), is_refused, "{claim} in {version:?}");
        }
    }
}

#[tokio::test]
async fn a_token_keeps_its_version_until_it_is_refreshed() {
    let engine = Engine::with_policy(policy()).await;
    for version in VERSIONS {
        for next_version in VERSIONS {
            let issued = created(&engine, version, json!({ "a": 1 })).await;
            let token = access_token(&issued);
            let again = engine.regenerate_with(token, json!({ "a": 2 })).await.unwrap();
            let new = again.access_token.unwrap();
            assert_eq!(again.session.access_token_version(), version);
            let (before, after) = (claims(version, token), claims(version, new.token.expose()));
            for kept in ["exp", "expiryTime", "sessionHandle", "refreshTokenHash1"]
                .into_iter()
                .chain(["parentRefreshTokenHash1", "antiCsrfToken", "tId", "rsub"])
            {
                assert_eq!(before.get(kept), after.get(kept), "{kept}");
            }
            assert!(engine.read(new.token.expose()).await.is_ok());

            let next = refreshed(&engine, &issued, of_version(next_version)).await;
            assert_eq!(next.session.access_token_version(), next_version);
            let first_use = engine.read(access_token(&next)).await.unwrap();
            assert_eq!(first_use.access_token_version(), next_version);
            let replacement = first_use.new_access_token().unwrap().token.expose();
            assert_eq!(
                claims(next_version, replacement).get("parentRefreshTokenHash1").cloned(),
                (next_version != V2).then_some(Value::Null)
            );
            let handle = issued.session.handle();
            engine.update_session_data(handle, object(json!({ "d": 1 }))).await.unwrap();
            engine.update_jwt_payload(handle, object(json!({ "a": 3 }))).await.unwrap();
            assert_eq!(engine.get_jwt_payload(handle).await.unwrap()["a"], 3);
        }
    }
}

#[tokio::test]
async fn a_key_is_found_by_its_name_and_for_v2_by_trying() {
    let (store, clock) = (MemoryStore::new(), Arc::new(ManualClock::at(START)));
    let quick = Policy {
        access_token_validity: Duration::from_secs(40),
        signing_key_update_interval: Duration::from_secs(20),
        signing_key_overlap: Duration::from_secs(5),
        ..policy()
    };
    let start =
        async || Engine::start_at(&store, &clock, quick.clone(), |builder| builder).await.unwrap();
    let engine = start().await;
    let mut held = Vec::new();
    for _ in 0..3 {
        for version in VERSIONS {
            held.push(created(&engine, version, json!({})).await);
        }
        clock.advance(20 * SECOND);
    }
    let fixed = IssueOptions { signing_key_kind: Some(SigningKeyKind::Static), ..of_version(V2) };
    let new = NewSession::new("alice").issue(fixed);
    held.push(engine.create_session(new).await.unwrap());
    assert_eq!(stored_keys(&engine).await.len(), 4);
    // One that knows all keys, and one that must ask the store for them.
    for engine in [&engine, &start().await] {
        for issued in held.iter().filter(|issued| issued.access_token.expires_at >= engine.now()) {
            assert!(engine.read(access_token(issued)).await.is_ok());
        }
    }
    // A good signature of a key is none of another's.
    let keys = stored_keys(&engine).await;
    let (mut one, other) = (Forge::of(&keys[0]), Forge::of(&keys[1]));
    one.key_id.clone_from(&other.key_id);
    let claims = Value::Object(held[11].session.claims());
    let refused = engine.read(&one.token(&claims)).await;
    assert_eq!(try_refresh(refused), TryRefreshReason::SignatureInvalid);
}

#[tokio::test]
async fn keys_of_both_kinds_are_published_the_dynamic_ones_first() {
    let engine = Engine::with_policy(policy()).await;
    let [dynamic] = published_names(&engine).await.try_into().unwrap();
    let fixed =
        IssueOptions { signing_key_kind: Some(SigningKeyKind::Static), ..IssueOptions::default() };
    let new = NewSession::new("alice").issue(fixed);
    let issued = engine.create_session(new).await.unwrap();
    let fixed = header(access_token(&issued))["kid"].as_str().unwrap().to_owned();
    let id = fixed.strip_prefix("s-").unwrap();
    assert_eq!((id.len(), &id[14..15]), (36, "4"), "a random UUID");
    assert_eq!(published_names(&engine).await, [dynamic.clone(), fixed.clone()]);

    engine.clock.advance(Policy::default().signing_key_update_interval);
    let [newest, older, last] = published_names(&engine).await.try_into().unwrap();
    assert_eq!((older, last), (dynamic, fixed.clone()));
    let next = engine.exchange(refresh_token(&issued)).await.unwrap();
    assert_eq!(header(access_token(&next))["kid"], fixed, "a static key is not replaced");
    engine.clock.advance(100 * Policy::default().signing_key_update_interval);
    assert!(!published_names(&engine).await.contains(&newest));
    assert!(published_names(&engine).await.contains(&fixed));
}

#[tokio::test]
async fn keys_as_supertokens_stores_them_are_read() {
    let sound = stored_keys(&Engine::with_policy(policy()).await).await.remove(0);
    for (separator, key_id, is_static) in
        [("|", "d-1699999999999", false), (";", "d-1699999999999", false), (";", "s-1", true)]
    {
        let store = MemoryStore::new();
        let key = StoredSigningKey {
            key_id: key_id.to_owned(),
            material: sound.material.replacen('|', separator, 1),
            is_static,
            ..sound.clone()
        };
        store.add_signing_key(&app("public"), key, None).await.unwrap();
        let signing_key_kind =
            if is_static { SigningKeyKind::Static } else { SigningKeyKind::Dynamic };
        let policy = Policy { signing_key_kind, ..policy() };
        let engine = Engine::start(&store, policy, |builder| builder).await.unwrap();
        let issued = engine.log_in("alice").await;
        assert_eq!(header(access_token(&issued))["kid"], key_id);
        assert!(is_signed_by(&published(&engine).await[0], V5, access_token(&issued)));
    }
}

/// SuperTokens' refresh tokens, written from the description of their format alone.
mod supertokens {
    use super::*;

    fn cipher(key_text: &str, initial: &[u8]) -> LessSafeKey {
        let mut key = [0; 32];
        let rounds = NonZeroU32::new(100).unwrap();
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA512;
        pbkdf2::derive(algorithm, rounds, initial, key_text.as_bytes(), &mut key);
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap())
    }

    pub(super) fn open(key_text: &str, token: &str) -> Value {
        let [sealed, nonce, version] = parts(token);
        assert_eq!(version, "V2");
        let mut sealed = STANDARD.decode(sealed).unwrap();
        let (initial, text) = sealed.split_at_mut(12);
        let key = cipher(key_text, initial);
        let initial = Nonce::try_assume_unique_for_key(initial).unwrap();
        let text = key.open_in_place(initial, Aad::empty(), text).unwrap();
        let content: Value = serde_json::from_slice(text).unwrap();
        assert_eq!(content["nonce"], nonce);
        assert!(nonce.len() == 64 && nonce.bytes().all(|digit| digit.is_ascii_hexdigit()));
        content
    }

    pub(super) fn seal(key_text: &str, content: &Value, end: &str) -> String {
        let initial = [7; 12];
        let mut text = content.to_string().into_bytes();
        let nonce = Nonce::assume_unique_for_key(initial);
        cipher(key_text, &initial)
            .seal_in_place_append_tag(nonce, Aad::empty(), &mut text)
            .unwrap();
        let nonce = content["nonce"].as_str().unwrap();
        format!("{}.{nonce}.{end}", STANDARD.encode([initial.as_slice(), &text].concat()))
    }
}

async fn key_text(engine: &Engine) -> String {
    let store = engine.store().inner();
    store.secret(engine.app(), "refresh_token_key", "none yet".to_owned()).await.unwrap()
}

#[tokio::test]
async fn refresh_tokens_are_opened_by_supertokens_rules() {
    let engine = Engine::with_policy(policy()).await;
    let key = key_text(&engine).await;
    let [rounds, salt, secret] = key.split(':').collect::<Vec<_>>().try_into().unwrap();
    assert_eq!((rounds, salt.len(), secret.len()), ("1000", 128, 128));

    let first = engine.log_in("alice").await;
    let content = supertokens::open(&key, refresh_token(&first));
    assert_eq!(names(&content), BTreeSet::from(["sessionHandle", "userId", "nonce"]));
    assert_eq!(content["sessionHandle"], first.session.handle().as_str());
    assert_eq!(content["userId"], "alice");

    let new = NewSession::new("alice").tenant("t1".parse().unwrap()).anti_csrf_token(true);
    let in_tenant = engine.create_session(new).await.unwrap();
    let request = RefreshRequest {
        anti_csrf: AntiCsrf::Token(in_tenant.anti_csrf_token.as_deref()),
        new_anti_csrf_token: true,
        ..RefreshRequest::from(refresh_token(&in_tenant))
    };
    let child = engine.refresh(request).await.unwrap();
    let content = supertokens::open(&key, refresh_token(&child));
    assert_eq!(content["tenantId"], "t1");
    assert_eq!(content["parentRefreshTokenHash1"], inner_hash(refresh_token(&in_tenant)));
    assert_eq!(content["antiCsrfToken"], child.anti_csrf_token.unwrap());
    assert_eq!(names(&content).len(), 6);
}

#[tokio::test]
async fn refresh_tokens_made_by_supertokens_rules_are_read() {
    for format in [RefreshTokenFormat::SuperTokens, RefreshTokenFormat::Sessile] {
        let engine = Engine::with_policy(Policy { refresh_token_format: format, ..policy() }).await;
        let key = key_text(&engine).await;
        let first = engine.log_in("alice").await;
        let content = json!({
            "tenantId": "public",
            "nonce": "0".repeat(64),
            "userId": "alice",
            "sessionHandle": first.session.handle().as_str(),
            "parentRefreshTokenHash1": inner_hash(refresh_token(&first)),
            "unknown": true,
        });
        for end in ["V2", "v2", "V1"] {
            let token = supertokens::seal(&key, &content, end);
            assert!(engine.describe_refresh_token(&token).await.is_some(), "{end}");
        }
        // It is a child of the first token, and its use makes it current.
        let token = supertokens::seal(&key, &content, "V2");
        assert!(engine.exchange(&token).await.is_ok());
        let stale = engine.exchange(refresh_token(&first)).await;
        assert!(matches!(stale, Err(Error::TokenTheftDetected { session_ended: false, .. })));

        let mut refused = vec![
            String::new(),
            supertokens::seal(&key, &content, "V0"),
            supertokens::seal(&key, &content, "V3"),
            supertokens::seal("another key", &content, "V2"),
            token.replacen(&"0".repeat(64), &"1".repeat(64), 1),
            format!("{token}.V2"),
            format!("{}.V0", "0".repeat(64)),
        ];
        for name in ["sessionHandle", "userId"] {
            let mut content = content.clone();
            content.as_object_mut().unwrap().remove(name);
            refused.push(supertokens::seal(&key, &content, "V2"));
        }
        for wrong in ["", "A", &"0".repeat(63), &"0".repeat(66), &"A".repeat(64)] {
            let mut content = content.clone();
            content["parentRefreshTokenHash1"] = json!(wrong);
            refused.push(supertokens::seal(&key, &content, "V2"));
        }
        for token in refused {
            let reason = unauthorised(engine.exchange(&token).await);
            assert_eq!(reason, UnauthorisedReason::RefreshTokenInvalid, "{token}");
        }
    }
}

#[tokio::test]
async fn a_key_text_that_was_there_before_is_used_as_it_is() {
    let store = MemoryStore::new();
    let key = format!("1000:{}:{}", "ab".repeat(64), "cd".repeat(64));
    store.secret(&app("public"), "refresh_token_key", key.clone()).await.unwrap();
    let with = |wrapping: Option<WrappingKey>| {
        Engine::start(&store, policy(), |builder| match wrapping {
            Some(wrapping) => builder.wrapping_key(wrapping),
            None => builder,
        })
    };
    for wrapping in [None, Some(wrapping_key())] {
        let engine = with(wrapping).await;
        let engine = engine.unwrap();
        let issued = engine.log_in("alice").await;
        assert_eq!(supertokens::open(&key, refresh_token(&issued))["userId"], "alice");
    }
}
