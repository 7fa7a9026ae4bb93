//! The founding page, promise by promise, over HTTP on a real SQLite file.

use crate::support::Application;
use axum::http::StatusCode;
use serde_json::json;
use sessile::{
    SessionHandle, SessionService as _, WebConfig,
    policy::{Policy, Revocation},
};

async fn application() -> Application {
    Application::new(Policy::default(), WebConfig::default()).await
}

#[tokio::test]
async fn the_example_of_the_page() {
    let app = application().await;
    let mut client = app
        .logged_in(json!({ "userId": "alice", "jwtPayload": {"p": 1}, "sessionData": {"d": 1} }))
        .await;
    let handle = app.sessions.get_all_session_handles_for_user("alice").await.unwrap().remove(0);
    app.store_calls();

    let answer = client.post("/test", json!({})).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, r#"{"status":"ok"}"#);
    assert_eq!(app.store_calls(), 4, "data read, data written, payload, revocation");

    let cookies = answer.set_cookies();
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    for name in ["sAccessToken=;", "sRefreshToken=;"] {
        assert_eq!(cookies.iter().filter(|line| line.starts_with(name)).count(), 1, "{cookies:?}");
    }
    assert_eq!(answer.header("front-token"), Some("remove"));
    assert!(client.cookies.is_empty());
    let whole = format!("{:?}{}", answer.headers, answer.body);
    assert!(!whole.contains("eyJ") && !whole.contains("srt1."), "a token in {whole}");
    assert!(app.sessions.get_session_information(&handle).await.unwrap().is_none());
}

#[tokio::test]
async fn get_user_id_and_get_jwt_payload_ask_nobody() {
    let app = application().await;
    let login = json!({ "userId": "alice", "jwtPayload": {
        "nothing": null, "most": i64::MAX, "least": i64::MIN, "beyond": u64::MAX,
        "nested": {"list": [1, 2.5, "ü", {}]},
    }});
    let mut client = app.logged_in(login.clone()).await;
    let answer = client.get("/me").await;
    assert_eq!(answer.json(), json!({ "userId": "alice", "payload": login["jwtPayload"] }));
    assert!(answer.set_cookies().is_empty());
    assert_eq!(app.store_calls(), 0);
}

#[tokio::test]
async fn update_jwt_payload_changes_the_access_token() {
    let app = application().await;
    let mut client =
        app.logged_in(json!({ "userId": "alice", "jwtPayload": {"old": 1, "both": 1} })).await;
    let before = client.cookie("sAccessToken").unwrap().to_owned();
    let expiry = expiry_of(&before);
    app.clock.advance(std::time::Duration::from_secs(100));

    let answer = client.post("/payload", json!({ "both": 2, "new": null })).await;
    assert_eq!(answer.json(), json!({ "both": 2, "new": null }), "seen at once, old keys gone");
    assert_eq!(app.store_calls(), 1);
    let after = client.cookie("sAccessToken").unwrap().to_owned();
    assert_ne!(before, after);
    assert_eq!(expiry_of(&after), expiry, "the expiry stays");
    assert!(answer.header("front-token").is_some());
    assert_eq!(client.get("/me").await.json()["payload"], json!({ "both": 2, "new": null }));
}

fn expiry_of(access_token: &str) -> i64 {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let claims = access_token.split('.').nth(1).unwrap();
    let claims: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    claims["exp"].as_i64().unwrap()
}

#[tokio::test]
async fn session_data_is_one_call_each_time() {
    let app = application().await;
    let mut client =
        app.logged_in(json!({ "userId": "alice", "sessionData": {"a": 1, "b": null} })).await;
    for _ in 0..2 {
        assert_eq!(client.get("/data").await.json(), json!({ "a": 1, "b": null }));
        assert_eq!(app.store_calls(), 1);
    }
    client.post("/data", json!({ "c": 3 })).await;
    assert_eq!(app.store_calls(), 1);
    assert_eq!(client.get("/data").await.json(), json!({ "c": 3 }), "overwritten");
}

