//! Cookies, headers, refresh, sign-out and refusals, as a browser meets them.

use std::time::Duration;

use crate::support::{Application, Client};
use axum::http::StatusCode;
use serde_json::{Value, json};
use sessile::{
    AntiCsrfMode, SameSite, SessionService as _, TheftKind, Transfer, WebConfig,
    event::{EventKind, RevocationReason},
    policy::{GRACE_PERIOD, LateRetry, Policy},
};

const HOUR: Duration = Duration::from_secs(3600);

async fn application() -> Application {
    Application::new(Policy::default(), WebConfig::default()).await
}

async fn configured(config: WebConfig) -> Application {
    Application::new(Policy::default(), config).await
}

async fn refresh(client: &mut Client) -> crate::support::Received {
    client.post("/session/refresh", json!({})).await
}

fn alice() -> Value {
    json!({ "userId": "alice" })
}

#[tokio::test]
async fn a_login_sets_two_cookies_and_a_front_token() {
    let app = application().await;
    let answer = app.client().post("/login", alice()).await;
    let cookies = answer.set_cookies();
    assert_eq!(cookies.len(), 2);
    let access = cookies.iter().find(|line| line.starts_with("sAccessToken=")).unwrap();
    assert!(access.contains("HttpOnly; SameSite=Lax; Path=/; Expires=Sat, 15 Jan 2028"));
    let refresh = cookies.iter().find(|line| line.starts_with("sRefreshToken=")).unwrap();
    assert!(refresh.contains("HttpOnly; SameSite=Lax; Path=/session/refresh; Expires=Sun, 25 Apr"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("access-control-expose-headers"), Some("front-token"));
    assert!(answer.header("st-access-token").is_none());

    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let front = STANDARD.decode(answer.header("front-token").unwrap()).unwrap();
    let front: Value = serde_json::from_slice(&front).unwrap();
    assert_eq!(front["uid"], "alice");
    assert_eq!(front["ate"], 1_800_003_600_000_i64);
    assert_eq!(front["up"]["sub"], "alice");
    assert_eq!(front["up"]["tId"], "public");
}

#[tokio::test]
async fn cookies_are_secure_on_https_alone() {
    let secure = |answer: crate::support::Received| {
        answer.set_cookies().iter().all(|line| line.contains("; Secure"))
    };
    let app = application().await;
    assert!(!secure(app.client().post("/login", alice()).await));
    // Behind a proxy that was not configured the browser itself says https.
    let mut client = app.client().with_header("origin", "https://app.example.com");
    assert!(secure(client.post("/login", alice()).await));
    let mut client = app.client().with_header("origin", "https://elsewhere.example");
    assert!(!secure(client.post("/login", alice()).await));
    let public_origin = Some("https://www.example.com".to_owned());
    let app = configured(WebConfig { public_origin, ..WebConfig::default() }).await;
    assert!(secure(app.client().post("/login", alice()).await));
}

#[tokio::test]
async fn header_transfer_is_the_clients_choice() {
    let app = application().await;
    let mut client = app.client().with_header("st-auth-mode", "header");
    let answer = client.post("/login", alice()).await;
    assert!(answer.set_cookies().is_empty());
    let access = answer.header("st-access-token").unwrap().to_owned();
    let refresh_token = answer.header("st-refresh-token").unwrap().to_owned();

    let bearer =
        |token: &str| app.client().with_header("authorization", &format!("Bearer {token}"));
    // Tokens in headers need no guard against other sites.
    let mut client = bearer(&access).with_header("sec-fetch-site", "cross-site");
    assert_eq!(client.post("/me", json!({})).await.json()["userId"], "alice");

    let mut client = bearer(&refresh_token).with_header("st-auth-mode", "header");
    let answer = refresh(&mut client).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.set_cookies().is_empty());
    assert_ne!(answer.header("st-refresh-token").unwrap(), refresh_token);
    let access = answer.header("st-access-token").unwrap().to_owned();

    let answer = bearer(&access).post("/signout", json!({})).await;
    assert_eq!(answer.json(), json!({ "status": "OK" }));
    assert_eq!(answer.header("st-access-token"), Some(""));
    assert_eq!(answer.header("front-token"), Some("remove"));

    let config = WebConfig { default_transfer: Transfer::Header, ..WebConfig::default() };
    let app = configured(config).await;
    let answer = app.client().post("/login", alice()).await;
    assert!(answer.header("st-access-token").is_some() && answer.set_cookies().is_empty());
    let mut client = app.client().with_header("st-auth-mode", "cookie");
    assert_eq!(client.post("/login", alice()).await.set_cookies().len(), 2);
}

