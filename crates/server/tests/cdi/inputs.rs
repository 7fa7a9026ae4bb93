//! What is said about input that cannot be served.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::support::{Core, MODERN, access_token};

/// Every route that takes a body, with a good one, and the fields that must be there.
fn routes(version: &str) -> Vec<(&'static str, &'static str, Value, Vec<&'static str>)> {
    let mut verify = vec!["accessToken", "doAntiCsrfCheck", "enableAntiCsrf"];
    if !matches!(version, "2.7" | "2.9") {
        verify.push("checkDatabase");
    }
    let mut refresh = vec!["refreshToken", "enableAntiCsrf"];
    if matches!(version, "5.4" | "5.6") {
        refresh.push("useDynamicSigningKey");
    }
    vec![
        (
            "POST",
            "/recipe/session",
            json!({
                "userId": "a", "userDataInJWT": {}, "userDataInDatabase": {},
                "enableAntiCsrf": false, "deviceDriverInfo": "anything",
            }),
            vec!["userId", "userDataInJWT", "userDataInDatabase", "enableAntiCsrf"],
        ),
        (
            "POST",
            "/recipe/session/verify",
            json!({
                "accessToken": "x", "doAntiCsrfCheck": true, "enableAntiCsrf": true,
                "checkDatabase": true, "antiCsrfToken": "t",
            }),
            verify,
        ),
        (
            "POST",
            "/recipe/session/refresh",
            json!({
                "refreshToken": "x", "enableAntiCsrf": true, "useDynamicSigningKey": true,
                "antiCsrfToken": "t",
            }),
            refresh,
        ),
        (
            "POST",
            "/recipe/session/regenerate",
            json!({ "accessToken": "x", "userDataInJWT": {} }),
            vec!["accessToken"],
        ),
        (
            "PUT",
            "/recipe/session/data",
            json!({ "sessionHandle": "x", "userDataInDatabase": {} }),
            vec!["sessionHandle", "userDataInDatabase"],
        ),
        (
            "PUT",
            "/recipe/jwt/data",
            json!({ "sessionHandle": "x", "userDataInJWT": {} }),
            vec!["sessionHandle", "userDataInJWT"],
        ),
        (
            "POST",
            "/recipe/jwt",
            json!({ "algorithm": "RS256", "jwksDomain": "d", "payload": {}, "validity": 1 }),
            vec!["algorithm", "jwksDomain", "payload", "validity"],
        ),
    ]
}

#[tokio::test]
async fn a_bad_field_is_named() {
    let core = Core::new().await;
    for version in MODERN {
        for (method, path, good, mandatory) in routes(version) {
            let answer = core.call(method, path, version, &good).await;
            assert_eq!(answer.status, 200, "{version} {path}: {}", answer.text);
            for field in &mandatory {
                let mut missing = good.clone();
                missing.as_object_mut().unwrap().remove(*field);
                let mut null = good.clone();
                null[*field] = Value::Null;
                let mut list = good.clone();
                list[*field] = json!(["false"]);
                let mut other = good.clone();
                other[*field] = if good[*field].is_string() { json!(1) } else { json!("false") };
                for bad in [missing, null, list, other] {
                    core.call(method, path, version, &bad)
                        .await
                        .refused(400, &format!("Field name '{field}' is invalid in JSON input"));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_number_is_read_as_false() {
    let core = Core::new().await;
    let session = core.create("5.4").await;
    let checks = json!({ "doAntiCsrfCheck": 1, "enableAntiCsrf": true });
    core.verify_with("", "5.4", access_token(&session), checks).await.ok();
}

#[tokio::test]
async fn a_body_must_be_a_json_object() {
    let core = Core::new().await;
    for (method, path, _, _) in routes("5.4") {
        for body in ["", "x", "[]", "null", "\"a\"", "{", "{\"a\":}", "{}x"] {
            core.call(method, path, "5.4", body).await.refused(400, "Invalid Json Input");
        }
        let deep = "[".repeat(100_000);
        core.call(method, path, "5.4", deep).await.refused(400, "Invalid Json Input");
        let request = Request::builder().method(method).uri(path);
        let invalid = request.body(Body::from(b"{\"a\":\"\xff\"}".to_vec())).unwrap();
        core.send(invalid).await.refused(400, "Invalid Json Input");
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(1024 * 1024));
        let problem = "The request's body is larger than 1048576 bytes";
        core.call(method, path, "5.4", large).await.refused(413, problem);
    }
}

#[tokio::test]
async fn a_missing_parameter_is_named() {
    let core = Core::new().await;
    for (path, parameter) in [
        ("/recipe/session", "sessionHandle"),
        ("/recipe/session/data", "sessionHandle"),
        ("/recipe/jwt/data", "sessionHandle"),
        ("/recipe/session/user", "userId"),
        ("/user/id", "userId"),
        ("/config", "pid"),
    ] {
        core.get(path, "5.4")
            .await
            .refused(400, &format!("Field name '{parameter}' is missing in GET request"));
    }
}

#[tokio::test]
async fn removal_names_a_user_or_handles() {
    let core = Core::new().await;
    let one = "Invalid JSON input - use one of userId or sessionHandles array";
    for (body, problem) in [
        (json!({}), one),
        (json!({ "userId": "a", "sessionHandles": [] }), one),
        (json!({ "sessionHandles": [1] }), "Field name 'sessionHandles' is invalid in JSON input"),
        (json!({ "sessionHandles": "a" }), "Field name 'sessionHandles' is invalid in JSON input"),
        (
            json!({ "sessionHandles": [], "revokeAcrossAllTenants": true }),
            "Invalid JSON input - revokeAcrossAllTenants can only be set if userId is set",
        ),
        (
            json!({ "sessionHandles": [], "revokeSessionsForLinkedAccounts": false }),
            "Invalid JSON input - revokeSessionsForLinkedAccounts can only be set if userId is set",
        ),
    ] {
        core.post("/recipe/session/remove", "5.4", body).await.refused(400, problem);
    }
}

#[tokio::test]
async fn other_verbs_are_refused() {
    let core = Core::new().await;
    for (path, verbs) in [
        ("/hello", "PATCH OPTIONS TRACE"),
        ("/apiversion", "POST PUT DELETE"),
        ("/recipe/session", "PUT DELETE PATCH"),
        ("/recipe/session/verify", "GET PUT DELETE"),
        ("/recipe/session/refresh", "GET PUT DELETE"),
        ("/recipe/session/data", "POST DELETE"),
        ("/recipe/jwt/jwks", "POST"),
        ("/.well-known/jwks.json", "POST"),
    ] {
        for verb in verbs.split(' ') {
            core.call(verb, path, "5.4", "").await.refused(405, "Method not supported");
        }
    }
}

#[tokio::test]
async fn a_user_id_that_cannot_be_kept_is_refused() {
    let core = Core::new().await;
    for user in ["", "a\u{0}b", &"x".repeat(257)] {
        let body = json!({
            "userId": user, "userDataInJWT": {}, "userDataInDatabase": {}, "enableAntiCsrf": false,
        });
        let answer = core.post("/recipe/session", "5.4", body).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
    }
}
