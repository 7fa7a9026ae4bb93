//! Refresh and reuse under both rotations, and on one row under both in turn.

use serde_json::{Value, json};
use sessile_core::policy::LateRetry;
use sessile_server::{AppConfig, ServerConfig};

use crate::support::{Core, access_token, part, refresh_token};

fn theft(created: &Value, subtype: Option<&str>) -> Value {
    let mut expected = json!({
        "status": "TOKEN_THEFT_DETECTED",
        "session": {
            "handle": created["session"]["handle"], "userId": "alice", "recipeUserId": "alice",
        },
    });
    if let Some(subtype) = subtype {
        expected["recentTokenReuseSubtype"] = subtype.into();
    }
    expected
}

#[tokio::test]
async fn up_to_5_5_a_token_is_stolen_once_its_child_was_used() {
    let core = Core::new().await;
    for version in ["2.9", "2.21", "3.0", "5.5"] {
        let created = core.create(version).await;
        let first = core.refresh(version, refresh_token(&created)).await;
        let sibling = core.refresh(version, refresh_token(&created)).await;
        let parent = &part(access_token(&first), 1)["parentRefreshTokenHash1"];
        assert_eq!(*parent, part(access_token(&created), 1)["refreshTokenHash1"]);

        let used = core.verify(version, access_token(&first)).await;
        assert!(part(access_token(&used), 1)["parentRefreshTokenHash1"].is_null());
        for stolen in [&created, &sibling] {
            let answer = core.refresh(version, refresh_token(stolen)).await;
            assert_eq!(answer, theft(&created, None), "{version}");
        }
        let next = core.refresh(version, refresh_token(&first)).await;
        core.refresh_with(version, refresh_token(&next), json!({})).await.ok();
        let answer = core.refresh(version, refresh_token(&first)).await;
        assert_eq!(answer, theft(&created, None), "the session is only reported");
    }
}

#[tokio::test]
async fn from_5_6_on_a_reuse_has_its_name_and_ends_the_session() {
    let core = Core::new().await;
    // Within the window the newest retry alone is good.
    let created = core.create("5.6").await;
    let displaced = core.refresh("5.6", refresh_token(&created)).await;
    assert!(part(access_token(&displaced), 1)["parentRefreshTokenHash1"].is_null());
    core.advance(30);
    let newest = core.refresh("5.6", refresh_token(&created)).await;
    let answer = core.refresh("5.6", refresh_token(&displaced)).await;
    assert_eq!(answer, theft(&created, Some("ORPHANED_BRANCH")));
    let answer = core.refresh("5.6", refresh_token(&newest)).await;
    assert_eq!(answer["status"], "UNAUTHORISED", "the session is gone");

    let created = core.create("5.6").await;
    core.refresh("5.6", refresh_token(&created)).await;
    core.advance(31);
    let answer = core.refresh("5.6", refresh_token(&created)).await;
    assert_eq!(answer, theft(&created, Some("RECENT_PREV")));

    let created = core.create("5.6").await;
    let next = core.refresh("5.6", refresh_token(&created)).await;
    core.refresh("5.6", refresh_token(&next)).await;
    let answer = core.refresh("5.6", refresh_token(&created)).await;
    assert_eq!(answer, theft(&created, Some("STALE_LINEAGE")));
}

#[tokio::test]
async fn a_recent_reuse_is_unauthorised_where_the_configuration_says_so() {
    let core = Core::with(ServerConfig {
        app: AppConfig {
            recent_token_reuse_behaviour: LateRetry::Unauthorised,
            ..AppConfig::default()
        },
        ..ServerConfig::default()
    })
    .await;
    let created = core.create("5.6").await;
    let next = core.refresh("5.6", refresh_token(&created)).await;
    core.advance(31);
    let answer = core.refresh("5.6", refresh_token(&created)).await;
    let expected = json!({
        "status": "UNAUTHORISED", "message": "refresh token reuse detected",
        "recentTokenReuseSubtype": "RECENT_PREV",
    });
    assert_eq!(answer, expected);
    let answer = core.refresh("5.6", refresh_token(&next)).await;
    assert_eq!(answer["message"], "Session missing in db or has expired");

    let created = core.create("5.6").await;
    let next = core.refresh("5.6", refresh_token(&created)).await;
    core.refresh("5.6", refresh_token(&next)).await;
    let answer = core.refresh("5.6", refresh_token(&created)).await;
    assert_eq!(answer, theft(&created, Some("STALE_LINEAGE")), "that one is a theft all the same");
}

