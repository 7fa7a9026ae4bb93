//! Revocation, and what is still accepted after it.

use serde_json::json;

use crate::support::{Core, access_token, refresh_token, text};

#[tokio::test]
async fn a_revoked_session_lives_until_its_access_token_ends() {
    let core = Core::new().await;
    for version in ["2.21", "5.4", "5.6"] {
        let created = core.create(version).await;
        let handle = &created["session"]["handle"];
        let body = json!({ "sessionHandles": ["gone", handle, handle] });
        let removed = core.post("/recipe/session/remove", version, body.clone()).await.ok();
        assert_eq!(removed["sessionHandlesRevoked"], json!([handle]));
        let removed = core.post("/recipe/session/remove", version, body).await.ok();
        assert_eq!(removed["sessionHandlesRevoked"], json!([]));

        assert_eq!(core.verify(version, access_token(&created)).await["status"], "OK");
        let message = "Either the session has ended or has been blacklisted";
        let checked = core.verify_in_store(version, access_token(&created)).await;
        assert_eq!(checked, json!({ "status": "UNAUTHORISED", "message": message }));
        let message = "Session missing in db or has expired";
        let refreshed = core.refresh(version, refresh_token(&created)).await;
        assert_eq!(refreshed, json!({ "status": "UNAUTHORISED", "message": message }));

        core.advance(3601);
        let ended = core.verify_in_store(version, access_token(&created)).await;
        let message = "Access token expired";
        assert_eq!(ended, json!({ "status": "TRY_REFRESH_TOKEN", "message": message }));
    }
}

#[tokio::test]
async fn below_2_21_the_configuration_says_whether_the_store_is_asked() {
    let core = Core::with(sessile_server::ServerConfig {
        app: sessile_server::AppConfig {
            access_token_blacklisting: true,
            ..sessile_server::AppConfig::default()
        },
        ..sessile_server::ServerConfig::default()
    })
    .await;
    let created = core.create("2.9").await;
    let body = json!({ "sessionHandles": [created["session"]["handle"]] });
    core.post("/recipe/session/remove", "2.9", body).await.ok();
    assert_eq!(core.verify("2.9", access_token(&created)).await["status"], "UNAUTHORISED");
    assert_eq!(core.verify("2.21", access_token(&created)).await["status"], "OK");
    let handshake = core.post("/recipe/handshake", "2.9", json!({})).await.ok();
    assert_eq!(handshake["accessTokenBlacklistingEnabled"], true);
}

#[tokio::test]
async fn all_sessions_of_a_user_are_listed_and_revoked() {
    let core = Core::new().await;
    let mut handles = Vec::new();
    for _ in 0..3 {
        let created = core.create("5.4").await;
        handles.push(text(&created["session"]["handle"]).to_owned());
        core.advance(1);
    }
    let other = core.create_with("", "5.4", json!({ "userId": "bob" })).await;
    let listed = core.get("/recipe/session/user?userId=alice", "5.4").await.ok();
    assert_eq!(listed, json!({ "status": "OK", "sessionHandles": handles }));
    let body = json!({ "userId": "alice", "revokeSessionsForLinkedAccounts": true });
    let removed = core.post("/recipe/session/remove", "5.4", body).await.ok();
    let mut revoked: Vec<&str> =
        removed["sessionHandlesRevoked"].as_array().unwrap().iter().map(text).collect();
    revoked.sort_unstable();
    handles.sort_unstable();
    assert_eq!(revoked, handles);
    let listed = core.get("/recipe/session/user?userId=alice", "5.4").await.ok();
    assert_eq!(listed["sessionHandles"], json!([]));
    assert_eq!(core.information(&other["session"]["handle"]).await["status"], "OK");
    let body = json!({ "userId": "nobody" });
    let removed = core.post("/recipe/session/remove", "5.4", body).await.ok();
    assert_eq!(removed["sessionHandlesRevoked"], json!([]));
}
