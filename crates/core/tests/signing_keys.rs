//! How signing keys are made, published, replaced and retired, and what no token gets past.

#![expect(clippy::unwrap_used, reason = "the helpers fail the test that asked for them")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use proptest::prelude::*;
use serde_json::{Value, json};
use sessile_core::{
    Algorithm, GeneralError, IssuedSession, JsonWebKeySet, NewSession, SessionService,
    SigningKeyState, TryRefreshReason,
    clock::{ManualClock, Timestamp},
    memory::MemoryStore,
    policy::{Policy, SigningKeyKind},
    store::{Store, StoredSigningKey, Sweep, Swept},
};
use support::{
    Engine, MILLISECOND, SECOND, START, access_token, app,
    counting_store::Intent::{AddSigningKey, Insert, Rotate, SigningKeys},
    fault,
    forge::Forge,
    refresh_token, try_refresh,
};

const ALGORITHMS: [Algorithm; 3] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];
const INTERVAL: Duration = Duration::from_secs(100);
const OVERLAP: Duration = Duration::from_secs(10);
const VALIDITY: Duration = Duration::from_secs(5);
const RELOAD_COOLDOWN: Duration = Duration::from_millis(500);

fn quick_rotation() -> Policy {
    Policy {
        access_token_validity: VALIDITY,
        signing_key_update_interval: INTERVAL,
        signing_key_overlap: OVERLAP,
        ..Policy::default()
    }
}

fn with(algorithm: Algorithm) -> Policy {
    Policy { algorithm, ..Policy::default() }
}

async fn start(store: &MemoryStore, clock: &Arc<ManualClock>, policy: Policy) -> Engine {
    Engine::start_at(store, clock, policy, |builder| builder).await.unwrap()
}

async fn stored_keys(engine: &Engine) -> Vec<StoredSigningKey> {
    engine.store().inner().signing_keys(engine.app()).await.unwrap()
}

async fn forge(engine: &Engine) -> Forge {
    Forge::of(&stored_keys(engine).await[0])
}

/// The parts of a token: header, claims, signature.
fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

fn header_of(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts(token)[0]).unwrap()).unwrap()
}

fn key_id_of(issued: &IssuedSession) -> String {
    header_of(access_token(issued))["kid"].as_str().unwrap().to_owned()
}

