//! What an application does with a session: create, read, change, list and end it.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers fail the test that asked for them"
)]

mod support;

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sessile_core::{
    AccessTokenVersion, Algorithm, AntiCsrf, DataUpdate, Error, GeneralError, IssuedSession,
    NewSession, RefreshRequest, RegenerateRequest, SessionHandle, SessionInformation,
    SessionService, TenantId, TenantScope, TryRefreshReason, UnauthorisedReason, VerifyRequest,
    clock::Timestamp,
    policy::{Policy, Revocation},
    store::{SessionRecord, Swept},
};
use support::{
    Engine, MILLISECOND, SECOND, START, access_token, app,
    counting_store::Intent::{
        Get, Insert, List, Remove, RemoveOfUser, ReplaceData, ReplacePayload, Rotate,
    },
    fault, object, refresh_token, try_refresh, unauthorised,
};

const PROTECTED_CLAIMS: [&str; 9] = [
    "sub",
    "exp",
    "iat",
    "sessionHandle",
    "refreshTokenHash1",
    "parentRefreshTokenHash1",
    "antiCsrfToken",
    "tId",
    "rsub",
];

fn short_lived() -> Policy {
    Policy {
        access_token_validity: 60 * SECOND,
        refresh_token_validity: 1000 * SECOND,
        absolute_lifetime: None,
        ..Policy::default()
    }
}

fn immediate() -> Policy {
    Policy { revocation: Revocation::Immediate, ..short_lived() }
}

/// Everything that JSON can hold and that somebody's number type loses.
fn difficult_json() -> Value {
    json!({
        "": "no name",
        "null": null,
        "booleans": [true, false],
        "minimum": i64::MIN,
        "maximum": i64::MAX,
        "unsigned": u64::MAX,
        "floats": [0.1, 1.0 / 3.0, 1.0, 5e-324, f64::MAX, f64::MIN_POSITIVE, 1e21],
        "negative zero": -0.0,
        "nested": { "a": [1, [2, { "b": null, "c": {} }], []] },
        "text": "ünï ☃ 😀 \u{0}\u{7f}\u{2028} \" \\ / \r\n\t",
        "ключ": "значение",
        "nbf": 99_999_999_999_u64,
        "claims": { "sub": "not mine", "exp": 0 },
    })
}

/// A JSON object with `depth` objects and lists in each other.
fn nested(depth: usize) -> Value {
    let inner = (2..depth).fold(json!([]), |inner, level| match level % 2 {
        0 => json!({ "a": inner }),
        _ => json!([inner]),
    });
    json!({ "a": inner })
}

#[tokio::test]
async fn every_function_asks_the_store_as_often_as_it_says() {
    let engine = Engine::with_policy(Policy { verified_token_memory: 0, ..short_lived() }).await;
    assert_eq!(engine.calls_of(engine.log_in("alice")).await, [Insert]);

    let issued = engine.log_in("alice").await;
    let (token, handle) = (access_token(&issued), issued.session.handle());
    assert_eq!(engine.calls_of(engine.read(token)).await, []);
    assert_eq!(engine.calls_of(engine.identify(token)).await, []);
    let request =
        VerifyRequest { revocation: Some(Revocation::Immediate), ..VerifyRequest::new(token) };
    assert_eq!(engine.calls_of(engine.verify(request)).await, [Get]);

    assert_eq!(engine.calls_of(engine.get_session_data(handle)).await, [Get]);
    let data = object(json!({ "a": 1 }));
    assert_eq!(
        engine.calls_of(engine.update_session_data(handle, data.clone())).await,
        [ReplaceData]
    );
    assert_eq!(engine.calls_of(engine.get_versioned_session_data(handle)).await, [Get]);
    let version = engine.get_versioned_session_data(handle).await.unwrap().version;
    let swap = engine.compare_and_swap_session_data(handle, &data, version);
    assert_eq!(engine.calls_of(swap).await, [ReplaceData]);
    assert_eq!(
        engine.calls_of(engine.modify_session_data(handle, |_| {})).await,
        [Get, ReplaceData]
    );

    assert_eq!(engine.calls_of(engine.get_jwt_payload(handle)).await, [Get]);
    assert_eq!(engine.calls_of(engine.update_jwt_payload(handle, data)).await, [ReplacePayload]);
    assert_eq!(engine.calls_of(engine.regenerate_with(token, json!({}))).await, [ReplacePayload]);
    let renew = engine.regenerate(RegenerateRequest { access_token: token, jwt_payload: None });
    assert_eq!(engine.calls_of(renew).await, [Get]);
    assert_eq!(engine.calls_of(engine.get_session_information(handle)).await, [Get]);
    assert_eq!(engine.calls_of(engine.exchange(refresh_token(&issued))).await, [Rotate]);

    assert_eq!(
        engine.calls_of(engine.get_sessions_of_user("alice", &TenantScope::All)).await,
        [List]
    );
    assert_eq!(engine.calls_of(engine.get_all_session_handles_for_user("alice")).await, [List]);
    assert_eq!(engine.calls_of(engine.get_json_web_key_set()).await, []);
    assert_eq!(engine.calls_of(engine.revoke_multiple_sessions(&[])).await, []);
    assert_eq!(
        engine.calls_of(engine.revoke_multiple_sessions(std::slice::from_ref(handle))).await,
        [Remove]
    );
    assert_eq!(engine.calls_of(engine.revoke_session(handle)).await, [Remove]);
    assert_eq!(engine.calls_of(engine.revoke_all_sessions_for_user("alice")).await, [RemoveOfUser]);
}

#[tokio::test]
async fn under_immediate_revocation_a_verification_is_one_call() {
    let engine = Engine::with_policy(immediate()).await;
    let issued = engine.log_in("alice").await;
    for _ in 0..3 {
        assert_eq!(engine.calls_of(engine.read(access_token(&issued))).await, [Get]);
    }
    let request = VerifyRequest {
        revocation: Some(Revocation::AtExpiry),
        ..VerifyRequest::new(access_token(&issued))
    };
    assert_eq!(engine.calls_of(engine.verify(request)).await, []);
    assert_eq!(engine.calls_of(engine.read("made.up.token")).await, []);
}

