//! Keys, and JWTs that are no access tokens.

use serde_json::{Value, json};
use sessile_server::{AppConfig, ServerConfig};

use crate::support::{Core, access_token, fields, part, text};

fn key_ids(answer: &Value) -> Vec<&str> {
    answer["keys"].as_array().unwrap().iter().map(|key| text(&key["kid"])).collect()
}

#[tokio::test]
async fn keys_are_published_until_the_next_one() {
    let core = Core::new().await;
    let answer = core.get("/.well-known/jwks.json", "").await;
    assert_eq!(answer.headers["cache-control"], "max-age=604740, must-revalidate");
    let keys = answer.outcome();
    assert_eq!(fields(&keys), ["keys"]);
    let ids = key_ids(&keys);
    assert!(ids.len() == 2 && ids[0].starts_with("d-") && ids[1].starts_with("s-"), "{ids:?}");
    assert_eq!(ids[0], format!("d-{}", core.now()));
    for key in keys["keys"].as_array().unwrap() {
        assert_eq!(fields(key), ["alg", "e", "kid", "kty", "n", "use"]);
        assert_eq!((&key["e"], &key["use"]), (&json!("AQAB"), &json!("sig")));
    }
    let old = core.get("/recipe/jwt/jwks", "2.9").await;
    assert!(!old.headers.contains_key("cache-control"));
    let old = old.ok();
    assert_eq!((fields(&old), &old["keys"]), (vec!["keys", "status"], &keys["keys"]));

    // A minute before the interval is over, the next key is there, and does not sign yet.
    core.advance(168 * 3600 - 60);
    assert_eq!(
        core.get("/.well-known/jwks.json", "").await.headers["cache-control"],
        "max-age=1, must-revalidate"
    );
    core.advance(1);
    let keys = core.get("/.well-known/jwks.json", "").await.outcome();
    let published = key_ids(&keys);
    assert_eq!((published.len(), published[1]), (3, ids[0]));
    assert_eq!(part(access_token(&core.create("5.4").await), 0)["kid"], ids[0]);
    core.advance(60);
    assert_eq!(part(access_token(&core.create("5.4").await), 0)["kid"], published[0]);
}

#[tokio::test]
async fn the_next_key_is_published_in_time_where_no_request_comes() {
    let core = Core::new().await;
    core.advance(168 * 3600 - 63);
    core.server.make_due_signing_keys().await;
    assert_eq!(key_ids(&core.get("/.well-known/jwks.json", "").await.outcome()).len(), 2);
    core.advance(2);
    core.server.make_due_signing_keys().await;
    // It is too early for a request to make the key.
    let keys = core.get("/.well-known/jwks.json", "").await.outcome();
    assert_eq!(key_ids(&keys).len(), 3);
    core.advance(3600);
    assert_eq!(part(access_token(&core.create("5.4").await), 0)["kid"], key_ids(&keys)[0]);
}

#[tokio::test]
async fn below_2_21_answers_tell_the_key_that_signs() {
    let week = 168 * 3_600_000;
    let core = Core::new().await;
    let created = core.create("2.9").await;
    let made_at = core.now();
    assert_eq!(created["jwtSigningPublicKeyExpiryTime"], made_at + week);
    let list = created["jwtSigningPublicKeyList"].as_array().unwrap();
    let expected = json!({
        "publicKey": created["jwtSigningPublicKey"],
        "expiryTime": made_at + week + 2 * 3_600_000,
        "createdAt": made_at,
    });
    assert_eq!(list, &[expected]);
    assert!(!text(&created["jwtSigningPublicKey"]).contains(['\n', '-']));
    core.advance(168 * 3600 + 1);
    let verified = core.verify("2.9", access_token(&core.create("2.9").await)).await;
    assert_eq!(verified["jwtSigningPublicKeyList"].as_array().unwrap().len(), 2);
    assert_ne!(verified["jwtSigningPublicKey"], created["jwtSigningPublicKey"]);

    let app = AppConfig { access_token_signing_key_dynamic: false, ..AppConfig::default() };
    let core = Core::with(ServerConfig { app, ..ServerConfig::default() }).await;
    let created = core.create("2.9").await;
    let list = created["jwtSigningPublicKeyList"].as_array().unwrap();
    let until = list[0]["createdAt"].as_i64().unwrap() + 315_360_000_000;
    assert_eq!(created["jwtSigningPublicKeyExpiryTime"], until);
    assert_eq!((list.len(), &list[0]["expiryTime"]), (1, &json!(until)));
}

#[tokio::test]
async fn a_jwt_has_the_claims_that_are_asked_for() {
    let core = Core::new().await;
    let body = json!({
        "algorithm": "rs256", "jwksDomain": "https://a.example", "validity": 100,
        "payload": { "key": "value", "none": null },
    });
    let seconds = core.now() / 1000;
    for (version, more, kind) in [
        ("2.9", json!({ "useStaticSigningKey": false }), "s-"),
        ("5.4", json!({}), "s-"),
        ("5.4", json!({ "useStaticSigningKey": true }), "s-"),
        ("5.4", json!({ "useStaticSigningKey": false }), "d-"),
    ] {
        let mut body = body.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = core.post("/recipe/jwt", version, body).await.ok();
        let token = text(&answer["jwt"]);
        let header = part(token, 0);
        assert_eq!(fields(&header), ["alg", "kid", "typ"]);
        assert!(text(&header["kid"]).starts_with(kind));
        let expected = json!({
            "key": "value", "none": null, "iss": "https://a.example", "iat": seconds,
            "exp": seconds + 100,
        });
        assert_eq!(part(token, 1), expected);
        assert_eq!(core.verify(version, token).await["status"], "TRY_REFRESH_TOKEN");
    }
    let mut own = body.clone();
    own["payload"] = json!({ "iss": "mine" });
    let answer = core.post("/recipe/jwt", "5.4", own).await.ok();
    assert_eq!(part(text(&answer["jwt"]), 1)["iss"], "mine");
    let mut other = body.clone();
    other["algorithm"] = "ES256".into();
    let answer = core.post("/recipe/jwt", "5.4", other).await.outcome();
    assert_eq!(answer, json!({ "status": "UNSUPPORTED_ALGORITHM_ERROR" }));
    for validity in [0, -1] {
        let mut never = body.clone();
        never["validity"] = validity.into();
        let problem = "validity must be greater than or equal to 0";
        core.post("/recipe/jwt", "5.4", never).await.refused(400, problem);
    }
}
