//! Apps and tenants: real, apart, and there at once.

use serde_json::{Value, json};
use sessile_server::ServerConfig;

use crate::support::{Core, access_token, part, refresh_token, text};

const APP: &str = "/recipe/multitenancy/app/v2";

async fn core() -> Core {
    Core::with(ServerConfig { test_mode: true, ..ServerConfig::default() }).await
}

async fn add_app(core: &Core, id: &str, settings: Value) {
    let body = json!({ "appId": id, "coreConfig": settings });
    let answer = core.put(APP, "", body).await.ok();
    assert_eq!(answer, json!({ "status": "OK", "createdNew": true }));
}

async fn add_tenant(core: &Core, at: &str, id: &str) {
    let path = format!("{at}/recipe/multitenancy/tenant/v2");
    let answer = core.put(&path, "", json!({ "tenantId": id })).await.ok();
    assert_eq!(answer, json!({ "status": "OK", "createdNew": true }));
}

#[tokio::test]
async fn an_app_has_keys_and_settings_of_its_own() {
    let core = core().await;
    let settings = json!({
        "access_token_validity": "2", "refresh_token_validity": 0.05,
        "access_token_dynamic_signing_key_update_interval": 0.00027,
        "access_token_signing_key_dynamic": false, "access_token_blacklisting": "true",
    });
    add_app(&core, "short", settings).await;
    let own = core.create_with("/appid-short", "5.4", json!({})).await;
    let expiry = (core.now() + 2000) / 1000 * 1000;
    assert_eq!(own["accessToken"]["expiry"], expiry);
    assert_eq!(own["refreshToken"]["expiry"], core.now() + 3000);
    let public = core.create("5.4").await;
    assert_eq!(public["refreshToken"]["expiry"], core.now() + 8_640_000_000);

    // Neither knows the other's tokens, and each its own.
    for (at, token) in [("", &own), ("/appid-short", &public)] {
        let answer = core.verify_with(at, "5.4", access_token(token), json!({})).await.outcome();
        assert_eq!(answer["status"], "TRY_REFRESH_TOKEN");
        let body = json!({
            "refreshToken": refresh_token(token), "enableAntiCsrf": false,
            "useDynamicSigningKey": true,
        });
        let path = format!("{at}/recipe/session/refresh");
        assert_eq!(core.post(&path, "5.4", body).await.outcome()["status"], "UNAUTHORISED");
        let handle = text(&token["session"]["handle"]);
        let path = format!("{at}/recipe/session?sessionHandle={handle}");
        assert_eq!(core.get(&path, "5.4").await.outcome()["status"], "UNAUTHORISED");
    }
    core.verify_with("/appid-short", "5.4", access_token(&own), json!({})).await.ok();
    let first = core.get("/appid-short/.well-known/jwks.json", "").await.outcome();
    core.advance(1);
    let second = core.get("/appid-short/.well-known/jwks.json", "").await.outcome();
    assert_ne!(first["keys"][0]["kid"], second["keys"][0]["kid"], "a second is an interval");
    assert_eq!(second["keys"][1], first["keys"][0], "the old key still verifies");
    let static_key = core.create_with("/appid-short", "2.9", json!({})).await;
    let handshake = core.post("/appid-short/recipe/handshake", "2.9", json!({})).await.ok();
    assert_eq!(handshake["jwtSigningPublicKey"], static_key["jwtSigningPublicKey"]);
    assert_eq!(handshake["accessTokenBlacklistingEnabled"], true);
}