#[tokio::test]
async fn a_new_session_is_what_was_asked_for() {
    let engine = Engine::new().await;
    let new = NewSession::new("alice")
        .jwt_payload(json!({ "role": "editor" }))
        .session_data(json!({ "cart": [1] }))
        .client_label("Firefox")
        .anti_csrf_token(true);
    let issued = engine.create_session(new).await.unwrap();
    assert_eq!(issued.access_token.created_at, START);
    assert_eq!(issued.access_token.expires_at, START.plus(3600 * SECOND));
    assert_eq!(issued.refresh_token.created_at, START);
    assert_eq!(issued.refresh_token.expires_at, START.plus(100 * 24 * 3600 * SECOND));
    assert!(issued.anti_csrf_token.is_some());

    for session in [
        issued.session.clone(),
        engine.read(access_token(&issued)).await.unwrap(),
        engine.identify(access_token(&issued)).await.unwrap().unwrap(),
    ] {
        assert_eq!(session.handle(), issued.session.handle());
        assert_eq!(session.user_id(), "alice");
        assert_eq!(session.tenant(), &TenantId::default());
        assert_eq!(session.jwt_payload(), &object(json!({ "role": "editor" })));
        assert_eq!(session.anti_csrf_token(), issued.anti_csrf_token.as_deref());
        assert_eq!(session.issued_at(), issued.access_token.created_at);
        assert_eq!(session.expires_at(), issued.access_token.expires_at);
    }
    let stored = engine.get_session_data(issued.session.handle()).await.unwrap();
    assert_eq!(stored, object(json!({ "cart": [1] })));
    let other = engine.log_in("alice").await;
    assert_ne!(other.session.handle(), issued.session.handle());
    assert_eq!(other.anti_csrf_token, None);
}

#[tokio::test]
async fn the_claims_are_the_formats_and_the_payloads() {
    let engine = Engine::new().await;
    let new = NewSession::new("alice").jwt_payload(difficult_json()).anti_csrf_token(true);
    let issued = engine.create_session(new).await.unwrap();
    let claims = issued.session.claims();
    for claim in PROTECTED_CLAIMS {
        assert!(claims.contains_key(claim), "{claim}");
    }
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["exp"], START.plus(3600 * SECOND).as_seconds());
    assert_eq!(claims["floats"], difficult_json()["floats"]);
    assert_eq!(claims.len(), PROTECTED_CLAIMS.len() + issued.session.jwt_payload().len());
}

#[tokio::test]
async fn an_access_token_is_good_up_to_its_expiry_and_not_a_millisecond_longer() {
    let engine = Engine::with_policy(short_lived()).await;
    let issued = engine.log_in("alice").await;
    engine.clock.set(issued.access_token.expires_at);
    assert!(engine.read(access_token(&issued)).await.is_ok());
    engine.clock.advance(MILLISECOND);
    let refused = engine.read(access_token(&issued)).await;
    assert_eq!(try_refresh(refused), TryRefreshReason::Expired);
    let known = engine.identify(access_token(&issued)).await.unwrap().unwrap();
    assert_eq!(known.handle(), issued.session.handle());
    assert!(engine.identify("made.up.token").await.unwrap().is_none());
}

#[tokio::test]
async fn a_verification_checks_the_anti_csrf_token_where_it_is_asked_to() {
    let engine = Engine::new().await;
    let guarded =
        engine.create_session(NewSession::new("alice").anti_csrf_token(true)).await.unwrap();
    let plain = engine.log_in("alice").await;
    let own = guarded.anti_csrf_token.as_deref();
    let verify = async |issued: &IssuedSession, anti_csrf| {
        let request = VerifyRequest { anti_csrf, ..VerifyRequest::new(access_token(issued)) };
        engine.verify(request).await.map(drop)
    };
    assert!(verify(&guarded, AntiCsrf::Unchecked).await.is_ok());
    assert!(verify(&guarded, AntiCsrf::Token(own)).await.is_ok());
    for (issued, given) in [
        (&guarded, None),
        (&guarded, Some("")),
        (&guarded, Some("other")),
        (&plain, own),
        (&plain, None),
    ] {
        let refused = verify(issued, AntiCsrf::Token(given)).await;
        assert_eq!(try_refresh(refused), TryRefreshReason::AntiCsrfMismatch);
    }
}

#[tokio::test]
async fn a_regenerated_token_has_the_new_payload_alone_and_the_same_expiry() {
    let engine = Engine::with_policy(short_lived()).await;
    let new = NewSession::new("alice")
        .tenant("t1".parse().unwrap())
        .jwt_payload(json!({ "role": "editor", "plan": "free" }))
        .anti_csrf_token(true);
    let issued = engine.create_session(new).await.unwrap();
    engine.clock.advance(10 * SECOND);
    let regenerated =
        engine.regenerate_with(access_token(&issued), json!({ "plan": "paid" })).await.unwrap();
    let token = regenerated.access_token.unwrap();
    assert_eq!(token.expires_at, issued.access_token.expires_at);
    assert_eq!(token.created_at, START.plus(10 * SECOND));
    let read = engine.read(token.token.expose()).await.unwrap();
    for session in [&regenerated.session, &read] {
        assert_eq!(session.jwt_payload(), &object(json!({ "plan": "paid" })));
        assert_eq!(session.handle(), issued.session.handle());
        assert_eq!(session.user_id(), "alice");
        assert_eq!(session.tenant().as_str(), "t1");
        assert_eq!(session.anti_csrf_token(), issued.anti_csrf_token.as_deref());
        assert_eq!(session.expires_at(), issued.session.expires_at());
    }

    let stored = engine.get_jwt_payload(issued.session.handle()).await.unwrap();
    assert_eq!(stored, object(json!({ "plan": "paid" })));
    let next = engine.exchange(refresh_token(&issued)).await.unwrap();
    assert_eq!(next.session.jwt_payload(), &stored);
    // The old token goes on saying what it was signed for.
    let old = engine.read(access_token(&issued)).await.unwrap();
    assert_eq!(old.jwt_payload()["plan"], "free");
}

#[tokio::test]
async fn a_regeneration_with_an_expired_token_stores_the_payload_and_makes_no_token() {
    let engine = Engine::with_policy(short_lived()).await;
    let issued = engine.log_in("alice").await;
    engine.clock.set(issued.access_token.expires_at);
    let at_the_end =
        engine.regenerate_with(access_token(&issued), json!({ "a": 1 })).await.unwrap();
    assert!(at_the_end.access_token.is_some());
    engine.clock.advance(MILLISECOND);
    let after = engine.regenerate_with(access_token(&issued), json!({ "a": 2 })).await.unwrap();
    assert!(after.access_token.is_none());
    assert_eq!(after.session.jwt_payload()["a"], 2);
    assert_eq!(engine.get_jwt_payload(issued.session.handle()).await.unwrap()["a"], 2);
    assert_eq!(
        engine.exchange(refresh_token(&issued)).await.unwrap().session.jwt_payload()["a"],
        2
    );
}

