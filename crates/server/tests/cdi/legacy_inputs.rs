//! What is said about input that cannot be served, on the paths of CDI 2.0 to 2.3.

use serde_json::{Value, json};

use crate::support::Core;

const VERSIONS: [&str; 4] = ["2.0", "2.1", "2.2", "2.3"];

/// Values of every type but that of `good`. A number is read as false where a boolean is wanted,
/// as SuperTokens' core does.
fn wrong_types(good: &Value) -> Vec<Value> {
    let values = [json!(null), json!(1.5), json!("false"), json!(true), json!(["a"]), json!({})];
    let same = |value: &Value| std::mem::discriminant(value) == std::mem::discriminant(good);
    let is_read_as_false = |value: &Value| good.is_boolean() && value.is_number();
    values.into_iter().filter(|value| !same(value) && !is_read_as_false(value)).collect()
}

/// Each field that must be there is missing once, and of each wrong type once.
async fn refuse_bad_fields(core: &Core, method: &str, path: &str, version: &str, good: Value) {
    assert_eq!(core.call(method, path, version, &good).await.status, 200, "{version} {path}");
    for (field, value) in good.as_object().unwrap() {
        let problem = format!("Field name '{field}' is invalid in JSON input");
        let mut missing = good.clone();
        missing.as_object_mut().unwrap().remove(field);
        core.call(method, path, version, &missing).await.refused(400, &problem);
        for wrong in wrong_types(value) {
            let mut bad = good.clone();
            bad[field] = wrong;
            core.call(method, path, version, &bad).await.refused(400, &problem);
        }
    }
}

#[tokio::test]
async fn a_bad_field_is_named() {
    let core = Core::new().await;
    for version in VERSIONS {
        for (method, path, good) in [
            (
                "POST",
                "/session",
                json!({ "userId": "a", "userDataInJWT": {}, "userDataInDatabase": {} }),
            ),
            ("POST", "/session/verify", json!({ "accessToken": "x", "doAntiCsrfCheck": false })),
            ("POST", "/session/refresh", json!({ "refreshToken": "x" })),
            ("POST", "/session/regenerate", json!({ "accessToken": "x" })),
            ("PUT", "/session/data", json!({ "sessionHandle": "x", "userDataInDatabase": {} })),
            ("PUT", "/jwt/data", json!({ "sessionHandle": "x", "userDataInJWT": {} })),
        ] {
            refuse_bad_fields(&core, method, path, version, good).await;
        }
    }
}

#[tokio::test]
async fn an_optional_field_is_of_its_type() {
    let core = Core::new().await;
    for version in VERSIONS {
        for (path, good, field, value) in [
            (
                "/session/verify",
                json!({ "accessToken": "x", "doAntiCsrfCheck": false }),
                "antiCsrfToken",
                json!("t"),
            ),
            ("/session/regenerate", json!({ "accessToken": "x" }), "userDataInJWT", json!({})),
            ("/session/refresh", json!({ "refreshToken": "x" }), "antiCsrfToken", json!("t")),
        ] {
            for wrong in wrong_types(&value) {
                let mut bad = good.clone();
                bad[field] = wrong;
                let answer = core.post(path, version, bad).await;
                // Up to 2.2 a refresh knows no anti-CSRF token.
                if field == "antiCsrfToken" && path == "/session/refresh" && version != "2.3" {
                    assert_eq!(answer.outcome()["status"], "UNAUTHORISED");
                } else {
                    answer.refused(400, &format!("Field name '{field}' is invalid in JSON input"));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_body_is_an_object_and_a_query_has_its_parameter() {
    let core = Core::new().await;
    for version in VERSIONS {
        for (method, path) in [
            ("POST", "/handshake"),
            ("POST", "/session"),
            ("POST", "/session/verify"),
            ("POST", "/session/refresh"),
            ("POST", "/session/regenerate"),
            ("POST", "/session/remove"),
            ("PUT", "/session/data"),
            ("PUT", "/jwt/data"),
        ] {
            for body in ["", "x", "[]", "null", "{"] {
                core.call(method, path, version, body).await.refused(400, "Invalid Json Input");
            }
        }
        for (path, parameter) in [
            ("/session/user", "userId"),
            ("/session/data", "sessionHandle"),
            ("/jwt/data", "sessionHandle"),
        ] {
            core.get(path, version)
                .await
                .refused(400, &format!("Field name '{parameter}' is missing in GET request"));
        }
        let one = "Invalid JSON input - use one of userId or sessionHandles array";
        for body in [json!({}), json!({ "userId": "a", "sessionHandles": [] })] {
            core.post("/session/remove", version, body).await.refused(400, one);
        }
        for (field, wrong) in
            [("userId", json!(1)), ("userId", json!(null)), ("sessionHandles", json!([1]))]
        {
            core.post("/session/remove", version, json!({ field: wrong }))
                .await
                .refused(400, &format!("Field name '{field}' is invalid in JSON input"));
        }
    }
}

#[tokio::test]
async fn what_a_driver_says_of_itself_does_not_matter() {
    let core = Core::new().await;
    let session = json!({ "userId": "a", "userDataInJWT": {}, "userDataInDatabase": {} });
    for said in [json!(null), json!("x"), json!(7), json!([]), json!({ "driver": 1 })] {
        let mut body = session.clone();
        body["deviceDriverInfo"] = said.clone();
        core.post("/session", "2.2", body).await.ok();
        core.post("/handshake", "2.2", json!({ "deviceDriverInfo": said })).await.ok();
    }
}
