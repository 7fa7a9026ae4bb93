//! CDI 2.0 to 2.3, as the first SDKs for Python speak it.

use serde_json::{Value, json};
use sessile_server::{AppConfig, LegacyConfig, ServerConfig};

use crate::support::{Core, access_token, fields, part, refresh_token, text};

const VERSIONS: [&str; 4] = ["2.0", "2.1", "2.2", "2.3"];

async fn with(legacy: LegacyConfig) -> Core {
    Core::with(ServerConfig { legacy, ..ServerConfig::default() }).await
}

async fn guarded() -> Core {
    with(LegacyConfig { enable_anti_csrf: true, ..LegacyConfig::default() }).await
}

fn driver() -> Value {
    json!({ "frontendSDK": [{ "name": "website", "version": "1" }], "driver": 7 })
}

async fn create(core: &Core, version: &str) -> Value {
    let body = json!({
        "userId": "alice", "userDataInJWT": { "key": "value" }, "userDataInDatabase": { "n": 1 },
        "deviceDriverInfo": driver(),
    });
    core.post("/session", version, body).await.ok()
}

async fn verify(core: &Core, version: &str, token: &str, anti_csrf: Option<&str>) -> Value {
    let mut body = json!({
        "accessToken": token, "doAntiCsrfCheck": anti_csrf.is_some(), "deviceDriverInfo": driver(),
    });
    if let Some(given) = anti_csrf {
        body["antiCsrfToken"] = given.into();
    }
    core.post("/session/verify", version, body).await.outcome()
}

async fn refresh(core: &Core, version: &str, token: &str) -> Value {
    let body = json!({ "refreshToken": token, "deviceDriverInfo": driver() });
    core.post("/session/refresh", version, body).await.outcome()
}

const KEYS: [&str; 2] = ["jwtSigningPublicKey", "jwtSigningPublicKeyExpiryTime"];

/// The fields of an answer but `status` and those of the key, which SDKs take away first.
fn beside_status(answer: &Value) -> Vec<&str> {
    let mut fields = fields(answer);
    fields.retain(|field| *field != "status" && !KEYS.contains(field));
    fields
}

/// Whether a cookie is told with its domain.
fn token_fields(version: &str) -> Vec<&'static str> {
    let mut fields =
        vec!["cookiePath", "cookieSecure", "createdTime", "domain", "expiry", "sameSite", "token"];
    fields.retain(|field| *field != "domain" || matches!(version, "2.0" | "2.1"));
    fields
}

#[tokio::test]
async fn answers_have_the_fields_that_the_sdk_validates() {
    let core = guarded().await;
    let issued = ["accessToken", "antiCsrfToken", "idRefreshToken", "refreshToken", "session"];
    for version in VERSIONS {
        let created = create(&core, version).await;
        assert_eq!(beside_status(&created), issued, "{version}");
        assert_eq!(created["jwtSigningPublicKeyExpiryTime"], core.now() + 168 * 3_600_000);
        assert_eq!(fields(&created["session"]), ["handle", "userDataInJWT", "userId"]);
        for (token, path) in
            [("accessToken", "/"), ("refreshToken", "/session/refresh"), ("idRefreshToken", "/")]
        {
            let shown = &created[token];
            assert_eq!(fields(shown), token_fields(version), "{version} {token}");
            assert_eq!((&shown["cookiePath"], &shown["sameSite"]), (&json!(path), &json!("lax")));
            assert_eq!(shown["cookieSecure"], false);
            assert!(shown.get("domain").is_none_or(|domain| domain == "localhost"));
        }
        let (refresh_shown, id) = (&created["refreshToken"], &created["idRefreshToken"]);
        assert_eq!(refresh_shown["expiry"], id["expiry"]);
        assert_ne!(refresh_shown["token"], id["token"]);

        let anti_csrf = created["antiCsrfToken"].as_str();
        let verified = verify(&core, version, access_token(&created), anti_csrf).await;
        assert_eq!(beside_status(&verified), ["session"]);
        assert_eq!(verified["jwtSigningPublicKey"], created["jwtSigningPublicKey"]);
        let wrong = verify(&core, version, access_token(&created), Some("x")).await;
        assert_eq!(fields(&wrong), ["message", "status"]);
        assert_eq!(wrong["status"], "TRY_REFRESH_TOKEN");
    }
}