#[tokio::test]
async fn a_regeneration_without_a_payload_gives_the_stored_one() {
    let engine = Engine::with_policy(short_lived()).await;
    let issued = engine.log_in("alice").await;
    let handle = issued.session.handle();
    engine.update_jwt_payload(handle, object(json!({ "role": "admin" }))).await.unwrap();
    let request = RegenerateRequest { access_token: access_token(&issued), jwt_payload: None };
    let regenerated = engine.regenerate(request).await.unwrap();
    let token = regenerated.access_token.unwrap();
    let session = engine.read(token.token.expose()).await.unwrap();
    assert_eq!(session.jwt_payload()["role"], "admin");
    assert_eq!(token.expires_at, issued.access_token.expires_at);
}

#[tokio::test]
async fn a_regeneration_takes_user_and_tenant_from_the_row() {
    let engine = Engine::with_policy(short_lived()).await;
    let issued = engine.log_in("alice").await;
    let row = engine.row(issued.session.handle()).await.unwrap();
    engine.put_row(SessionRecord { user_id: "bob".to_owned(), ..row }).await;
    let regenerated = engine.regenerate_with(access_token(&issued), json!({})).await.unwrap();
    assert_eq!(regenerated.session.user_id(), "bob");
    let token = regenerated.access_token.unwrap();
    assert_eq!(engine.read(token.token.expose()).await.unwrap().user_id(), "bob");
}

#[tokio::test]
async fn a_regeneration_needs_a_good_signature_and_a_session() {
    let engine = Engine::with_policy(short_lived()).await;
    let issued = engine.log_in("alice").await;
    let token = access_token(&issued);
    let other = if token.ends_with('A') { 'Q' } else { 'A' };
    let forged = format!("{}{other}", &token[..token.len() - 1]);
    let calls = engine.calls_of(async {
        let refused = engine.regenerate_with(&forged, json!({})).await;
        assert_eq!(try_refresh(refused), TryRefreshReason::SignatureInvalid);
    });
    assert_eq!(calls.await, []);
    let assert_refused = async || {
        for jwt_payload in [None, Some(object(json!({})))] {
            let request = RegenerateRequest { access_token: token, jwt_payload };
            let refused = engine.regenerate(request).await;
            assert_eq!(unauthorised(refused), UnauthorisedReason::SessionNotFound);
        }
    };
    let row = engine.row(issued.session.handle()).await.unwrap();
    engine.put_row(SessionRecord { expires_at: engine.now(), ..row }).await;
    assert_refused().await;
    assert!(engine.revoke_session(issued.session.handle()).await.unwrap());
    assert_refused().await;
}

#[tokio::test]
async fn json_comes_out_as_it_went_in() {
    let engine = Engine::new().await;
    let difficult = object(difficult_json());
    let exact = serde_json::to_string(&difficult).unwrap();
    let same = |found: &sessile_core::JsonObject| {
        assert_eq!(found, &difficult);
        // Equality does not tell 0.0 from -0.0.
        assert_eq!(serde_json::to_string(found).unwrap(), exact);
    };
    let new = NewSession::new("alice").jwt_payload(&difficult).session_data(&difficult);
    let issued = engine.create_session(new).await.unwrap();
    let handle = issued.session.handle();
    same(issued.session.jwt_payload());
    same(engine.read(access_token(&issued)).await.unwrap().jwt_payload());
    same(&engine.get_session_data(handle).await.unwrap());
    same(&engine.get_jwt_payload(handle).await.unwrap());
    let information = engine.get_session_information(handle).await.unwrap().unwrap();
    same(&information.session_data);
    same(&information.jwt_payload);
    let next = engine.exchange(refresh_token(&issued)).await.unwrap();
    same(engine.read(access_token(&next)).await.unwrap().jwt_payload());

    let plain = engine.log_in("bob").await;
    let handle = plain.session.handle();
    engine.update_session_data(handle, difficult.clone()).await.unwrap();
    same(&engine.get_session_data(handle).await.unwrap());
    let regenerated = engine.regenerate_with(access_token(&plain), difficult_json()).await.unwrap();
    same(regenerated.session.jwt_payload());
    engine.update_jwt_payload(handle, difficult.clone()).await.unwrap();
    same(&engine.get_jwt_payload(handle).await.unwrap());
}

#[tokio::test]
async fn json_that_could_not_be_read_back_is_refused_and_the_deepest_other_is_kept() {
    for version in [AccessTokenVersion::V2, AccessTokenVersion::V3, AccessTokenVersion::V5] {
        let algorithm = match version {
            AccessTokenVersion::V2 => Algorithm::Rs256,
            _ => Algorithm::Es256,
        };
        let policy = Policy {
            cookie_limit: None,
            access_token_version: version,
            algorithm,
            ..short_lived()
        };
        too_deep_is_refused(&Engine::with_policy(policy).await).await;
    }
}