#[tokio::test]
async fn settings_are_merged_and_checked() {
    let core = core().await;
    add_app(&core, "a", json!({ "access_token_validity": 10, "access_token_blacklisting": null }))
        .await;
    let update = async |settings: Value| {
        core.put(APP, "", json!({ "appId": "a", "coreConfig": settings })).await
    };
    let expiry = async || {
        let created = core.create_with("/appid-a", "2.9", json!({})).await;
        created["accessToken"]["expiry"].as_i64().unwrap() - core.now()
    };
    assert_eq!(expiry().await, 10_000);
    let answer = update(json!({ "refresh_token_validity": 1 })).await.ok();
    assert_eq!(answer["createdNew"], false);
    assert_eq!(expiry().await, 10_000);
    update(json!({ "access_token_validity": null })).await.ok();
    assert_eq!(expiry().await, 3_600_000);
    for (settings, problem) in [
        (json!({ "nonsense": 1 }), "Invalid config key: nonsense"),
        (
            json!({ "access_token_validity": 0 }),
            "'access_token_validity' must be between 1 and 86400000 seconds inclusive.",
        ),
        (json!({ "access_token_validity": "x" }), "'access_token_validity' must be of type long"),
        (
            json!({ "recent_token_reuse_behaviour": "UNAUTHORISED" }),
            "recent_token_reuse_behaviour can only be set via the core's base config setting",
        ),
    ] {
        update(settings).await.refused(400, &format!("Invalid core config: {problem}"));
    }
    assert_eq!(expiry().await, 3_600_000, "what was refused changes nothing");

    let strict = Core::new().await;
    for (settings, problem) in [
        (
            json!({ "access_token_dynamic_signing_key_update_interval": 0.5 }),
            "'access_token_dynamic_signing_key_update_interval' must be greater than, equal to 1 \
             hour.",
        ),
        (
            json!({ "refresh_token_validity": 1 }),
            "'refresh_token_validity' must be strictly greater than 'access_token_validity'.",
        ),
    ] {
        let body = json!({ "appId": "a", "coreConfig": settings });
        let answer = strict.put(APP, "", body).await;
        answer.refused(400, &format!("Invalid core config: {problem}"));
    }
}

#[tokio::test]
async fn a_session_of_a_tenant_is_reached_from_every_tenant_of_its_app() {
    let core = core().await;
    add_app(&core, "a", json!({})).await;
    for tenant in ["t1", "t2"] {
        add_tenant(&core, "/appid-a", tenant).await;
    }
    let created = core.create_with("/appid-a/t1", "5.4", json!({})).await;
    assert_eq!(part(access_token(&created), 1)["tId"], "t1");
    let handle = text(&created["session"]["handle"]);
    for tenant in ["", "/public", "/t1", "/t2"] {
        let at = format!("/appid-a{tenant}");
        let verified = core.verify_with(&at, "5.4", access_token(&created), json!({})).await.ok();
        assert_eq!(verified["session"]["tenantId"], "t1");
        core.get(&format!("{at}/recipe/session?sessionHandle={handle}"), "5.4").await.ok();
        let body = json!({ "accessToken": access_token(&created) });
        let again = core.post(&format!("{at}/recipe/session/regenerate"), "5.4", body).await.ok();
        assert_eq!(again["session"]["tenantId"], "t1");
        let body = json!({
            "refreshToken": refresh_token(&created), "enableAntiCsrf": false,
            "useDynamicSigningKey": true,
        });
        let next = core.post(&format!("{at}/recipe/session/refresh"), "5.4", body).await.ok();
        assert_eq!(next["session"]["tenantId"], "t1");
    }
    let refused = core.verify_with("/appid-a/t1", "5.6", access_token(&created), json!({})).await;
    refused.refused(403, "Only public tenantId can call this app specific API");
    let unknown = core.get("/appid-a/recipe/session?sessionHandle=x_t9", "5.4").await;
    assert_eq!(unknown.status, 400);
    assert!(unknown.text.ends_with("not found: (, a, t9)\n"), "{}", unknown.text);
}

