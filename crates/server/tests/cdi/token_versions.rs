//! What tokens of each version are, and which claims a payload must leave alone.

use serde_json::json;

use crate::support::{Core, access_token, part, refresh_token, text};

#[tokio::test]
async fn each_version_has_its_encoding_and_claims() {
    let core = Core::new().await;
    let payload = json!({ "userDataInJWT": { "key": "value" } });
    let shared = [
        "antiCsrfToken",
        "exp",
        "iat",
        "key",
        "parentRefreshTokenHash1",
        "refreshTokenHash1",
        "sessionHandle",
        "sub",
    ];
    for (version, more) in [("2.21", &[][..]), ("3.0", &["tId"]), ("5.4", &["rsub", "tId"])] {
        let created = core.create_with("", version, payload.clone()).await;
        let token = access_token(&created);
        assert!(!token.contains(['+', '/', '=']));
        let header = part(token, 0);
        assert_eq!((&header["alg"], &header["typ"]), (&json!("RS256"), &json!("JWT")));
        assert!(text(&header["kid"]).starts_with("d-"));
        let claims = part(token, 1);
        let mut expected: Vec<&str> = [&shared[..], more].concat();
        expected.sort_unstable();
        assert_eq!(crate::support::fields(&claims), expected);
        assert!(claims["parentRefreshTokenHash1"].is_null() && claims["antiCsrfToken"].is_null());
        let seconds = core.now() / 1000;
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(seconds), &json!(seconds + 3600)));
        assert_eq!(created["accessToken"]["createdTime"], seconds * 1000, "whole seconds");
        assert_eq!(created["refreshToken"]["createdTime"], core.now(), "to the millisecond");
    }
    let created = core.create_with("", "2.20", payload).await;
    let token = access_token(&created);
    let header = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsInZlcnNpb24iOiIyIn0=.";
    assert!(token.starts_with(header), "{token}");
    let claims = part(token, 1);
    let expected = json!({
        "userId": "alice",
        "expiryTime": core.now() + 3_600_000,
        "timeCreated": core.now(),
        "sessionHandle": created["session"]["handle"],
        "refreshTokenHash1": claims["refreshTokenHash1"],
        "userData": { "key": "value" },
    });
    assert_eq!(claims, expected);
    assert_eq!(created["accessToken"]["createdTime"], core.now(), "to the millisecond");
}

#[tokio::test]
async fn a_claim_is_protected_from_the_version_on_that_has_it() {
    let core = Core::new().await;
    let refused = "The user payload contains protected field";
    for (version, claim, is_protected) in [
        ("2.20", "sub", false),
        ("2.20", "sessionHandle", false),
        ("2.21", "sub", true),
        ("2.21", "tId", false),
        ("3.0", "tId", true),
        ("3.0", "rsub", false),
        ("4.0", "rsub", true),
        ("5.6", "antiCsrfToken", true),
        ("5.6", "iss", false),
    ] {
        let payload = json!({ claim: "mine" });
        let body = json!({
            "userId": "alice", "userDataInJWT": payload, "userDataInDatabase": {},
            "enableAntiCsrf": false,
        });
        let created = core.post("/recipe/session", version, body).await;
        let session = core.create(version).await;
        let handle = &session["session"]["handle"];
        let body = json!({ "sessionHandle": handle, "userDataInJWT": payload });
        let updated = core.put("/recipe/jwt/data", version, body).await;
        if is_protected {
            created.refused(400, refused);
            updated.refused(400, refused);
            let payload = json!({ "userDataInJWT": payload });
            let again = core.regenerate(version, access_token(&session), payload).await;
            again.refused(400, refused);
        } else {
            let created = created.ok();
            let verified = core.verify(version, access_token(&created)).await;
            assert_eq!(verified["session"]["userDataInJWT"], payload, "{version} {claim}");
            updated.ok();
        }
    }
    // The claims that a V2 token has beside its payload, from 2.21 on.
    let old = core.create("2.9").await;
    for claim in ["sessionHandle", "userId", "expiryTime"] {
        let payload = json!({ "userDataInJWT": { claim: "mine" } });
        core.regenerate("2.21", access_token(&old), payload.clone()).await.refused(400, refused);
        let again = core.regenerate("2.9", access_token(&old), payload.clone()).await.ok();
        assert_eq!(again["session"]["userDataInJWT"], payload["userDataInJWT"]);
        assert_eq!(again["session"]["userId"], "alice");
    }
}

#[tokio::test]
async fn a_claim_that_becomes_protected_stops_the_refresh() {
    let core = Core::new().await;
    for (old, claim, still, refused) in [
        ("2.21", "tId", "2.21", "3.0"),
        ("3.0", "rsub", "3.1", "4.0"),
        ("2.21", "tId", "2.21", "5.6"),
    ] {
        let payload = json!({ "userDataInJWT": { claim: "t1" } });
        let created = core.create_with("", old, payload.clone()).await;
        for version in ["2.9", "3.0", "5.4", "5.6"] {
            let verified = core.verify(version, access_token(&created)).await;
            assert_eq!(verified["session"]["userDataInJWT"], payload["userDataInJWT"]);
            let tenant = verified["session"].get("tenantId");
            assert!(tenant.is_none_or(|tenant| tenant == "public"), "{tenant:?}");
        }
        core.refresh_with(still, refresh_token(&created), json!({})).await.ok();
        let answer = core.refresh(refused, refresh_token(&created)).await;
        let message = "The user payload contains protected field";
        assert_eq!(answer, json!({ "status": "UNAUTHORISED", "message": message }));
    }
}
