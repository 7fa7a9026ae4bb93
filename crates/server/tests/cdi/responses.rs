//! Which fields each version's answers have.

use serde_json::{Value, json};
use sessile_server::{AppConfig, ServerConfig};

use crate::support::{Core, MODERN, access_token, fields, refresh_token, text};

const TOKEN: [&str; 3] = ["createdTime", "expiry", "token"];

/// What the signing key adds to an answer.
fn key_fields(version: &str) -> &'static [&'static str] {
    match version {
        "2.7" => &["jwtSigningPublicKey", "jwtSigningPublicKeyExpiryTime"],
        "2.9" => {
            &["jwtSigningPublicKey", "jwtSigningPublicKeyExpiryTime", "jwtSigningPublicKeyList"]
        }
        _ => &[],
    }
}

fn session_fields(version: &str) -> &'static [&'static str] {
    match version {
        "2.7" | "2.9" | "2.21" => &["handle", "userDataInJWT", "userId"],
        "3.0" => &["handle", "tenantId", "userDataInJWT", "userId"],
        _ => &["handle", "recipeUserId", "tenantId", "userDataInJWT", "userId"],
    }
}

#[track_caller]
fn assert_fields(answer: &Value, version: &str, expected: &[&[&str]]) {
    let mut expected: Vec<&str> = expected.concat();
    expected.sort_unstable();
    assert_eq!(fields(answer), expected, "{version}");
    for name in ["accessToken", "refreshToken", "idRefreshToken"] {
        if let Some(token) = answer.get(name) {
            assert_eq!(fields(token), TOKEN, "{version} {name}");
        }
    }
    if let Some(session) = answer.get("session") {
        assert_eq!(fields(session), session_fields(version), "{version}");
        assert_eq!(session["userId"], "alice");
        assert_eq!(session["userDataInJWT"], json!({ "key": "value", "none": null }));
    }
}

fn id_refresh_token(version: &str) -> &'static [&'static str] {
    if matches!(version, "2.7" | "2.9") { &["idRefreshToken"] } else { &[] }
}

#[tokio::test]
async fn every_version_answers_with_its_own_fields() {
    let core = Core::new().await;
    let issued: &[&str] = &["accessToken", "refreshToken", "session", "status"];
    for version in MODERN {
        let (keys, id) = (key_fields(version), id_refresh_token(version));
        let plain = core.create(version).await;
        assert_fields(&plain, version, &[issued, id, keys]);
        let guard = json!({ "enableAntiCsrf": true });
        let guarded = core.create_with("", version, guard.clone()).await;
        assert_fields(&guarded, version, &[issued, id, keys, &["antiCsrfToken"]]);

        let verified = core.verify(version, access_token(&plain)).await;
        assert_fields(&verified, version, &[&["session", "status"], keys]);
        let refused = core.verify(version, "nonsense").await;
        assert_eq!(refused["status"], "TRY_REFRESH_TOKEN");
        assert_fields(&refused, version, &[&["message", "status"], keys]);

        let next = core.refresh(version, refresh_token(&plain)).await;
        assert_fields(&next, version, &[issued, id]);
        let given = json!({
            "enableAntiCsrf": true,
            "antiCsrfToken": guarded["antiCsrfToken"],
        });
        let guarded_next = core.refresh_with(version, refresh_token(&guarded), given).await.ok();
        assert_fields(&guarded_next, version, &[issued, id, &["antiCsrfToken"]]);
        let refused = core.refresh(version, "nonsense").await;
        assert_eq!(refused["status"], "UNAUTHORISED");
        assert_fields(&refused, version, &[&["message", "status"]]);

        let used = core.verify(version, access_token(&next)).await;
        let replaced: &[&str] = if version == "5.6" { &[] } else { &["accessToken"] };
        assert_fields(&used, version, &[&["session", "status"], replaced, keys]);
        let again = core.regenerate(version, access_token(&next), json!({})).await.ok();
        assert_fields(&again, version, &[&["accessToken", "session", "status"]]);
    }
}

#[tokio::test]
async fn what_is_refused_is_answered_with_a_message_alone() {
    let app = AppConfig { access_token_blacklisting: true, ..AppConfig::default() };
    let core = Core::with(ServerConfig { app, ..ServerConfig::default() }).await;
    for version in MODERN {
        let created = core.create(version).await;
        let (access, refresh) = (access_token(&created), refresh_token(&created));
        let body = json!({ "sessionHandles": [created["session"]["handle"]] });
        let removed = core.post("/recipe/session/remove", version, body).await.ok();
        assert_eq!(fields(&removed), ["sessionHandlesRevoked", "status"]);
        for refused in [
            core.verify_in_store(version, access).await,
            core.refresh(version, refresh).await,
            core.regenerate(version, access, json!({})).await.outcome(),
        ] {
            assert_eq!(refused["status"], "UNAUTHORISED", "{version}");
            assert_fields(&refused, version, &[&["message", "status"]]);
        }
        let listed = core.get("/recipe/session/user?userId=nobody", version).await.ok();
        assert_eq!(listed, json!({ "status": "OK", "sessionHandles": [] }));
    }
}