fn key_ids_of(key_set: &JsonWebKeySet) -> Vec<String> {
    let keys = key_set.document["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn published(engine: &Engine) -> Vec<String> {
    key_ids_of(&engine.get_json_web_key_set().await.unwrap())
}

/// What another program makes of the token, which has the published keys alone.
fn read_elsewhere(token: &str, key_set: &JsonWebKeySet) -> jsonwebtoken::errors::Result<Value> {
    let keys: JwkSet = serde_json::from_value(key_set.document.clone()).unwrap();
    let header = jsonwebtoken::decode_header(token)?;
    let key = keys.find(header.kid.as_deref().unwrap()).unwrap();
    let mut validation = Validation::new(header.alg);
    // The tests' present lies in the past.
    validation.validate_exp = false;
    validation.set_required_spec_claims(&["exp", "sub"]);
    let token = jsonwebtoken::decode(token, &DecodingKey::from_jwk(key)?, &validation)?;
    Ok(token.claims)
}

#[tokio::test]
async fn every_algorithms_tokens_verify_here_and_elsewhere() {
    for algorithm in ALGORITHMS {
        let engine = Engine::with_policy(with(algorithm)).await;
        let new = NewSession::new("alice").jwt_payload(json!({ "role": "ünï", "n": [1, null] }));
        let issued = engine.create_session(new).await.unwrap();
        let token = access_token(&issued);
        assert_eq!(engine.read(token).await.unwrap().claims(), issued.session.claims());
        let header = json!({
            "alg": algorithm.name(),
            "kid": stored_keys(&engine).await[0].key_id,
            "typ": "JWT",
            "version": "5",
        });
        assert_eq!(header_of(token), header);

        let key_set = engine.get_json_web_key_set().await.unwrap();
        let claims = read_elsewhere(token, &key_set).unwrap();
        assert_eq!(claims, Value::Object(issued.session.claims()));
        let [header, claims, signature] = parts(token);
        let other = if signature.starts_with('A') { 'B' } else { 'A' };
        let changed = format!("{header}.{claims}.{other}{}", &signature[1..]);
        assert!(read_elsewhere(&changed, &key_set).is_err());
        let refused = engine.read(&changed).await;
        assert_eq!(try_refresh(refused), TryRefreshReason::SignatureInvalid);

        let next = engine.exchange(refresh_token(&issued)).await.unwrap();
        let claims = read_elsewhere(access_token(&next), &key_set).unwrap();
        assert_eq!(claims, Value::Object(next.session.claims()));
    }
}

#[tokio::test]
async fn a_published_key_is_public() {
    for (algorithm, members) in [
        (Algorithm::Es256, ["crv", "x", "y"].as_slice()),
        (Algorithm::EdDsa, &["crv", "x"]),
        (Algorithm::Rs256, &["e", "n"]),
    ] {
        let engine = Engine::with_policy(with(algorithm)).await;
        let document = engine.get_json_web_key_set().await.unwrap().document;
        let [key] = document["keys"].as_array().unwrap().as_slice() else {
            panic!("one key: {document}")
        };
        let found: BTreeSet<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = BTreeSet::from(["alg", "kid", "kty", "use"]);
        expected.extend(members);
        assert_eq!(found, expected);
        assert_eq!(key["use"], "sig");
        assert_eq!(key["alg"], algorithm.name());
        assert_eq!(document.as_object().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn the_next_key_is_published_for_the_overlap_before_it_signs() {
    let engine = Engine::with_policy(quick_rotation()).await;
    let first_key = published(&engine).await;
    engine.clock.set(START.plus(INTERVAL - OVERLAP));
    assert_eq!(engine.calls_of(engine.log_in("alice")).await, [Insert]);
    assert_eq!(published(&engine).await, first_key);

    engine.clock.advance(MILLISECOND);
    let calls = engine.calls_of(async {
        assert_eq!([key_id_of(&engine.log_in("alice").await)], first_key[..]);
    });
    assert_eq!(calls.await, [SigningKeys, AddSigningKey, Insert]);
    let [second_key, old_key] = published(&engine).await.try_into().unwrap();
    assert_eq!([old_key.as_str()], first_key[..], "newest first");

    engine.clock.set(START.plus(INTERVAL - MILLISECOND));
    let last_of_first = engine.log_in("alice").await;
    assert_eq!(key_id_of(&last_of_first), old_key);
    engine.clock.advance(MILLISECOND);
    let first_of_second = engine.log_in("alice").await;
    assert_eq!(key_id_of(&first_of_second), second_key);
    engine.clock.set(last_of_first.access_token.expires_at);
    assert!(engine.read(access_token(&last_of_first)).await.is_ok());
    assert!(engine.read(access_token(&first_of_second)).await.is_ok());
    engine.clock.advance(SECOND);
    let refused = engine.read(access_token(&last_of_first)).await;
    assert_eq!(try_refresh(refused), TryRefreshReason::Expired);
}

#[tokio::test]
async fn the_next_key_is_published_in_time_where_nothing_is_signed() {
    const AHEAD: Duration = Duration::from_secs(2);
    for overlap in [OVERLAP, INTERVAL / 2 - SECOND] {
        let (store, clock) = (MemoryStore::new(), Arc::new(ManualClock::at(START)));
        let policy = Policy { signing_key_overlap: overlap, ..quick_rotation() };
        let engine = start(&store, &clock, policy.clone()).await;
        let elsewhere = start(&store, &clock, policy).await;
        // By the key id: when it was made, and when it began to sign.
        let (mut made, mut began) = (BTreeMap::new(), BTreeMap::new());
        for second in 0..1000 {
            let now = START.plus(second * SECOND);
            clock.set(now);
            for engine in [&engine, &elsewhere] {
                engine.make_due_signing_key(AHEAD).await.unwrap();
            }
            for (id, state) in states(&engine).await {
                made.entry(id.clone()).or_insert(now);
                if state == "signing" {
                    began.entry(id).or_insert(now);
                }
            }
        }
        // One at a time, in the last second before it is due.
        let turn = INTERVAL - overlap - SECOND;
        let times: Vec<_> = made.values().copied().collect();
        assert!(times.len() > 10, "{times:?}");
        assert!(times.windows(2).all(|two| two[1] == two[0].plus(turn)), "{times:?}");
        for (id, began) in began.iter().skip(1) {
            assert!(*began >= made[id].plus(overlap), "{id} was not published before it signed");
        }
    }
}

#[tokio::test]
async fn a_key_is_made_ahead_of_time_only_as_far_as_that_helps() {
    let engine = Engine::with_policy(quick_rotation()).await;
    let make = || engine.make_due_signing_key(Duration::MAX);
    let calls = engine.calls_of(async {
        engine.clock.set(START.plus(INTERVAL - OVERLAP - OVERLAP / 2));
        assert!(!make().await.unwrap());
    });
    assert_eq!(calls.await, []);
    engine.clock.advance(MILLISECOND);
    engine.store().fail_next_call();
    assert!(make().await.is_err());
    let calls = engine.calls_of(async {
        assert!(make().await.unwrap());
        assert!(!make().await.unwrap());
    });
    assert_eq!(calls.await, [SigningKeys, AddSigningKey]);
    assert_eq!(published(&engine).await.len(), 2);
}

#[tokio::test]
async fn a_refresh_makes_the_key_that_is_due_before_it_rotates() {
    let engine = Engine::with_policy(quick_rotation()).await;
    let issued = engine.log_in("alice").await;
    engine.clock.set(START.plus(INTERVAL));
    engine.store().fail_next_call();
    fault(engine.exchange(refresh_token(&issued)).await);
    assert_eq!(engine.row(issued.session.handle()).await.unwrap().rotated_at, None);
    let calls = engine.calls_of(engine.exchange(refresh_token(&issued)));
    assert_eq!(calls.await, [SigningKeys, AddSigningKey, Rotate]);
    assert_eq!(published(&engine).await.len(), 2);
}

#[tokio::test]
async fn of_requests_that_find_a_key_due_one_makes_it() {
    let engine = Engine::with_policy(quick_rotation()).await;
    engine.clock.set(START.plus(INTERVAL));
    let calls = engine.calls_of(async {
        let (one, other) = tokio::join!(engine.log_in("alice"), engine.log_in("alice"));
        assert_eq!(key_id_of(&one), key_id_of(&other));
    });
    assert_eq!(calls.await, [SigningKeys, AddSigningKey, Insert, Insert]);
}

#[tokio::test]
async fn a_key_that_was_taken_away_verifies_no_more_once_the_keys_are_read_again() {
    let engine = Engine::new().await;
    let issued = engine.log_in("alice").await;
    let everything =
        Sweep { sessions_expired_before: START, keys_created_before: START.plus(SECOND), limit: 0 };
    engine.store().inner().sweep(engine.app(), everything).await.unwrap();
    engine.clock.advance(SECOND);
    let other = start(engine.store().inner(), &engine.clock, Policy::default()).await;
    assert!(engine.read(access_token(&issued)).await.is_ok(), "nobody has told this engine yet");
    let of_other = other.log_in("alice").await;
    assert!(engine.read(access_token(&of_other)).await.is_ok());
    let refused = engine.read(access_token(&issued)).await;
    assert_eq!(try_refresh(refused), TryRefreshReason::UnknownKey);
}

#[tokio::test]
async fn the_published_keys_may_be_cached_until_the_next_is_made() {
    let engine = Engine::with_policy(quick_rotation()).await;
    let max_age = async |milliseconds| {
        engine.clock.set(START.plus(Duration::from_millis(milliseconds)));
        engine.get_json_web_key_set().await.unwrap()
    };
    assert_eq!(max_age(0).await.cache_control(), "max-age=90, must-revalidate");
    for (milliseconds, seconds) in
        [(1, 89), (1000, 89), (1001, 88), (88_000, 2), (88_001, 1), (89_999, 1), (90_000, 1)]
    {
        assert_eq!(max_age(milliseconds).await.max_age, seconds * SECOND, "{milliseconds}");
        assert_eq!(published(&engine).await.len(), 1);
    }
    assert_eq!(max_age(90_001).await.max_age, 90 * SECOND, "the next one was made");
    assert_eq!(published(&engine).await.len(), 2);
    let default = Engine::new().await.get_json_web_key_set().await.unwrap();
    assert_eq!(default.max_age, (168 * 3600 - 60) * SECOND);
}

#[tokio::test]
async fn asking_for_the_keys_asks_the_store_only_when_one_is_due() {
    let engine = Engine::with_policy(quick_rotation()).await;
    assert_eq!(engine.calls_of(published(&engine)).await, []);
    engine.clock.set(START.plus(INTERVAL));
    engine.store().fail_next_call();
    let key_set = engine.get_json_web_key_set().await.unwrap();
    assert_eq!(key_ids_of(&key_set).len(), 1, "a failing store takes no key away");
    assert_eq!(key_set.max_age, SECOND);
    assert_eq!(engine.calls_of(published(&engine)).await, [SigningKeys, AddSigningKey]);
    assert_eq!(engine.calls_of(published(&engine)).await, []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever keeps the published keys exactly as long as they may be kept never meets a token
    /// of a key that is not among them, whichever engine signs and whichever is asked for keys.
    #[test]
    fn no_token_is_signed_by_a_key_that_is_not_published_yet(
        steps in prop::collection::vec((0..45_000_u64, any::<[bool; 3]>()), 1..100),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (store, clock) = (MemoryStore::new(), Arc::new(ManualClock::at(START)));
            let engines = [
                start(&store, &clock, quick_rotation()).await,
                start(&store, &clock, quick_rotation()).await,
            ];
            let mut cached = (START, Vec::new());
            for (milliseconds, [signer, publisher, is_kept_up]) in steps {
                clock.advance(Duration::from_millis(milliseconds));
                if is_kept_up {
                    let engine = &engines[usize::from(publisher)];
                    engine.make_due_signing_key(Duration::MAX).await.unwrap();
                }
                let signer = &engines[usize::from(signer)];
                let issued = signer.log_in("alice").await;
                if signer.now() >= cached.0 {
                    let publisher = &engines[usize::from(publisher)];
                    let key_set = publisher.get_json_web_key_set().await.unwrap();
                    cached = (signer.now().plus(key_set.max_age), key_ids_of(&key_set));
                }
                assert!(cached.1.contains(&key_id_of(&issued)));
            }
        });
    }
}

#[tokio::test]
async fn a_retired_key_verifies_no_more() {
    // A token that was read before is remembered; its key retires all the same.
    for verified_token_memory in [0, Policy::default().verified_token_memory] {
        let policy = Policy { verified_token_memory, ..quick_rotation() };
        let engine = Engine::with_policy(policy).await;
        let issued = engine.log_in("alice").await;
        let mut claims = issued.session.claims();
        claims.insert("exp".to_owned(), START.plus(1000 * INTERVAL).as_seconds().into());
        let endless = forge(&engine).await.token(&Value::Object(claims));
        let retired = published(&engine).await;

        let lifetime = INTERVAL + 2 * VALIDITY;
        engine.clock.set(START.plus(lifetime));
        drop(engine.log_in("alice").await);
        assert!(engine.read(&endless).await.is_ok());
        assert_eq!(published(&engine).await.len(), 2);
        assert_eq!(engine.sweep(10).await.unwrap(), Swept::default());
        engine.clock.advance(MILLISECOND);
        assert_eq!(try_refresh(engine.read(&endless).await), TryRefreshReason::UnknownKey);
        assert!(engine.identify(&endless).await.unwrap().is_none());
        let refused = engine.regenerate_with(&endless, json!({})).await;
        assert_eq!(try_refresh(refused), TryRefreshReason::UnknownKey);
        let left = published(&engine).await;
        assert_eq!(left.len(), 1);
        assert_ne!(left, retired);
        assert_eq!(engine.sweep(10).await.unwrap(), Swept { sessions: 0, keys: 1 });
        assert_eq!(stored_keys(&engine).await.len(), 1);
        assert!(engine.exchange(refresh_token(&issued)).await.is_ok());
    }
}

#[tokio::test]
async fn an_engine_that_slept_through_every_key_makes_a_new_one() {
    let engine = Engine::with_policy(quick_rotation()).await;
    let issued = engine.log_in("alice").await;
    engine.clock.advance(100 * INTERVAL);
    assert_eq!(engine.sweep(10).await.unwrap().keys, 1);
    let next = engine.exchange(refresh_token(&issued)).await.unwrap();
    assert!(engine.read(access_token(&next)).await.is_ok());
    assert_eq!(published(&engine).await, [key_id_of(&next)]);
}

#[tokio::test]
async fn an_unknown_key_asks_the_store_at_most_twice_a_second() {
    let engine = Engine::new().await;
    let issued = engine.log_in("alice").await;
    let claims = Value::Object(issued.session.claims());
    let mut stranger = forge(&engine).await;
    // However many come, they must not put the reload off.
    let mut asked = async |key_id: &str| {
        stranger.key_id = key_id.to_owned();
        let unknown = stranger.token(&claims);
        engine
            .calls_of(async {
                for _ in 0..50 {
                    let refused = engine.read(&unknown).await;
                    assert_eq!(try_refresh(refused), TryRefreshReason::UnknownKey);
                }
            })
            .await
    };
    assert_eq!(asked("d-1").await, [], "the keys were read when the engine was built");
    engine.clock.advance(RELOAD_COOLDOWN - MILLISECOND);
    assert_eq!(asked("d-2").await, []);
    for key_id in ["d-1", "d-2", "../../etc/passwd", "' OR 1=1 --"] {
        engine.clock.advance(MILLISECOND);
        assert_eq!(asked(key_id).await, [SigningKeys], "{key_id}");
        engine.clock.advance(RELOAD_COOLDOWN - MILLISECOND);
        assert_eq!(asked(key_id).await, []);
    }
    engine.clock.set(START.minus(1000 * SECOND));
    assert_eq!(asked("d-1").await, [SigningKeys], "a clock that was set back stops nothing");
    engine.clock.advance(RELOAD_COOLDOWN);
    engine.store().fail_next_call();
    let unknown = stranger.token(&claims);
    assert!(matches!(fault(engine.read(&unknown).await), GeneralError::Store(_)));
}

#[tokio::test]
async fn an_engine_finds_the_keys_that_another_made() {
    let (store, clock) = (MemoryStore::new(), Arc::new(ManualClock::at(START)));
    let one = start(&store, &clock, quick_rotation()).await;
    let other = start(&store, &clock, quick_rotation()).await;
    let issued = one.log_in("alice").await;
    assert_eq!(other.calls_of(other.read(access_token(&issued))).await, []);
    let issued = other.exchange(refresh_token(&issued)).await.unwrap();
    assert!(one.read(access_token(&issued)).await.is_ok());

    clock.advance(INTERVAL);
    let issued = one.log_in("alice").await;
    // All that come while the keys are being read get the answer, not only the one that asked.
    let again = one.log_in("alice").await;
    let calls = other.calls_of(async {
        let (first, second, third) = tokio::join!(
            other.read(access_token(&issued)),
            other.read(access_token(&again)),
            other.read(access_token(&issued)),
        );
        assert!(first.is_ok());
        assert!(second.is_ok());
        assert!(third.is_ok());
    });
    assert_eq!(calls.await, [SigningKeys]);
    assert_eq!(other.calls_of(other.read(access_token(&issued))).await, []);
    assert_eq!(other.calls_of(other.log_in("alice")).await, [Insert], "its next key is there");
    assert_eq!(published(&other).await, published(&one).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_engines_that_start_at_once_one_makes_the_keys() {
    let (store, clock) = (MemoryStore::new(), Arc::new(ManualClock::at(START)));
    let at_once = async |engines: usize| {
        let tasks: Vec<_> = (0..engines)
            .map(|_| {
                let (store, clock) = (store.clone(), Arc::clone(&clock));
                tokio::spawn(async move { start(&store, &clock, quick_rotation()).await })
            })
            .collect();
        let mut engines = Vec::new();
        for task in tasks {
            engines.push(Arc::new(task.await.unwrap()));
        }
        engines
    };
    let engines = at_once(8).await;
    assert_eq!(stored_keys(&engines[0]).await.len(), 1);
    for one in &engines {
        let issued = one.log_in("alice").await;
        for other in &engines {
            assert!(other.read(access_token(&issued)).await.is_ok());
        }
        assert!(engines[7].exchange(refresh_token(&issued)).await.is_ok());
    }

    // The next key is made once too, however many engines and requests find that it is due.
    clock.advance(INTERVAL);
    let tasks: Vec<_> = (0..64)
        .map(|index| {
            let engine = Arc::clone(&engines[index % 8]);
            tokio::spawn(async move { key_id_of(&engine.log_in("alice").await) })
        })
        .collect();
    let mut used = BTreeSet::new();
    for task in tasks {
        used.insert(task.await.unwrap());
    }
    assert_eq!(stored_keys(&engines[0]).await.len(), 2);
    assert_eq!(used.len(), 1);
}

#[tokio::test]
async fn switching_the_algorithm_logs_nobody_out() {
    let (store, clock) = (MemoryStore::new(), Arc::new(ManualClock::at(START)));
    let mut tokens = Vec::new();
    for algorithm in ALGORITHMS {
        let engine = start(&store, &clock, with(algorithm)).await;
        let issued = engine.log_in("alice").await;
        assert_eq!(header_of(access_token(&issued))["alg"], algorithm.name());
        tokens.push(issued);
        for earlier in &tokens {
            assert!(engine.read(access_token(earlier)).await.is_ok());
            drop(engine.exchange(refresh_token(earlier)).await.unwrap());
        }
        assert_eq!(published(&engine).await.len(), tokens.len());
        let key_set = engine.get_json_web_key_set().await.unwrap();
        for earlier in &tokens {
            assert!(read_elsewhere(access_token(earlier), &key_set).is_ok());
        }
    }
    // Three keys at the same millisecond have three names.
    let keys = stored_keys(&start(&store, &clock, Policy::default()).await).await;
    assert_eq!(keys.iter().map(|key| &key.key_id).collect::<BTreeSet<_>>().len(), 3);
}

#[tokio::test]
async fn switching_back_goes_on_with_the_old_key_for_as_long_as_it_had() {
    let (store, clock) = (MemoryStore::new(), Arc::new(ManualClock::at(START)));
    let before = start(&store, &clock, quick_rotation()).await;
    let key_id = key_id_of(&before.log_in("alice").await);
    clock.advance(INTERVAL / 2);
    let policy = Policy { algorithm: Algorithm::EdDsa, ..quick_rotation() };
    drop(start(&store, &clock, policy).await.log_in("alice").await);
    let after = start(&store, &clock, quick_rotation()).await;
    assert_eq!(key_id_of(&after.log_in("alice").await), key_id);
    let key_set = after.get_json_web_key_set().await.unwrap();
    assert_eq!(key_ids_of(&key_set).len(), 2);
    assert_eq!(key_set.max_age, INTERVAL / 2 - OVERLAP, "the age of the key that signs counts");
    clock.advance(INTERVAL / 2);
    assert_ne!(key_id_of(&after.log_in("alice").await), key_id);
}

#[tokio::test]
async fn a_key_that_cannot_be_read_stops_the_start() {
    let sound = stored_keys(&Engine::new().await).await.remove(0);
    let (public, private) = sound.material.split_once('|').unwrap();
    for (algorithm, material) in [
        ("ES256", "garbage".to_owned()),
        ("ES256", format!("{public}|")),
        ("ES256", format!("{public}|!!!")),
        ("ES256", private.to_owned()),
        ("EdDSA", sound.material.clone()),
        ("RS256", sound.material.clone()),
        ("HS256", sound.material.clone()),
        ("none", sound.material.clone()),
    ] {
        let store = MemoryStore::new();
        let key = StoredSigningKey { algorithm: algorithm.to_owned(), material, ..sound.clone() };
        store.add_signing_key(&app("public"), key, None).await.unwrap();
        let result = Engine::start(&store, Policy::default(), |builder| builder).await;
        assert!(matches!(fault(result), GeneralError::Cryptography(_)), "{algorithm}");
    }
}

/// A token that must be refused, and why.
struct Attack {
    what: String,
    token: String,
    reason: TryRefreshReason,
}

fn attack(what: impl Into<String>, token: impl Into<String>, reason: TryRefreshReason) -> Attack {
    Attack { what: what.into(), token: token.into(), reason }
}

fn malformed(what: impl Into<String>, token: impl Into<String>) -> Attack {
    attack(what, token, TryRefreshReason::Malformed)
}

async fn assert_refused(engine: &Engine, attacks: Vec<Attack>) {
    for Attack { what, token, reason } in attacks {
        for _ in 0..2 {
            let answer = engine.read(&token).await;
            assert!(answer.is_err(), "{what} is accepted");
            assert_eq!(try_refresh(answer), reason, "{what}");
        }
        assert!(engine.identify(&token).await.unwrap().is_none(), "{what}");
        let refused = engine.regenerate_with(&token, json!({})).await;
        assert_eq!(try_refresh(refused), reason, "{what}");
    }
}

fn every_letter_case(word: &str) -> Vec<String> {
    (0..1_u32 << word.len())
        .map(|upper| {
            let letters = word.chars().enumerate();
            letters
                .map(|(index, letter)| match upper >> index & 1 {
                    1 => letter.to_ascii_uppercase(),
                    _ => letter,
                })
                .collect()
        })
        .collect()
}

/// The header of `forge`'s key with some members replaced; `null` removes one.
fn header_with(forge: &Forge, changes: Value) -> String {
    let mut header = forge.header();
    for (name, value) in support::object(changes) {
        if value.is_null() {
            header.as_object_mut().unwrap().remove(&name);
        } else {
            header[name] = value;
        }
    }
    header.to_string()
}

#[tokio::test]
async fn the_algorithm_is_the_keys_whatever_a_header_says() {
    for algorithm in ALGORITHMS {
        let engine = Engine::with_policy(with(algorithm)).await;
        let issued = engine.log_in("alice").await;
        let forge = forge(&engine).await;
        let claims = Value::Object(issued.session.claims()).to_string().into_bytes();
        let [_, encoded_claims, signature] = parts(access_token(&issued));
        assert!(engine.read(&forge.sign(&header_with(&forge, json!({})), &claims)).await.is_ok());

        let mut attacks = Vec::new();
        let others = ALGORITHMS.into_iter().filter(|other| *other != algorithm);
        let mut names = every_letter_case("none");
        names.extend(others.map(|other| other.name().to_owned()));
        names.extend(
            ["HS256", "HS384", "HS512", "ES384", "ES512", "RS512", "PS256", "es256", "", "dir"]
                .map(str::to_owned),
        );
        for name in names {
            let header = header_with(&forge, json!({ "alg": name }));
            let encoded = URL_SAFE_NO_PAD.encode(&header);
            attacks.extend([
                malformed(&name, format!("{encoded}.{encoded_claims}.")),
                malformed(&name, format!("{encoded}.{encoded_claims}.{signature}")),
                malformed(&name, forge.sign(&header, &claims)),
            ]);
        }
        // The public key as an HMAC's secret.
        let header = URL_SAFE_NO_PAD.encode(header_with(&forge, json!({ "alg": "HS256" })));
        let message = format!("{header}.{encoded_claims}");
        let document = engine.get_json_web_key_set().await.unwrap().document;
        for secret in [forge.public(), document["keys"][0].to_string().as_bytes()] {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
            attacks.push(malformed("public key as secret", format!("{message}.{tag}")));
        }
        assert_refused(&engine, attacks).await;
    }
}

#[tokio::test]
async fn a_header_says_which_key_and_nothing_else() {
    let engine = Engine::new().await;
    let issued = engine.log_in("alice").await;
    let forge = forge(&engine).await;
    let claims = Value::Object(issued.session.claims()).to_string().into_bytes();
    let sign = |header: &str| forge.sign(header, &claims);
    let with = |changes: Value| sign(&header_with(&forge, changes));
    let key = engine.get_json_web_key_set().await.unwrap().document["keys"][0].clone();

    let mut attacks = Vec::new();
    // Each is well signed: the header alone is the reason.
    for changes in [
        json!({ "jwk": key }),
        json!({ "jku": "https://attacker.example/keys" }),
        json!({ "x5u": "https://attacker.example/chain" }),
        json!({ "x5c": ["MIIB"] }),
        json!({ "crit": ["exp"] }),
        json!({ "crit": ["b64"], "b64": false }),
        json!({ "zip": "DEF" }),
        json!({ "cty": "JWT" }),
        json!({ "typ": null }),
        json!({ "typ": "" }),
        json!({ "typ": "jwt" }),
        json!({ "typ": "at+jwt" }),
        json!({ "typ": ["JWT"] }),
        json!({ "version": "" }),
        json!({ "version": "1" }),
        json!({ "version": "2" }),
        json!({ "version": "6" }),
        json!({ "version": "05" }),
        json!({ "version": "5.0" }),
        json!({ "version": 5 }),
        json!({ "version": ["5"] }),
        json!({ "alg": null }),
        json!({ "alg": 1 }),
        json!({ "alg": ["ES256"] }),
        json!({ "kid": null }),
        json!({ "kid": 1 }),
        json!({ "kid": [forge.key_id] }),
        json!({ "kid": {} }),
    ] {
        attacks.push(malformed(changes.to_string(), with(changes)));
    }
    let header = forge.header().to_string();
    let body = header.strip_prefix('{').unwrap();
    for header in [
        format!(r#"{{"alg":"ES256",{body}"#),
        format!(r#"{{"alg":"none",{body}"#),
        format!(r#"{{"kid":"d-1",{body}"#),
        format!(r#"{{"typ":"JWT",{body}"#),
        format!(r#"{{"version":"5",{body}"#),
        format!("{header}{header}"),
        format!("{header} x"),
        format!("[{header}]"),
        format!(r#"["ES256","{}","JWT","5"]"#, forge.key_id),
        format!("\u{feff}{header}"),
        header.replace('"', "'"),
        header[..header.len() - 1].to_owned(),
        "null".to_owned(),
        "\"ES256\"".to_owned(),
        "{}".to_owned(),
        String::new(),
        "[".repeat(10_000),
    ] {
        attacks.push(malformed(header.clone(), sign(&header)));
    }
    let not_text = URL_SAFE_NO_PAD.encode([header.as_bytes(), &[0xff]].concat());
    attacks.push(malformed("not UTF-8", forge.sign_parts(&not_text, "e30")));
    for unknown in ["", "d-1", "D-1", "../../../dev/null", "' OR 1=1 --", "\u{0}", "😀"] {
        let token = with(json!({ "kid": unknown }));
        attacks.push(attack(unknown, token, TryRefreshReason::UnknownKey));
    }
    assert_refused(&engine, attacks).await;

    // An older version is told by its header, and what it does not know is the payload's.
    for (version, claims_of_payload) in [("3", ["rsub", "tId"].as_slice()), ("4", &["rsub"])] {
        let session = engine.read(&with(json!({ "version": version }))).await.unwrap();
        assert_eq!(session.access_token_version().number(), version);
        assert!(session.jwt_payload().keys().eq(claims_of_payload));
    }

    // Another program's spelling of the same header is none of these.
    let [algorithm, key_id] = [json!("ES256"), json!(forge.key_id)];
    for header in [
        format!(r#"{{"typ":"JWT","version":"5","kid":{key_id},"alg":{algorithm}}}"#),
        format!(r#"{{ "alg" : {algorithm},  "kid":{key_id},"typ":"\u004aWT" }}"#),
    ] {
        assert!(engine.read(&sign(&header)).await.is_ok(), "{header}");
    }
}

#[tokio::test]
async fn a_signature_is_of_this_key_over_these_bytes() {
    for algorithm in ALGORITHMS {
        let engine = Engine::with_policy(with(algorithm)).await;
        let stranger = Engine::with_policy(with(algorithm)).await;
        let issued = engine.log_in("alice").await;
        let [header, claims, signature] = parts(access_token(&issued));
        let other = engine.log_in("bob").await;
        let [_, other_claims, other_signature] = parts(access_token(&other));
        let length = URL_SAFE_NO_PAD.decode(signature).unwrap().len();
        let zeros = URL_SAFE_NO_PAD.encode(vec![0; length]);
        let short = URL_SAFE_NO_PAD.encode(vec![0; length - 1]);
        let long =
            URL_SAFE_NO_PAD.encode([URL_SAFE_NO_PAD.decode(signature).unwrap(), vec![0]].concat());

        let token = |header: &str, claims: &str, signature: &str| {
            attack(
                format!("{header}.{claims}.{signature}"),
                format!("{header}.{claims}.{signature}"),
                TryRefreshReason::SignatureInvalid,
            )
        };
        let mut attacks = vec![
            token(header, claims, ""),
            token(header, claims, &zeros),
            token(header, claims, &short),
            token(header, claims, &long),
            token(header, claims, other_signature),
            token(header, other_claims, signature),
            token(header, "", signature),
            token(header, &format!("{claims}="), signature),
        ];
        // Both made their key in the same millisecond, so its name is the same.
        let foreign = stranger.log_in("alice").await;
        attacks.push(token(header, claims, parts(access_token(&foreign))[2]));
        attacks.push(attack(
            "another store's",
            access_token(&foreign),
            TryRefreshReason::SignatureInvalid,
        ));
        assert_refused(&engine, attacks).await;
    }
}

#[tokio::test]
async fn a_token_is_three_canonical_parts() {
    for algorithm in ALGORITHMS {
        let engine = Engine::with_policy(with(algorithm)).await;
        let issued = engine.log_in("alice").await;
        let forge = forge(&engine).await;
        let token = access_token(&issued);
        let [header, claims, signature] = parts(token);
        let mut attacks = vec![
            malformed("padded header", forge.sign_parts(&format!("{header}="), claims)),
            malformed("padded claims", forge.sign_parts(header, &format!("{claims}="))),
            malformed("padded signature", format!("{token}=")),
            malformed("padded signature", format!("{token}==")),
            malformed("no canonical signature", not_canonical(token)),
            malformed("no base64", format!("{header}.{claims}.+/+/")),
            malformed("no base64", format!("{header}.{claims}.ü")),
            malformed("no base64", forge.sign_parts("ü", claims)),
            malformed("no base64", forge.sign_parts(header, "+")),
            malformed("a space", format!("{token} ")),
            malformed("a space", format!(" {token}")),
            malformed("a new line", format!("{token}\n")),
            malformed("a bearer's", format!("Bearer {token}")),
            malformed("nothing", ""),
            malformed("two parts", format!("{header}.{claims}")),
            malformed("four parts", format!("{token}.")),
            malformed("four parts", format!("{token}.{signature}")),
            malformed("four parts", format!("{header}.{token}")),
            malformed("five parts", format!("{header}..{claims}..{signature}")),
            malformed("dots", "."),
            malformed("dots", ".."),
            malformed("dots", "..."),
            malformed("dots", ".".repeat(60_000)),
            malformed("claims twice", format!("{header}.{claims}.{claims}.{signature}")),
        ];
        let mut claims_of_other_length = claims.to_owned();
        let mut payload = String::new();
        while claims_of_other_length.len() % 4 == 0 {
            payload.push('x');
            let mut claims = issued.session.claims();
            claims.insert("filler".to_owned(), payload.clone().into());
            claims_of_other_length = URL_SAFE_NO_PAD.encode(Value::Object(claims).to_string());
        }
        let loose = not_canonical(&claims_of_other_length);
        attacks.push(malformed("no canonical claims", forge.sign_parts(header, &loose)));
        assert_refused(&engine, attacks).await;

        for length in 0..token.len() {
            assert!(engine.read(&token[..length]).await.is_err(), "the first {length}");
            assert!(engine.read(&token[length + 1..]).await.is_err(), "without {length}");
        }
        if algorithm == Algorithm::Rs256 {
            continue;
        }
        for index in 0..token.len() {
            for other in ['A', 'B', '.', '='] {
                let changed = format!("{}{other}{}", &token[..index], &token[index + 1..]);
                assert!(changed == token || engine.read(&changed).await.is_err(), "{index}");
            }
        }
    }
}

/// The same bytes in base64url whose last digit has bits that mean nothing.
fn not_canonical(text: &str) -> String {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = text.split_at(text.len() - 1);
    let digit = DIGITS.find(last).unwrap();
    assert_eq!(digit % 4, 0, "the last digit has bits to spare");
    format!("{rest}{}", &DIGITS[digit + 1..digit + 2])
}

#[tokio::test]
async fn a_token_over_64_kib_is_refused_unread() {
    let engine = Engine::with_policy(Policy { cookie_limit: None, ..Policy::default() }).await;
    let issued = engine.log_in("alice").await;
    let forge = forge(&engine).await;
    let of_length = |length: usize| {
        let mut claims = issued.session.claims();
        claims.insert("filler".to_owned(), "".into());
        let shortest = Value::Object(claims.clone()).to_string().len();
        let header = forge.header().to_string();
        // Base64 has no text of every length, so the header makes up for it.
        [header.clone(), header.clone() + " ", header + "  "]
            .iter()
            .map(|header| {
                let encoded = length - (header.len() * 4).div_ceil(3) - 86 - 2;
                claims.insert("filler".to_owned(), "x".repeat(encoded * 3 / 4 - shortest).into());
                forge.sign(header, Value::Object(claims.clone()).to_string().as_bytes())
            })
            .find(|token| token.len() == length)
            .unwrap()
    };
    let largest = of_length(64 * 1024);
    assert_eq!(largest.len(), 64 * 1024);
    assert!(engine.read(&largest).await.is_ok());
    let attacks = vec![
        malformed("one more", of_length(64 * 1024 + 1)),
        malformed("many more", of_length(1024 * 1024)),
        malformed("nonsense", "x".repeat(10_000_000)),
    ];
    assert_refused(&engine, attacks).await;
}

#[tokio::test]
async fn claims_are_there_and_of_their_type() {
    let engine = Engine::new().await;
    let issued = engine.log_in("alice").await;
    let forge = forge(&engine).await;
    let claims = issued.session.claims();
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims.insert(name.to_owned(), value);
        forge.token(&Value::Object(claims))
    };
    assert!(engine.read(&with("role", json!("editor"))).await.is_ok());

    let mut attacks = Vec::new();
    for name in claims.keys() {
        let mut without = claims.clone();
        without.remove(name);
        attacks.push(malformed(format!("no {name}"), forge.token(&Value::Object(without))));
    }
    let texts = ["sub", "sessionHandle", "refreshTokenHash1", "tId", "rsub"];
    for name in texts.into_iter().chain(["antiCsrfToken", "parentRefreshTokenHash1"]) {
        for wrong in [json!(1), json!(true), json!(["x"]), json!({ "a": 1 })] {
            attacks.push(malformed(format!("{name}: {wrong}"), with(name, wrong)));
        }
    }
    for name in texts {
        attacks.push(malformed(format!("{name}: null"), with(name, Value::Null)));
    }
    for name in ["exp", "iat"] {
        for wrong in [
            json!(null),
            json!("1700003600"),
            json!(1_700_003_600.0),
            json!(1_700_003_600.5),
            json!(u64::MAX),
            json!(true),
            json!([1_700_003_600]),
            json!({}),
        ] {
            attacks.push(malformed(format!("{name}: {wrong}"), with(name, wrong)));
        }
    }
    for wrong in ["", "A", "a b", "ü", &"x".repeat(65)] {
        attacks.push(malformed(format!("tId: {wrong}"), with("tId", json!(wrong))));
    }
    let linked = engine.read(&with("rsub", json!("bob"))).await.unwrap();
    assert_eq!((linked.user_id(), linked.recipe_user_id()), ("alice", "bob"));

    let text = Value::Object(claims.clone()).to_string();
    let exp = format!("\"exp\":{}", claims["exp"]);
    assert!(text.contains(&exp));
    let deep =
        format!(r#"{},"a":{}{}}}"#, &text[..text.len() - 1], "[".repeat(200), "]".repeat(200));
    for raw in [
        text.replace(&exp, "\"exp\":1e999"),
        text.replace(&exp, "\"exp\":99999999999999999999"),
        text.replace(&exp, "\"exp\":0x10"),
        text.replace(&exp, "\"exp\":NaN"),
        format!("[{text}]"),
        format!("{text}{text}"),
        format!("\u{feff}{text}"),
        text[..text.len() - 1].to_owned(),
        "null".to_owned(),
        "\"text\"".to_owned(),
        "1".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        String::new(),
        "[".repeat(40_000),
        "{\"a\":".repeat(8000),
        deep,
    ] {
        let header = forge.header().to_string();
        attacks.push(malformed(raw.clone(), forge.sign(&header, raw.as_bytes())));
    }
    let not_text = [text.as_bytes(), &[0xff]].concat();
    attacks.push(malformed("not UTF-8", forge.sign(&forge.header().to_string(), &not_text)));
    assert_refused(&engine, attacks).await;

    for past in [json!(-1), json!(0), json!(i64::MIN), json!(START.as_seconds() - 1)] {
        let refused = engine.read(&with("exp", past)).await;
        assert_eq!(try_refresh(refused), TryRefreshReason::Expired);
    }
    for good in [json!(i64::MAX), json!(START.as_seconds())] {
        assert!(engine.read(&with("exp", good)).await.is_ok());
    }
    assert!(engine.read(&with("antiCsrfToken", json!("x"))).await.is_ok());
    assert!(engine.read(&with("parentRefreshTokenHash1", json!("x"))).await.is_ok());
}

/// Key ids and states, newest first.
async fn states(engine: &Engine) -> Vec<(String, &'static str)> {
    let keys = engine.signing_keys().await.unwrap();
    keys.into_iter().map(|key| (key.key_id, key.state.name())).collect()
}

fn dynamic(after_start: Duration, state: &'static str) -> (String, &'static str) {
    (format!("d-{}", START.plus(after_start).as_millis()), state)
}

#[tokio::test]
async fn a_key_is_replaced_before_it_is_due_where_somebody_says_so() {
    let (store, clock) = (MemoryStore::new(), Arc::new(ManualClock::at(START)));
    let engine = start(&store, &clock, quick_rotation()).await;
    let elsewhere = start(&store, &clock, quick_rotation()).await;
    let before = engine.create_session(NewSession::new("alice")).await.unwrap();
    clock.advance(SECOND);
    assert!(engine.rotate_signing_key().await.unwrap());
    let [old, new] = [Duration::ZERO, SECOND];
    let published = [dynamic(new, "published"), dynamic(old, "signing")];
    assert_eq!(states(&engine).await, published);
    let created = engine.create_session(NewSession::new("alice")).await.unwrap();
    assert_eq!(key_id_of(&created), key_id_of(&before), "nobody may have seen the new key yet");

    elsewhere.reload_signing_keys().await.unwrap();
    clock.advance(OVERLAP);
    for engine in [&engine, &elsewhere] {
        assert_eq!(states(engine).await, [dynamic(new, "signing"), dynamic(old, "verifying")]);
        let created = engine.create_session(NewSession::new("alice")).await.unwrap();
        assert_eq!(key_id_of(&created), dynamic(new, "").0);
    }
    clock.advance(INTERVAL + 2 * VALIDITY - OVERLAP);
    assert_eq!(states(&elsewhere).await, [dynamic(new, "signing"), dynamic(old, "retired")]);
}

#[tokio::test]
async fn a_key_is_not_replaced_while_the_next_one_is_published() {
    let (store, clock) = (MemoryStore::new(), Arc::new(ManualClock::at(START)));
    let mut engines = Vec::new();
    for _ in 0..4 {
        engines.push(start(&store, &clock, quick_rotation()).await);
    }
    let mut made = 0;
    for engine in &engines {
        clock.advance(SECOND);
        made += u32::from(engine.rotate_signing_key().await.unwrap());
    }
    assert_eq!(made, 1);
    let keys = [dynamic(SECOND, "published"), dynamic(Duration::ZERO, "signing")];
    for engine in &engines {
        assert_eq!(states(engine).await, keys);
    }
    clock.advance(OVERLAP);
    assert!(engines[3].rotate_signing_key().await.unwrap());
}

#[tokio::test]
async fn a_static_key_signs_for_good() {
    let engine = Engine::with_policy(with(Algorithm::Es256)).await;
    engine.public_signing_keys(SigningKeyKind::Static).await.unwrap();
    assert!(engine.rotate_signing_key().await.unwrap());
    let keys = engine.signing_keys().await.unwrap();
    let fixed = keys.iter().find(|key| key.kind == SigningKeyKind::Static).unwrap();
    assert_eq!((fixed.state, fixed.retires_at), (SigningKeyState::Signing, Timestamp::MAX));
    assert_eq!(keys.len(), 3);
}