#[tokio::test]
async fn another_systems_bearer_token_does_not_hide_the_cookie() {
    let app = application().await;
    let mut client = app.logged_in(alice()).await;
    client.headers.insert("authorization", "Bearer aaa.bbb.ccc".parse().unwrap());
    assert_eq!(client.get("/me").await.json()["userId"], "alice");
    let mut client = app.client().with_header("authorization", "Bearer aaa.bbb.ccc");
    assert_eq!(client.get("/optional").await.body, "nobody");
    assert_eq!(client.get("/me").await.reason(), "no_session");
}

#[tokio::test]
async fn expired_means_try_refresh_and_refresh_helps() {
    let app = application().await;
    let mut client = app.logged_in(alice()).await;
    app.clock.advance(HOUR + Duration::from_secs(1));
    let answer = client.get("/me").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        answer.json(),
        json!({
            "message": "try refresh token", "reason": "access_token_expired"
        })
    );
    assert!(answer.set_cookies().is_empty(), "nothing is cleared");
    app.store_calls();
    let answer = refresh(&mut client).await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "{}"));
    assert_eq!(app.store_calls(), 1, "one call for a refresh without a race");
    assert_eq!(client.get("/me").await.json()["userId"], "alice");
}

#[tokio::test]
async fn a_lost_answer_repeated_gives_the_same_child() {
    let app = application().await;
    let mut client = app.logged_in(alice()).await;
    let mut lost = client.clone();
    refresh(&mut lost).await;
    app.clock.advance(GRACE_PERIOD);
    refresh(&mut client).await;
    assert_eq!(client.cookie("sRefreshToken"), lost.cookie("sRefreshToken"));
    // Whichever of the two goes on, goes on.
    assert_eq!(refresh(&mut client).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_refreshes_give_one_child() {
    let app = application().await;
    let client = app.logged_in(alice()).await;
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move {
                let answer = refresh(&mut client).await;
                (answer.status, client.cookie("sRefreshToken").unwrap().to_owned())
            })
        })
        .collect();
    let mut children = Vec::new();
    for task in tasks {
        let (status, child) = task.await.unwrap();
        assert_eq!(status, StatusCode::OK);
        children.push(child);
    }
    children.dedup();
    assert_eq!(children.len(), 1, "one child for all 64");
    let events = app.events.lock().unwrap().clone();
    let count = |kind| events.iter().filter(|event| **event == kind).count();
    assert_eq!((count(EventKind::Refreshed), count(EventKind::Reissued)), (1, 63));
}

#[tokio::test]
async fn a_grandparent_is_a_theft() {
    let app = application().await;
    let mut client = app.logged_in(alice()).await;
    let mut thief = client.clone();
    refresh(&mut client).await;
    refresh(&mut client).await;
    let answer = refresh(&mut thief).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        answer.json(),
        json!({
            "message": "token theft detected", "reason": "stale_refresh_token"
        })
    );
    assert!(thief.cookies.is_empty(), "cleared");
    assert_eq!(refresh(&mut client).await.reason(), "session_not_found", "the session is over");
    let events = app.events.lock().unwrap().clone();
    let theft = EventKind::TheftDetected { kind: TheftKind::Stale };
    assert_eq!(events.iter().filter(|event| **event == theft).count(), 1);
    assert_eq!(events.last(), Some(&theft));
}

