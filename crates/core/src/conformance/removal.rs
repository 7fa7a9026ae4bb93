use std::{future::Future, pin::Pin, slice};

use super::{
    interleave::{join_all, yield_once},
    samples::{
        NOW, answered, assert_stored, found, fresh_app, fresh_handle, inserted, rotation_of,
        session_of,
    },
};
use crate::{
    identifier::TenantScope,
    store::{Accounts, RemovedSession, SessionRecord, Store},
};

fn removed(session: &SessionRecord) -> RemovedSession {
    RemovedSession { handle: session.handle.clone(), user_id: session.user_id.clone() }
}

fn sorted(mut sessions: Vec<RemovedSession>) -> Vec<RemovedSession> {
    sessions.sort_by(|one, other| one.handle.cmp(&other.handle));
    sessions
}

/// A removal gives each session that existed once, with its user, and leaves the others.
pub async fn removals_give_what_existed<S: Store>(store: &S) {
    let app = fresh_app();
    assert_eq!(answered(store.remove_sessions(&app, &[]).await), [], "removing nothing");

    let alice = inserted(store, &app, session_of("alice")).await;
    let bob = inserted(store, &app, session_of("bob")).await;
    let expired = SessionRecord { expires_at: NOW, ..session_of("carol") };
    let expired = inserted(store, &app, expired).await;
    let bystander = inserted(store, &app, session_of("alice")).await;

    let handles = [&alice, &bob, &alice, &expired].map(|session| session.handle.clone());
    let mut handles = handles.to_vec();
    handles.insert(1, fresh_handle());
    handles.push(fresh_handle());
    let answer = answered(store.remove_sessions(&app, &handles).await);
    assert_eq!(
        sorted(answer),
        sorted([&alice, &bob, &expired].map(removed).to_vec()),
        "known, unknown, repeated and expired sessions"
    );
    for session in [&alice, &bob, &expired] {
        assert!(found(store, &app, &session.handle).await.is_none(), "a session after removal");
    }
    assert_stored(store, &app, &bystander, "a session that was not removed").await;
    let again = answered(store.remove_sessions(&app, &handles).await);
    assert_eq!(again, [], "removing the same sessions again");

    // The name is free again, and nothing of the old session is left in the new one.
    let reborn = SessionRecord { handle: alice.handle.clone(), ..session_of("dave") };
    let reborn = inserted(store, &app, reborn).await;
    assert_stored(store, &app, &reborn, "a name that was used before").await;
    let listed =
        store.sessions_of_user(&app, "alice", Accounts::Linked, &TenantScope::All, NOW).await;
    assert!(answered(listed) == [bystander], "the sessions that the first user still has");
}

/// Of 32 removals of one session at once, exactly one is given it.
pub async fn one_of_many_removals_gets_the_session<S: Store>(store: &S) {
    let app = &fresh_app();
    for _ in 0..4 {
        let session = &inserted(store, app, session_of("alice")).await;
        let answers = join_all((0..32).map(|_| async move {
            answered(store.remove_sessions(app, slice::from_ref(&session.handle)).await)
        }))
        .await;
        assert_eq!(answers.concat(), [removed(session)], "what 32 removals were given in all");
    }
}

type Step<'a> = Pin<Box<dyn Future<Output = Vec<RemovedSession>> + 'a>>;

/// A session that was removed while others changed it is not there afterwards.
pub async fn removed_sessions_stay_removed<S: Store>(store: &S) {
    const TIMES: usize = 4;
    let app = &fresh_app();
    for round in 0..8 {
        let session = &inserted(store, app, session_of("alice")).await;
        let handle = &session.handle;
        let mut steps: Vec<Step<'_>> = Vec::new();
        for _ in 0..TIMES {
            steps.push(Box::pin(async move {
                let rotation = rotation_of(session);
                answered(store.rotate_session(app, handle, rotation).await);
                Vec::new()
            }));
            steps.push(Box::pin(async move {
                let data = r#"{"late":true}"#.to_owned();
                answered(store.replace_session_data(app, handle, data, None, NOW).await);
                Vec::new()
            }));
            steps.push(Box::pin(async move {
                answered(store.replace_jwt_payload(app, handle, "{}".to_owned(), NOW).await);
                Vec::new()
            }));
        }
        // From first to last place, so that the changes come before and after.
        let place = round * steps.len() / 7;
        steps.insert(
            place,
            Box::pin(async move {
                yield_once().await;
                let answer = answered(store.remove_sessions(app, slice::from_ref(handle)).await);
                assert!(found(store, app, handle).await.is_none(), "a session after its removal");
                answer
            }),
        );
        let answers = join_all(steps).await;
        assert_eq!(answers.concat(), [removed(session)], "what the removal was given");
        assert!(found(store, app, handle).await.is_none(), "a session removed amid changes");
    }
    let listed =
        store.sessions_of_user(app, "alice", Accounts::Linked, &TenantScope::All, NOW).await;
    assert!(answered(listed).is_empty(), "sessions of the user after all were removed");
}