#[tokio::test]
async fn the_handshake_tells_all_about_cookies() {
    let core = Core::new().await;
    for version in VERSIONS {
        for body in [json!({}), json!({ "deviceDriverInfo": driver() })] {
            let told = core.post("/handshake", version, body).await.ok();
            let mut expected = json!({
                "status": "OK",
                "jwtSigningPublicKey": told["jwtSigningPublicKey"],
                "jwtSigningPublicKeyExpiryTime": core.now() + 168 * 3_600_000,
                "cookieSecure": false,
                "accessTokenPath": "/",
                "refreshTokenPath": "/session/refresh",
                "enableAntiCsrf": false,
                "accessTokenBlacklistingEnabled": false,
                "cookieSameSite": "lax",
                "idRefreshTokenPath": "/",
                "sessionExpiredStatusCode": 401,
            });
            if matches!(version, "2.0" | "2.1") {
                expected["cookieDomain"] = "localhost".into();
            }
            assert_eq!(told, expected, "{version}");
        }
        core.call("POST", "/handshake", version, "").await.refused(400, "Invalid Json Input");
    }
    let core = with(LegacyConfig {
        access_token_path: "/a".to_owned(),
        refresh_api_path: "/refresh".to_owned(),
        cookie_domain: Some("supertokens.io".to_owned()),
        cookie_secure: true,
        cookie_same_site: "none".to_owned(),
        enable_anti_csrf: true,
        session_expired_status_code: 440,
    })
    .await;
    for version in VERSIONS {
        let told = core.post("/handshake", version, json!({})).await.ok();
        for (field, expected) in [
            ("cookieDomain", json!("supertokens.io")),
            ("cookieSecure", json!(true)),
            ("cookieSameSite", json!("none")),
            ("accessTokenPath", json!("/a")),
            ("idRefreshTokenPath", json!("/a")),
            ("refreshTokenPath", json!("/refresh")),
            ("sessionExpiredStatusCode", json!(440)),
            ("enableAntiCsrf", json!(true)),
        ] {
            assert_eq!(told[field], expected, "{field}");
        }
        assert_eq!(create(&core, version).await["accessToken"]["domain"], "supertokens.io");
    }
}

#[tokio::test]
async fn sessions_are_refreshed_without_an_anti_csrf_token_up_to_2_2() {
    let core = guarded().await;
    for version in ["2.0", "2.1", "2.2"] {
        let created = create(&core, version).await;
        let next = refresh(&core, version, refresh_token(&created)).await;
        let issued = ["accessToken", "antiCsrfToken", "idRefreshToken", "refreshToken", "session"];
        assert_eq!((&next["status"], beside_status(&next)), (&json!("OK"), issued.to_vec()));
        assert_eq!(fields(&next).len(), 6, "no signing key on refresh");
        assert_ne!(next["antiCsrfToken"], created["antiCsrfToken"]);

        let used = verify(&core, version, access_token(&next), None).await;
        assert_eq!(beside_status(&used), ["accessToken", "session"]);
        assert_eq!(fields(&used["accessToken"]), token_fields(version));
        assert!(part(access_token(&used), 1).get("parentRefreshTokenHash1").is_none());
        let again = verify(&core, version, access_token(&used), None).await;
        assert_eq!(beside_status(&again), ["session"]);

        let stolen = refresh(&core, version, refresh_token(&created)).await;
        let session = json!({ "handle": created["session"]["handle"], "userId": "alice" });
        assert_eq!(stolen, json!({ "status": "TOKEN_THEFT_DETECTED", "session": session }));
    }
    let created = create(&core, "2.3").await;
    let refused = refresh(&core, "2.3", refresh_token(&created)).await;
    let message = "Anti CSRF token missing, or not matching";
    assert_eq!(refused, json!({ "status": "UNAUTHORISED", "message": message }));
    let body = json!({
        "refreshToken": refresh_token(&created), "antiCsrfToken": created["antiCsrfToken"],
    });
    core.post("/session/refresh", "2.3", body).await.ok();
}

