//! What is told of sessions: each event once and in order, and never a token.

#![expect(clippy::unwrap_used, reason = "the helpers fail the test that asked for them")]

mod support;

use std::{
    fmt::{Debug, Display},
    io::{self, Write},
    sync::{Arc, Mutex},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::json;
use sessile_core::{
    AntiCsrf, Error, IssuedSession, NewSession, RefreshRequest, RegenerateRequest, Secret,
    SessionHandle, SessionService, Sessions, TenantScope, TheftKind, VerifyRequest,
    clock::Timestamp,
    event::{
        Event,
        EventKind::{self, Created, Refreshed, Reissued, Revoked, TheftDetected},
        RevocationReason,
    },
    memory::MemoryStore,
    policy::{LateRetry, Policy, Revocation},
    rotation::{self, Child, PresentedToken},
    store::{Store, StoreError, StoreErrorKind},
};
use support::{
    Engine, GRACE, MILLISECOND, SECOND, access_token, app, hexadecimal, refresh_token, stored_hash,
    wrapping_key,
};

/// The events as what they say.
fn told(events: Vec<Event>) -> Vec<(SessionHandle, String, EventKind)> {
    events
        .into_iter()
        .map(|event| {
            assert_eq!(event.app.as_str(), "public");
            (event.session_handle, event.user_id, event.kind)
        })
        .collect()
}

fn of(issued: &IssuedSession, kind: EventKind) -> (SessionHandle, String, EventKind) {
    (issued.session.handle().clone(), issued.session.user_id().to_owned(), kind)
}

#[tokio::test]
async fn a_sessions_life_is_told_in_order() {
    let engine = Engine::new().await;
    let first = engine.log_in("alice").await;
    let second = engine.exchange(refresh_token(&first)).await.unwrap();
    drop(engine.exchange(refresh_token(&first)).await.unwrap());
    drop(engine.exchange(refresh_token(&first)).await.unwrap());
    let third = engine.exchange(refresh_token(&second)).await.unwrap();
    assert!(engine.exchange(refresh_token(&first)).await.is_err());
    assert!(engine.exchange(refresh_token(&third)).await.is_err());
    assert_eq!(
        told(engine.take_events()),
        [
            of(&first, Created),
            of(&first, Refreshed),
            of(&first, Reissued),
            of(&first, Reissued),
            of(&first, Refreshed),
            of(&first, TheftDetected { kind: TheftKind::Stale }),
        ]
    );
}

#[tokio::test]
async fn a_late_retry_is_told_as_the_policy_calls_it() {
    for (late_retry, expected) in [
        (LateRetry::Unauthorised, Revoked { reason: RevocationReason::LateRetry }),
        (LateRetry::TokenTheft, TheftDetected { kind: TheftKind::LateRetry }),
    ] {
        let engine = Engine::with_policy(Policy { late_retry, ..Policy::default() }).await;
        let first = engine.log_in("alice").await;
        drop(engine.exchange(refresh_token(&first)).await.unwrap());
        engine.clock.advance(GRACE + MILLISECOND);
        engine.take_events();
        for _ in 0..2 {
            assert!(engine.exchange(refresh_token(&first)).await.is_err());
        }
        assert_eq!(told(engine.take_events()), [of(&first, expected)]);
    }
}

#[tokio::test]
async fn a_revocation_is_told_once_for_each_session_that_was_there() {
    use RevocationReason::{AllOfUser, AllOthersOfUser, ReplacedByLogin, Requested, SignedOut};
    let engine = Engine::new().await;
    let mut sessions = Vec::new();
    for _ in 0..7 {
        sessions.push(engine.log_in("alice").await);
        engine.clock.advance(MILLISECOND);
    }
    let handle = |index: usize| sessions[index].session.handle().clone();
    let revoked = |index: usize, reason| of(&sessions[index], Revoked { reason });
    engine.take_events();

    engine.revoke_session(&handle(0)).await.unwrap();
    engine.revoke_session(&handle(0)).await.unwrap();
    assert_eq!(told(engine.take_events()), [revoked(0, Requested)]);
    let several = [handle(1), "unknown".into(), handle(1), handle(0)];
    engine.revoke_multiple_sessions(&several).await.unwrap();
    assert_eq!(told(engine.take_events()), [revoked(1, Requested)]);
    for (index, reason) in [(2, SignedOut), (3, ReplacedByLogin)] {
        engine.revoke_sessions(&[handle(index)], reason).await.unwrap();
        assert_eq!(told(engine.take_events()), [revoked(index, reason)]);
    }
    let kept = handle(4);
    engine.revoke_sessions_of_user("alice", &TenantScope::All, Some(&kept)).await.unwrap();
    let mut events = told(engine.take_events());
    events.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(events, [revoked(5, AllOthersOfUser), revoked(6, AllOthersOfUser)]);
    engine.revoke_all_sessions_for_user("alice").await.unwrap();
    engine.revoke_all_sessions_for_user("alice").await.unwrap();
    assert_eq!(told(engine.take_events()), [revoked(4, AllOfUser)]);
}

#[tokio::test]
async fn what_changes_no_session_is_not_told() {
    let engine = Engine::with_policy(Policy {
        revocation: Revocation::Immediate,
        refresh_token_validity: 5000 * SECOND,
        ..Policy::default()
    })
    .await;
    let guarded =
        engine.create_session(NewSession::new("alice").anti_csrf_token(true)).await.unwrap();
    let handle = guarded.session.handle();
    engine.take_events();
    let data = support::object(json!({ "a": 1 }));
    engine.read(access_token(&guarded)).await.unwrap();
    engine.identify(access_token(&guarded)).await.unwrap();
    engine.regenerate_with(access_token(&guarded), json!({ "a": 1 })).await.unwrap();
    engine.update_jwt_payload(handle, data.clone()).await.unwrap();
    engine.update_session_data(handle, data).await.unwrap();
    engine.get_session_information(handle).await.unwrap();
    engine.get_sessions_of_user("alice", &TenantScope::All).await.unwrap();
    engine.get_json_web_key_set().await.unwrap();
    engine.create_session(NewSession::new("")).await.unwrap_err();
    engine.exchange("srt1.nonsense").await.unwrap_err();
    let mismatch =
        RefreshRequest { anti_csrf: AntiCsrf::Token(None), ..refresh_token(&guarded).into() };
    engine.refresh(mismatch).await.unwrap_err();
    engine.clock.set(guarded.refresh_token.expires_at.plus(MILLISECOND));
    engine.exchange(refresh_token(&guarded)).await.unwrap_err();
    engine.sweep(10).await.unwrap();
    assert_eq!(engine.take_events(), []);
}

#[tokio::test]
async fn what_the_store_has_not_acknowledged_is_not_told() {
    let engine = Engine::new().await;
    let first = engine.log_in("alice").await;
    let other = engine.log_in("alice").await;
    let second = engine.exchange(refresh_token(&first)).await.unwrap();
    drop(engine.exchange(refresh_token(&second)).await.unwrap());
    engine.take_events();
    let lose = |call: usize| {
        use support::counting_store::Trouble;
        let arrive = std::iter::repeat_n(Trouble::None, call - 1);
        engine.store().set_troubles(arrive.chain([Trouble::LosesItsAnswer]));
    };
    lose(1);
    engine.create_session(NewSession::new("alice")).await.unwrap_err();
    lose(3);
    engine.exchange(refresh_token(&first)).await.unwrap_err();
    lose(1);
    engine.revoke_session(other.session.handle()).await.unwrap_err();
    lose(1);
    engine.revoke_all_sessions_for_user("alice").await.unwrap_err();
    assert_eq!(engine.take_events(), []);
    assert_eq!(engine.get_all_session_handles_for_user("alice").await.unwrap(), []);
}

/// Hanging up is no way to go unnoticed.
#[tokio::test]
async fn a_thief_who_goes_away_is_told_of() {
    use support::counting_store::Trouble;

    let engine = Engine::new().await;
    let first = engine.log_in("alice").await;
    let second = engine.exchange(refresh_token(&first)).await.unwrap();
    drop(engine.exchange(refresh_token(&second)).await.unwrap());
    engine.take_events();
    let arrive = std::iter::repeat_n(Trouble::None, 2);
    engine.store().set_troubles(arrive.chain([Trouble::NeverAnswers]));
    let ended = async {
        let (store, handle) = (engine.store().inner(), first.session.handle());
        while store.get_session(&app("public"), handle).await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        answer = engine.exchange(refresh_token(&first)) => panic!("{answer:?}"),
        () = ended => {}
    }
    let theft = TheftDetected { kind: TheftKind::Stale };
    assert_eq!(told(engine.take_events()), [of(&first, theft)]);
    engine.exchange(refresh_token(&second)).await.unwrap_err();
    assert_eq!(engine.take_events(), []);
}

#[tokio::test]
async fn an_event_names_its_app() {
    let engine = Engine::new().await;
    let shop = engine.for_app(app("shop"), Policy::default()).await.unwrap();
    let issued = shop.create_session(NewSession::new("alice")).await.unwrap();
    shop.revoke_session(issued.session.handle()).await.unwrap();
    let events = engine.take_events();
    assert_eq!(events.len(), 2);
    for event in events {
        assert_eq!(event.app, app("shop"));
        assert_eq!(&event.session_handle, issued.session.handle());
    }
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Text that must be nowhere, in every spelling that it could have.
#[derive(Default)]
struct Secrets(Vec<String>);

impl Secrets {
    fn add_text(&mut self, text: &str) {
        self.0.push(text.to_owned());
        self.add_bytes(text.as_bytes());
    }

    fn add_bytes(&mut self, bytes: &[u8]) {
        let decimals: Vec<String> = bytes.iter().map(u8::to_string).collect();
        self.0.extend([
            hexadecimal(bytes),
            STANDARD.encode(bytes),
            URL_SAFE_NO_PAD.encode(bytes),
            decimals.join(","),
        ]);
    }

    fn add_issued(&mut self, issued: &IssuedSession) {
        self.add_text(refresh_token(issued));
        // The header is the same in every token.
        for part in access_token(issued).split('.').skip(1) {
            self.add_text(part);
        }
        let inner_hash = issued.session.claims()["refreshTokenHash1"].clone();
        self.add_text(inner_hash.as_str().unwrap());
        self.add_bytes(stored_hash(refresh_token(issued)).as_bytes());
        if let Some(token) = &issued.anti_csrf_token {
            self.add_text(token);
        }
    }

    /// Asserts that no part of a secret is there that would be worth having.
    fn assert_absent(&self, what: &str, output: &str) {
        let output: String = output.chars().filter(|letter| !letter.is_whitespace()).collect();
        for secret in &self.0 {
            for part in secret.as_bytes().chunks(16).filter(|part| part.len() == 16) {
                let part = std::str::from_utf8(part).unwrap();
                assert!(!output.contains(part), "{what} shows {part}: {output}");
            }
        }
    }

    fn assert_hidden(&self, value: &dyn Debug) {
        for output in [format!("{value:?}"), format!("{value:#?}")] {
            self.assert_absent("Debug", &output);
        }
    }

    fn assert_hidden_in_error<E: Debug + Display + std::error::Error>(&self, error: &E) {
        self.assert_hidden(error);
        self.assert_absent("Display", &error.to_string());
        if let Some(source) = std::error::Error::source(error) {
            self.assert_absent("source", &source.to_string());
        }
    }
}

#[tokio::test]
async fn neither_logs_nor_debug_output_show_a_secret() {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // For all threads: one that has no subscriber could switch an event off for the others.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let (store, key) = (MemoryStore::new(), wrapping_key());
    let policy = Policy { late_retry: LateRetry::TokenTheft, ..Policy::default() };
    let engine =
        Engine::start(&store, policy, |builder| builder.wrapping_key(key.clone())).await.unwrap();
    let plain = Engine::new().await;
    let new = || NewSession::new("alice").jwt_payload(json!({ "role": "x" })).anti_csrf_token(true);
    let mut secrets = Secrets::default();
    secrets.add_text(&key.to_text());
    for keys in [&engine, &plain] {
        let store = keys.store().inner();
        for key in store.signing_keys(keys.app()).await.unwrap() {
            // The public half is public.
            secrets.add_text(key.material.split('|').next_back().unwrap());
            secrets.assert_hidden(&key);
        }
        secrets.add_text(
            &store.secret(keys.app(), "sessile_refresh_token_key", String::new()).await.unwrap(),
        );
    }

    let of_plain = plain.create_session(new()).await.unwrap();
    let first = engine.create_session(new()).await.unwrap();
    let handle = first.session.handle().clone();
    let refresh = async |issued: &IssuedSession| {
        let request = RefreshRequest { new_anti_csrf_token: true, ..refresh_token(issued).into() };
        engine.refresh(request).await
    };
    let second = refresh(&first).await.unwrap();
    let again = refresh(&first).await.unwrap();
    let row = engine.row(&handle).await.unwrap();
    secrets.add_bytes(row.sealed_child.as_ref().unwrap());
    let third = refresh(&second).await.unwrap();
    for issued in [&of_plain, &first, &second, &again, &third] {
        secrets.add_issued(issued);
    }
    let regenerated =
        engine.regenerate_with(access_token(&third), json!({ "role": "y" })).await.unwrap();
    let token = regenerated.access_token.as_ref().unwrap();
    secrets.add_text(token.token.expose().split('.').next_back().unwrap());

    let presented = PresentedToken { hash: stored_hash(refresh_token(&third)), parent: None };
    let child = Child {
        hash: stored_hash(refresh_token(&first)),
        sealed: row.sealed_child.clone().unwrap(),
    };
    let rotation = rotation::propose(&presented, child.clone(), SECOND, Timestamp::default());
    let anti_csrf = AntiCsrf::Token(third.anti_csrf_token.as_deref());
    let verify = VerifyRequest { anti_csrf, ..VerifyRequest::new(access_token(&third)) };
    let refresh_request =
        RefreshRequest { anti_csrf, ..RefreshRequest::from(refresh_token(&third)) };
    let regenerate = RegenerateRequest { access_token: access_token(&third), jwt_payload: None };
    let information = engine.get_session_information(&handle).await.unwrap();
    let data = engine.get_versioned_session_data(&handle).await.unwrap();
    let key_set = engine.get_json_web_key_set().await.unwrap();
    let builder = Sessions::builder(store.clone()).wrapping_key(key.clone());
    let shown: [&dyn Debug; 30] = [
        &*engine,
        &*plain,
        &builder,
        &store,
        &key,
        &Secret::new(refresh_token(&third).to_owned()),
        &new(),
        &verify,
        &refresh_request,
        &regenerate,
        &anti_csrf,
        &first,
        &third,
        &third.access_token,
        &third.refresh_token,
        &third.session,
        &regenerated,
        &information,
        &data,
        &key_set,
        &row,
        &presented,
        &child,
        &rotation,
        &rotation.guard,
        &rotation.change,
        &presented.hash,
        &engine.policy(),
        &engine.take_events(),
        &handle,
    ];
    for value in shown {
        secrets.assert_hidden(value);
    }

    let mut errors: Vec<Error> = Vec::new();
    errors.extend(engine.read(&format!("{}x", access_token(&third))).await.err());
    errors.extend(engine.read(access_token(&of_plain)).await.err());
    errors.extend(engine.exchange(&format!("{}x", refresh_token(&third))).await.err());
    errors.extend(engine.exchange(refresh_token(&of_plain)).await.err());
    errors.extend(refresh(&first).await.err());
    errors.extend(refresh(&third).await.err());
    let other = engine.create_session(new()).await.unwrap();
    let child = refresh(&other).await.unwrap();
    secrets.add_issued(&other);
    secrets.add_issued(&child);
    engine.clock.advance(GRACE + MILLISECOND);
    errors.extend(refresh(&other).await.err());
    errors.extend(
        Engine::start(&store, Policy::default(), |builder| builder.wrapping_key(wrapping_key()))
            .await
            .err(),
    );
    let unavailable = StoreError::new(StoreErrorKind::Unavailable, "no connection");
    errors.push(unavailable.with_source(io::Error::other("refused")).into());
    assert_eq!(errors.len(), 9);
    for error in &errors {
        secrets.assert_hidden_in_error(error);
    }

    let log = buffer.text();
    assert!(log.contains("new signing key"), "{log}");
    for message in
        ["session created", "session refreshed", "refresh token re-issued", "token theft detected"]
    {
        let mut of_session = log.lines().filter(|line| line.contains(handle.as_str()));
        assert!(of_session.any(|line| line.contains(message)), "{message}: {log}");
    }
    secrets.assert_absent("the log", &log);
}
