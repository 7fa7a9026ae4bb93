use super::{
    interleave::{join_all, yield_once},
    samples::{
        NOW, after_now, answered, assert_same, assert_stored, found, fresh_app, inserted,
        session_of,
    },
};
use crate::{
    clock::Timestamp,
    store::{DataReplacement, DataVersion, SessionRecord, Store},
};

/// Session data is replaced whatever it was, and nothing else is.
pub async fn session_data_is_replaced<S: Store>(store: &S) {
    let app = fresh_app();
    let mut row = inserted(store, &app, session_of("alice")).await;
    let bystander = inserted(store, &app, session_of("alice")).await;
    for text in [r#"{"cart":[1, null],"cart":2}"#, r#"{"cart":[1, null],"cart":2}"#, "{}"] {
        let answer =
            store.replace_session_data(&app, &row.handle, text.to_owned(), None, NOW).await;
        assert_eq!(answered(answer), DataReplacement::Replaced);
        row.session_data = text.to_owned();
        assert_stored(store, &app, &row, "after its data was replaced").await;
    }
    assert_stored(store, &app, &bystander, "a session whose data was not replaced").await;
}

/// With an expected version, data is replaced only while the stored text has it.
pub async fn session_data_is_replaced_in_the_expected_version<S: Store>(store: &S) {
    let app = fresh_app();
    let mut row = inserted(store, &app, session_of("alice")).await;
    // The same JSON in another text is another version.
    let respaced = row.session_data.replace(':', ": ");
    for wrong in [respaced.as_str(), "", "{}"] {
        let expected = Some(DataVersion::of(wrong));
        let answer =
            store.replace_session_data(&app, &row.handle, "{}".to_owned(), expected, NOW).await;
        assert_eq!(answered(answer), DataReplacement::Conflict, "the version of {wrong:?}");
        assert_stored(store, &app, &row, "after a conflict").await;
    }
    for text in [r#"{"n":"ü"}"#, "{ }", &format!(r#"{{"long":"{}"}}"#, "x".repeat(100_000))] {
        let expected = Some(DataVersion::of(&row.session_data));
        let answer =
            store.replace_session_data(&app, &row.handle, text.to_owned(), expected, NOW).await;
        assert_eq!(answered(answer), DataReplacement::Replaced, "the version that is stored");
        row.session_data = text.to_owned();
        assert_stored(store, &app, &row, "after its data was replaced").await;

        let answer =
            store.replace_session_data(&app, &row.handle, "{}".to_owned(), expected, NOW).await;
        assert_eq!(answered(answer), DataReplacement::Conflict, "the version before");
        assert_stored(store, &app, &row, "after a conflict").await;
    }
}

/// From the very millisecond of its expiry, a session's data and payload cannot be replaced.
pub async fn nothing_is_replaced_once_expired<S: Store>(store: &S) {
    let app = fresh_app();
    let last = Timestamp::from_millis(i64::MIN);
    for (now, expired) in [
        (after_now(-1), false),
        (NOW, true),
        (after_now(1), true),
        (Timestamp::MAX, true),
        (last, false),
    ] {
        let row = SessionRecord { expires_at: NOW, ..session_of("alice") };
        let mut row = inserted(store, &app, row).await;
        let version = DataVersion::of(&row.session_data);
        for expected in [None, Some(version), Some(DataVersion::of("other"))] {
            let text = row.session_data.clone();
            let answer = store.replace_session_data(&app, &row.handle, text, expected, now).await;
            let right = match expected {
                _ if expired => DataReplacement::NoSession,
                Some(expected) if expected != version => DataReplacement::Conflict,
                _ => DataReplacement::Replaced,
            };
            assert_eq!(
                answered(answer),
                right,
                "data of a session with expires_at {NOW:?} at {now:?}"
            );
        }
        let payload = r#"{"role":"writer"}"#;
        let answer = store.replace_jwt_payload(&app, &row.handle, payload.to_owned(), now).await;
        assert_eq!(
            answered(answer).is_none(),
            expired,
            "payload of a session with expires_at {NOW:?} at {now:?}"
        );
        if !expired {
            row.jwt_payload = payload.to_owned();
        }
        assert_stored(store, &app, &row, "around its expiry").await;
    }
}

/// Fifty loops that each read, add one and replace in the version that they read, all at once:
/// every addition that was acknowledged is in the sum.
pub async fn no_acknowledged_increment_is_lost<S: Store>(store: &S) {
    const LOOPS: usize = 50;
    const INCREMENTS: usize = 2;
    let app = &fresh_app();
    let row = SessionRecord { session_data: count_text(0), ..session_of("alice") };
    let handle = &inserted(store, app, row).await.handle;
    join_all((0..LOOPS).map(|_| async move {
        let mut acknowledged = 0;
        while acknowledged < INCREMENTS {
            let Some(row) = found(store, app, handle).await else { return };
            yield_once().await;
            let (text, expected) =
                (count_text(count(&row) + 1), DataVersion::of(&row.session_data));
            let answer = store.replace_session_data(app, handle, text, Some(expected), NOW).await;
            match answered(answer) {
                DataReplacement::Replaced => acknowledged += 1,
                DataReplacement::Conflict => {}
                DataReplacement::NoSession => return,
            }
        }
    }))
    .await;
    let sum = found(store, app, handle).await.map(|row| count(&row));
    assert_eq!(sum, Some(LOOPS * INCREMENTS), "the sum of all acknowledged increments");
}

fn count_text(count: usize) -> String {
    format!(r#"{{"count":{count}}}"#)
}

fn count(row: &SessionRecord) -> usize {
    let digits: String = row.session_data.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_default()
}

/// The payload is replaced, the session as it now is given back, and nothing else changed.
pub async fn jwt_payloads_are_replaced<S: Store>(store: &S) {
    let app = fresh_app();
    let mut row = inserted(store, &app, session_of("alice")).await;
    let bystander = inserted(store, &app, session_of("alice")).await;
    for text in [r#"{"role":"ädmin","n":9007199254740993}"#, "{ }", "{}"] {
        let answer = store.replace_jwt_payload(&app, &row.handle, text.to_owned(), NOW).await;
        row.jwt_payload = text.to_owned();
        assert_same(answered(answer).as_ref(), &row, "the answer to a payload's replacement");
        assert_stored(store, &app, &row, "after its payload was replaced").await;
    }
    assert_stored(store, &app, &bystander, "a session whose payload was not replaced").await;
}
