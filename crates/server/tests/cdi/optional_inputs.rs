//! Fields that may be left out: of their type where they are there, and looked at by the versions
//! that know them alone.

use serde_json::{Value, json};

use crate::support::Core;

/// A path, its version, a good body, a field that it may have, and values that are none for it.
fn fields() -> Vec<(&'static str, &'static str, Value, &'static str, Vec<Value>)> {
    let session = json!({
        "userId": "a", "userDataInJWT": {}, "userDataInDatabase": {}, "enableAntiCsrf": false,
    });
    let verify = json!({
        "accessToken": "x", "doAntiCsrfCheck": false, "enableAntiCsrf": false,
        "checkDatabase": false,
    });
    let refresh =
        json!({ "refreshToken": "x", "enableAntiCsrf": false, "useDynamicSigningKey": true });
    let jwt = json!({ "algorithm": "RS256", "jwksDomain": "d", "payload": {}, "validity": 1 });
    let no_boolean = vec![json!("false"), json!([]), json!({})];
    let no_text = vec![json!(1), json!(true), json!([]), json!({})];
    let no_number = vec![json!("1000"), json!(true), json!([]), json!({}), json!(1.5)];
    let no_object = vec![json!("{}"), json!(1), json!(true), json!([])];
    let no_texts = vec![json!("a"), json!(1), json!({}), json!(["a", 1]), json!([null])];
    vec![
        ("/recipe/session", "2.21", session.clone(), "useDynamicSigningKey", no_boolean.clone()),
        ("/recipe/session", "5.6", session, "accessTokenValidity", no_number.clone()),
        ("/recipe/session/verify", "2.7", verify.clone(), "antiCsrfToken", no_text.clone()),
        ("/recipe/session/verify", "5.4", verify, "antiCsrfToken", no_text.clone()),
        ("/recipe/session/refresh", "2.7", refresh.clone(), "antiCsrfToken", no_text.clone()),
        (
            "/recipe/session/refresh",
            "4.0",
            refresh.clone(),
            "useDynamicSigningKey",
            no_boolean.clone(),
        ),
        ("/recipe/session/refresh", "5.6", refresh, "accessTokenValidity", no_number),
        (
            "/recipe/session/regenerate",
            "2.9",
            json!({ "accessToken": "x" }),
            "userDataInJWT",
            no_object,
        ),
        ("/recipe/session/remove", "5.4", json!({}), "userId", no_text),
        ("/recipe/session/remove", "5.4", json!({}), "sessionHandles", no_texts),
        (
            "/recipe/session/remove",
            "5.4",
            json!({ "userId": "a" }),
            "revokeAcrossAllTenants",
            no_boolean.clone(),
        ),
        (
            "/recipe/session/remove",
            "2.7",
            json!({ "userId": "a" }),
            "revokeSessionsForLinkedAccounts",
            no_boolean.clone(),
        ),
        ("/recipe/jwt", "2.21", jwt, "useStaticSigningKey", no_boolean),
    ]
}

#[tokio::test]
async fn what_is_of_another_type_is_named() {
    let core = Core::new().await;
    for (path, version, good, field, wrong) in fields() {
        if good != json!({}) {
            assert_eq!(core.post(path, version, good.clone()).await.status, 200, "{path}");
        }
        for value in wrong.into_iter().chain([Value::Null]) {
            let mut bad = good.clone();
            bad[field] = value;
            core.post(path, version, bad)
                .await
                .refused(400, &format!("Field name '{field}' is invalid in JSON input"));
        }
    }
}

#[tokio::test]
async fn what_a_version_does_not_know_is_not_looked_at() {
    let core = Core::new().await;
    let created = core.create("5.4").await;
    let refresh = json!({
        "refreshToken": created["refreshToken"]["token"], "enableAntiCsrf": false,
        "useDynamicSigningKey": true,
    });
    let session = json!({
        "userId": "a", "userDataInJWT": {}, "userDataInDatabase": {}, "enableAntiCsrf": false,
    });
    for (path, good, field, version) in [
        ("/recipe/session", &session, "useDynamicSigningKey", "2.20"),
        ("/recipe/session", &session, "accessTokenValidity", "5.5"),
        ("/recipe/session/refresh", &refresh, "useDynamicSigningKey", "2.21"),
        ("/recipe/session/refresh", &refresh, "accessTokenValidity", "5.5"),
    ] {
        for value in [json!("nonsense"), json!(-1), Value::Null] {
            let mut body = good.clone();
            body[field] = value;
            core.post(path, version, body).await.ok();
        }
    }
    let verify = json!({
        "accessToken": created["accessToken"]["token"], "doAntiCsrfCheck": false,
        "enableAntiCsrf": false, "checkDatabase": "nonsense",
    });
    core.post("/recipe/session/verify", "2.20", verify).await.ok();
    let jwt = json!({
        "algorithm": "RS256", "jwksDomain": "d", "payload": {}, "validity": 1,
        "useStaticSigningKey": "nonsense",
    });
    core.post("/recipe/jwt", "2.20", jwt).await.ok();
}
