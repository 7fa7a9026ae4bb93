//! `sessile_refresh_rotation: idempotent`: what changes for the SDKs of each version, and what does
//! not.

use serde_json::{Value, json};
use sessile_core::policy::LateRetry;
use sessile_server::{AppConfig, RefreshRotation, ServerConfig};

use crate::support::{Core, access_token, fields, part, refresh_token, text};

const VERSIONS: [&str; 2] = ["5.4", "5.6"];

async fn core() -> Core {
    let app = AppConfig { refresh_rotation: RefreshRotation::Idempotent, ..AppConfig::default() };
    Core::with(ServerConfig { app, ..ServerConfig::default() }).await
}

fn theft(created: &Value, version: &str, subtype: &str) -> Value {
    let mut expected = json!({
        "status": "TOKEN_THEFT_DETECTED",
        "session": {
            "handle": created["session"]["handle"], "userId": "alice", "recipeUserId": "alice",
        },
    });
    if version == "5.6" {
        expected["recentTokenReuseSubtype"] = subtype.into();
    }
    expected
}

#[tokio::test]
async fn requests_at_once_and_retries_get_the_same_token() {
    for version in VERSIONS {
        let core = core().await;
        let created = core.create(version).await;
        let parent = refresh_token(&created);
        let (one, two, three) = tokio::join!(
            core.refresh(version, parent),
            core.refresh(version, parent),
            core.refresh(version, parent)
        );
        // An answer that was lost is asked for again, up to the end of the window.
        core.advance(30);
        let late = core.refresh(version, parent).await;
        for answer in [&one, &two, &three, &late] {
            assert_eq!(answer["status"], "OK", "{version}");
            assert_eq!(answer["refreshToken"], one["refreshToken"], "{version}");
            // None is a child that is yet to be used.
            assert!(part(access_token(answer), 1)["parentRefreshTokenHash1"].is_null());
            let verified = core.verify_in_store(version, access_token(answer)).await;
            assert_eq!(verified["status"], "OK", "{version}");
            assert_eq!(verified.get("accessToken"), None, "{version}: nothing to replace");
        }
        // The one token goes on, whoever holds it.
        let next = core.refresh(version, refresh_token(&two)).await;
        let again = core.refresh(version, refresh_token(&late)).await;
        assert_eq!(next["refreshToken"], again["refreshToken"], "{version}");
    }
}

#[tokio::test]
async fn a_retry_after_the_window_ends_the_session() {
    for version in VERSIONS {
        let core = core().await;
        let created = core.create(version).await;
        let next = core.refresh(version, refresh_token(&created)).await;
        core.advance(31);
        let answer = core.refresh(version, refresh_token(&created)).await;
        assert_eq!(answer, theft(&created, version, "RECENT_PREV"), "{version}");
        let answer = core.refresh(version, refresh_token(&next)).await;
        let message = "Session missing in db or has expired";
        assert_eq!(answer, json!({ "status": "UNAUTHORISED", "message": message }), "{version}");
    }
}

#[tokio::test]
async fn a_late_retry_may_be_unauthorised() {
    for version in VERSIONS {
        let app = AppConfig {
            refresh_rotation: RefreshRotation::Idempotent,
            recent_token_reuse_behaviour: LateRetry::Unauthorised,
            ..AppConfig::default()
        };
        let core = Core::with(ServerConfig { app, ..ServerConfig::default() }).await;
        let created = core.create(version).await;
        core.refresh(version, refresh_token(&created)).await;
        core.advance(31);
        let answer = core.refresh(version, refresh_token(&created)).await;
        let mut expected =
            json!({ "status": "UNAUTHORISED", "message": "refresh token reuse detected" });
        if version == "5.6" {
            expected["recentTokenReuseSubtype"] = "RECENT_PREV".into();
        }
        assert_eq!(answer, expected, "{version}");
    }
}

#[tokio::test]
async fn a_token_that_is_older_than_the_previous_one_is_a_theft() {
    for version in VERSIONS {
        let core = core().await;
        let created = core.create(version).await;
        let next = core.refresh(version, refresh_token(&created)).await;
        core.refresh(version, refresh_token(&next)).await;
        let answer = core.refresh(version, refresh_token(&created)).await;
        assert_eq!(answer, theft(&created, version, "STALE_LINEAGE"), "{version}");
        let stored = core.information(&created["session"]["handle"]).await;
        assert_eq!(stored["status"], "UNAUTHORISED", "{version}: the session is gone");
        // SDKs then remove the session, and find it removed.
        let body = json!({ "sessionHandles": [created["session"]["handle"]] });
        let removed = core.post("/recipe/session/remove", version, body).await.ok();
        assert_eq!(removed["sessionHandlesRevoked"], json!([]), "{version}");
    }
}