#[tokio::test]
async fn the_parent_after_its_window_ends_the_session() {
    for (late_retry, message, event) in [
        (
            LateRetry::Unauthorised,
            "unauthorised",
            EventKind::Revoked { reason: RevocationReason::LateRetry },
        ),
        (
            LateRetry::TokenTheft,
            "token theft detected",
            EventKind::TheftDetected { kind: TheftKind::LateRetry },
        ),
    ] {
        let policy = Policy { late_retry, ..Policy::default() };
        let app = Application::new(policy, WebConfig::default()).await;
        let mut client = app.logged_in(alice()).await;
        let mut late = client.clone();
        refresh(&mut client).await;
        app.clock.advance(GRACE_PERIOD + Duration::from_millis(1));
        let answer = refresh(&mut late).await;
        assert_eq!(answer.json(), json!({ "message": message, "reason": "late_retry" }));
        assert_eq!(app.events.lock().unwrap().last(), Some(&event));
        assert_eq!(refresh(&mut client).await.reason(), "session_not_found");
    }
}

#[tokio::test]
async fn refresh_without_a_good_token_clears_what_is_left() {
    let app = application().await;
    let mut client = app.logged_in(alice()).await;
    client.cookies.retain(|(name, _), _| name == "sAccessToken");
    let answer = refresh(&mut client).await;
    assert_eq!(answer.reason(), "refresh_token_missing");
    assert!(client.cookies.is_empty());
    let mut client = app.logged_in(alice()).await;
    for value in client.cookies.values_mut() {
        value.push('x');
    }
    assert_eq!(client.get("/me").await.reason(), "access_token_malformed");
    assert_eq!(refresh(&mut client).await.reason(), "refresh_token_invalid");
    assert!(client.cookies.is_empty());
}

#[tokio::test]
async fn a_login_ends_the_session_that_it_replaces() {
    let app = application().await;
    let mut client = app.logged_in(alice()).await;
    let before = client.clone();
    client.post("/login", json!({ "userId": "bob" })).await;
    assert!(app.sessions.get_all_session_handles_for_user("alice").await.unwrap().is_empty());
    assert_eq!(before.clone().get("/immediate").await.reason(), "session_not_found");
    assert_eq!(client.get("/immediate").await.body, "bob");
    let replaced = EventKind::Revoked { reason: RevocationReason::ReplacedByLogin };
    assert!(app.events.lock().unwrap().contains(&replaced));
    // One that is refused leaves the old session alone.
    let answer = client.post("/login", json!({ "userId": "" })).await;
    assert_eq!(answer.reason(), "user_id");
    assert_eq!(client.get("/immediate").await.body, "bob");
}

#[tokio::test]
async fn other_sites_are_refused_in_every_mode() {
    for (mode, refused_with) in [
        (AntiCsrfMode::FetchMetadata, "cross_site_request"),
        (AntiCsrfMode::CustomHeader, "custom_header_missing"),
        (AntiCsrfMode::Token, "anti_csrf_mismatch"),
    ] {
        let app = configured(WebConfig { anti_csrf: mode, ..WebConfig::default() }).await;
        let mut client = app.client().with_header("rid", "anti-csrf");
        let answer = client.post("/login", alice()).await;
        if let Some(token) = answer.header("anti-csrf") {
            client.headers.insert("anti-csrf", token.parse().unwrap());
        }
        assert_eq!(mode == AntiCsrfMode::Token, answer.header("anti-csrf").is_some());

        let mut hostile = client.clone().with_header("sec-fetch-site", "same-site");
        hostile.headers.remove("rid");
        hostile.headers.remove("anti-csrf");
        for path in ["/me", "/data", "/session/refresh", "/signout"] {
            let answer = hostile.post(path, json!({})).await;
            assert_eq!(answer.reason(), refused_with, "{mode:?} {path}");
            assert!(answer.set_cookies().is_empty(), "{mode:?} {path} touches no cookie");
        }
        assert_eq!(hostile.get("/me").await.status, StatusCode::OK, "reading is not guarded");
        let answer = client.post("/me", json!({})).await;
        assert_eq!(answer.status, StatusCode::OK, "{mode:?}: one's own request passes");
        let answer = refresh(&mut client).await;
        assert_eq!(answer.status, StatusCode::OK, "{mode:?}");
        if let Some(token) = answer.header("anti-csrf") {
            client.headers.insert("anti-csrf", token.parse().unwrap());
        }
        assert_eq!(client.post("/signout", json!({})).await.status, StatusCode::OK, "{mode:?}");
    }
}