#[tokio::test]
async fn users_are_listed_and_revoked_across_tenants_or_in_one() {
    let core = core().await;
    add_tenant(&core, "", "t1").await;
    let mut handles = Vec::new();
    for at in ["", "/t1"] {
        let created = core.create_with(at, "5.4", json!({})).await;
        handles.push(text(&created["session"]["handle"]).to_owned());
        core.advance(1);
    }
    let list = async |path: &str, version: &str| {
        core.get(path, version).await.ok()["sessionHandles"].clone()
    };
    assert_eq!(list("/recipe/session/user?userId=alice", "5.4").await, json!(handles));
    assert_eq!(list("/t1/recipe/session/user?userId=alice", "4.0").await, json!(handles));
    let one = "recipe/session/user?userId=alice&fetchAcrossAllTenants=false";
    assert_eq!(list(&format!("/{one}"), "5.4").await, json!([handles[0]]));
    assert_eq!(list(&format!("/t1/{one}"), "5.4").await, json!([handles[1]]));
    let forbidden = "Only public tenantId can call this app specific API";
    core.get("/t1/recipe/session/user?userId=alice", "5.0").await.refused(403, forbidden);

    let remove = async |at: &str, version: &str, body: Value| {
        core.post(&format!("{at}/recipe/session/remove"), version, body).await
    };
    remove("/t1", "5.0", json!({ "userId": "alice" })).await.refused(403, forbidden);
    let body = json!({ "userId": "alice", "revokeAcrossAllTenants": false });
    let removed = remove("/t1", "5.4", body).await.ok();
    assert_eq!(removed["sessionHandlesRevoked"], json!([handles[1]]));
    let removed = remove("/t1", "4.0", json!({ "userId": "alice" })).await.ok();
    assert_eq!(removed["sessionHandlesRevoked"], json!([handles[0]]));
}

#[tokio::test]
async fn what_concerns_an_app_is_for_its_public_tenant_from_5_0_on() {
    let core = core().await;
    add_tenant(&core, "", "t1").await;
    let forbidden = "Only public tenantId can call this app specific API";
    for path in ["/t1/apiversion", "/t1/telemetry", "/t1/recipe/jwt/jwks"] {
        core.get(path, "5.0").await.refused(403, forbidden);
    }
    for path in ["/t1/telemetry", "/t1/recipe/jwt/jwks"] {
        assert_eq!(core.get(path, "4.0").await.status, 200);
    }
}

