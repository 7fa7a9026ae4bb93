//! Every parser on thousands of slightly wrong inputs, the same ones each time. Another seed may
//! be given in `SESSILE_FUZZ_SEED`.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use sessile_core::{
    Algorithm, AppId, Error, GeneralError, SessionService, TenantId, UnauthorisedReason,
    WrappingKey,
    memory::MemoryStore,
    policy::{Policy, RefreshTokenFormat},
    store::{Store, StoredSigningKey},
};
use sessile_mutation::Dice;

use crate::{
    sealing::{SessileSealer, SuperTokensSealer, fields},
    support::{Engine, app, unauthorised, wrapping_key},
    target::{FORMATS, KINDS, LEGACY_HEADER, Target},
};

#[tokio::test]
async fn changed_access_tokens() {
    let mut dice = Dice::seeded();
    for kind in KINDS {
        let target = Target::of_kind(kind).await;
        let before = target.snapshot().await;
        let other = Target::of_kind(kind).await;
        let mut taken = 0;
        for _ in 0..4000 {
            let token = dice.mutate_text(target.access_token(), other.access_token());
            let unchanged = token == target.access_token();
            taken += usize::from(target.present_access_token(&token, unchanged).await);
        }
        assert!(taken < 400, "most of them are changed");
        assert!(target.snapshot().await == before);
    }
}

/// Whether a header may stand over a token: what the reader promises, said in another way.
fn is_header_of(target: &Target, header: &[u8]) -> bool {
    let Ok(Value::Object(header)) = serde_json::from_slice(header) else { return false };
    let own: Value = serde_json::from_slice(&target.header()).unwrap();
    let known = ["3", "4", "5"].map(Value::from);
    header.keys().all(|name| ["alg", "kid", "typ", "version"].contains(&name.as_str()))
        && ["alg", "kid", "typ"].into_iter().all(|name| header.get(name) == own.get(name))
        && header.get("version").is_none_or(|version| version.is_null() || known.contains(version))
}

#[tokio::test]
async fn changed_headers_that_are_signed() {
    let mut dice = Dice::seeded();
    for kind in [KINDS[1], KINDS[2], KINDS[3]] {
        let target = Target::of_kind(kind).await;
        let before = target.snapshot().await;
        let claims = target.claims().to_string();
        let other = json!({ "typ": "JWT", "kid": null, "alg": "none", "crit": [], "version": "3" });
        let mut taken = 0;
        for _ in 0..4000 {
            let header = dice.mutate(&target.header(), other.to_string().as_bytes());
            let token = target
                .sign_parts(&URL_SAFE_NO_PAD.encode(&header), &target.encode(claims.as_bytes()));
            let expected = is_header_of(&target, &header);
            taken += usize::from(target.present_access_token(&token, expected).await);
        }
        assert!((1..1000).contains(&taken), "{taken}");
        assert!(target.snapshot().await == before);
    }
}

#[tokio::test]
async fn changed_claims_that_are_signed() {
    let mut dice = Dice::seeded();
    for kind in KINDS {
        let target = Target::of_kind(kind).await;
        let before = target.snapshot().await;
        let claims = target.claims().to_string();
        let other = json!({ "sub": null, "exp": 1e300, "a": [[]], "userData": {}, "tId": "\u{1}" });
        // A signature of RSA takes thirty times as long.
        let cases = if kind.1 == Algorithm::Rs256 { 500 } else { 3000 };
        let mut taken = 0;
        for _ in 0..cases {
            let claims = dice.mutate(claims.as_bytes(), other.to_string().as_bytes());
            let is_object = matches!(serde_json::from_slice(&claims), Ok(Value::Object(_)));
            let token = target.sign_claims(&claims);
            taken += usize::from(target.present_access_token(&token, is_object).await);
        }
        assert!(taken > 0, "some changes are within texts");
        assert!(target.snapshot().await == before);
    }
}

