//! How many sessions a user may have, how old a login may be, how long tokens are good for, and
//! the ending of many sessions at once.

#![expect(clippy::unwrap_used, reason = "the helpers fail the test that asked for them")]

mod support;

use std::{collections::BTreeSet, num::NonZeroUsize, sync::Arc, time::Duration};

use sessile_core::{
    GeneralError, IssueOptions, NewSession, RefreshRequest, SessionHandle, SessionService,
    UnauthorisedReason, VerifyRequest,
    event::{EventKind, RevocationReason},
    policy::{Policy, Revocation, RotationPolicy, SigningKeyKind},
    store::{SessionLimit, Store, Swept, WhenFull},
};
use support::{
    Engine, MILLISECOND, SECOND, START, access_token, app,
    counting_store::Intent::{Get, InsertWithin},
    fault, refresh_token, unauthorised,
};

fn limited(maximum: usize, when_full: WhenFull) -> Policy {
    let maximum = NonZeroUsize::new(maximum).unwrap();
    Policy { session_limit: Some(SessionLimit { maximum, when_full }), ..Policy::default() }
}

async fn handles(engine: &Engine, user_id: &str) -> Vec<SessionHandle> {
    engine.get_all_session_handles_for_user(user_id).await.unwrap()
}

#[tokio::test]
async fn one_login_more_than_there_may_be_ends_the_oldest() {
    let engine = Engine::with_policy(limited(3, WhenFull::EndOldest)).await;
    let other = engine.log_in("bob").await;
    let mut all = Vec::new();
    for number in 0..7 {
        engine.clock.advance(MILLISECOND);
        engine.take_events();
        // Tenants are counted together.
        let tenant = ["public", "t1", "t2"][number % 3].parse().unwrap();
        let new = NewSession::new("alice").tenant(tenant);
        let calls = engine.calls_of(async {
            all.push(engine.create_session(new).await.unwrap());
        });
        assert_eq!(calls.await, [InsertWithin]);
        let told: Vec<_> = engine
            .take_events()
            .into_iter()
            .map(|event| (event.session_handle, event.user_id, event.kind))
            .collect();
        let of =
            |index: usize, kind| (all[index].session.handle().clone(), "alice".to_owned(), kind);
        let evicted = EventKind::Revoked { reason: RevocationReason::Evicted };
        let mut expected: Vec<_> =
            number.checked_sub(3).map(|old| of(old, evicted)).into_iter().collect();
        expected.push(of(number, EventKind::Created));
        assert_eq!(told, expected);
        let newest = &all[number.saturating_sub(2)..];
        let newest: Vec<_> = newest.iter().map(|issued| issued.session.handle().clone()).collect();
        assert_eq!(handles(&engine, "alice").await, newest);
    }
    let refused = engine.exchange(refresh_token(&all[3])).await;
    assert_eq!(unauthorised(refused), UnauthorisedReason::SessionNotFound);
    assert!(engine.exchange(refresh_token(&all[4])).await.is_ok());
    assert!(engine.exchange(refresh_token(&other)).await.is_ok(), "others are not counted");
}

#[tokio::test]
async fn one_login_more_than_there_may_be_is_refused() {
    let engine = Engine::with_policy(limited(2, WhenFull::Refuse)).await;
    let first = engine.log_in("alice").await;
    drop(engine.log_in("bob").await);
    let second = engine.log_in("alice").await;
    engine.take_events();
    for _ in 0..3 {
        let refused = engine.create_session(NewSession::new("alice")).await;
        assert!(matches!(fault(refused), GeneralError::TooManySessions { maximum: 2 }));
    }
    assert_eq!(engine.take_events(), []);
    assert_eq!(handles(&engine, "alice").await.len(), 2);
    assert!(engine.exchange(refresh_token(&first)).await.is_ok(), "refreshing is no login");
    engine.revoke_session(second.session.handle()).await.unwrap();
    drop(engine.log_in("alice").await);
    assert_eq!(handles(&engine, "alice").await.len(), 2);
    let elsewhere = engine.for_app(app("shop"), engine.policy().clone()).await.unwrap();
    assert!(elsewhere.create_session(NewSession::new("alice")).await.is_ok());
}

