use super::{
    interleave::join_all,
    samples::{
        NOW, after_now, answered, assert_stored, found, fresh_app, fresh_handle, fresh_hash,
        inserted, random, rotation_of, session_of,
    },
};
use crate::{
    clock::Timestamp,
    identifier::{SessionHandle, TenantScope},
    store::{Accounts, DataReplacement, SessionRecord, Store, StoreErrorKind},
};

/// A megabyte of JSON whose exact text matters: nulls, repeated keys, odd spaces, numbers that
/// need 64 bits, characters outside the basic plane.
fn difficult_json() -> String {
    let numbers = "[18446744073709551615, -9223372036854775808, 9007199254740993, 1.0, 1e2]";
    let repeated = r#""same":1,"same":2,"zero":"\u0000","nulls":[null, null],"none":null"#;
    let text = "𝄞 ' \\\" % _ \u{2028} \u{feff}";
    let entry = format!(r#"{{"numbers":{numbers},{repeated},"schlüssel":"{text}"}}"#);
    let entries = vec![entry; 1_048_576 / 256];
    format!("{{ \"list\" :[{}]\n}}", entries.join(" ,"))
}

/// Every field comes back as it was inserted, whatever is in it.
pub async fn inserted_sessions_come_back<S: Store>(store: &S) {
    let app = fresh_app();
    let usual = inserted(store, &app, session_of("alice")).await;
    assert_stored(store, &app, &usual, "a usual session").await;

    let full = SessionRecord {
        handle: SessionHandle::new(&format!("{}_tenant-1", fresh_handle())),
        user_id: "Zoë 𝒵 '; -- \" \\ %_ \u{1f469}\u{200d}\u{1f680} \u{202e}".to_owned(),
        previous_refresh_token_hash: Some(fresh_hash()),
        rotated_at: Some(after_now(1)),
        sealed_child: Some((0..=u8::MAX).chain(random::<64>()).collect()),
        jwt_payload: difficult_json(),
        session_data: difficult_json(),
        client_label: Some("Zoë's 📱\n\t".to_owned()),
        use_static_key: true,
        ..session_of("")
    };
    let full = inserted(store, &app, full).await;
    assert_stored(store, &app, &full, "every field in use").await;

    let empty = SessionRecord {
        sealed_child: Some(Vec::new()),
        jwt_payload: "{}".to_owned(),
        session_data: "{}".to_owned(),
        client_label: Some(String::new()),
        ..session_of("b")
    };
    let empty = inserted(store, &app, empty).await;
    assert_stored(store, &app, &empty, "fields that are there and empty").await;

    let never_ending = SessionRecord {
        rotated_at: Some(Timestamp::from_millis(i64::MIN)),
        created_at: Timestamp::from_millis(i64::MIN),
        expires_at: Timestamp::MAX,
        ends_at: Timestamp::MAX,
        ..session_of("c")
    };
    let never_ending = inserted(store, &app, never_ending).await;
    assert_stored(store, &app, &never_ending, "the latest times").await;

    let long_over = SessionRecord {
        rotated_at: Some(Timestamp::from_millis(-1)),
        created_at: Timestamp::default(),
        expires_at: Timestamp::from_millis(i64::MIN),
        ends_at: Timestamp::from_millis(i64::MIN + 1),
        ..session_of("d")
    };
    let long_over = inserted(store, &app, long_over).await;
    assert_stored(store, &app, &long_over, "the earliest times, and expired").await;

    assert_stored(store, &app, &usual, "a session beside which others were inserted").await;
}

/// A handle that is taken is refused, and the session that has it stays as it was.
pub async fn a_taken_handle_is_refused<S: Store>(store: &S) {
    let app = fresh_app();
    // An expired session holds its name too.
    for first in [session_of("alice"), SessionRecord { expires_at: NOW, ..session_of("alice") }] {
        let first = inserted(store, &app, first).await;
        for user_id in ["alice", "mallory"] {
            let second = SessionRecord { handle: first.handle.clone(), ..session_of(user_id) };
            let refused = store.insert_session(&app, second).await;
            assert_eq!(
                refused.map_err(|error| error.kind()),
                Err(StoreErrorKind::AlreadyExists),
                "inserting a session whose handle is taken"
            );
            assert_stored(store, &app, &first, "after its handle was refused to another").await;
        }
    }
    let listed =
        store.sessions_of_user(&app, "mallory", Accounts::Linked, &TenantScope::All, NOW).await;
    assert_eq!(answered(listed).len(), 0, "sessions of a user whose inserts were refused");
}

/// Of 16 sessions with one handle that are inserted at once, one is, and the others are refused.
pub async fn one_of_many_inserts_gets_the_handle<S: Store>(store: &S) {
    for _ in 0..4 {
        let (app, handle) = (&fresh_app(), &fresh_handle());
        let answers = join_all((0..16).map(|number| async move {
            let session = session_of(&format!("user-{number}"));
            let session = SessionRecord { handle: handle.clone(), ..session };
            store.insert_session(app, session.clone()).await.map(|_| session)
        }))
        .await;
        let (inserted, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(inserted.len(), 1, "sessions inserted, of 16 with the same handle");
        for error in refused.into_iter().filter_map(Result::err) {
            assert_eq!(error.kind(), StoreErrorKind::AlreadyExists);
        }
        for session in inserted.into_iter().flatten() {
            assert_stored(store, app, &session, "after 16 inserts at once").await;
            let listed = store
                .sessions_of_user(app, &session.user_id, Accounts::Linked, &TenantScope::All, NOW)
                .await;
            assert_eq!(answered(listed).len(), 1, "sessions of the user whose insert was done");
        }
    }
}

/// No method finds, changes or makes a session that does not exist.
pub async fn unknown_sessions_are_not_found<S: Store>(store: &S) {
    let app = fresh_app();
    for has_others in [false, true] {
        if has_others {
            inserted(store, &app, session_of("alice")).await;
        }
        let unknown = session_of("alice");
        let handle = &unknown.handle;
        assert!(found(store, &app, handle).await.is_none(), "reading an unknown session");
        let rotated = store.rotate_session(&app, handle, rotation_of(&unknown)).await;
        assert!(answered(rotated).is_none(), "rotating an unknown session");
        let replaced = store.replace_session_data(&app, handle, "{}".into(), None, NOW).await;
        assert_eq!(answered(replaced), DataReplacement::NoSession);
        let replaced = store.replace_jwt_payload(&app, handle, "{}".into(), NOW).await;
        assert!(answered(replaced).is_none(), "replacing the payload of an unknown session");
        let removed = store.remove_sessions(&app, std::slice::from_ref(handle)).await;
        assert_eq!(answered(removed), [], "removing an unknown session");
        assert!(found(store, &app, handle).await.is_none(), "an unknown session after all that");
    }
    for odd in ["", " ", "'", "%", "ä", &"x".repeat(4096)] {
        let odd = SessionHandle::new(odd);
        assert!(found(store, &app, &odd).await.is_none(), "reading the session {odd:?}");
    }
}
