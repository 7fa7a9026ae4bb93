//! What CDI 5.6 writes to a row, and when it writes nothing.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use sessile_core::{clock::ManualClock, policy::LateRetry, rotation::TokenHash};
use sessile_server::{AppConfig, ServerConfig};

use crate::{
    store,
    support::{Core, START, access_token, fields, part, refresh_token, row, text},
};

/// How long a session lives without being refreshed, in milliseconds.
const LIFETIME: i64 = 8_640_000_000;

/// What a row keeps of the refresh token that came with this answer.
fn hash_of(session: &Value) -> TokenHash {
    TokenHash::of_inner(text(&part(access_token(session), 1)["refreshTokenHash1"]))
}

#[tokio::test]
async fn a_refresh_moves_the_row_and_a_retry_the_current_token_alone() {
    let (core, store) = Core::with_store().await;
    let created = core.create("5.6").await;
    let first = row(&store, &created).await.unwrap();
    assert!(first.refresh_token_hash == hash_of(&created));
    assert!(first.previous_refresh_token_hash.is_none() && first.rotated_at.is_none());

    core.advance(10);
    let next = core.refresh("5.6", refresh_token(&created)).await;
    let moved = row(&store, &created).await.unwrap();
    assert!(moved.refresh_token_hash == hash_of(&next));
    assert!(moved.previous_refresh_token_hash == Some(hash_of(&created)));
    assert_eq!(moved.rotated_at.unwrap().as_millis(), core.now());
    assert_eq!(moved.expires_at.as_millis(), core.now() + LIFETIME);

    // 30 seconds, to the millisecond.
    core.advance(30);
    let retried = core.refresh("5.6", refresh_token(&created)).await;
    let after = row(&store, &created).await.unwrap();
    assert!(after.refresh_token_hash == hash_of(&retried));
    assert!(after.previous_refresh_token_hash == moved.previous_refresh_token_hash);
    assert_eq!((after.rotated_at, after.expires_at), (moved.rotated_at, moved.expires_at));
    core.clock.advance(Duration::from_millis(1));
    let late = core.refresh("5.6", refresh_token(&created)).await;
    assert_eq!(late["recentTokenReuseSubtype"], "RECENT_PREV");
    assert!(row(&store, &created).await.is_none());
}

#[tokio::test]
async fn every_reuse_ends_the_session_and_a_stale_one_is_always_a_theft() {
    for (behaviour, recent) in
        [(LateRetry::TokenTheft, "TOKEN_THEFT_DETECTED"), (LateRetry::Unauthorised, "UNAUTHORISED")]
    {
        let app = AppConfig { recent_token_reuse_behaviour: behaviour, ..AppConfig::default() };
        let config = ServerConfig { app, ..ServerConfig::default() };
        let store = store::open().await;
        let clock = Arc::new(ManualClock::at(START));
        let core = Core::on(store.clone(), clock, config).await;
        for (subtype, status) in [
            ("RECENT_PREV", recent),
            ("ORPHANED_BRANCH", recent),
            ("STALE_LINEAGE", "TOKEN_THEFT_DETECTED"),
        ] {
            let created = core.create("5.6").await;
            let next = core.refresh("5.6", refresh_token(&created)).await;
            let reused = match subtype {
                "RECENT_PREV" => {
                    core.advance(31);
                    &created
                }
                "ORPHANED_BRANCH" => {
                    core.refresh("5.6", refresh_token(&created)).await;
                    &next
                }
                _ => {
                    core.refresh("5.6", refresh_token(&next)).await;
                    &created
                }
            };
            let answer = core.refresh("5.6", refresh_token(reused)).await;
            assert_eq!(answer["status"], status, "{subtype}");
            assert_eq!(answer["recentTokenReuseSubtype"], subtype);
            let fields = fields(&answer);
            if status == "UNAUTHORISED" {
                assert_eq!(fields, ["message", "recentTokenReuseSubtype", "status"]);
                assert_eq!(answer["message"], "refresh token reuse detected");
            } else {
                assert_eq!(fields, ["recentTokenReuseSubtype", "session", "status"]);
                let handle = &created["session"]["handle"];
                let session =
                    json!({ "handle": handle, "userId": "alice", "recipeUserId": "alice" });
                assert_eq!(answer["session"], session);
            }
            assert!(row(&store, &created).await.is_none(), "{subtype}");
            let again = core.refresh("5.6", refresh_token(&next)).await;
            let message = "Session missing in db or has expired";
            assert_eq!(again, json!({ "status": "UNAUTHORISED", "message": message }));
        }
    }
}