#[tokio::test]
async fn changed_headers_and_parts_of_the_oldest_version() {
    let mut dice = Dice::seeded();
    let target = Target::of_kind(KINDS[0]).await;
    let before = target.snapshot().await;
    let [_, claims, signature] =
        target.access_token().split('.').collect::<Vec<_>>().try_into().unwrap();
    for _ in 0..10_000 {
        let token = match dice.below(3) {
            0 => format!("{}.{claims}.{signature}", dice.mutate_text(LEGACY_HEADER, claims)),
            1 => format!("{LEGACY_HEADER}.{}.{signature}", dice.mutate_text(claims, signature)),
            _ => format!("{LEGACY_HEADER}.{claims}.{}", dice.mutate_text(signature, claims)),
        };
        let unchanged = token == target.access_token();
        target.present_access_token(&token, unchanged).await;
    }
    assert!(target.snapshot().await == before);
}

#[tokio::test]
async fn changed_refresh_tokens() {
    let mut dice = Dice::seeded();
    for format in FORMATS {
        let target = Target::of_format(format).await;
        let before = target.snapshot().await;
        let other = Target::of_format(FORMATS[usize::from(format == FORMATS[0])]).await;
        for _ in 0..10_000 {
            let token = dice.mutate_text(target.refresh_token(), other.refresh_token());
            if !token.eq_ignore_ascii_case(target.refresh_token()) {
                target.refuse_refresh_token(&token).await;
            }
        }
        assert!(target.snapshot().await == before);
    }
}

#[tokio::test]
async fn changed_contents_of_refresh_tokens() {
    let mut dice = Dice::seeded();
    let sessile = Target::of_format(RefreshTokenFormat::Sessile).await;
    let sealer = SessileSealer::of(&sessile).await;
    let content =
        fields(b"no-session_t1", b"alice", Some(&[7; 32]), Some(b"anti"), b"1700000000000");
    let other = fields(b"", b"\xff", None, None, b"-1");
    let mut opened = 0;
    for _ in 0..20_000 {
        let token = sealer.seal(&dice.mutate(&content, &other));
        opened += usize::from(answers_like_a_token_of_no_session(&sessile, &token).await);
    }
    assert!((100..10_000).contains(&opened), "{opened}");

    let supertokens = Target::of_format(RefreshTokenFormat::SuperTokens).await;
    let sealer = SuperTokensSealer::of(&supertokens).await;
    let content = json!({
        "sessionHandle": "no-session",
        "userId": "alice",
        "nonce": "n",
        "parentRefreshTokenHash1": "0123456789abcdef".repeat(4),
        "antiCsrfToken": "anti",
        "tenantId": "t1",
    });
    let other = json!(["no-session", "alice", "0", "n", null, "t1"]).to_string();
    let mut opened = 0;
    for _ in 0..5000 {
        let content = dice.mutate(content.to_string().as_bytes(), other.as_bytes());
        let token = sealer.seal(&content, "n");
        opened += usize::from(answers_like_a_token_of_no_session(&supertokens, &token).await);
    }
    assert!((100..3000).contains(&opened), "{opened}");
}

/// Presents a refresh token that names no session; says whether it was one at all.
async fn answers_like_a_token_of_no_session(target: &Target, token: &str) -> bool {
    let described = target.engine.describe_refresh_token(token).await.is_some();
    let refused = unauthorised(target.engine.exchange(token).await);
    let expected = if described {
        UnauthorisedReason::SessionNotFound
    } else {
        UnauthorisedReason::RefreshTokenInvalid
    };
    assert_eq!(refused, expected);
    described
}

