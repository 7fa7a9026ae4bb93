//! The contract of SuperTokens' first front-end SDKs: `sIdRefreshToken` and `id-refresh-token`.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use sessile::{AntiCsrfMode, WebConfig, policy::Policy, web::BrowserContract};

use crate::support::{Application, Client, Received};

const HOUR: Duration = Duration::from_secs(3600);

async fn application(change: impl FnOnce(&mut WebConfig)) -> Application {
    let mut config =
        WebConfig { contract: BrowserContract::IdRefreshToken, ..WebConfig::default() };
    change(&mut config);
    Application::new(Policy::default(), config).await
}

async fn log_in(app: &Application) -> (Client, Received) {
    let mut client = app.client();
    let answer = client.post("/login", json!({ "userId": "alice" })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    (client, answer)
}

fn line<'a>(answer: &'a Received, name: &str) -> &'a str {
    let lines = answer.set_cookies();
    lines.into_iter().find(|line| line.starts_with(&format!("{name}="))).unwrap()
}

fn assert_cleared(answer: &Received) {
    assert_eq!(answer.header("id-refresh-token"), Some("remove"));
    assert_eq!(answer.header("access-control-expose-headers"), Some("id-refresh-token"));
    assert_eq!(answer.set_cookies().len(), 3);
    for name in ["sAccessToken", "sRefreshToken", "sIdRefreshToken"] {
        assert!(line(answer, name).contains("=; "), "{name}");
        assert!(line(answer, name).contains("Expires=Thu, 01 Jan 1970 00:00:00 GMT"), "{name}");
    }
}

#[tokio::test]
async fn a_login_sets_three_cookies_and_one_header() {
    let app = application(|_| {}).await;
    let (client, answer) = log_in(&app).await;
    assert_eq!(answer.set_cookies().len(), 3);
    // Each cookie ends with its token.
    assert!(line(&answer, "sAccessToken").contains("Path=/; Expires=Fri, 15 Jan 2027 09:00:00"));
    assert!(line(&answer, "sRefreshToken").contains("Path=/session/refresh; Expires=Sun, 25 Apr"));
    assert!(line(&answer, "sIdRefreshToken").contains("Path=/; Expires=Sun, 25 Apr 2027 08:00:00"));
    let expiry = (1_800_000_000_u64 + 100 * 24 * 3600) * 1000;
    let header = format!("{};{expiry}", client.cookie("sIdRefreshToken").unwrap());
    assert_eq!(answer.header("id-refresh-token"), Some(header.as_str()));
    assert_eq!(answer.header("access-control-expose-headers"), Some("id-refresh-token"));
    for absent in ["front-token", "anti-csrf", "st-access-token", "st-refresh-token"] {
        assert!(answer.header(absent).is_none(), "{absent}");
    }
}

#[tokio::test]
async fn the_id_cookie_alone_says_that_there_is_a_session() {
    let app = application(|_| {}).await;
    let (mut client, _) = log_in(&app).await;
    assert_eq!(client.get("/me").await.status, StatusCode::OK);

    let mut without_access = client.clone();
    without_access.cookies.retain(|(name, _), _| name != "sAccessToken");
    let answer = without_access.get("/me").await;
    assert_eq!(answer.json()["message"], "try refresh token");
    assert!(answer.set_cookies().is_empty());

    let mut without_id = client.clone();
    without_id.cookies.retain(|(name, _), _| name != "sIdRefreshToken");
    assert_eq!(without_id.get("/me").await.json()["message"], "unauthorised");
    assert_eq!(without_id.get("/optional").await.body, "nobody");
}

#[tokio::test]
async fn a_refresh_renews_all_three_and_its_repetition_gives_the_same() {
    let app = application(|config| config.anti_csrf = AntiCsrfMode::Token).await;
    let (mut client, login) = log_in(&app).await;
    assert!(login.header("anti-csrf").is_some());
    app.clock.advance(HOUR * 2);
    // These SDKs do not send the anti-CSRF token here.
    let mut repeating = client.clone();
    let answer = client.post("/session/refresh", json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.set_cookies().len(), 3);
    assert_ne!(answer.header("id-refresh-token"), login.header("id-refresh-token"));
    assert!(answer.header("anti-csrf").is_some());
    let again = repeating.post("/session/refresh", json!({})).await;
    assert_eq!(again.header("id-refresh-token"), answer.header("id-refresh-token"));

    // Elsewhere it is asked for.
    let answer = client.post("/payload", json!({})).await;
    assert_eq!(answer.json()["message"], "try refresh token");
}

#[tokio::test]
async fn an_update_sets_the_access_token_alone() {
    let app = application(|_| {}).await;
    let (mut client, _) = log_in(&app).await;
    let answer = client.post("/payload", json!({ "role": "editor" })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.set_cookies().len(), 1);
    assert!(line(&answer, "sAccessToken").contains("Expires=Fri, 15 Jan 2027 09:00:00"));
    assert!(answer.header("id-refresh-token").is_none());
    assert!(answer.header("front-token").is_none());
}

#[tokio::test]
async fn an_end_clears_all_three_and_says_remove_once() {
    let app = application(|_| {}).await;
    let (mut client, _) = log_in(&app).await;
    assert_cleared(&client.post("/test", json!({})).await);
    assert!(client.cookies.is_empty());

    let (mut client, _) = log_in(&app).await;
    let mut thief = client.clone();
    client.post("/session/refresh", json!({})).await;
    client.post("/session/refresh", json!({})).await;
    let answer = thief.post("/session/refresh", json!({})).await;
    assert_eq!(answer.json()["message"], "token theft detected");
    assert_cleared(&answer);
}

#[tokio::test]
async fn tokens_in_headers_do_not_count() {
    let app = application(|_| {}).await;
    let (client, _) = log_in(&app).await;
    let bearer = format!("Bearer {}", client.cookie("sAccessToken").unwrap());
    let mut other = app.client().with_header("authorization", &bearer);
    assert_eq!(other.get("/me").await.status, StatusCode::UNAUTHORIZED);
    let mut other = app.client().with_header("st-auth-mode", "header");
    let answer = other.post("/login", json!({ "userId": "bob" })).await;
    assert_eq!(answer.set_cookies().len(), 3);
    assert!(answer.header("st-access-token").is_none());
}

#[tokio::test]
async fn paths_of_cookies_are_settings() {
    let app = application(|config| {
        config.access_token_path = "/".to_owned();
        config.refresh_token_path = Some("/again".to_owned());
    })
    .await;
    let (mut client, answer) = log_in(&app).await;
    assert!(line(&answer, "sRefreshToken").contains("Path=/again;"));
    assert_eq!(client.post("/again", json!({})).await.status, StatusCode::OK);

    let app = application(|config| config.access_token_path = "/api".to_owned()).await;
    let (_, answer) = log_in(&app).await;
    assert!(line(&answer, "sAccessToken").contains("Path=/api;"));
    assert!(line(&answer, "sIdRefreshToken").contains("Path=/api;"));
    assert!(line(&answer, "sRefreshToken").contains("Path=/session/refresh;"));
}