#[tokio::test]
async fn from_5_6_on_verification_writes_nothing() {
    let core = Core::new().await;
    let created = core.create("5.6").await;
    let token = access_token(&created);
    assert!(core.verify("5.6", token).await.get("payloadUpdateAvailable").is_none());
    assert_eq!(core.verify_in_store("5.6", token).await["payloadUpdateAvailable"], false);
    let handle = &created["session"]["handle"];
    let body = json!({ "sessionHandle": handle, "userDataInJWT": { "new": 1 } });
    core.put("/recipe/jwt/data", "5.6", body).await.ok();
    let checked = core.verify_in_store("5.6", token).await;
    assert_eq!(checked["payloadUpdateAvailable"], true);
    assert!(checked.get("accessToken").is_none());
    assert_eq!(checked["session"]["userDataInJWT"]["key"], "value", "the token's");

    // A child of 5.4 is not promoted by 5.6, and is by 5.4.
    let child = core.refresh("5.4", refresh_token(&created)).await;
    for _ in 0..2 {
        let used = core.verify_in_store("5.6", access_token(&child)).await;
        assert_eq!((&used["status"], used.get("accessToken")), (&json!("OK"), None));
    }
    core.refresh_with("5.4", refresh_token(&created), json!({})).await.ok();
    let used = core.verify_in_store("5.4", access_token(&child)).await;
    assert!(used["accessToken"].is_object());
    let answer = core.refresh("5.4", refresh_token(&created)).await;
    assert_eq!(answer, theft(&created, None));

    // A generation that was rotated out.
    let created = core.create("5.6").await;
    let next = core.refresh("5.6", refresh_token(&created)).await;
    assert_eq!(core.verify_in_store("5.6", access_token(&created)).await["status"], "OK");
    core.refresh("5.6", refresh_token(&next)).await;
    let old = core.verify_in_store("5.6", access_token(&created)).await;
    let message = "rotated-out token branch; refresh required";
    assert_eq!(old, json!({ "status": "UNAUTHORISED", "message": message }));
}

#[tokio::test]
async fn a_changed_payload_comes_with_the_next_check_up_to_5_5() {
    let core = Core::new().await;
    let created = core.create("5.4").await;
    let token = access_token(&created);
    let handle = &created["session"]["handle"];
    let body = json!({ "sessionHandle": handle, "userDataInJWT": { "new": null } });
    core.put("/recipe/jwt/data", "5.4", body).await.ok();
    assert_eq!(core.verify("5.4", token).await["session"]["userDataInJWT"]["key"], "value");
    let checked = core.verify_in_store("5.4", token).await;
    assert_eq!(checked["session"]["userDataInJWT"], json!({ "new": null }));
    let claims = part(access_token(&checked), 1);
    assert_eq!(claims["refreshTokenHash1"], part(token, 1)["refreshTokenHash1"]);
    assert!(core.verify("5.4", token).await.get("accessToken").is_none());
}

#[tokio::test]
async fn the_kind_of_key_follows_the_request() {
    let core = Core::new().await;
    let kind = |session: &Value| {
        part(access_token(session), 0)["kid"].as_str().unwrap().get(..2).unwrap().to_owned()
    };
    let fixed = json!({ "useDynamicSigningKey": false });
    let created = core.create_with("", "5.4", fixed.clone()).await;
    assert_eq!(kind(&created), "s-");
    let next = core.refresh("5.4", refresh_token(&created)).await;
    assert_eq!(kind(&next), "d-");
    let used = core.verify("5.4", access_token(&next)).await;
    assert_eq!(kind(&used), "d-");
    let again = core.regenerate("5.4", access_token(&used), json!({})).await.ok();
    assert_eq!(kind(&again), "d-");
    // 2.21 does not say, 3.0 may, 5.0 must.
    let next = core.refresh_with("2.21", refresh_token(&next), fixed.clone()).await.ok();
    assert_eq!(kind(&next), "d-");
    let next = core.refresh_with("3.0", refresh_token(&next), fixed).await.ok();
    assert_eq!(kind(&next), "s-");
    let body = json!({ "refreshToken": refresh_token(&next), "enableAntiCsrf": false });
    let next = core.post("/recipe/session/refresh", "4.0", body.clone()).await.ok();
    assert_eq!(kind(&next), "s-", "the session keeps its kind");
    core.post("/recipe/session/refresh", "5.0", body)
        .await
        .refused(400, "Field name 'useDynamicSigningKey' is invalid in JSON input");
    assert_eq!(kind(&core.create_with("", "2.21", json!({})).await), "d-");
}

