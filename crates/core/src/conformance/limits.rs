use std::{collections::BTreeSet, num::NonZeroUsize};

use super::{
    interleave::{join_all, yield_once},
    samples::{
        NOW, after_now, answered, assert_same, assert_stored, found, fresh_app, fresh_name,
        inserted, session_of,
    },
};
use crate::{
    clock::Timestamp,
    identifier::{AppId, SessionHandle, TenantScope},
    store::{
        Accounts, LimitedInsertion, Owner, SessionLimit, SessionRecord, Store, StoreError,
        StoreErrorKind, WhenFull,
    },
};

#[expect(clippy::expect_used, reason = "no check has a limit of zero")]
fn limit(maximum: usize, when_full: WhenFull) -> SessionLimit {
    SessionLimit { maximum: NonZeroUsize::new(maximum).expect("at least one"), when_full }
}

fn created_at(milliseconds: i64, user_id: &str) -> SessionRecord {
    SessionRecord { created_at: after_now(milliseconds), ..session_of(user_id) }
}

/// That there was room, or that it was made, for a session of the user.
fn room(user_id: &str, ended: Vec<SessionHandle>) -> LimitedInsertion {
    LimitedInsertion::Inserted { owner: Owner::alone(user_id), ended }
}

async fn added(
    store: &impl Store,
    app: &AppId,
    session: &SessionRecord,
    limit: SessionLimit,
) -> LimitedInsertion {
    answered(store.insert_session_within(app, session.clone(), limit, NOW).await)
}

async fn live(store: &impl Store, app: &AppId, user_id: &str) -> Vec<SessionRecord> {
    answered(store.sessions_of_user(app, user_id, Accounts::Linked, &TenantScope::All, NOW).await)
}

/// One more session than there may be ends the oldest of that user and app, and nothing else.
pub async fn the_oldest_sessions_make_room<S: Store>(store: &S) {
    let (app, other_app) = (fresh_app(), fresh_app());
    let of_others = [
        inserted(store, &app, created_at(-1_000_000, "bob")).await,
        inserted(store, &other_app, created_at(-1_000_000, "alice")).await,
    ];
    // Neither the order of insertion nor that of the handles is the order of creation, and the
    // user's tenants count together.
    let mut sessions = Vec::new();
    for (milliseconds, tenant) in [(-3, ""), (-9, "_t1"), (-5, "_t2"), (-7, "")] {
        let handle = SessionHandle::new(&format!("{}{tenant}", fresh_name()));
        let session = SessionRecord { handle, ..created_at(milliseconds, "alice") };
        let outcome = added(store, &app, &session, limit(4, WhenFull::EndOldest)).await;
        assert_eq!(outcome, room("alice", Vec::new()), "there is room");
        sessions.push(session);
    }
    for session in &sessions {
        assert_stored(store, &app, session, "added within the limit").await;
    }
    let newest = created_at(-6, "alice");
    let outcome = added(store, &app, &newest, limit(4, WhenFull::EndOldest)).await;
    let oldest = vec![sessions[1].handle.clone()];
    assert_eq!(outcome, room("alice", oldest), "the oldest by its creation ends");
    assert_stored(store, &app, &newest, "the new session, which is not the newest").await;

    // A limit that was lowered meanwhile ends several, the oldest first.
    let last = created_at(0, "alice");
    let outcome = added(store, &app, &last, limit(2, WhenFull::EndOldest)).await;
    let ended = [&sessions[3], &newest, &sessions[2]].map(|session| session.handle.clone());
    assert_eq!(outcome, room("alice", ended.to_vec()), "the oldest first");
    let left = live(store, &app, "alice").await;
    assert_eq!(left.len(), 2, "as many as may be");
    assert_same(left.first(), &sessions[0], "the newest of those before stays");
    assert_same(left.last(), &last, "the new one is there");
    for handle in &ended {
        assert!(found(store, &app, handle).await.is_none(), "what was ended is gone");
    }
    assert_stored(store, &app, &of_others[0], "another user's session").await;
    assert_stored(store, &other_app, &of_others[1], "another app's session").await;
}

/// One more session than there may be is refused, and nothing is changed.
pub async fn a_full_user_is_refused<S: Store>(store: &S) {
    let app = fresh_app();
    let mut sessions = Vec::new();
    for milliseconds in [-2, -1] {
        let session = created_at(milliseconds, "alice");
        let outcome = added(store, &app, &session, limit(2, WhenFull::Refuse)).await;
        assert_eq!(outcome, room("alice", Vec::new()), "there is room");
        sessions.push(session);
    }
    for maximum in [1, 2] {
        let session = created_at(0, "alice");
        let outcome = added(store, &app, &session, limit(maximum, WhenFull::Refuse)).await;
        assert_eq!(outcome, LimitedInsertion::Refused, "a limit of {maximum}");
        assert!(
            found(store, &app, &session.handle).await.is_none(),
            "what was refused is not there"
        );
    }
    for session in &sessions {
        assert_stored(store, &app, session, "after a refusal").await;
    }
    let outcome = added(store, &app, &created_at(0, "bob"), limit(2, WhenFull::Refuse)).await;
    assert_eq!(outcome, room("bob", Vec::new()), "another user has room");
    answered(store.remove_sessions(&app, std::slice::from_ref(&sessions[0].handle)).await);
    let outcome = added(store, &app, &created_at(0, "alice"), limit(2, WhenFull::Refuse)).await;
    assert_eq!(outcome, room("alice", Vec::new()), "room was made");
}