#[tokio::test]
async fn apps_and_tenants_come_and_go() {
    let core = core().await;
    add_app(&core, "a", json!({})).await;
    add_tenant(&core, "/appid-a", "t1").await;
    let created = core.create_with("/appid-a/t1", "5.4", json!({})).await;

    let tenant = core.get("/appid-a/t1/recipe/multitenancy/tenant/v2", "").await.ok();
    let expected = json!({
        "status": "OK", "tenantId": "t1", "thirdParty": { "providers": [] }, "coreConfig": {},
        "firstFactors": [],
    });
    assert_eq!(tenant, expected);
    let list = core.get("/appid-a/recipe/multitenancy/tenant/list/v2", "").await.ok();
    let ids: Vec<&str> = list["tenants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tenant| text(&tenant["tenantId"]))
        .collect();
    assert_eq!(ids, ["public", "t1"]);
    assert!(list["tenants"][0].get("firstFactors").is_none());
    let unknown = core.get("/appid-a/t9/recipe/multitenancy/tenant/v2", "").await.outcome();
    assert_eq!(unknown, json!({ "status": "TENANT_NOT_FOUND_ERROR" }));

    let remove_app =
        async || core.post("/recipe/multitenancy/app/remove", "", json!({ "appId": "a" })).await;
    remove_app().await.refused(
        403,
        "Please delete all tenants except the public tenant for this app before calling the \
         delete API",
    );
    for existed in [true, false] {
        let path = "/appid-a/recipe/multitenancy/tenant/remove";
        let answer = core.post(path, "", json!({ "tenantId": "t1" })).await.ok();
        assert_eq!(answer["didExist"], existed);
    }
    let handle = text(&created["session"]["handle"]);
    let gone = core.get(&format!("/appid-a/recipe/session?sessionHandle={handle}"), "5.4").await;
    assert!(gone.text.ends_with("not found: (, a, t1)\n"), "{}", gone.text);
    let verified = core.verify_with("/appid-a", "5.4", access_token(&created), json!({})).await;
    assert!(verified.text.ends_with("not found: (, a, t1)\n"), "{}", verified.text);

    let kept = core.create_with("/appid-a", "5.4", json!({})).await;
    for existed in [true, false] {
        assert_eq!(remove_app().await.ok()["didExist"], existed);
    }
    assert_eq!(core.get("/appid-a/hello", "").await.status, 400);
    add_app(&core, "a", json!({})).await;
    let handle = text(&kept["session"]["handle"]);
    let gone = core.get(&format!("/appid-a/recipe/session?sessionHandle={handle}"), "5.4").await;
    assert_eq!(gone.outcome()["status"], "UNAUTHORISED", "the app's sessions went with it");
}

#[tokio::test]
async fn identifiers_and_places_are_checked() {
    let core = core().await;
    add_app(&core, "a", json!({})).await;
    add_tenant(&core, "/appid-a", "t1").await;
    let tenants = "/appid-a/recipe/multitenancy/tenant/v2";
    for (path, body, status, problem) in [
        (APP, json!({ "appId": " " }), 400, "appId should not be an empty String"),
        (APP, json!({ "appId": "appid-x" }), 400, "appId must not start with 'appid-'"),
        (
            APP,
            json!({ "appId": "a_b" }),
            400,
            "appId can only contain letters, numbers and hyphens",
        ),
        (APP, json!({ "appId": 1 }), 400, "Field name 'appId' is invalid in JSON input"),
        (APP, json!({ "coreConfig": { "a": 1 } }), 400, "Cannot modify base config"),
        (
            APP,
            json!({ "appId": "x", "emailPasswordEnabled": true }),
            400,
            "emailPasswordEnabled is not a valid input for this API",
        ),
        (
            "/appid-a/recipe/multitenancy/app/v2",
            json!({ "appId": "x" }),
            403,
            "You must use the public or same app to add/update an app",
        ),
        (tenants, json!({ "tenantId": "" }), 400, "tenantId should not be an empty String"),
        (tenants, json!({ "tenantId": "Recipe" }), 400, "Cannot use 'recipe' as a tenantId"),
        (
            "/appid-a/t1/recipe/multitenancy/tenant/v2",
            json!({ "tenantId": "t2" }),
            403,
            "You must use the public or same tenant to add/update a tenant",
        ),
        (
            tenants,
            json!({ "tenantId": "t2", "coreConfig": { "access_token_validity": 7 } }),
            400,
            "Invalid core config: You cannot set different values for access_token_validity for \
             the same appId",
        ),
    ] {
        core.put(path, "", body).await.refused(status, problem);
    }
    for (path, body, problem) in [
        (
            "/appid-a/recipe/multitenancy/app/remove",
            json!({ "appId": "a" }),
            "Only the public tenantId and public appId is allowed to delete an app",
        ),
        (
            "/recipe/multitenancy/app/remove",
            json!({ "appId": "public" }),
            "Cannot delete the public app, use remove connection uri domain API instead",
        ),
        (
            "/appid-a/recipe/multitenancy/tenant/remove",
            json!({ "tenantId": "public" }),
            "Cannot delete public tenant, use remove app API instead",
        ),
        (
            "/appid-a/t1/recipe/multitenancy/tenant/remove",
            json!({ "tenantId": "t1" }),
            "Only the public tenantId is allowed to delete a tenant",
        ),
    ] {
        core.post(path, "", body).await.refused(403, problem);
    }
    core.put("/appid-a/ee/license", "", json!({ "licenseKey": "x" })).await.ok();
    let license = core.get("/ee/license", "").await.outcome();
    assert_eq!(license, json!({ "status": "NO_LICENSE_KEY_FOUND_ERROR" }));
    assert_eq!(core.get("/ee/featureflag", "").await.ok()["features"], json!(["multi_tenancy"]));
}