#[tokio::test]
async fn revoke_session_clears_also_when_another_process_was_first() {
    let app = application().await;
    let mut client = app.logged_in(json!({ "userId": "alice" })).await;
    app.sessions.revoke_all_sessions_for_user("alice").await.unwrap();
    app.store_calls();
    let answer = client.post("/revoke", json!({})).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(app.store_calls(), 1);
    assert_eq!(answer.set_cookies().len(), 2);
    assert!(client.cookies.is_empty());
}

#[tokio::test]
async fn without_immediate_a_revoked_session_lives_until_its_access_token_ends() {
    let app = application().await;
    let mut client = app.logged_in(json!({ "userId": "alice" })).await;
    app.sessions.revoke_all_sessions_for_user("alice").await.unwrap();
    assert_eq!(client.get("/me").await.status, StatusCode::OK);
    let answer = client.get("/immediate").await;
    assert_eq!(
        (answer.status, answer.reason().as_str()),
        (StatusCode::UNAUTHORIZED, "session_not_found")
    );
}

#[tokio::test]
async fn with_immediate_it_ends_with_the_next_request() {
    let policy = Policy { revocation: Revocation::Immediate, ..Policy::default() };
    let app = Application::new(policy, WebConfig::default()).await;
    let mut client = app.logged_in(json!({ "userId": "alice" })).await;
    assert_eq!(client.get("/me").await.status, StatusCode::OK);
    assert_eq!(app.store_calls(), 1, "one look-up per verification");
    app.sessions.revoke_all_sessions_for_user("alice").await.unwrap();
    let answer = client.get("/me").await;
    assert_eq!(
        answer.json(),
        json!({
            "message": "unauthorised", "reason": "session_not_found"
        })
    );
    assert_eq!(answer.set_cookies().len(), 2, "cleared");
}

#[tokio::test]
async fn what_the_page_does_by_handle_touches_no_cookie() {
    let app = application().await;
    let mut client = app.logged_in(json!({ "userId": "alice" })).await;
    let other = app.logged_in(json!({ "userId": "bob", "sessionData": {"x": 1} })).await;
    let handle = app.sessions.get_all_session_handles_for_user("bob").await.unwrap().remove(0);
    let answer = client.post("/data-of", json!(handle.as_str())).await;
    assert_eq!(answer.json(), json!({ "x": 1 }));
    app.sessions.revoke_session(&handle).await.unwrap();
    let answer = client.post("/data-of", json!(handle.as_str())).await;
    assert_eq!(answer.reason(), "session_not_found");
    assert!(answer.set_cookies().is_empty(), "the caller keeps its own cookies");
    assert_eq!(client.get("/me").await.status, StatusCode::OK);
    drop(other);
    assert!(!app.sessions.revoke_session(&SessionHandle::new("unknown")).await.unwrap());
}

#[tokio::test]
async fn cookies_are_written_though_the_handler_fails() {
    let app = application().await;
    let mut client = app.logged_in(json!({ "userId": "alice" })).await;
    let answer = client.post("/change-and-fail", json!({})).await;
    assert_eq!(answer.status, StatusCode::IM_A_TEAPOT);
    assert_eq!(answer.set_cookies().len(), 1);
    assert_eq!(client.get("/me").await.json()["payload"], json!({ "kept": true }));
}

#[tokio::test]
async fn a_payload_too_large_for_a_cookie_is_refused_and_nothing_changes() {
    let app = application().await;
    let mut client = app.logged_in(json!({ "userId": "alice", "jwtPayload": {"a": 1} })).await;
    let before = client.cookies.clone();
    let large = json!({ "text": "x".repeat(3000) });
    let answer = client.post("/payload", large.clone()).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.reason(), "payload_too_large");
    assert_eq!(app.store_calls(), 0);
    assert_eq!(client.cookies, before);
    let answer = app.client().post("/login", json!({ "userId": "bob", "jwtPayload": large })).await;
    assert_eq!(answer.reason(), "payload_too_large");
    assert_eq!(app.store_calls(), 0);
}