#[tokio::test]
async fn the_handshake_ends_with_2_20() {
    let core = Core::new().await;
    let own: &[&str] = &[
        "accessTokenBlacklistingEnabled",
        "accessTokenValidity",
        "refreshTokenValidity",
        "status",
    ];
    for version in MODERN {
        let answer = core.call("POST", "/recipe/handshake", version, "").await;
        if key_fields(version).is_empty() {
            answer.refused(404, "Not found");
            continue;
        }
        let answer = answer.ok();
        assert_fields(&answer, version, &[own, key_fields(version)]);
        assert_eq!(answer["accessTokenValidity"], 3_600_000);
        assert_eq!(answer["refreshTokenValidity"], 8_640_000_000_i64);
    }
}

#[tokio::test]
async fn what_is_stored_is_shown_as_the_version_knows_it() {
    let core = Core::new().await;
    for version in MODERN {
        let created = core.create(version).await;
        let handle = text(&created["session"]["handle"]);
        let shown =
            core.get(&format!("/recipe/session?sessionHandle={handle}"), version).await.ok();
        let mut expected = vec![
            "expiry",
            "sessionHandle",
            "status",
            "timeCreated",
            "userDataInDatabase",
            "userDataInJWT",
            "userId",
        ];
        expected.extend(session_fields(version).iter().filter(|name| name.ends_with("Id")));
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(fields(&shown), expected, "{version}");
        assert_eq!(shown["sessionHandle"], handle);
        assert_eq!(shown["expiry"], created["refreshToken"]["expiry"]);
        assert_eq!(shown["timeCreated"], core.now());
        assert_eq!(shown["userDataInDatabase"], json!({ "cart": [1] }));

        for (path, field) in [("session", "userDataInDatabase"), ("jwt", "userDataInJWT")] {
            let path = format!("/recipe/{path}/data");
            let old = core.get(&format!("{path}?sessionHandle={handle}"), version).await.ok();
            assert_eq!((fields(&old), &old[field]), (vec!["status", field], &shown[field]));
            let new = json!({ "n": 9_007_199_254_740_993_i64, "f": 0.5, "none": null });
            let body = json!({ "sessionHandle": handle, field: new });
            assert_eq!(core.put(&path, version, body).await.ok(), json!({ "status": "OK" }));
            let read = core.get(&format!("{path}?sessionHandle={handle}"), version).await.ok();
            assert_eq!(read[field], new);
        }
    }
}

#[tokio::test]
async fn a_session_that_is_not_there_is_an_outcome() {
    let core = Core::new().await;
    let gone = json!({ "status": "UNAUTHORISED", "message": "Session does not exist." });
    for version in MODERN {
        for path in ["/recipe/session", "/recipe/session/data", "/recipe/jwt/data"] {
            let path = format!("{path}?sessionHandle=gone");
            assert_eq!(core.get(&path, version).await.outcome(), gone);
        }
        let body =
            json!({ "sessionHandle": "gone", "userDataInDatabase": {}, "userDataInJWT": {} });
        for path in ["/recipe/session/data", "/recipe/jwt/data"] {
            assert_eq!(core.put(path, version, body.clone()).await.outcome(), gone);
        }
    }
}

#[tokio::test]
async fn versions_are_told_and_checked() {
    let core = Core::new().await;
    let versions = core.get("/apiversion?websiteDomain=http%3A%2F%2Fa&apiDomain=x", "").await;
    let versions = versions.outcome();
    let known = versions["versions"].as_array().unwrap();
    assert_eq!(known.len(), 29);
    for version in ["2.0", "2.3", "2.7", "2.21", "3.0", "5.4", "5.6"] {
        assert!(known.contains(&json!(version)), "{version}");
    }
    for (version, problem) in [
        ("1.0", "cdi-version 1.0 not supported"),
        ("2.5", "cdi-version 2.5 not supported"),
        ("5.7", "cdi-version 5.7 not supported"),
        ("x", "cdi-version header is invalid"),
        ("5.", "cdi-version header is invalid"),
    ] {
        core.get("/recipe/session/user?userId=a", version).await.refused(400, problem);
    }
    core.get("/recipe/session/user?userId=a", "5.4.0").await.ok();
    // What needs no version does not look at it.
    for path in ["/hello", "/apiversion", "/.well-known/jwks.json"] {
        assert_eq!(core.get(path, "nonsense").await.status, 200, "{path}");
    }
    core.get("/", "nonsense").await.refused(400, "cdi-version header is invalid");
    // The newest where nothing is said: 5.0 asks for the kind of key, 5.6 for the public tenant.
    let body = json!({ "refreshToken": "x", "enableAntiCsrf": false });
    core.post("/recipe/session/refresh", "", body)
        .await
        .refused(400, "Field name 'useDynamicSigningKey' is invalid in JSON input");
    assert_eq!(core.create("").await["session"]["recipeUserId"], "alice");
}