#[tokio::test]
async fn answers_have_the_fields_of_their_version() {
    let idempotent = core().await;
    let usual = Core::new().await;
    for version in ["2.7", "2.21", "3.0", "5.4", "5.6"] {
        let shape = async |core: &Core| {
            let anti_csrf = json!({ "enableAntiCsrf": true });
            let created = core.create_with("", version, anti_csrf.clone()).await;
            let given = json!({
                "enableAntiCsrf": true, "antiCsrfToken": created["antiCsrfToken"],
            });
            let first = core.refresh_with(version, refresh_token(&created), given.clone()).await;
            let again = core.refresh_with(version, refresh_token(&created), given.clone()).await;
            let (first, again) = (first.ok(), again.ok());
            let shapes = [&created, &first, &again].map(|answer| {
                let inside = ["session", "accessToken", "refreshToken"];
                let mut names: Vec<String> =
                    fields(answer).iter().map(|&name| name.into()).collect();
                for object in inside {
                    names.extend(
                        fields(&answer[object]).iter().map(|name| format!("{object} {name}")),
                    );
                }
                names
            });
            let tokens =
                [&created, &first, &again].map(|answer| text(&answer["antiCsrfToken"]).to_owned());
            (shapes, tokens)
        };
        let (expected, _) = shape(&usual).await;
        let (shapes, [created, first, again]) = shape(&idempotent).await;
        assert_eq!(shapes, expected, "{version}");
        assert_eq!([&created, &created], [&first, &again], "one anti-CSRF token throughout");
    }
}

#[tokio::test]
async fn verification_stays_as_the_version_has_it() {
    let core = core().await;
    // 5.4 replaces a token whose payload was changed, and 5.6 says that it was.
    for version in VERSIONS {
        let created = core.create(version).await;
        let next = core.refresh(version, refresh_token(&created)).await;
        let handle = &created["session"]["handle"];
        let body = json!({ "sessionHandle": handle, "userDataInJWT": { "new": 1 } });
        core.put("/recipe/jwt/data", version, body).await.ok();
        let verified = core.verify_in_store(version, access_token(&next)).await;
        match version {
            "5.4" => assert!(verified["accessToken"].is_object(), "{verified}"),
            _ => assert_eq!(verified["payloadUpdateAvailable"], true),
        }
    }
    // A generation that was rotated out is found by 5.6, where the store is asked.
    let created = core.create("5.6").await;
    let next = core.refresh("5.6", refresh_token(&created)).await;
    core.refresh("5.6", refresh_token(&next)).await;
    let old = core.verify_in_store("5.6", access_token(&created)).await;
    assert_eq!(old["message"], "rotated-out token branch; refresh required");
}

#[tokio::test]
async fn an_app_chooses_and_its_sessions_go_on() {
    let core = Core::new().await;
    let put = async |rotation: Value| {
        let settings = json!({ "sessile_refresh_rotation": rotation });
        let body = json!({ "appId": "a", "coreConfig": settings });
        core.put("/recipe/multitenancy/app/v2", "", body).await
    };
    let refresh = async |token: &str| {
        let body = json!({
            "refreshToken": token, "enableAntiCsrf": false, "useDynamicSigningKey": true,
        });
        core.post("/appid-a/recipe/session/refresh", "5.4", body).await.ok()
    };
    put(json!("supertokens")).await.ok();
    let created = core.create_with("/appid-a", "5.4", json!({})).await;
    let child = refresh(refresh_token(&created)).await;
    let sibling = refresh(refresh_token(&created)).await;
    assert_ne!(child["refreshToken"], sibling["refreshToken"]);

    put(json!("idempotent")).await.ok();
    let next = refresh(refresh_token(&child)).await;
    assert_eq!(refresh(refresh_token(&child)).await["refreshToken"], next["refreshToken"]);

    put(json!(null)).await.ok();
    let child = refresh(refresh_token(&next)).await;
    assert_ne!(refresh(refresh_token(&next)).await["refreshToken"], child["refreshToken"]);
    let answer = put(json!("Idempotent!")).await;
    answer.refused(
        400,
        "Invalid core config: 'sessile_refresh_rotation' must be either \"supertokens\" or \
         \"idempotent\"",
    );
}