#[tokio::test]
async fn expired_sessions_do_not_count() {
    for when_full in [WhenFull::EndOldest, WhenFull::Refuse] {
        let engine = Engine::with_policy(Policy {
            access_token_validity: SECOND,
            refresh_token_validity: 10 * SECOND,
            ..limited(2, when_full)
        })
        .await;
        drop(engine.log_in("alice").await);
        engine.clock.advance(SECOND);
        let second = engine.log_in("alice").await;
        engine.clock.set(START.plus(10 * SECOND));
        engine.take_events();
        let third = engine.log_in("alice").await;
        assert_eq!(engine.take_event_kinds(), [EventKind::Created], "nothing had to go");
        let expected = [second, third].map(|issued| issued.session.handle().clone());
        assert_eq!(handles(&engine, "alice").await, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_32_logins_at_once_there_are_never_too_many() {
    const MAXIMUM: usize = 5;
    for when_full in [WhenFull::EndOldest, WhenFull::Refuse] {
        let engine = Arc::new(Engine::with_policy(limited(MAXIMUM, when_full)).await);
        drop(engine.log_in("bob").await);
        drop(engine.log_in("alice").await);
        engine.take_events();
        let barrier = Arc::new(tokio::sync::Barrier::new(32));
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                let (engine, barrier) = (Arc::clone(&engine), Arc::clone(&barrier));
                tokio::spawn(async move {
                    barrier.wait().await;
                    let result = engine.create_session(NewSession::new("alice")).await;
                    (result, handles(&engine, "alice").await.len())
                })
            })
            .collect();
        let mut successful = 0;
        for task in tasks {
            let (result, at_that_time) = task.await.unwrap();
            assert!(at_that_time <= MAXIMUM);
            match result {
                Ok(_) => successful += 1,
                Err(error) => assert_eq!(error.reason_code(), "too_many_sessions"),
            }
        }
        let left: BTreeSet<_> = handles(&engine, "alice").await.into_iter().collect();
        assert_eq!(left.len(), MAXIMUM);
        assert_eq!(handles(&engine, "bob").await.len(), 1);
        let events = engine.take_events();
        let evicted: BTreeSet<_> = events
            .iter()
            .filter(|event| event.kind == EventKind::Revoked { reason: RevocationReason::Evicted })
            .map(|event| event.session_handle.clone())
            .collect();
        let created = events.iter().filter(|event| event.kind == EventKind::Created).count();
        let (expected, ended) = match when_full {
            WhenFull::EndOldest => (32, 1 + 32 - MAXIMUM),
            WhenFull::Refuse => (MAXIMUM - 1, 0),
        };
        assert_eq!((successful, created, evicted.len()), (expected, expected, ended));
        assert_eq!(events.len(), created + evicted.len(), "each is told once");
        assert!(evicted.is_disjoint(&left));
    }
}

#[tokio::test]
async fn a_login_is_fresh_for_as_long_as_the_request_says() {
    let engine = Engine::new().await;
    let issued = engine.log_in("alice").await;
    let read = async |login_within| {
        let request = VerifyRequest { login_within, ..VerifyRequest::new(access_token(&issued)) };
        engine.verify(request).await
    };
    engine.clock.advance(600 * SECOND);
    drop(engine.exchange(refresh_token(&issued)).await.unwrap());
    assert_eq!(engine.calls_of(read(None)).await, []);
    assert_eq!(engine.calls_of(read(Some(600 * SECOND))).await, [Get]);
    assert!(read(Some(600 * SECOND)).await.is_ok());
    assert!(read(Some(Duration::MAX)).await.is_ok());
    for within in [600 * SECOND - MILLISECOND, Duration::ZERO] {
        let reason = unauthorised(read(Some(within)).await);
        assert_eq!(reason, UnauthorisedReason::LoginNotFresh, "a refresh is no login");
    }
    engine.revoke_session(issued.session.handle()).await.unwrap();
    let reason = unauthorised(read(Some(Duration::MAX)).await);
    assert_eq!(reason, UnauthorisedReason::SessionNotFound);
    assert!(read(None).await.is_ok());
}

#[tokio::test]
async fn what_began_before_a_moment_ends() {
    let engine = Engine::new().await;
    let elsewhere = engine.for_app(app("shop"), Policy::default()).await.unwrap();
    drop(elsewhere.create_session(NewSession::new("alice")).await.unwrap());
    // More than go in one step.
    let mut before = BTreeSet::new();
    for number in 0..600 {
        before
            .insert(engine.log_in(&format!("user-{}", number % 7)).await.session.handle().clone());
    }
    engine.clock.advance(MILLISECOND);
    let now = engine.now();
    let after = engine.log_in("user-0").await;
    engine.take_events();
    assert_eq!(engine.revoke_sessions_created_before(START).await.unwrap(), 0);
    assert_eq!(engine.revoke_sessions_created_before(now).await.unwrap(), 600);
    let events = engine.take_events();
    let reason = RevocationReason::BeganBefore;
    assert!(events.iter().all(|event| event.kind == EventKind::Revoked { reason }));
    assert_eq!(events.len(), 600);
    let told: BTreeSet<_> = events.into_iter().map(|event| event.session_handle).collect();
    assert_eq!(told, before);
    assert_eq!(handles(&engine, "user-0").await, [after.session.handle().clone()]);
    assert_eq!(engine.revoke_sessions_created_before(now).await.unwrap(), 0);
    assert_eq!(elsewhere.get_all_session_handles_for_user("alice").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_sweep_of_everything_leaves_static_keys_and_what_lives() {
    let policy = Policy {
        access_token_validity: SECOND,
        refresh_token_validity: 1000 * SECOND,
        signing_key_update_interval: 100 * SECOND,
        signing_key_overlap: SECOND,
        ..Policy::default()
    };
    let engine = Engine::with_policy(policy).await;
    let fixed =
        IssueOptions { signing_key_kind: Some(SigningKeyKind::Static), ..IssueOptions::default() };
    let issued = engine.create_session(NewSession::new("alice").issue(fixed)).await.unwrap();
    for _ in 0..600 {
        drop(engine.log_in("bob").await);
    }
    engine.clock.advance(1000 * SECOND);
    let alive = engine.exchange(refresh_token(&issued)).await.unwrap();
    engine.clock.advance(MILLISECOND);
    assert_eq!(engine.sweep_all().await.unwrap(), Swept { sessions: 600, keys: 1 });
    assert_eq!(engine.sweep_all().await.unwrap(), Swept::default());
    let left = engine.store().inner().signing_keys(engine.app()).await.unwrap();
    let fixed: Vec<_> = left.iter().filter(|key| key.is_static).collect();
    assert_eq!((fixed.len(), fixed[0].created_at.as_seconds()), (1, START.as_seconds()));
    assert!(left.iter().all(|key| key.is_static || key.created_at > START));
    assert!(engine.read(access_token(&alive)).await.is_ok());
    assert!(engine.exchange(refresh_token(&alive)).await.is_ok());
}

#[tokio::test]
async fn jitter_shortens_within_its_bounds_and_varies() {
    for (jitter, shortest) in [(0.0, 4000), (0.1, 3600), (0.25, 3000)] {
        let policy = Policy {
            access_token_validity: 4000 * SECOND,
            access_token_validity_jitter: jitter,
            ..Policy::default()
        };
        let engine = Engine::with_policy(policy).await;
        let mut seen = BTreeSet::new();
        let mut issued = engine.log_in("alice").await;
        for _ in 0..200 {
            let ends_at = issued.access_token.expires_at;
            let seconds = ends_at.as_seconds() - engine.now().as_seconds();
            assert!((shortest..=4000).contains(&seconds), "{seconds}");
            assert!(issued.access_token.expires_at == issued.session.expires_at());
            seen.insert(seconds);
            let validity = Policy::default().refresh_token_validity;
            assert_eq!(issued.refresh_token.expires_at, engine.now().plus(validity));
            issued = engine.exchange(refresh_token(&issued)).await.unwrap();
        }
        assert_eq!(seen.len() == 1, jitter == 0.0);
        // Both ends of the range are near, not the middle alone.
        let spread = seen.last().unwrap() - seen.first().unwrap();
        assert!(spread >= (4000 - shortest) * 9 / 10, "{spread}");
    }
    for wrong in [-0.01, 0.26, 1.0, f64::NAN, f64::INFINITY] {
        let policy = Policy { access_token_validity_jitter: wrong, ..Policy::default() };
        assert!(matches!(policy.check(), Err(GeneralError::Configuration(_))), "{wrong}");
    }
}

#[tokio::test]
async fn a_replacement_has_no_jitter() {
    let policy = Policy {
        access_token_validity_jitter: 0.25,
        rotation: RotationPolicy::OnUse,
        ..Policy::default()
    };
    let engine = Engine::with_policy(policy).await;
    let first = engine.log_in("alice").await;
    let second = engine.exchange(refresh_token(&first)).await.unwrap();
    let session = engine.read(access_token(&second)).await.unwrap();
    let replacement = session.new_access_token().unwrap();
    assert_eq!(replacement.expires_at, START.plus(3600 * SECOND));
}

#[tokio::test]
async fn an_access_token_may_be_good_for_less_but_not_for_more() {
    let engine = Engine::new().await;
    let within = |validity| IssueOptions {
        access_token_validity: Some(validity),
        ..IssueOptions::default()
    };
    let issued = engine.log_in("alice").await;
    let row = engine.row(issued.session.handle()).await;
    for wrong in [Duration::ZERO, 3600 * SECOND + MILLISECOND, Duration::MAX] {
        let created = engine.create_session(NewSession::new("alice").issue(within(wrong))).await;
        let refresh =
            RefreshRequest { issue: within(wrong), ..RefreshRequest::from(refresh_token(&issued)) };
        for refused in [created, engine.refresh(refresh).await] {
            let GeneralError::AccessTokenValidity { limit } = fault(refused) else {
                panic!("{wrong:?} is no validity")
            };
            assert_eq!(limit, 3_600_000);
        }
    }
    assert!(engine.row(issued.session.handle()).await == row, "nothing was changed for it");
    assert_eq!(handles(&engine, "alice").await.len(), 1);

    for seconds in [1, 60, 3600] {
        let new = NewSession::new("bob").issue(within(seconds * SECOND));
        let issued = engine.create_session(new).await.unwrap();
        let ends_at = START.plus(seconds * SECOND);
        assert_eq!(issued.access_token.expires_at, ends_at);
        let validity = Policy::default().refresh_token_validity;
        assert_eq!(issued.refresh_token.expires_at, START.plus(validity), "it is as ever");
        let shorter = RefreshRequest {
            issue: within(seconds * SECOND),
            ..RefreshRequest::from(refresh_token(&issued))
        };
        let shorter = engine.refresh(shorter).await.unwrap();
        assert_eq!(shorter.access_token.expires_at, ends_at);
        let next = engine.exchange(refresh_token(&shorter)).await.unwrap();
        assert_eq!(next.access_token.expires_at, START.plus(3600 * SECOND), "the policy's again");
    }
}

#[tokio::test]
async fn long_lives_do_not_overflow() {
    const YEAR: u64 = 365 * 24 * 3600;
    let policy = Policy {
        access_token_validity: Duration::from_secs(2 * YEAR),
        refresh_token_validity: Duration::from_secs(2_000 * YEAR),
        absolute_lifetime: None,
        revocation: Revocation::Immediate,
        ..Policy::default()
    };
    for validity in [policy.refresh_token_validity, Duration::MAX] {
        let long = Policy { refresh_token_validity: validity, ..policy.clone() };
        let engine = Engine::with_policy(long).await;
        let mut issued = engine.log_in("alice").await;
        for _ in 0..2 {
            assert_eq!(
                issued.access_token.expires_at,
                engine.now().plus(policy.access_token_validity)
            );
            assert_eq!(issued.refresh_token.expires_at, engine.now().plus(validity));
            assert!(engine.read(access_token(&issued)).await.is_ok());
            engine.clock.advance(SECOND);
            issued = engine.exchange(refresh_token(&issued)).await.unwrap();
        }
    }
}