#[tokio::test]
async fn data_payload_lists_and_removal_have_their_old_paths() {
    let core = Core::new().await;
    for version in VERSIONS {
        let created = create(&core, version).await;
        let handle = text(&created["session"]["handle"]);
        for (path, field) in
            [("/session/data", "userDataInDatabase"), ("/jwt/data", "userDataInJWT")]
        {
            let body = json!({ "sessionHandle": handle, field: { "new": null } });
            assert_eq!(core.put(path, version, body).await.ok(), json!({ "status": "OK" }));
            let read = core.get(&format!("{path}?sessionHandle={handle}"), version).await.ok();
            assert_eq!(read, json!({ "status": "OK", field: { "new": null } }));
        }
        let body = json!({ "accessToken": access_token(&created), "userDataInJWT": { "r": 1 } });
        let again = core.post("/session/regenerate", version, body).await.ok();
        assert_eq!(beside_status(&again), ["accessToken", "session"]);
        assert_eq!(fields(&again["accessToken"]), token_fields(version));

        let listed = core.get("/session/user?userId=alice", version).await.ok();
        assert_eq!(listed, json!({ "status": "OK", "sessionHandles": [handle] }));
        let body = json!({ "sessionHandles": [handle] });
        let removed = core.post("/session/remove", version, body.clone()).await.ok();
        assert_eq!(removed, json!({ "status": "OK", "sessionHandlesRevoked": [handle] }));
        let removed = core.post("/session/remove", version, body).await.ok();
        assert_eq!(removed["sessionHandlesRevoked"], json!([]));
        let gone = core.get(&format!("/session/data?sessionHandle={handle}"), version).await;
        assert_eq!(gone.outcome()["message"], "Session does not exist.");
        assert_eq!(
            refresh(&core, version, refresh_token(&created)).await["status"],
            "UNAUTHORISED"
        );
        let handled = json!({ "userId": "alice" });
        core.post("/session/remove", version, handled).await.ok();
    }
}

#[tokio::test]
async fn blacklisting_asks_the_store_each_time() {
    let app = AppConfig { access_token_blacklisting: true, ..AppConfig::default() };
    let core = Core::with(ServerConfig { app, ..ServerConfig::default() }).await;
    let told = core.post("/handshake", "2.2", json!({})).await.ok();
    assert_eq!(told["accessTokenBlacklistingEnabled"], true);
    let created = create(&core, "2.2").await;
    let body = json!({ "sessionHandles": [created["session"]["handle"]] });
    core.post("/session/remove", "2.2", body).await.ok();
    let answer = verify(&core, "2.2", access_token(&created), None).await;
    assert_eq!(answer["status"], "UNAUTHORISED");
}

#[tokio::test]
async fn a_request_without_a_version_is_served_as_2_3() {
    let core = guarded().await;
    let created = create(&core, "").await;
    assert_eq!(fields(&created["accessToken"]), token_fields("2.3"));
    core.call("DELETE", "/session", "2.0", "{}").await.refused(
        400,
        "/session DELETE is only available in CDI 1.0. Please call /session/remove POST instead",
    );
    core.get("/session?sessionHandle=x", "2.3").await.refused(405, "Method not supported");
    core.post("/session", "1.0", json!({})).await.refused(400, "cdi-version 1.0 not supported");
}