/// Sessions that are expired at the given moment take no place, and stay for the sweep.
pub async fn expired_sessions_take_no_place<S: Store>(store: &S) {
    for when_full in [WhenFull::EndOldest, WhenFull::Refuse] {
        let app = fresh_app();
        let mut expired = Vec::new();
        for expires_at in [NOW, after_now(-1), Timestamp::default()] {
            let session = SessionRecord { expires_at, ..created_at(-10, "alice") };
            expired.push(inserted(store, &app, session).await);
        }
        let last_moment = SessionRecord { expires_at: after_now(1), ..created_at(-10, "alice") };
        inserted(store, &app, last_moment.clone()).await;
        let second = created_at(0, "alice");
        let outcome = added(store, &app, &second, limit(2, when_full)).await;
        assert_eq!(outcome, room("alice", Vec::new()), "one place is left");
        let outcome = added(store, &app, &created_at(0, "alice"), limit(2, when_full)).await;
        let expected = match when_full {
            WhenFull::EndOldest => room("alice", vec![last_moment.handle]),
            WhenFull::Refuse => LimitedInsertion::Refused,
        };
        assert_eq!(outcome, expected, "no place is left");
        for session in &expired {
            assert_stored(store, &app, session, "an expired session").await;
        }
    }
}

/// A handle that is taken is refused whatever the limit, and nobody makes room for it.
pub async fn a_taken_handle_is_refused_within_a_limit<S: Store>(store: &S) {
    let app = fresh_app();
    let taken = inserted(store, &app, session_of("bob")).await;
    let oldest = inserted(store, &app, created_at(-1, "alice")).await;
    let session = SessionRecord { handle: taken.handle.clone(), ..session_of("alice") };
    let limit = limit(1, WhenFull::EndOldest);
    let answer = store.insert_session_within(&app, session, limit, NOW).await;
    let kind = answer.as_ref().map_err(StoreError::kind);
    assert_eq!(kind, Err(StoreErrorKind::AlreadyExists), "the handle is taken");
    assert_stored(store, &app, &taken, "the session that has the handle").await;
    assert_stored(store, &app, &oldest, "the session that would have made room").await;
}

/// However many sessions are added at once, there are never more than may be, and each that ended
/// is given once.
pub async fn a_limit_is_exact_however_many_race<S: Store>(store: &S) {
    const MAXIMUM: usize = 5;
    const RACING: usize = 32;
    for when_full in [WhenFull::EndOldest, WhenFull::Refuse] {
        let app = fresh_app();
        let bystander = inserted(store, &app, created_at(-1_000_000, "bob")).await;
        let insertions = (0..RACING).map(|number| {
            let app = &app;
            async move {
                let session = created_at(i64::try_from(number).unwrap_or_default(), "alice");
                yield_once().await;
                let outcome = added(store, app, &session, limit(MAXIMUM, when_full)).await;
                let number = live(store, app, "alice").await.len();
                assert!(number <= MAXIMUM, "{number} sessions are there at once");
                (session.handle, outcome)
            }
        });
        let (mut there, mut ended, mut refused) = (BTreeSet::new(), BTreeSet::new(), 0);
        for (handle, outcome) in join_all(insertions).await {
            match outcome {
                LimitedInsertion::Inserted { ended: made_room, .. } => {
                    there.insert(handle);
                    for handle in made_room {
                        assert!(ended.insert(handle), "a session ends once");
                    }
                }
                LimitedInsertion::Refused => refused += 1,
            }
        }
        match when_full {
            WhenFull::EndOldest => assert_eq!(refused, 0, "there is always room"),
            WhenFull::Refuse => assert_eq!(refused, RACING - MAXIMUM, "the others are refused"),
        }
        let left: BTreeSet<_> =
            live(store, &app, "alice").await.into_iter().map(|session| session.handle).collect();
        assert_eq!(left.len(), MAXIMUM, "as many as may be");
        assert!(ended.is_subset(&there), "only what was added can end");
        assert_eq!(left, &there - &ended, "what is left was added and not ended");
        assert_stored(store, &app, &bystander, "another user's session").await;
    }
}

/// What was created before a moment is removed, up to a limit, and given.
pub async fn sessions_created_before_are_removed<S: Store>(store: &S) {
    let (app, other_app) = (fresh_app(), fresh_app());
    let of_other = inserted(store, &other_app, created_at(-100, "alice")).await;
    let (mut old, mut kept) = (BTreeSet::new(), Vec::new());
    for number in 1..=7 {
        let user_id = ["alice", "bob"][number % 2];
        let milliseconds = -i64::try_from(number).unwrap_or_default();
        let session = created_at(milliseconds, user_id);
        // Expired ones go like all others.
        let expires_at = if number == 3 { Timestamp::default() } else { session.expires_at };
        let session = inserted(store, &app, SessionRecord { expires_at, ..session }).await;
        old.insert((session.handle, session.user_id));
    }
    for milliseconds in [0, 1] {
        kept.push(inserted(store, &app, created_at(milliseconds, "alice")).await);
    }
    let mut removed = BTreeSet::new();
    for expected in [3, 3, 1, 0] {
        let step = answered(store.remove_sessions_created_before(&app, NOW, 3).await);
        assert_eq!(step.len(), expected, "at most as many as the limit");
        for session in step {
            assert!(found(store, &app, &session.handle).await.is_none(), "it is gone");
            assert!(removed.insert((session.handle, session.user_id)), "each is given once");
        }
    }
    assert_eq!(removed, old, "exactly what is before");
    for session in &kept {
        assert_stored(store, &app, session, "created at the moment or later").await;
    }
    let left = live(store, &app, "alice").await;
    assert_eq!(left.len(), kept.len(), "the list of the user");
    assert_stored(store, &other_app, &of_other, "another app's session").await;
}