#[tokio::test]
async fn without_a_grace_period_the_previous_token_is_a_reuse_at_once() {
    let app =
        AppConfig { refresh_token_rotation_grace_period: Duration::ZERO, ..AppConfig::default() };
    let core = Core::with(ServerConfig { app, ..ServerConfig::default() }).await;
    let created = core.create("5.6").await;
    core.refresh_with("5.6", refresh_token(&created), json!({})).await.ok();
    core.clock.advance(Duration::from_millis(1));
    let late = core.refresh("5.6", refresh_token(&created)).await;
    assert_eq!(late["recentTokenReuseSubtype"], "RECENT_PREV");
}

#[tokio::test]
async fn verification_writes_nothing_where_up_to_5_5_it_does() {
    let (core, store) = Core::with_store().await;
    let created = core.create("5.6").await;
    let handle = &created["session"]["handle"];
    // A child of the older rotation, a changed payload: all that 5.5 would write for.
    let child = core.refresh("5.4", refresh_token(&created)).await;
    assert!(part(access_token(&child), 1)["parentRefreshTokenHash1"].is_string());
    let body = json!({ "sessionHandle": handle, "userDataInJWT": { "new": 1 } });
    core.put("/recipe/jwt/data", "5.6", body).await.ok();
    let before = row(&store, &created).await.unwrap();
    core.advance(5);
    for token in [access_token(&created), access_token(&child)] {
        let plain = core.verify("5.6", token).await;
        let checked = core.verify_in_store("5.6", token).await;
        for verified in [&plain, &checked] {
            assert_eq!(verified["status"], "OK");
            assert_eq!(verified["session"]["userDataInJWT"]["key"], "value", "the token's own");
            assert!(verified.get("accessToken").is_none());
        }
        assert!(plain.get("payloadUpdateAvailable").is_none());
        assert_eq!(checked["payloadUpdateAvailable"], true);
    }
    assert!(row(&store, &created).await.unwrap() == before);

    let mut current = created.clone();
    for version in ["5.4", "5.5"] {
        let before = row(&store, &created).await.unwrap();
        let child = core.refresh(version, refresh_token(&current)).await;
        assert!(row(&store, &created).await.unwrap() == before, "nor does their refresh");
        let used = core.verify(version, access_token(&child)).await;
        assert!(used["accessToken"].is_object() && used.get("payloadUpdateAvailable").is_none());
        assert_eq!(used["session"]["userDataInJWT"], json!({ "new": 1 }));
        let moved = row(&store, &created).await.unwrap();
        assert!(moved.refresh_token_hash == hash_of(&child));
        assert!(moved.previous_refresh_token_hash == Some(before.refresh_token_hash));
        assert_eq!(moved.rotated_at.unwrap().as_millis(), core.now());
        assert_eq!(moved.expires_at.as_millis(), core.now() + LIFETIME);
        current = child;
    }
}

#[tokio::test]
async fn the_current_and_the_previous_generation_are_good_where_the_store_is_asked() {
    let core = Core::new().await;
    let created = core.create("5.6").await;
    let displaced = core.refresh("5.6", refresh_token(&created)).await;
    let current = core.refresh("5.6", refresh_token(&created)).await;
    let rotated_out = json!({
        "status": "UNAUTHORISED", "message": "rotated-out token branch; refresh required",
    });
    for good in [&created, &current] {
        assert_eq!(core.verify_in_store("5.6", access_token(good)).await["status"], "OK");
    }
    let answer = core.verify_in_store("5.6", access_token(&displaced)).await;
    assert_eq!(answer, rotated_out);
    core.refresh_with("5.6", refresh_token(&current), json!({})).await.ok();
    assert_eq!(core.verify_in_store("5.6", access_token(&current)).await["status"], "OK");
    for old in [&created, &displaced] {
        assert_eq!(core.verify_in_store("5.6", access_token(old)).await, rotated_out);
        assert_eq!(core.verify("5.6", access_token(old)).await["status"], "OK", "unasked");
        assert_eq!(core.verify_in_store("5.4", access_token(old)).await["status"], "OK");
    }
}