async fn too_deep_is_refused(engine: &Engine) {
    // Tokens of V2 and front tokens put the payload into one object more.
    let (deepest, deepest_payload) = (nested(127), nested(126));
    let new = NewSession::new("alice").jwt_payload(&deepest_payload).session_data(&deepest);
    let issued = engine.create_session(new).await.unwrap();
    let handle = issued.session.handle();
    assert_eq!(&engine.get_session_data(handle).await.unwrap(), deepest.as_object().unwrap());
    let session = engine.read(access_token(&issued)).await.unwrap();
    assert_eq!(session.jwt_payload(), deepest_payload.as_object().unwrap());

    let (too_deep, too_deep_payload) = (object(nested(128)), object(nested(127)));
    let refused = [
        engine
            .create_session(NewSession::new("bob").jwt_payload(&too_deep_payload))
            .await
            .map(drop),
        engine.create_session(NewSession::new("bob").session_data(&too_deep)).await.map(drop),
        engine.update_session_data(handle, too_deep.clone()).await,
        engine.update_jwt_payload(handle, too_deep_payload).await,
        engine.regenerate_with(access_token(&issued), nested(127)).await.map(drop),
        engine.modify_session_data(handle, |data| *data = too_deep.clone()).await.map(drop),
    ];
    for refused in refused {
        assert!(matches!(fault(refused), GeneralError::Serialise(_)));
    }
    assert_eq!(engine.get_all_session_handles_for_user("bob").await.unwrap(), []);
    assert_eq!(&engine.get_session_data(handle).await.unwrap(), deepest.as_object().unwrap());
    assert!(engine.exchange(refresh_token(&issued)).await.is_ok());
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Permissions {
    role: String,
    since: u64,
    limit: Option<i32>,
}

#[tokio::test]
async fn a_payload_can_be_a_type_of_the_applications() {
    let engine = Engine::new().await;
    let permissions = || Permissions { role: "editor".to_owned(), since: u64::MAX, limit: None };
    let issued =
        engine.create_session(NewSession::new("alice").jwt_payload(permissions())).await.unwrap();
    let session = engine.read(access_token(&issued)).await.unwrap();
    assert_eq!(session.jwt_payload_as::<Permissions>().unwrap(), permissions());
    let error = session.jwt_payload_as::<Vec<String>>().unwrap_err();
    assert!(matches!(error, GeneralError::Deserialise(_)));
}

#[tokio::test]
async fn a_payload_must_not_name_the_tokens_own_claims() {
    let engine = Engine::new().await;
    let issued = engine.log_in("alice").await;
    for claim in PROTECTED_CLAIMS {
        let payload = json!({ "role": "editor", claim: null });
        let calls = engine.calls_of(async {
            let new = NewSession::new("bob").jwt_payload(&payload);
            let handle = issued.session.handle();
            for refused in [
                engine.create_session(new).await.map(drop),
                engine.regenerate_with(access_token(&issued), payload.clone()).await.map(drop),
                engine.update_jwt_payload(handle, object(payload)).await,
            ] {
                let GeneralError::ProtectedClaim { claim: named } = fault(refused) else {
                    panic!("{claim} is protected");
                };
                assert_eq!(named, claim);
            }
        });
        assert_eq!(calls.await, [], "nothing is stored");
    }
    // In the data, and further down in the payload, the names mean nothing.
    let object: serde_json::Map<String, Value> =
        PROTECTED_CLAIMS.iter().map(|claim| ((*claim).to_owned(), Value::Null)).collect();
    let new = NewSession::new("bob").jwt_payload(json!({ "mine": object })).session_data(&object);
    assert!(engine.create_session(new).await.is_ok());
}

fn filler(length: usize) -> Value {
    json!({ "filler": "x".repeat(length) })
}

/// The size of the cookie that a token makes.
fn cookie_size(token: &str) -> usize {
    "sAccessToken".len() + token.len()
}

#[track_caller]
fn too_large<T>(result: Result<T, Error>) -> (usize, usize) {
    match fault(result) {
        GeneralError::PayloadTooLarge { size, limit } => (size, limit),
        other => panic!("not too large: {other}"),
    }
}

/// The longest filler that a guarded session of alice's may be created with, beside the size that
/// is reported for one byte more.
async fn largest_filler(engine: &Engine) -> (usize, usize) {
    let create = async |length| {
        let new = NewSession::new("alice").jwt_payload(filler(length)).anti_csrf_token(true);
        engine.create_session(new).await
    };
    let (mut fits, mut too_long) = (0, 100_000);
    while too_long - fits > 1 {
        let middle = usize::midpoint(fits, too_long);
        match create(middle).await {
            Ok(_) => fits = middle,
            Err(_) => too_long = middle,
        }
    }
    (fits, too_large(create(too_long).await).0)
}

#[tokio::test]
async fn a_payload_that_makes_too_large_a_cookie_is_refused() {
    let engine = Engine::new().await;
    let (fits, reported) = largest_filler(&engine).await;
    let guarded =
        |length| NewSession::new("alice").jwt_payload(filler(length)).anti_csrf_token(true);
    let issued = engine.create_session(guarded(fits)).await.unwrap();
    assert!(cookie_size(access_token(&issued)) <= 4096);
    assert!(engine.read(access_token(&issued)).await.is_ok());
    let handle = issued.session.handle();

    let unlimited = Engine::with_policy(Policy { cookie_limit: None, ..Policy::default() }).await;
    let larger = unlimited.create_session(guarded(fits + 1)).await.unwrap();
    assert_eq!(reported, cookie_size(access_token(&larger)), "the size is the true one");
    assert!(reported > 4096);

    let before = engine.row(handle).await;
    let calls = engine.calls_of(async {
        let refused = engine.create_session(guarded(fits + 1)).await;
        assert_eq!(too_large(refused), (reported, 4096));
        let refused = engine.regenerate_with(access_token(&issued), filler(fits + 1)).await;
        assert_eq!(too_large(refused), (reported, 4096));
    });
    assert_eq!(calls.await, [], "nothing is stored");
    let refused = engine.update_jwt_payload(handle, object(filler(fits + 1))).await;
    assert_eq!(too_large(refused), (reported, 4096));
    assert!(engine.row(handle).await == before, "nothing is changed");

    assert!(engine.regenerate_with(access_token(&issued), filler(fits)).await.is_ok());
    assert!(engine.update_jwt_payload(handle, object(filler(fits))).await.is_ok());
    // What was let in must not stop a refresh.
    let request = RefreshRequest { new_anti_csrf_token: true, ..refresh_token(&issued).into() };
    let next = engine.refresh(request).await.unwrap();
    assert!(cookie_size(access_token(&next)) <= 4096);
}

#[tokio::test]
async fn the_limit_of_a_cookie_is_exact() {
    let new = || NewSession::new("alice").jwt_payload(filler(100));
    let issued = Engine::new().await.create_session(new()).await.unwrap();
    let size = cookie_size(access_token(&issued));
    for (limit, fits) in [(size, true), (size - 1, false)] {
        let policy = Policy { cookie_limit: Some(limit), ..Policy::default() };
        let engine = Engine::with_policy(policy).await;
        let result = engine.create_session(new()).await;
        if fits {
            assert_eq!(cookie_size(access_token(&result.unwrap())), size);
        } else {
            assert_eq!(too_large(result), (size, limit));
        }
    }
}

#[tokio::test]
async fn a_payload_set_by_name_fits_whatever_the_limit_is() {
    let policy = Policy { cookie_limit: Some(800), ..Policy::default() };
    let engine = Engine::with_policy(policy).await;
    let (fits, _) = largest_filler(&engine).await;
    let issued = engine.log_in("alice").await;
    let handle = issued.session.handle();
    too_large(engine.update_jwt_payload(handle, object(filler(fits + 1))).await);
    engine.update_jwt_payload(handle, object(filler(fits))).await.unwrap();
    let request = RefreshRequest { new_anti_csrf_token: true, ..refresh_token(&issued).into() };
    assert!(engine.refresh(request).await.is_ok());
}

#[tokio::test]
async fn a_payload_set_by_name_without_measuring_fits_beside_the_longest_claims() {
    let policy = Policy { algorithm: Algorithm::Rs256, ..Policy::default() };
    let engine = Engine::with_policy(policy).await;
    let new = NewSession::new("\"".repeat(256)).tenant("t".repeat(64).parse().unwrap());
    let issued = engine.create_session(new).await.unwrap();
    let handle = issued.session.handle();
    let mut length = 0;
    while engine.calls_of(engine.update_jwt_payload(handle, object(filler(length)))).await
        == [ReplacePayload]
    {
        length += 1;
    }
    assert!(length > 700, "payloads of a usual size cost one call");
    engine.update_jwt_payload(handle, object(filler(length - 1))).await.unwrap();
    let request = RefreshRequest { new_anti_csrf_token: true, ..refresh_token(&issued).into() };
    assert!(engine.refresh(request).await.is_ok());
}

#[tokio::test]
async fn without_a_limit_a_token_is_still_one_that_can_be_read() {
    for cookie_limit in [None, Some(1_000_000)] {
        let engine = Engine::with_policy(Policy { cookie_limit, ..Policy::default() }).await;
        let (fits, _) = largest_filler(&engine).await;
        assert!(fits > 40_000);
        let new = NewSession::new("alice").jwt_payload(filler(fits)).anti_csrf_token(true);
        let issued = engine.create_session(new).await.unwrap();
        assert!(engine.read(access_token(&issued)).await.is_ok());
        let refused = engine.regenerate_with(access_token(&issued), filler(fits + 1)).await;
        too_large(refused);
        let handle = issued.session.handle();
        too_large(engine.update_jwt_payload(handle, object(filler(fits + 1))).await);
    }
}

#[tokio::test]
async fn a_user_id_is_text_that_can_be_kept() {
    let engine = Engine::new().await;
    let long = "x".repeat(257);
    let wide = "ü".repeat(129);
    for bad in ["", long.as_str(), wide.as_str(), "a\u{0}b", "a\n", "\u{7f}", "\u{85}"] {
        let calls = engine.calls_of(async {
            let refused = engine.create_session(NewSession::new(bad)).await;
            assert!(matches!(fault(refused), GeneralError::UserId(_)), "{bad:?}");
        });
        assert_eq!(calls.await, []);
    }
    for good in [" ", "ü", &"x".repeat(256), "a'b\"c;--", "😀"] {
        let issued = engine.log_in(good).await;
        assert_eq!(engine.read(access_token(&issued)).await.unwrap().user_id(), good);
        assert_eq!(engine.exchange(refresh_token(&issued)).await.unwrap().session.user_id(), good);
        assert_eq!(engine.get_all_session_handles_for_user(good).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_payload_and_data_are_objects() {
    let engine = Engine::new().await;
    for (value, kind) in [
        (json!(null), "null"),
        (json!(true), "a boolean"),
        (json!(1), "a number"),
        (json!("text"), "a string"),
        (json!([{}]), "a list"),
    ] {
        for new in [
            NewSession::new("alice").jwt_payload(&value),
            NewSession::new("alice").session_data(&value),
        ] {
            let calls = engine.calls_of(async {
                let GeneralError::NotAnObject { found } = fault(engine.create_session(new).await)
                else {
                    panic!("{value} is not an object");
                };
                assert_eq!(found, kind);
            });
            assert_eq!(calls.await, []);
        }
    }
    let keys_that_are_no_text = std::collections::HashMap::from([((1, 2), 3)]);
    let refused =
        engine.create_session(NewSession::new("alice").session_data(keys_that_are_no_text)).await;
    assert!(matches!(fault(refused), GeneralError::Serialise(_)));
}

#[tokio::test]
async fn session_data_is_overwritten() {
    let engine = Engine::new().await;
    let issued = engine.log_in("alice").await;
    let handle = issued.session.handle();
    assert_eq!(engine.get_session_data(handle).await.unwrap(), object(json!({})));
    for data in [json!({ "a": 1, "b": 2 }), json!({ "b": 3 }), json!({})] {
        engine.update_session_data(handle, object(data.clone())).await.unwrap();
        assert_eq!(engine.get_session_data(handle).await.unwrap(), object(data));
    }
    engine.update_session_data(handle, object(json!({ "kept": true }))).await.unwrap();
    drop(engine.exchange(refresh_token(&issued)).await.unwrap());
    assert_eq!(engine.get_session_data(handle).await.unwrap()["kept"], true);
}

/// Everything that needs a session answers that there is none.
async fn assert_gone(engine: &Engine, handle: &SessionHandle) {
    let none = object(json!({}));
    let version = sessile_core::store::DataVersion::of("{}");
    for refused in [
        engine.get_session_data(handle).await.map(drop),
        engine.update_session_data(handle, none.clone()).await,
        engine.get_jwt_payload(handle).await.map(drop),
        engine.update_jwt_payload(handle, none.clone()).await,
        engine.update_jwt_payload(handle, object(filler(1000))).await,
        engine.get_versioned_session_data(handle).await.map(drop),
        engine.compare_and_swap_session_data(handle, &none, version).await.map(drop),
        engine.modify_session_data(handle, |_| {}).await.map(drop),
    ] {
        assert_eq!(unauthorised(refused), UnauthorisedReason::SessionNotFound);
    }
    assert_eq!(engine.get_session_information(handle).await.unwrap(), None);
}

#[tokio::test]
async fn a_session_that_is_gone_or_over_is_not_found() {
    let engine = Engine::with_policy(short_lived()).await;
    assert_gone(&engine, &SessionHandle::new("made up")).await;
    let revoked = engine.log_in("alice").await;
    assert!(engine.revoke_session(revoked.session.handle()).await.unwrap());
    assert!(!engine.revoke_session(revoked.session.handle()).await.unwrap());
    assert_gone(&engine, revoked.session.handle()).await;

    let over = engine.log_in("alice").await;
    engine.clock.set(over.refresh_token.expires_at.minus(MILLISECOND));
    assert!(engine.get_session_data(over.session.handle()).await.is_ok());
    engine.clock.set(over.refresh_token.expires_at);
    assert_gone(&engine, over.session.handle()).await;
    assert_eq!(engine.get_all_session_handles_for_user("alice").await.unwrap(), []);
    assert!(engine.revoke_session(over.session.handle()).await.unwrap(), "it can still be removed");
}

#[tokio::test]
async fn the_sessions_of_a_user_are_listed_oldest_first() {
    let engine =
        Engine::with_policy(Policy { absolute_lifetime: Some(5000 * SECOND), ..short_lived() })
            .await;
    let first = NewSession::new("alice")
        .jwt_payload(json!({ "a": 1 }))
        .session_data(json!({ "b": 2 }))
        .client_label(&"ü".repeat(300));
    let first = engine.create_session(first).await.unwrap();
    drop(engine.log_in("bob").await);
    engine.clock.advance(SECOND);
    let tenant: TenantId = "t1".parse().unwrap();
    let second = NewSession::new("alice").tenant(tenant.clone());
    let second = engine.create_session(second).await.unwrap();
    engine.clock.advance(SECOND);
    drop(engine.exchange(refresh_token(&first)).await.unwrap());

    let expected = [
        SessionInformation {
            handle: first.session.handle().clone(),
            user_id: "alice".to_owned(),
            recipe_user_id: "alice".to_owned(),
            tenant: TenantId::default(),
            jwt_payload: object(json!({ "a": 1 })),
            session_data: object(json!({ "b": 2 })),
            created_at: START,
            last_refreshed_at: Some(START.plus(2 * SECOND)),
            expires_at: START.plus(1002 * SECOND),
            ends_at: START.plus(5000 * SECOND),
            client_label: Some("ü".repeat(256)),
        },
        SessionInformation {
            handle: second.session.handle().clone(),
            user_id: "alice".to_owned(),
            recipe_user_id: "alice".to_owned(),
            tenant: tenant.clone(),
            jwt_payload: object(json!({})),
            session_data: object(json!({})),
            created_at: START.plus(SECOND),
            last_refreshed_at: None,
            expires_at: START.plus(1001 * SECOND),
            ends_at: START.plus(5001 * SECOND),
            client_label: None,
        },
    ];
    let list = async |scope| engine.get_sessions_of_user("alice", &scope).await.unwrap();
    assert_eq!(list(TenantScope::All).await, expected);
    assert_eq!(list(TenantScope::Only(tenant)).await, expected[1..]);
    assert_eq!(list(TenantScope::Only(TenantId::default())).await, expected[..1]);
    let alone = engine.get_session_information(&expected[0].handle).await.unwrap();
    assert_eq!(alone.as_ref(), Some(&expected[0]));
    let handles = expected.clone().map(|session| session.handle);
    assert_eq!(engine.get_all_session_handles_for_user("alice").await.unwrap(), handles);
    assert_eq!(engine.get_all_session_handles_for_user("nobody").await.unwrap(), []);

    engine.clock.set(expected[1].expires_at);
    assert_eq!(list(TenantScope::All).await, expected[..1], "what is over is not listed");
}

#[tokio::test]
async fn sessions_are_revoked_one_by_one_and_together() {
    let engine = Engine::new().await;
    let mut handles = Vec::new();
    for _ in 0..6 {
        handles.push(engine.log_in("alice").await.session.handle().clone());
    }
    let bob = engine.log_in("bob").await;
    assert!(engine.revoke_session(&handles[0]).await.unwrap());

    let unknown = SessionHandle::new("unknown");
    let several =
        [handles[1].clone(), unknown, handles[2].clone(), handles[1].clone(), handles[0].clone()];
    let mut revoked = engine.revoke_multiple_sessions(&several).await.unwrap();
    revoked.sort();
    let mut expected = vec![handles[1].clone(), handles[2].clone()];
    expected.sort();
    assert_eq!(revoked, expected, "each that existed, once");

    let others = engine
        .revoke_sessions_of_user("alice", &TenantScope::All, Some(&handles[4]))
        .await
        .unwrap();
    assert_eq!(others.len(), 2);
    assert!(!others.contains(&handles[4]));
    let left = engine.get_all_session_handles_for_user("alice").await.unwrap();
    assert_eq!(left, [handles[4].clone()]);
    assert_eq!(engine.revoke_all_sessions_for_user("alice").await.unwrap(), left);
    assert_eq!(engine.revoke_all_sessions_for_user("alice").await.unwrap(), []);
    assert!(engine.get_session_information(bob.session.handle()).await.unwrap().is_some());
    for handle in &handles {
        assert_gone(&engine, handle).await;
    }
}

#[tokio::test]
async fn a_revoked_session_cannot_be_refreshed() {
    let engine = Engine::new().await;
    let issued = engine.log_in("alice").await;
    engine.revoke_session(issued.session.handle()).await.unwrap();
    let refused = engine.exchange(refresh_token(&issued)).await;
    assert_eq!(unauthorised(refused), UnauthorisedReason::SessionNotFound);
    assert!(engine.read(access_token(&issued)).await.is_ok(), "as `AtExpiry` says");
}

#[tokio::test]
async fn under_immediate_revocation_a_revoked_session_is_refused_at_once() {
    let engine = Engine::with_policy(immediate()).await;
    let issued = engine.log_in("alice").await;
    let token = access_token(&issued);
    assert!(engine.read(token).await.is_ok());
    let row = engine.row(issued.session.handle()).await.unwrap();

    engine.put_row(SessionRecord { expires_at: engine.now(), ..row.clone() }).await;
    assert_eq!(unauthorised(engine.read(token).await), UnauthorisedReason::SessionExpired);
    engine.put_row(SessionRecord { expires_at: engine.now().plus(MILLISECOND), ..row }).await;
    assert!(engine.read(token).await.is_ok());
    engine.revoke_session(issued.session.handle()).await.unwrap();
    assert_eq!(unauthorised(engine.read(token).await), UnauthorisedReason::SessionNotFound);
    engine.store().fail_next_call();
    assert!(matches!(fault(engine.read(token).await), GeneralError::Store(_)), "it fails closed");
}

#[tokio::test]
async fn a_session_lives_as_long_as_it_is_refreshed() {
    let engine = Engine::with_policy(short_lived()).await;
    let mut issued = engine.log_in("alice").await;
    for _ in 0..5 {
        assert_eq!(issued.refresh_token.expires_at, engine.now().plus(1000 * SECOND));
        assert_eq!(issued.access_token.expires_at, engine.now().plus(60 * SECOND));
        engine.clock.set(issued.refresh_token.expires_at);
        issued = engine.exchange(refresh_token(&issued)).await.unwrap();
    }
    engine.clock.set(issued.refresh_token.expires_at.plus(MILLISECOND));
    let refused = engine.exchange(refresh_token(&issued)).await;
    assert_eq!(unauthorised(refused), UnauthorisedReason::SessionExpired);
}

#[tokio::test]
async fn a_session_ends_for_good_however_busy_it_is() {
    let lifetime = Duration::from_millis(2_500_500);
    let policy = Policy { absolute_lifetime: Some(lifetime), ..short_lived() };
    let engine = Engine::with_policy(policy).await;
    let mut issued = engine.log_in("alice").await;
    let end = START.plus(lifetime);
    for seconds in [900, 1800, 2490, 2499] {
        engine.clock.set(START.plus(seconds * SECOND));
        issued = engine.exchange(refresh_token(&issued)).await.unwrap();
        assert!(issued.access_token.expires_at <= end);
        assert!(issued.refresh_token.expires_at <= end);
    }
    assert_eq!(issued.access_token.expires_at, end.floor_to_second());
    assert_eq!(issued.refresh_token.expires_at, end);
    let regenerated = engine.regenerate_with(access_token(&issued), json!({})).await.unwrap();
    assert_eq!(regenerated.access_token.unwrap().expires_at, end.floor_to_second());
    // The parent once more, in its window: the same end.
    engine.clock.set(end);
    let again = engine.exchange(refresh_token(&issued)).await.unwrap();
    assert_eq!(again.refresh_token.expires_at, end);
    assert_eq!(again.access_token.expires_at, end.floor_to_second());
    engine.clock.advance(MILLISECOND);
    for token in [&issued, &again] {
        let refused = engine.exchange(refresh_token(token)).await;
        assert_eq!(unauthorised(refused), UnauthorisedReason::SessionExpired);
    }
    assert_eq!(engine.get_all_session_handles_for_user("alice").await.unwrap(), []);
}

#[tokio::test]
async fn without_an_absolute_end_there_is_none() {
    let engine = Engine::with_policy(short_lived()).await;
    let issued = engine.log_in("alice").await;
    let information = engine.get_session_information(issued.session.handle()).await.unwrap();
    assert_eq!(information.unwrap().ends_at, Timestamp::MAX);
}

#[tokio::test]
async fn an_apps_tokens_mean_nothing_to_another_app() {
    let engine = Engine::new().await;
    let same_moment = engine.for_app(app("shop"), Policy::default()).await.unwrap();
    engine.clock.advance(SECOND);
    let later = engine.for_app(app("forum"), Policy::default()).await.unwrap();
    engine.clock.advance(SECOND);
    let issued = engine.log_in("alice").await;
    let handle = issued.session.handle();
    // Keys are named after the moment they were made, so the names of two apps' may be the same.
    for (other, reason) in
        [(&same_moment, TryRefreshReason::SignatureInvalid), (&later, TryRefreshReason::UnknownKey)]
    {
        let request = VerifyRequest::new(access_token(&issued));
        assert_eq!(try_refresh(other.verify(request).await), reason);
        assert!(other.identify(access_token(&issued)).await.unwrap().is_none());
        let refused = other.refresh(refresh_token(&issued).into()).await;
        assert_eq!(unauthorised(refused), UnauthorisedReason::RefreshTokenInvalid);
        assert_eq!(other.get_session_information(handle).await.unwrap(), None);
        assert_eq!(other.get_all_session_handles_for_user("alice").await.unwrap(), []);
        assert!(!other.revoke_session(handle).await.unwrap());
        assert_eq!(other.revoke_all_sessions_for_user("alice").await.unwrap(), []);
    }
    assert!(engine.exchange(refresh_token(&issued)).await.is_ok());
}

#[tokio::test]
async fn a_tenant_is_in_the_handle_and_in_every_token() {
    let engine = Engine::new().await;
    let tenant: TenantId = "t-1".parse().unwrap();
    let new = NewSession::new("alice").tenant(tenant.clone());
    let issued = engine.create_session(new).await.unwrap();
    let public = engine.log_in("alice").await;
    assert!(issued.session.handle().as_str().ends_with("_t-1"));
    assert!(!public.session.handle().as_str().contains('_'));
    assert_eq!(engine.read(access_token(&issued)).await.unwrap().tenant(), &tenant);
    assert_eq!(issued.session.claims()["tId"], "t-1");
    assert_eq!(public.session.claims()["tId"], "public");
    let next = engine.exchange(refresh_token(&issued)).await.unwrap();
    assert_eq!(next.session.tenant(), &tenant);

    let revoked =
        engine.revoke_sessions_of_user("alice", &TenantScope::Only(tenant), None).await.unwrap();
    assert_eq!(revoked, [issued.session.handle().clone()]);
    let left = engine.get_all_session_handles_for_user("alice").await.unwrap();
    assert_eq!(left, [public.session.handle().clone()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_concurrent_change_of_session_data_is_lost() {
    let engine = Arc::new(Engine::new().await);
    let issued = engine.log_in("alice").await;
    let handle = issued.session.handle();
    let tasks: Vec<_> = (0..50)
        .map(|index| {
            let (engine, handle) = (Arc::clone(&engine), handle.clone());
            tokio::spawn(async move {
                let change = |data: &mut sessile_core::JsonObject| {
                    let count = data.get("count").and_then(Value::as_u64).unwrap_or_default();
                    data.insert("count".to_owned(), (count + 1).into());
                    data.insert(format!("task {index}"), true.into());
                };
                engine.modify_session_data(&handle, change).await.unwrap()
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let data = engine.get_session_data(handle).await.unwrap();
    assert_eq!(data["count"], 50);
    assert_eq!(data.len(), 51);
}

#[tokio::test]
async fn a_change_that_came_in_between_is_reported() {
    let engine = Engine::new().await;
    let issued = engine.log_in("alice").await;
    let handle = issued.session.handle();
    let read = engine.get_versioned_session_data(handle).await.unwrap();
    engine.update_session_data(handle, object(json!({ "other": 1 }))).await.unwrap();
    let mine = object(json!({ "mine": 1 }));
    let conflict = engine.compare_and_swap_session_data(handle, &mine, read.version).await.unwrap();
    assert_eq!(conflict, DataUpdate::Conflict);
    assert_eq!(engine.get_session_data(handle).await.unwrap(), object(json!({ "other": 1 })));

    let read = engine.get_versioned_session_data(handle).await.unwrap();
    assert_eq!(read.session_data, object(json!({ "other": 1 })));
    let update = engine.compare_and_swap_session_data(handle, &mine, read.version).await.unwrap();
    assert_eq!(update, DataUpdate::Updated);
    assert_eq!(engine.get_session_data(handle).await.unwrap(), mine);
}

#[tokio::test]
async fn a_change_is_applied_again_where_another_was_first_and_gives_up_in_a_storm() {
    let engine = Engine::new().await;
    let issued = engine.log_in("alice").await;
    let handle = issued.session.handle();
    let rival = |number: u32| {
        let (sessions, handle) = ((*engine).clone(), handle.clone());
        async move {
            let store = sessions.store().inner();
            let (app, text) = (sessions.app(), json!({ "rival": number }).to_string());
            sessile_core::store::Store::replace_session_data(
                store, app, &handle, text, None, START,
            )
            .await
            .unwrap();
        }
    };
    engine.store().before_next(ReplaceData, rival(0));
    let calls = engine.calls_of(async {
        let data = engine
            .modify_session_data(handle, |data| drop(data.insert("mine".to_owned(), 1.into())))
            .await
            .unwrap();
        assert_eq!(data, object(json!({ "rival": 0, "mine": 1 })));
    });
    assert_eq!(calls.await, [Get, ReplaceData, Get, ReplaceData]);

    for number in 1..=64 {
        engine.store().before_next(ReplaceData, rival(number));
    }
    let gave_up = engine.modify_session_data(handle, |data| data.clear()).await;
    assert!(matches!(fault(gave_up), GeneralError::TooMuchContention));
    assert_eq!(engine.get_session_data(handle).await.unwrap(), object(json!({ "rival": 64 })));
}

#[tokio::test]
async fn a_failing_store_is_a_fault_and_changes_nothing() {
    let engine = Engine::with_policy(immediate()).await;
    let issued = engine.log_in("alice").await;
    let (token, handle) = (access_token(&issued), issued.session.handle());
    let before = engine.row(handle).await;
    let store = engine.store();
    engine.take_events();

    store.fail_next_call();
    let mut faults = vec![fault(engine.create_session(NewSession::new("bob")).await)];
    store.fail_next_call();
    faults.push(fault(engine.read(token).await));
    store.fail_next_call();
    faults.push(fault(engine.regenerate_with(token, json!({ "a": 1 })).await));
    store.fail_next_call();
    faults.push(fault(engine.exchange(refresh_token(&issued)).await));
    store.fail_next_call();
    faults.push(fault(engine.get_session_data(handle).await));
    store.fail_next_call();
    faults.push(fault(engine.update_session_data(handle, object(json!({ "a": 1 }))).await));
    store.fail_next_call();
    faults.push(fault(engine.get_session_information(handle).await));
    store.fail_next_call();
    faults.push(fault(engine.get_all_session_handles_for_user("alice").await));
    store.fail_next_call();
    faults.push(fault(engine.revoke_session(handle).await));
    store.fail_next_call();
    faults.push(fault(engine.revoke_all_sessions_for_user("alice").await));
    store.fail_next_call();
    faults.push(fault(engine.sweep(10).await));
    for fault in faults {
        assert_eq!(fault.code(), "store");
    }
    assert!(engine.row(handle).await == before);
    assert_eq!(engine.take_events(), []);
    assert_eq!(engine.get_all_session_handles_for_user("bob").await.unwrap(), []);
}

#[tokio::test]
async fn a_sweep_removes_what_is_over_and_no_more() {
    let engine = Engine::with_policy(short_lived()).await;
    let mut last = engine.log_in("alice").await;
    for _ in 0..4 {
        last = engine.log_in("alice").await;
    }
    engine.clock.advance(SECOND);
    let young = engine.log_in("alice").await;
    engine.clock.set(last.refresh_token.expires_at);
    assert_eq!(engine.sweep(10).await.unwrap(), Swept::default(), "it can still be refreshed");
    engine.clock.advance(MILLISECOND);
    assert_eq!(engine.sweep(3).await.unwrap(), Swept { sessions: 3, keys: 0 });
    assert_eq!(engine.sweep(3).await.unwrap(), Swept { sessions: 2, keys: 0 });
    assert_eq!(engine.sweep(3).await.unwrap(), Swept::default());
    let left = engine.get_all_session_handles_for_user("alice").await.unwrap();
    assert_eq!(left, [young.session.handle().clone()]);
}

#[tokio::test]
async fn a_row_that_another_program_spoiled_is_a_fault() {
    let engine = Engine::new().await;
    let issued = engine.log_in("alice").await;
    let handle = issued.session.handle();
    let row = engine.row(handle).await.unwrap();
    engine.put_row(SessionRecord { session_data: "[]".to_owned(), ..row }).await;
    let error = fault(engine.get_session_data(handle).await);
    assert!(matches!(error, GeneralError::CorruptRow { .. }));
    assert_eq!(error.code(), "corrupt_row");
}

#[tokio::test]
async fn a_policy_that_contradicts_itself_starts_no_engine() {
    let zero = Duration::ZERO;
    let week = Duration::from_secs(168 * 3600);
    for (wrong, word) in [
        (Policy { access_token_validity: zero, ..Policy::default() }, "access_token_validity"),
        (
            Policy { refresh_token_validity: 3600 * SECOND, ..Policy::default() },
            "refresh_token_validity",
        ),
        (Policy { absolute_lifetime: Some(zero), ..Policy::default() }, "absolute_lifetime"),
        (
            Policy { signing_key_overlap: week / 2 + MILLISECOND, ..Policy::default() },
            "signing_key_overlap",
        ),
    ] {
        let store = sessile_core::memory::MemoryStore::new();
        let GeneralError::Configuration(text) =
            fault(Engine::start(&store, wrong, |builder| builder).await.map(drop))
        else {
            panic!("{word} is wrong");
        };
        assert!(text.starts_with(word), "{text}");
    }
}