#[tokio::test]
async fn without_protection_other_sites_get_through() {
    let config = WebConfig { anti_csrf: AntiCsrfMode::Off, ..WebConfig::default() };
    let app = configured(config).await;
    let mut hostile = app.logged_in(alice()).await.with_header("sec-fetch-site", "cross-site");
    assert_eq!(hostile.post("/me", json!({})).await.status, StatusCode::OK);
    assert_eq!(hostile.post("/signout", json!({})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn duplicate_cookies_are_healed() {
    let app = application().await;
    let mut client = app.logged_in(alice()).await;
    let old = client.cookie("sAccessToken").unwrap().to_owned();
    let old_refresh = client.cookie("sRefreshToken").unwrap().to_owned();
    app.clock.advance(Duration::from_secs(60));
    refresh(&mut client).await;
    let new = client.cookie("sAccessToken").unwrap().to_owned();
    // The left-overs of an application that kept its cookies elsewhere.
    client.cookies.insert(("sAccessToken".into(), "/session/refresh".into()), old.clone());
    client.cookies.insert(("sRefreshToken".into(), "/".into()), old_refresh);

    app.clock.advance(HOUR);
    let answer = refresh(&mut client).await;
    assert_eq!(answer.status, StatusCode::OK, "an older token beside the newest is no theft");
    assert_eq!(client.cookies.len(), 2, "{:?}", client.cookies.keys());
    assert_eq!(client.get("/me").await.status, StatusCode::OK);

    // Of several good access tokens the newest counts, and is kept in its place.
    let newest = client.cookie("sAccessToken").unwrap().to_owned();
    assert_ne!(newest, new);
    client.cookies.insert(("sAccessToken".into(), "/m".into()), "garbage".to_owned());
    client.cookies.insert(("sAccessToken".into(), "/me".into()), old);
    let answer = client.get("/me").await;
    assert_eq!(answer.status, StatusCode::OK);
    let kept = answer.set_cookies().into_iter().filter(|line| line.contains("=eyJ")).count();
    assert_eq!(kept, 1);
    let cleared: Vec<_> =
        answer.set_cookies().into_iter().filter(|line| line.contains("sAccessToken=;")).collect();
    assert!(cleared.iter().any(|line| line.contains("Domain=example.com")), "{cleared:?}");
    assert!(cleared.iter().any(|line| line.contains("Domain=app.example.com")), "{cleared:?}");
}

#[tokio::test]
async fn duplicate_refresh_cookies_of_two_sessions_keep_the_live_one() {
    let app = application().await;
    let live = app.logged_in(alice()).await;
    app.clock.advance(Duration::from_secs(1));
    let mut client = app.logged_in(alice()).await;
    let handle = client.get("/me").await;
    assert_eq!(handle.status, StatusCode::OK);
    let handles = app.sessions.get_all_session_handles_for_user("alice").await.unwrap();
    app.sessions.revoke_session(&handles[1]).await.unwrap();
    let older = live.cookie("sRefreshToken").unwrap().to_owned();
    client.cookies.insert(("sRefreshToken".into(), "/".into()), older);
    assert_eq!(refresh(&mut client).await.status, StatusCode::OK);
    assert_eq!(client.get("/immediate").await.body, "alice");
}

#[tokio::test]
async fn in_place_an_expired_token_is_refreshed_before_the_handler_runs() {
    let config = WebConfig { refresh_in_place: true, ..WebConfig::default() };
    let app = configured(config).await;
    let mut client = app.logged_in(alice()).await;
    for _ in 0..3 {
        app.clock.advance(HOUR + Duration::from_secs(1));
        let form = Some(("application/x-www-form-urlencoded", "text=hello+there".to_owned()));
        let answer = client.send("POST", "/note", form).await;
        assert_eq!(answer.json(), json!({ "by": "alice", "text": "hello there" }));
        assert_eq!(answer.set_cookies().len(), 2);
        assert!(client.get("/me").await.set_cookies().is_empty(), "good again");
    }
    // The access cookie may be lost altogether.
    client.cookies.retain(|(name, _), _| name == "sRefreshToken");
    assert_eq!(client.get("/me").await.json()["userId"], "alice");
    // Another site cannot use it for a change …
    app.clock.advance(HOUR + Duration::from_secs(1));
    let mut hostile = client.clone().with_header("sec-fetch-site", "cross-site");
    assert_eq!(hostile.post("/me", json!({})).await.reason(), "cross_site_request");
    // … but a link from there still finds the user logged in.
    assert_eq!(hostile.get("/me").await.json()["userId"], "alice");
    // An ended session is over here too.
    app.sessions.revoke_all_sessions_for_user("alice").await.unwrap();
    app.clock.advance(HOUR + Duration::from_secs(1));
    assert_eq!(client.get("/me").await.reason(), "session_not_found");
    assert!(client.cookies.is_empty());
}

#[tokio::test]
async fn optional_sessions() {
    let app = application().await;
    assert_eq!(app.client().get("/optional").await.body, "nobody");
    let mut client = app.logged_in(alice()).await;
    assert_eq!(client.get("/optional").await.body, "alice");
    app.clock.advance(HOUR + Duration::from_secs(1));
    assert_eq!(client.get("/optional").await.reason(), "access_token_expired");
}

#[tokio::test]
async fn handlers_of_the_application_answer_instead() {
    let app = Application::with_layer(Policy::default(), WebConfig::default(), |layer| {
        layer
            .on_unauthorised(async |error| (StatusCode::FOUND, format!("log in: {error}")))
            .on_try_refresh_token(async |_| "refresh")
            .on_token_theft_detected(async |error| format!("thief! {}", error.reason_code()))
            .on_forbidden(async |_| StatusCode::IM_A_TEAPOT)
    })
    .await;
    let answer = app.client().get("/me").await;
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(answer.body, "log in: unauthorised: the request carries no session");
    let mut client = app.logged_in(alice()).await;
    let mut thief = client.clone();
    let mut hostile = client.clone().with_header("sec-fetch-site", "cross-site");
    assert_eq!(hostile.post("/me", json!({})).await.status, StatusCode::IM_A_TEAPOT);
    refresh(&mut client).await;
    refresh(&mut client).await;
    assert_eq!(refresh(&mut thief).await.body, "thief! stale_refresh_token");
    assert!(thief.cookies.is_empty(), "cleared all the same");
    app.clock.advance(HOUR + Duration::from_secs(1));
    assert_eq!(client.get("/me").await.body, "refresh");
}

#[tokio::test]
async fn settings_show_in_the_cookies() {
    let app = configured(WebConfig {
        api_base_path: "/auth".to_owned(),
        public_origin: Some("https://app.example.com".to_owned()),
        cookie_domain: Some("example.com".to_owned()),
        same_site: SameSite::None,
        session_expired_status: StatusCode::from_u16(440).unwrap(),
        ..WebConfig::default()
    })
    .await;
    let answer = app.client().post("/login", alice()).await;
    for line in answer.set_cookies() {
        assert!(line.contains("Domain=example.com") && line.contains("SameSite=None; Secure"));
    }
    assert!(answer.set_cookies().iter().any(|line| line.contains("Path=/auth/session/refresh")));
    assert_eq!(app.client().get("/me").await.status.as_u16(), 440);
    assert_eq!(app.client().post("/auth/session/refresh", json!({})).await.status.as_u16(), 440);
    let keys = app.client().get("/auth/jwt/jwks.json").await;
    assert_eq!(keys.json()["keys"][0]["alg"], "ES256");
    // 168 hours less the minute for which the next key is published before it signs.
    assert_eq!(keys.header("cache-control"), Some("max-age=604740, must-revalidate"));
}

#[tokio::test]
async fn hostile_headers_are_refused_calmly() {
    let app = application().await;
    let long = "a".repeat(100_000);
    for value in ["", "a", "a.b.c", "....", "\u{ff}.\u{fe}", "eyJ.eyJ.", &long] {
        let mut client = app.client();
        client.cookies.insert(("sAccessToken".into(), "/".into()), value.to_owned());
        client.cookies.insert(("sRefreshToken".into(), "/".into()), value.to_owned());
        for path in ["/me", "/session/refresh", "/signout", "/login"] {
            let body = if path == "/login" { alice() } else { json!({}) };
            let answer = client.clone().post(path, body).await;
            let expected = if path == "/login" { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
            assert_eq!(answer.status, expected, "{path} {}", &value[..value.len().min(20)]);
        }
    }
}