#[tokio::test]
async fn the_kind_of_key_is_changed_by_the_refresh_and_not_by_its_use() {
    let kind = |session: &Value| {
        part(access_token(session), 0)["kid"].as_str().unwrap().get(..2).unwrap().to_owned()
    };
    let core = Core::new().await;
    for version in ["3.0", "4.0", "5.0", "5.4", "5.6"] {
        for (dynamic, old, new) in [(true, "s-", "d-"), (false, "d-", "s-")] {
            let first = json!({ "useDynamicSigningKey": !dynamic });
            let created = core.create_with("", version, first).await;
            assert_eq!(kind(&created), old);
            let change = json!({ "useDynamicSigningKey": dynamic });
            let next = core.refresh_with(version, refresh_token(&created), change).await.ok();
            assert_eq!(kind(&next), new, "{version}");
            // The next token was not used yet, and the session knows all the same.
            let again = core.regenerate(version, access_token(&created), json!({})).await.ok();
            assert_eq!(kind(&again), new);
            let current = if version == "5.6" { &next } else { &created };
            let body = json!({ "refreshToken": refresh_token(current), "enableAntiCsrf": false });
            let unsaid = core.post("/recipe/session/refresh", "4.0", body).await.ok();
            assert_eq!(kind(&unsaid), new);
            let used = core.verify("5.4", access_token(&unsaid)).await;
            assert_eq!(kind(&used), new);
        }
    }
}

#[tokio::test]
async fn below_2_21_the_configuration_says_which_kind_of_key_signs() {
    for dynamic in [true, false] {
        let app = AppConfig { access_token_signing_key_dynamic: dynamic, ..AppConfig::default() };
        let core = Core::with(ServerConfig { app, ..ServerConfig::default() }).await;
        for version in ["2.7", "2.20"] {
            let wanted = json!({ "useDynamicSigningKey": !dynamic });
            let created = core.create_with("", version, wanted).await;
            let body = json!({ "refreshToken": refresh_token(&created), "enableAntiCsrf": false });
            let next = core.post("/recipe/session/refresh", "4.0", body).await.ok();
            let kid = part(access_token(&next), 0)["kid"].clone();
            let expected = if dynamic { "d-" } else { "s-" };
            assert!(kid.as_str().unwrap().starts_with(expected), "{kid}");
        }
        let created = core.create("2.21").await;
        let kid = part(access_token(&created), 0)["kid"].clone();
        assert!(kid.as_str().unwrap().starts_with("d-"), "from 2.21 on the request says it");
    }
}

#[tokio::test]
async fn anti_csrf_tokens_are_checked_where_the_request_says_so() {
    let core = Core::new().await;
    let guard = json!({ "enableAntiCsrf": true });
    for version in ["2.7", "2.21", "5.4", "5.6"] {
        let plain = core.create(version).await;
        let next = core.refresh_with(version, refresh_token(&plain), guard.clone()).await.ok();
        assert!(next["antiCsrfToken"].is_string());
        let guarded = core.create_with("", version, guard.clone()).await;
        let message = "Anti CSRF token missing, or not matching";
        let refused = json!({ "status": "UNAUTHORISED", "message": message });
        for given in [json!({}), json!({ "antiCsrfToken": "x" })] {
            let mut body = guard.clone();
            body.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
            let answer = core.refresh_with(version, refresh_token(&guarded), body).await.outcome();
            assert_eq!(answer, refused);
            let mut body = given.clone();
            body["enableAntiCsrf"] = true.into();
            body["doAntiCsrfCheck"] = true.into();
            let token = access_token(&guarded);
            let answer = core.verify_with("", version, token, body.clone()).await.outcome();
            assert_eq!(answer["status"], "TRY_REFRESH_TOKEN");
            assert_eq!(answer["message"], "anti-csrf check failed");
            for off in ["enableAntiCsrf", "doAntiCsrfCheck"] {
                let mut body = body.clone();
                body[off] = false.into();
                core.verify_with("", version, token, body).await.ok();
            }
        }
        let own = json!({ "enableAntiCsrf": true, "antiCsrfToken": guarded["antiCsrfToken"] });
        let next = core.refresh_with(version, refresh_token(&guarded), own).await.ok();
        assert_ne!(next["antiCsrfToken"], guarded["antiCsrfToken"]);
        let without = core.refresh(version, refresh_token(&guarded)).await;
        assert!(without.get("antiCsrfToken").is_none());
    }
}
