use super::{
    interleave::join_all,
    samples::{NOW, after_now, answered, fresh_app, fresh_name, signing_key},
};
use crate::{
    clock::Timestamp,
    store::{Store, StoreErrorKind, StoredSigningKey},
};

#[track_caller]
fn assert_keys(found: &[StoredSigningKey], expected: &[&StoredSigningKey], when: &str) {
    let names: Vec<_> = found.iter().map(|key| &key.key_id).collect();
    let expected_names: Vec<_> = expected.iter().map(|key| &key.key_id).collect();
    assert_eq!(names, expected_names, "{when}: keys, newest first");
    assert!(found.iter().eq(expected.iter().copied()), "{when}: a key came back changed");
}

/// A key is added if `newest` still is the newest, and not otherwise; the answer has all keys.
pub async fn signing_keys_are_added_after_the_newest<S: Store>(store: &S) {
    let app = fresh_app();
    assert_keys(&answered(store.signing_keys(&app).await), &[], "no keys yet");

    let long_text = "-----BEGIN PRIVATE KEY-----\n".repeat(500) + "ü";
    let first = &StoredSigningKey { material: long_text, ..signing_key(after_now(1)) };
    let second = &StoredSigningKey { algorithm: "RS256".to_owned(), ..signing_key(after_now(2)) };
    let third = &signing_key(after_now(3));
    let add = async |key: &StoredSigningKey, newest: Option<&StoredSigningKey>| {
        let newest = newest.map(|newest| newest.key_id.as_str());
        let answer = answered(store.add_signing_key(&app, key.clone(), newest).await);
        let listed = answered(store.signing_keys(&app).await);
        assert!(answer == listed, "adding a key must answer with the keys that are there");
        answer
    };
    assert_keys(&add(first, Some(second)).await, &[], "after a key that does not exist");
    assert_keys(&add(first, None).await, &[first], "the first key");
    assert_keys(&add(second, None).await, &[first], "as the first key, and there is one");
    assert_keys(&add(second, Some(third)).await, &[first], "after an unknown key");
    assert_keys(&add(second, Some(first)).await, &[second, first], "after the newest");
    assert_keys(&add(third, Some(first)).await, &[second, first], "after the newest but one");
    assert_keys(&add(third, Some(second)).await, &[third, second, first], "after the newest");

    let namesake = StoredSigningKey { key_id: first.key_id.clone(), ..signing_key(after_now(4)) };
    let refused = store.add_signing_key(&app, namesake, Some(&third.key_id)).await;
    assert_eq!(
        refused.map_err(|error| error.kind()),
        Err(StoreErrorKind::AlreadyExists),
        "adding a key whose id is taken"
    );
    let listed = answered(store.signing_keys(&app).await);
    assert_keys(&listed, &[third, second, first], "after a key was refused");
}

/// The newest key is the one that was added last, whatever the clock of its maker said: or else
/// a key made by a slow clock would never be used, and another one added again and again.
pub async fn the_signing_key_added_last_is_the_newest<S: Store>(store: &S) {
    let app = fresh_app();
    let mut keys: Vec<StoredSigningKey> = Vec::new();
    for created_at in [NOW, NOW, after_now(-5000), Timestamp::MAX, NOW] {
        let key = signing_key(created_at);
        let newest = keys.first().map(|key| key.key_id.clone());
        keys.insert(0, key.clone());
        let answer = answered(store.add_signing_key(&app, key, newest.as_deref()).await);
        assert_keys(&answer, &keys.iter().collect::<Vec<_>>(), "keys of a clock that jumps");
    }
}

/// Of 16 first keys that are added at once, one is, and all callers learn which.
pub async fn one_of_many_first_signing_keys_is_added<S: Store>(store: &S) {
    race(store, false).await;
}

/// Of 16 keys that are added at once after the same newest one, one is, and all callers learn
/// which.
pub async fn one_of_many_next_signing_keys_is_added<S: Store>(store: &S) {
    race(store, true).await;
}

async fn race(store: &impl Store, has_key: bool) {
    for _ in 0..4 {
        let app = &fresh_app();
        let mut before = Vec::new();
        if has_key {
            before = answered(store.add_signing_key(app, signing_key(NOW), None).await);
        }
        let newest = before.first().map(|key| key.key_id.as_str());
        let answers = join_all((1..=16).map(|number| async move {
            let key = signing_key(after_now(number));
            answered(store.add_signing_key(app, key, newest).await)
        }))
        .await;
        let now = answered(store.signing_keys(app).await);
        assert_eq!(now.len(), before.len() + 1, "keys after 16 were added at once");
        assert!(now.ends_with(&before), "the keys that were there before must stay");
        assert!(answers.iter().all(|answer| *answer == now), "all 16 must be given the same keys");
    }
}

/// The first candidate becomes the secret for good, for each app and name.
pub async fn secrets_are_kept_by_app_and_name<S: Store>(store: &S) {
    let apps = [fresh_app(), fresh_app()];
    for app in &apps {
        for name in ["refresh-token", "refresh-token-2", "ä"] {
            let candidate = format!("{app} {name} ' \" \\ ü {}", fresh_name());
            let first = store.secret(app, name, candidate.clone()).await;
            assert_eq!(answered(first), candidate, "the first candidate");
            for _ in 0..2 {
                let again = store.secret(app, name, fresh_name()).await;
                assert_eq!(answered(again), candidate, "a later candidate");
            }
        }
    }
}

/// Of 16 candidates at once, one becomes the secret, and all callers are given it.
pub async fn one_of_many_secrets_is_kept<S: Store>(store: &S) {
    for _ in 0..4 {
        let app = &fresh_app();
        let candidates: Vec<String> = (0..16).map(|_| fresh_name()).collect();
        let answers =
            join_all(candidates.iter().map(|candidate| async {
                answered(store.secret(app, "n", candidate.clone()).await)
            }))
            .await;
        let kept = answered(store.secret(app, "n", fresh_name()).await);
        assert!(candidates.contains(&kept), "the secret must be one of the candidates");
        assert!(answers.iter().all(|answer| *answer == kept), "all 16 must be given the same one");
    }
}