#[tokio::test]
async fn changed_keys_in_the_store() {
    let mut dice = Dice::seeded();
    for (algorithm, cases) in
        [(Algorithm::Es256, 1500), (Algorithm::EdDsa, 1500), (Algorithm::Rs256, 300)]
    {
        let policy = Policy { algorithm, ..Policy::default() };
        let engine = Engine::with_policy(policy.clone()).await;
        let sound = engine.store().inner().signing_keys(engine.app()).await.unwrap().remove(0);
        let (public, private) = sound.material.split_once('|').unwrap();
        let key = STANDARD.decode(private).unwrap();
        for _ in 0..cases {
            let material = match dice.below(3) {
                0 => dice.mutate_text(&sound.material, &sound.material),
                1 => format!("{public}|{}", STANDARD.encode(dice.mutate(&key, &key))),
                _ => format!(";{}", STANDARD.encode(dice.mutate(&key, public.as_bytes()))),
            };
            let names = ["ES256", "EdDSA", "RS256", "HS256", "none", ""];
            let name = if dice.below(4) == 0 { *dice.pick(&names) } else { algorithm.name() };
            let stored = StoredSigningKey {
                algorithm: name.to_owned(),
                key_id: dice.mutate_text(&sound.key_id, "s-x"),
                material,
                ..sound.clone()
            };
            start_with(stored, &policy, None).await;
        }
    }
}

#[tokio::test]
async fn changed_keys_that_are_sealed() {
    let mut dice = Dice::seeded();
    let key = wrapping_key();
    let store = MemoryStore::new();
    let wrapped =
        Engine::start(&store, Policy::default(), |builder| builder.wrapping_key(key.clone()));
    drop(wrapped.await.unwrap());
    let sound = store.signing_keys(&AppId::default()).await.unwrap().remove(0);
    for _ in 0..3000 {
        let material = dice.mutate_text(&sound.material, "sealed1:AAAA|;");
        let unchanged = material == sound.material;
        let stored = StoredSigningKey { material, ..sound.clone() };
        let started = start_with(stored, &Policy::default(), Some(key.clone())).await;
        assert_eq!(started, unchanged);
    }
}

/// Starts an engine that finds this key in its store. It works then, or says what is wrong with
/// the key.
async fn start_with(key: StoredSigningKey, policy: &Policy, wrapping: Option<WrappingKey>) -> bool {
    let store = MemoryStore::new();
    store.add_signing_key(&app("public"), key, None).await.unwrap();
    let engine = Engine::start(&store, policy.clone(), |builder| match wrapping {
        Some(wrapping) => builder.wrapping_key(wrapping),
        None => builder,
    });
    match engine.await {
        Ok(engine) => {
            let issued = engine.log_in("alice").await;
            assert!(engine.read(issued.access_token.token.expose()).await.is_ok());
            true
        }
        Err(Error::General(GeneralError::Cryptography(_) | GeneralError::WrappingKey(_))) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn changed_texts_of_wrapping_keys() {
    let mut dice = Dice::seeded();
    let sound = wrapping_key().to_text();
    let mut read = 0;
    for _ in 0..100_000 {
        let text = dice.mutate_text(&sound, &sound);
        if let Ok(key) = WrappingKey::from_text(&text) {
            assert_eq!(*key.to_text(), text.trim(), "one key is written in one way");
            read += 1;
        }
    }
    assert!((1000..50_000).contains(&read), "{read}");
}

#[test]
fn changed_names() {
    let mut dice = Dice::seeded();
    for _ in 0..50_000 {
        let text = dice.mutate_text("tenant-1", "Ä_.-/x9");
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let expected = (1..=64).contains(&text.len()) && text.bytes().all(plain);
        assert_eq!(text.parse::<TenantId>().is_ok(), expected, "{text:?}");
        assert_eq!(text.parse::<AppId>().is_ok(), expected, "{text:?}");
        let known = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];
        let name = dice.mutate_text("ES256", "EdDSA RS256 none");
        let expected = known.into_iter().find(|algorithm| algorithm.name() == name);
        assert_eq!(name.parse::<Algorithm>().ok(), expected);
    }
}
