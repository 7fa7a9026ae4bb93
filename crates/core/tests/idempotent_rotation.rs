//! Refreshing when answers are lost, repeated and re-ordered, and when tokens are stolen.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers fail the test that asked for them"
)]

mod support;

use std::{collections::HashSet, sync::Arc, time::Duration};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::json;
use sessile_core::{
    AntiCsrf, Error, GeneralError, IssuedSession, NewSession, RefreshRequest, SessionService,
    TheftKind, UnauthorisedReason, WrappingKey, WrappingKeyError,
    event::{EventKind, RevocationReason},
    memory::MemoryStore,
    policy::{LateRetry, Policy, RotationPolicy},
    store::{SessionRecord, Store},
};
use support::{
    Engine, GRACE, MILLISECOND, SECOND, START, access_token, app,
    counting_store::Intent::{Get, Remove, Rotate},
    fault, hexadecimal, policy_with_grace, refresh_token, stored_hash, unauthorised, wrapping_key,
};

#[track_caller]
fn theft(result: Result<IssuedSession, Error>) -> TheftKind {
    match result.map(drop).unwrap_err() {
        Error::TokenTheftDetected { kind, .. } => kind,
        other => panic!("not a theft: {other}"),
    }
}

/// Presents the token `count` times at once.
async fn refresh_at_once(
    engine: &Arc<Engine>,
    token: &str,
    count: usize,
) -> Vec<Result<IssuedSession, Error>> {
    let barrier = Arc::new(tokio::sync::Barrier::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let (engine, barrier) = (Arc::clone(engine), Arc::clone(&barrier));
            let token = token.to_owned();
            tokio::spawn(async move {
                barrier.wait().await;
                engine.exchange(&token).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

#[tokio::test]
async fn a_lost_answer_is_given_again() {
    let engine = Engine::new().await;
    let new = NewSession::new("alice").jwt_payload(json!({ "a": 1 }));
    let first = engine.create_session(new).await.unwrap();
    engine.clock.advance(SECOND);
    let lost = engine.exchange(refresh_token(&first)).await.unwrap();
    let row = engine.row(first.session.handle()).await;
    for wait in [0, 1, 10, 19] {
        engine.clock.advance(wait * SECOND);
        let calls = engine.calls_of(async {
            let again = engine.exchange(refresh_token(&first)).await.unwrap();
            assert_eq!(refresh_token(&again), refresh_token(&lost));
            assert_eq!(again.refresh_token.expires_at, lost.refresh_token.expires_at);
            assert_eq!(again.refresh_token.created_at, lost.refresh_token.created_at);
            assert_eq!(again.access_token.created_at, engine.now());
            let session = engine.read(access_token(&again)).await.unwrap();
            assert_eq!(session.jwt_payload()["a"], 1);
        });
        assert_eq!(calls.await, [Rotate, Get]);
        assert!(engine.row(first.session.handle()).await == row, "nothing is written");
    }
    drop(engine.exchange(refresh_token(&lost)).await.unwrap());
}

#[tokio::test]
async fn an_answer_lost_on_the_way_from_the_store_is_given_again() {
    let engine = Engine::new().await;
    let first = engine.log_in("alice").await;
    let handle = first.session.handle();
    engine.take_events();
    engine.store().lose_next_answer();
    assert!(matches!(fault(engine.exchange(refresh_token(&first)).await), GeneralError::Store(_)));
    let row = engine.row(handle).await.unwrap();
    assert!(row.previous_refresh_token_hash == Some(stored_hash(refresh_token(&first))));

    let child = engine.exchange(refresh_token(&first)).await.unwrap();
    assert!(row.refresh_token_hash == stored_hash(refresh_token(&child)), "it is the lost one");
    engine.store().lose_next_answer();
    fault(engine.exchange(refresh_token(&first)).await);
    let again = engine.exchange(refresh_token(&first)).await.unwrap();
    assert_eq!(refresh_token(&again), refresh_token(&child));
    assert!(engine.row(handle).await == Some(row));
    assert_eq!(engine.take_event_kinds(), [EventKind::Reissued, EventKind::Reissued]);
    assert!(engine.exchange(refresh_token(&child)).await.is_ok());
}

#[tokio::test]
async fn a_request_that_never_reached_the_store_changed_nothing() {
    let engine = Engine::new().await;
    let first = engine.log_in("alice").await;
    let row = engine.row(first.session.handle()).await;
    engine.store().fail_next_call();
    fault(engine.exchange(refresh_token(&first)).await);
    assert!(engine.row(first.session.handle()).await == row);
    let calls = engine.calls_of(engine.exchange(refresh_token(&first)));
    assert_eq!(calls.await, [Rotate], "and the retry is the usual case");
}

#[tokio::test]
async fn re_ordered_answers_carry_the_same_tokens() {
    let engine = Engine::new().await;
    let mut token = engine.log_in("alice").await;
    for _ in 0..5 {
        let early = engine.exchange(refresh_token(&token)).await.unwrap();
        engine.clock.advance(GRACE);
        let late = engine.exchange(refresh_token(&token)).await.unwrap();
        // The answers come in the other order, and the client keeps the one that came last.
        assert_eq!(refresh_token(&early), refresh_token(&late));
        assert!(engine.read(access_token(&late)).await.is_ok());
        assert!(engine.read(access_token(&early)).await.is_ok());
        token = early;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_refreshes_at_once_one_rotates_and_all_get_its_child() {
    let engine = Arc::new(Engine::new().await);
    let mut token = engine.log_in("alice").await;
    for _ in 0..5 {
        engine.take_events();
        engine.store().take_calls();
        let answers = refresh_at_once(&engine, refresh_token(&token), 64).await;
        let children: HashSet<String> = answers
            .iter()
            .map(|answer| refresh_token(answer.as_ref().unwrap()).to_owned())
            .collect();
        assert_eq!(children.len(), 1);
        let events = engine.take_event_kinds();
        let refreshed = events.iter().filter(|kind| **kind == EventKind::Refreshed).count();
        let reissued = events.iter().filter(|kind| **kind == EventKind::Reissued).count();
        assert_eq!((refreshed, reissued, events.len()), (1, 63, 64));
        let calls = engine.store().take_calls();
        assert_eq!(calls.iter().filter(|call| **call == Rotate).count(), 64);
        assert_eq!(calls.iter().filter(|call| **call == Get).count(), 63);
        assert_eq!(calls.len(), 127);
        token = answers.into_iter().next().unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_retries_at_once_without_a_kept_child_one_makes_it() {
    let engine = Arc::new(Engine::new().await);
    let first = engine.log_in("alice").await;
    drop(engine.exchange(refresh_token(&first)).await.unwrap());
    let row = engine.row(first.session.handle()).await.unwrap();
    engine.put_row(SessionRecord { sealed_child: None, ..row.clone() }).await;
    engine.take_events();

    let answers = refresh_at_once(&engine, refresh_token(&first), 32).await;
    let children: HashSet<&str> =
        answers.iter().map(|answer| refresh_token(answer.as_ref().unwrap())).collect();
    assert_eq!(children.len(), 1);
    let events = engine.take_event_kinds();
    assert_eq!(events.iter().filter(|kind| **kind == EventKind::Refreshed).count(), 1);
    let after = engine.row(first.session.handle()).await.unwrap();
    assert_eq!((after.rotated_at, after.expires_at), (row.rotated_at, row.expires_at));
    assert!(engine.exchange(children.into_iter().next().unwrap()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_many_replays_come_at_once_one_ends_the_session() {
    for late_retry in [LateRetry::Unauthorised, LateRetry::TokenTheft] {
        for is_stale in [true, false] {
            let policy = Policy { late_retry, ..Policy::default() };
            let engine = Arc::new(Engine::with_policy(policy).await);
            let first = engine.log_in("alice").await;
            let other = engine.log_in("alice").await;
            let second = engine.exchange(refresh_token(&first)).await.unwrap();
            if is_stale {
                drop(engine.exchange(refresh_token(&second)).await.unwrap());
            } else {
                engine.clock.advance(GRACE + MILLISECOND);
            }
            engine.take_events();

            let (mut ended, mut not_found) = (0, 0);
            for answer in refresh_at_once(&engine, refresh_token(&first), 16).await {
                match answer.map(drop).unwrap_err() {
                    Error::TokenTheftDetected { kind, user_id, session_handle } => {
                        let expected =
                            if is_stale { TheftKind::Stale } else { TheftKind::LateRetry };
                        assert_eq!(kind, expected);
                        assert_eq!(user_id, "alice");
                        assert_eq!(&session_handle, first.session.handle());
                        ended += 1;
                    }
                    Error::Unauthorised { reason: UnauthorisedReason::LateRetry } => {
                        assert!(!is_stale);
                        assert_eq!(late_retry, LateRetry::Unauthorised);
                        ended += 1;
                    }
                    Error::Unauthorised { reason: UnauthorisedReason::SessionNotFound } => {
                        not_found += 1;
                    }
                    other => panic!("{other}"),
                }
            }
            assert_eq!((ended, not_found), (1, 15));
            let [event] = engine.take_events().try_into().unwrap();
            assert_eq!(&event.session_handle, first.session.handle());
            assert_eq!(
                event.kind,
                match (is_stale, late_retry) {
                    (true, _) => EventKind::TheftDetected { kind: TheftKind::Stale },
                    (false, LateRetry::TokenTheft) => {
                        EventKind::TheftDetected { kind: TheftKind::LateRetry }
                    }
                    (false, LateRetry::Unauthorised) => {
                        EventKind::Revoked { reason: RevocationReason::LateRetry }
                    }
                }
            );
            let left = engine.get_all_session_handles_for_user("alice").await.unwrap();
            assert_eq!(left, [other.session.handle().clone()], "the user's others go on");
        }
    }
}

#[tokio::test]
async fn the_grandparent_is_stale_even_within_the_window() {
    let engine = Engine::new().await;
    let first = engine.log_in("alice").await;
    let second = engine.exchange(refresh_token(&first)).await.unwrap();
    drop(engine.exchange(refresh_token(&first)).await.unwrap());
    let third = engine.exchange(refresh_token(&second)).await.unwrap();
    let calls = engine.calls_of(async {
        assert_eq!(theft(engine.exchange(refresh_token(&first)).await), TheftKind::Stale);
    });
    assert_eq!(calls.await, [Rotate, Get, Remove]);
    for token in [&first, &second, &third] {
        let refused = engine.exchange(refresh_token(token)).await;
        assert_eq!(unauthorised(refused), UnauthorisedReason::SessionNotFound);
    }
}

#[tokio::test]
async fn the_window_is_anchored_at_the_rotation() {
    let engine = Engine::new().await;
    let first = engine.log_in("alice").await;
    drop(engine.exchange(refresh_token(&first)).await.unwrap());
    let window_end = engine.now().plus(GRACE);
    for _ in 0..30 {
        engine.clock.advance(SECOND);
        drop(engine.exchange(refresh_token(&first)).await.unwrap());
    }
    assert_eq!(engine.now(), window_end);
    engine.clock.advance(MILLISECOND);
    let refused = engine.exchange(refresh_token(&first)).await;
    assert_eq!(unauthorised(refused), UnauthorisedReason::LateRetry);
}

#[tokio::test]
async fn a_replaced_child_does_not_move_the_window_and_is_stale_itself() {
    let engine = Engine::new().await;
    let first = engine.log_in("alice").await;
    let displaced = engine.exchange(refresh_token(&first)).await.unwrap();
    let row = engine.row(first.session.handle()).await.unwrap();
    engine.put_row(SessionRecord { sealed_child: None, ..row }).await;
    engine.clock.advance(GRACE);
    drop(engine.exchange(refresh_token(&first)).await.unwrap());
    engine.clock.advance(MILLISECOND);
    let row = engine.row(first.session.handle()).await.unwrap();
    let refused = engine.exchange(refresh_token(&first)).await;
    assert_eq!(unauthorised(refused), UnauthorisedReason::LateRetry);
    engine.put_row(row).await;
    assert_eq!(theft(engine.exchange(refresh_token(&displaced)).await), TheftKind::Stale);
}

#[tokio::test]
async fn without_grace_the_same_millisecond_is_the_window() {
    let policy = Policy { late_retry: LateRetry::TokenTheft, ..policy_with_grace(Duration::ZERO) };
    let engine = Engine::with_policy(policy).await;
    let first = engine.log_in("alice").await;
    let child = engine.exchange(refresh_token(&first)).await.unwrap();
    let again = engine.exchange(refresh_token(&first)).await.unwrap();
    assert_eq!(refresh_token(&again), refresh_token(&child));
    engine.clock.advance(MILLISECOND);
    assert_eq!(theft(engine.exchange(refresh_token(&first)).await), TheftKind::LateRetry);
}

#[tokio::test]
async fn a_clock_that_is_behind_is_within_the_window() {
    let engine = Engine::new().await;
    let first = engine.log_in("alice").await;
    let child = engine.exchange(refresh_token(&first)).await.unwrap();
    engine.clock.set(START.minus(5 * SECOND));
    let again = engine.exchange(refresh_token(&first)).await.unwrap();
    assert_eq!(refresh_token(&again), refresh_token(&child));
}

#[tokio::test]
async fn a_window_without_end_is_one() {
    let policy = Policy {
        rotation: RotationPolicy::Idempotent { grace: Duration::MAX },
        ..Policy::default()
    };
    let engine = Engine::with_policy(policy).await;
    let first = engine.log_in("alice").await;
    let child = engine.exchange(refresh_token(&first)).await.unwrap();
    engine.clock.set(child.refresh_token.expires_at);
    let again = engine.exchange(refresh_token(&first)).await.unwrap();
    assert_eq!(refresh_token(&again), refresh_token(&child));
}

#[tokio::test]
async fn a_wrong_anti_csrf_token_changes_nothing() {
    let engine = Engine::new().await;
    let guarded =
        engine.create_session(NewSession::new("alice").anti_csrf_token(true)).await.unwrap();
    let plain = engine.log_in("alice").await;
    let row = engine.row(guarded.session.handle()).await;
    engine.take_events();
    let refresh = async |issued: &IssuedSession, anti_csrf| {
        let request = RefreshRequest {
            refresh_token: refresh_token(issued),
            anti_csrf,
            new_anti_csrf_token: true,
        };
        engine.refresh(request).await
    };
    for wrong in [None, Some(""), Some("another")] {
        let calls = engine.calls_of(async {
            let refused = refresh(&guarded, AntiCsrf::Token(wrong)).await;
            assert_eq!(unauthorised(refused), UnauthorisedReason::AntiCsrfMismatch);
        });
        assert_eq!(calls.await, []);
    }
    assert!(engine.row(guarded.session.handle()).await == row);
    assert_eq!(engine.take_events(), []);

    let own = guarded.anti_csrf_token.as_deref();
    let child = refresh(&guarded, AntiCsrf::Token(own)).await.unwrap();
    assert_eq!(child.anti_csrf_token, guarded.anti_csrf_token, "it lasts as long as the session");
    let again = refresh(&guarded, AntiCsrf::Token(own)).await.unwrap();
    assert_eq!(again.anti_csrf_token, child.anti_csrf_token);
    assert_eq!(again.session.anti_csrf_token(), child.anti_csrf_token.as_deref());
    let crossed = refresh(&child, AntiCsrf::Token(Some("another"))).await;
    assert_eq!(unauthorised(crossed), UnauthorisedReason::AntiCsrfMismatch);
    let without = engine.exchange(refresh_token(&child)).await.unwrap();
    assert_eq!(without.anti_csrf_token, None, "none was asked for");

    // A session that began without one is not refused for it, and gets one.
    let child = refresh(&plain, AntiCsrf::Token(None)).await.unwrap();
    assert!(child.anti_csrf_token.is_some());
}

#[tokio::test]
async fn a_retry_gets_the_payload_of_now() {
    let engine = Engine::new().await;
    let first = engine.log_in("alice").await;
    let handle = first.session.handle();
    drop(engine.exchange(refresh_token(&first)).await.unwrap());
    let payload = support::object(json!({ "role": "admin" }));
    engine.update_jwt_payload(handle, payload.clone()).await.unwrap();
    let again = engine.exchange(refresh_token(&first)).await.unwrap();
    assert_eq!(again.session.jwt_payload(), &payload);
}

/// The session, moved on by another request.
fn rival_refresh(engine: &Engine, token: &str) -> impl Future<Output = ()> + Send + 'static {
    let (sessions, token) = ((**engine).clone(), token.to_owned());
    async move { drop(sessions.refresh(token.as_str().into()).await.unwrap()) }
}

#[tokio::test]
async fn a_rival_between_two_calls_is_looked_at_again() {
    let engine = Engine::new().await;
    let first = engine.log_in("alice").await;
    // Before the first call: the rival's child is found, and given to both.
    engine.store().before_next(Rotate, rival_refresh(&engine, refresh_token(&first)));
    let child = engine.exchange(refresh_token(&first)).await.unwrap();
    let row = engine.row(first.session.handle()).await.unwrap();
    assert!(row.refresh_token_hash == stored_hash(refresh_token(&child)));

    // Between the look and the replacement of a child that is gone: the rival's child again.
    engine.put_row(SessionRecord { sealed_child: None, ..row.clone() }).await;
    engine.store().before_next(Rotate, async {});
    engine.store().before_next(Rotate, rival_refresh(&engine, refresh_token(&first)));
    engine.take_events();
    let calls = engine.calls_of(async {
        let replaced = engine.exchange(refresh_token(&first)).await.unwrap();
        let row = engine.row(first.session.handle()).await.unwrap();
        assert!(row.refresh_token_hash == stored_hash(refresh_token(&replaced)));
    });
    let rivals = [Rotate, Get, Rotate];
    assert_eq!(calls.await, [[Rotate, Get, Rotate].as_slice(), &rivals, &[Rotate, Get]].concat());
    assert_eq!(engine.take_event_kinds(), [EventKind::Refreshed, EventKind::Reissued]);
}

#[tokio::test]
async fn a_storm_is_given_up_and_ends_nothing() {
    let engine = Engine::new().await;
    let first = engine.log_in("alice").await;
    let handle = first.session.handle().clone();
    let current = engine.row(&handle).await.unwrap();
    drop(engine.exchange(refresh_token(&first)).await.unwrap());
    let moved = engine.row(&handle).await.unwrap();
    let put = |row: &SessionRecord| {
        let (sessions, row) = ((*engine).clone(), row.clone());
        async move {
            let (store, app) = (sessions.store().inner(), sessions.app());
            store.remove_sessions(app, std::slice::from_ref(&row.handle)).await.unwrap();
            store.insert_session(app, row).await.unwrap();
        }
    };
    // Each look says that the token is current, and each rotation finds that it is not.
    for _ in 0..16 {
        engine.store().before_next(Rotate, put(&moved));
        engine.store().before_next(Get, put(&current));
    }
    engine.take_events();
    let calls = engine.calls_of(async {
        let gave_up = engine.exchange(refresh_token(&first)).await;
        assert!(matches!(fault(gave_up), GeneralError::TooMuchContention));
    });
    assert_eq!(calls.await, [Rotate, Get].repeat(16));
    assert_eq!(engine.take_events(), []);
    assert!(engine.exchange(refresh_token(&first)).await.is_ok());
}

#[tokio::test]
async fn text_that_is_no_refresh_token_is_refused_without_the_store() {
    let engine = Engine::new().await;
    let issued = engine.log_in("alice").await;
    let token = refresh_token(&issued);
    let elsewhere = Engine::new().await.log_in("alice").await;
    let other_app = engine.for_app(app("shop"), Policy::default()).await.unwrap();
    let of_other_app = other_app.create_session(NewSession::new("alice")).await.unwrap();
    let mut bad = vec![
        String::new(),
        "srt1.".to_owned(),
        "srt1.AAAA".to_owned(),
        format!("{token}="),
        format!("{token}A"),
        format!(" {token}"),
        token.to_uppercase(),
        token.replacen("srt1.", "srt2.", 1),
        token.replacen("srt1.", "", 1),
        access_token(&issued).to_owned(),
        refresh_token(&elsewhere).to_owned(),
        refresh_token(&of_other_app).to_owned(),
        format!("srt1.{}", "A".repeat(1_000_000)),
        "ü\u{0}😀".to_owned(),
    ];
    bad.extend((0..token.len()).map(|length| token[..length].to_owned()));
    engine.take_events();
    for bad in bad {
        let calls = engine.calls_of(async {
            let refused = engine.exchange(&bad).await;
            assert_eq!(unauthorised(refused), UnauthorisedReason::RefreshTokenInvalid, "{bad}");
        });
        assert_eq!(calls.await, []);
    }
    assert_eq!(engine.take_events(), []);
    assert!(engine.exchange(token).await.is_ok());
}

/// Opens a sealed child, written from the description in `docs/rotation.md` alone.
fn open_sealed_child(secret: &[u8], row: &SessionRecord) -> Option<String> {
    let (salt, ciphertext) = row.sealed_child.as_deref()?.split_at_checked(32)?;
    let mut context = Vec::new();
    for part in ["sessile sealed child 1", "public", row.handle.as_str()] {
        context.extend((part.len() as u64).to_be_bytes());
        context.extend(part.bytes());
    }
    let information = [context.as_slice()];
    let extracted = Salt::new(HKDF_SHA256, salt).extract(secret);
    let key = UnboundKey::from(extracted.expand(&information, &AES_256_GCM).unwrap());
    let mut text = ciphertext.to_vec();
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    let plain = LessSafeKey::new(key).open_in_place(nonce, Aad::empty(), &mut text).ok()?;
    Some(String::from_utf8(plain.to_vec()).unwrap())
}

/// Everything in the store that could be a secret, in every form that could be used as one.
async fn loot(store: &MemoryStore, row: &SessionRecord) -> Vec<Vec<u8>> {
    let app = app("public");
    let mut texts =
        vec![store.secret(&app, "sessile_refresh_token_key", String::new()).await.unwrap()];
    for key in store.signing_keys(&app).await.unwrap() {
        texts.extend(key.material.split('|').map(str::to_owned));
        texts.extend([key.key_id, key.material]);
    }
    texts.extend([row.handle.to_string(), row.user_id.clone()]);
    let mut bytes = vec![
        Vec::new(),
        row.refresh_token_hash.as_bytes().to_vec(),
        row.previous_refresh_token_hash.unwrap().as_bytes().to_vec(),
        row.sealed_child.clone().unwrap(),
    ];
    for text in &texts {
        let text = text.strip_prefix("sealed1:").unwrap_or(text);
        bytes.extend(STANDARD.decode(text));
        bytes.extend(URL_SAFE_NO_PAD.decode(text));
    }
    let encoded: Vec<String> = bytes
        .iter()
        .flat_map(|bytes| {
            [hexadecimal(bytes), STANDARD.encode(bytes), URL_SAFE_NO_PAD.encode(bytes)]
        })
        .collect();
    texts.extend(encoded);
    bytes.extend(texts.into_iter().map(String::into_bytes));
    bytes
}

#[tokio::test]
async fn neither_the_database_nor_the_servers_keys_open_a_sealed_child() {
    for wrapping_key in [None, Some(wrapping_key())] {
        let store = MemoryStore::new();
        let engine = Engine::start(&store, Policy::default(), |builder| match wrapping_key {
            Some(key) => builder.wrapping_key(key),
            None => builder,
        })
        .await
        .unwrap();
        let first = engine.log_in("alice").await;
        let child = engine.exchange(refresh_token(&first)).await.unwrap();
        let row = engine.row(first.session.handle()).await.unwrap();
        let opened = open_sealed_child(refresh_token(&first).as_bytes(), &row);
        assert_eq!(opened.as_deref(), Some(refresh_token(&child)), "its parent opens it");
        // Without a wrapping key the loot has the server's keys in it, and still opens nothing.
        for secret in loot(&store, &row).await {
            assert_eq!(open_sealed_child(&secret, &row), None);
        }
        let other_row = SessionRecord { handle: "another".into(), ..row };
        assert_eq!(open_sealed_child(refresh_token(&first).as_bytes(), &other_row), None);
    }
}

#[tokio::test]
async fn with_the_database_alone_no_token_can_be_made() {
    let store = MemoryStore::new();
    let key = wrapping_key();
    let start = async |key: Option<WrappingKey>| {
        let complete = |builder: sessile_core::SessionsBuilder<_>| match key {
            Some(key) => builder.wrapping_key(key),
            None => builder,
        };
        Engine::start(&store, Policy::default(), complete).await
    };
    let engine = start(Some(key.clone())).await.unwrap();
    let first = engine.log_in("alice").await;
    let child = engine.exchange(refresh_token(&first)).await.unwrap();
    let row = engine.row(first.session.handle()).await.unwrap();

    let secret = store
        .secret(engine.app(), "sessile_refresh_token_key", "stored before".to_owned())
        .await
        .unwrap();
    let [signing_key] = store.signing_keys(engine.app()).await.unwrap().try_into().unwrap();
    for sealed in [&secret, &signing_key.material] {
        let sealed = STANDARD.decode(sealed.strip_prefix("sealed1:").unwrap()).unwrap();
        // A signing key is DER inside base64, and a public key tells every reader so.
        assert!(!String::from_utf8_lossy(&sealed).contains("MFkw"));
    }
    engine.take_events();
    for stolen in loot(&store, &row).await {
        let Ok(text) = String::from_utf8(stolen.clone()) else { continue };
        for token in [text.clone(), format!("srt1.{text}")] {
            let refused = engine.exchange(&token).await;
            assert_eq!(unauthorised(refused), UnauthorisedReason::RefreshTokenInvalid);
            assert!(engine.read(&token).await.is_err());
        }
        assert_eq!(open_sealed_child(&stolen, &row), None);
    }
    assert_eq!(engine.take_events(), []);

    for (given, expected) in
        [(None, WrappingKeyError::Missing), (Some(wrapping_key()), WrappingKeyError::Wrong)]
    {
        let GeneralError::WrappingKey(error) = fault(start(given).await) else {
            panic!("the keys are sealed");
        };
        assert_eq!(error, expected);
    }
    assert!(engine.exchange(refresh_token(&child)).await.is_ok(), "and nothing was spoiled");
    let again = start(Some(key)).await.unwrap();
    assert!(again.read(access_token(&child)).await.is_ok());
}

#[tokio::test]
async fn sealed_keys_belong_to_their_place() {
    let (store, key) = (MemoryStore::new(), wrapping_key());
    let start = async |store: &MemoryStore| {
        Engine::start(store, Policy::default(), |builder| builder.wrapping_key(key.clone())).await
    };
    start(&store).await.unwrap();
    let app_id = app("public");
    let secret = store.secret(&app_id, "sessile_refresh_token_key", String::new()).await.unwrap();
    let [signing_key] = store.signing_keys(&app_id).await.unwrap().try_into().unwrap();

    // Under another name, or in another app, the same sealed bytes are nothing.
    let swapped = MemoryStore::new();
    swapped
        .secret(&app_id, "sessile_refresh_token_key", signing_key.material.clone())
        .await
        .unwrap();
    let renamed = MemoryStore::new();
    let key_id = "d-1".to_owned();
    let stored = sessile_core::store::StoredSigningKey { key_id, ..signing_key };
    renamed.add_signing_key(&app_id, stored, None).await.unwrap();
    let moved = MemoryStore::new();
    moved.secret(&app("shop"), "sessile_refresh_token_key", secret).await.unwrap();
    let in_shop = Engine::start(&moved, Policy::default(), |builder| {
        builder.wrapping_key(key.clone()).app(app("shop"))
    });
    for result in [start(&swapped).await, start(&renamed).await, in_shop.await] {
        assert!(matches!(fault(result), GeneralError::WrappingKey(WrappingKeyError::Wrong)));
    }
}

#[test]
fn a_wrapping_key_survives_being_written_down() {
    let key = wrapping_key();
    let text = key.to_text();
    assert_eq!(text.len(), 44);
    assert_eq!(WrappingKey::from_text(&format!(" {}\n", *text)).unwrap().to_text(), text);
    for bad in ["", "short", &text[1..], &format!("{}A", *text), &"!".repeat(44)] {
        assert_eq!(WrappingKey::from_text(bad).unwrap_err(), WrappingKeyError::Malformed);
    }
    assert_ne!(wrapping_key().to_text(), text);
}
