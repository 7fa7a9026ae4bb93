//! Sessions of one tenant, asked for at another, and at another app.

use serde_json::{Value, json};

use crate::support::{Core, access_token, refresh_token, text};

const TENANTS: &str = "/recipe/multitenancy/tenant/v2";
const APPS: &str = "/recipe/multitenancy/app/v2";

/// A server with an app `a`, whose tenants are `public`, `t1` and `t2`, and another app.
async fn core() -> Core {
    let core = Core::new().await;
    for app in ["a", "b"] {
        core.put(APPS, "", json!({ "appId": app })).await.ok();
        for tenant in ["t1", "t2"] {
            let path = format!("/appid-{app}{TENANTS}");
            core.put(&path, "", json!({ "tenantId": tenant })).await.ok();
        }
    }
    core
}

const EVERYWHERE: [&str; 4] = ["/appid-a", "/appid-a/public", "/appid-a/t1", "/appid-a/t2"];
const ELSEWHERE: [&str; 4] = ["", "/public", "/appid-b", "/appid-b/t1"];
const KEPT: [(&str, &str); 2] =
    [("/recipe/session/data", "userDataInDatabase"), ("/recipe/jwt/data", "userDataInJWT")];

async fn not_there(core: &Core, at: &str, handle: &str) {
    let gone = json!({ "status": "UNAUTHORISED", "message": "Session does not exist." });
    for (path, field) in KEPT {
        let path = format!("{at}{path}");
        let body = json!({ "sessionHandle": handle, field: { "stolen": true } });
        assert_eq!(core.put(&path, "5.4", body).await.outcome(), gone, "{path}");
        let read = core.get(&format!("{path}?sessionHandle={handle}"), "5.4").await.outcome();
        assert_eq!(read, gone, "{path}");
    }
}

#[tokio::test]
async fn what_a_session_keeps_is_reached_from_every_tenant_of_its_app_alone() {
    let core = core().await;
    for version in ["3.0", "4.0", "5.4", "5.6"] {
        let created = core.create_with("/appid-a/t1", version, json!({})).await;
        let handle = text(&created["session"]["handle"]);
        assert!(handle.ends_with("_t1"));
        for at in EVERYWHERE {
            for (path, field) in KEPT {
                let path = format!("{at}{path}");
                let value = json!({ "from": at });
                let body = json!({ "sessionHandle": handle, field: value });
                core.put(&path, version, body).await.ok();
                let read = core.get(&format!("{path}?sessionHandle={handle}"), version).await.ok();
                assert_eq!(read[field], value, "{path}");
            }
            let path = format!("{at}/recipe/session?sessionHandle={handle}");
            assert_eq!(core.get(&path, version).await.ok()["tenantId"], "t1");
        }
        // The other app has such a tenant, and the public app has not.
        not_there(&core, "/appid-b", handle).await;
        not_there(&core, "/appid-b/t1", handle).await;
        let unknown = core.get(&format!("/recipe/session?sessionHandle={handle}"), version).await;
        assert!(unknown.text.ends_with("not found: (, public, t1)\n"), "{}", unknown.text);
    }
}

#[tokio::test]
async fn a_session_is_removed_from_every_tenant_of_its_app_alone() {
    let core = core().await;
    let remove = async |at: &str, handles: &[&str]| {
        let body = json!({ "sessionHandles": handles });
        let path = format!("{at}/recipe/session/remove");
        core.post(&path, "5.4", body).await.ok()["sessionHandlesRevoked"].clone()
    };
    for at in EVERYWHERE {
        let mut created = Vec::new();
        for tenant in ["/appid-a/t1", "/appid-a", "/appid-a/t2"] {
            created.push(core.create_with(tenant, "5.4", json!({})).await);
        }
        let handles: Vec<&str> =
            created.iter().map(|session| text(&session["session"]["handle"])).collect();
        assert_eq!(remove("/appid-b", &handles).await, json!([]));
        assert_eq!(remove(at, &handles).await, json!(handles), "{at}");
        assert_eq!(remove(at, &handles).await, json!([]));
    }
}

#[tokio::test]
async fn tokens_are_of_one_app() {
    let core = core().await;
    for version in ["3.0", "5.4"] {
        let created = core.create_with("/appid-a/t1", version, json!({})).await;
        for at in ELSEWHERE {
            let verified = core.verify_with(at, version, access_token(&created), json!({})).await;
            assert_eq!(verified.outcome()["status"], "TRY_REFRESH_TOKEN", "{at}");
            let body = json!({
                "refreshToken": refresh_token(&created), "enableAntiCsrf": false,
                "useDynamicSigningKey": true,
            });
            let path = format!("{at}/recipe/session/refresh");
            let refreshed = core.post(&path, version, body).await.outcome();
            assert_eq!(refreshed["status"], "UNAUTHORISED", "{at}");
            let body = json!({ "accessToken": access_token(&created), "userDataInJWT": {} });
            let path = format!("{at}/recipe/session/regenerate");
            let again = core.post(&path, version, body).await.outcome();
            assert_eq!(again["status"], "UNAUTHORISED", "{at}");
        }
        for at in EVERYWHERE {
            core.verify_with(at, version, access_token(&created), json!({})).await.ok();
        }
    }
}

#[tokio::test]
async fn verification_is_for_the_public_tenant_from_5_6_on() {
    let core = core().await;
    let created = core.create_with("/appid-a/t1", "5.6", json!({})).await;
    for tenant in ["/appid-a/t1", "/appid-a/t2"] {
        let token = access_token(&created);
        core.verify_with(tenant, "5.5", token, json!({})).await.ok();
        core.verify_with(tenant, "5.6", token, json!({}))
            .await
            .refused(403, "Only public tenantId can call this app specific API");
    }
    for public in ["/appid-a", "/appid-a/public"] {
        let verified = core.verify_with(public, "5.6", access_token(&created), json!({})).await;
        assert_eq!(verified.ok()["session"]["tenantId"], "t1");
    }
}

#[tokio::test]
async fn the_users_of_all_tenants_are_meant_unless_the_request_says_otherwise() {
    let core = core().await;
    let mut handles = Vec::new();
    for at in ["/appid-a", "/appid-a/t1"] {
        let created = core.create_with(at, "5.4", json!({})).await;
        handles.push(created["session"]["handle"].clone());
        core.advance(1);
    }
    let list = async |said: &str| {
        let path = format!("/appid-a/recipe/session/user?userId=alice{said}");
        core.get(&path, "5.4").await.ok()["sessionHandles"].clone()
    };
    for (said, expected) in [
        ("", &handles[..]),
        ("&fetchAcrossAllTenants=true", &handles),
        ("&fetchAcrossAllTenants=TRUE", &handles),
        ("&fetchSessionsForAllLinkedAccounts=false", &handles),
        ("&fetchAcrossAllTenants=false", &handles[..1]),
        ("&fetchAcrossAllTenants=1", &handles[..1]),
    ] {
        assert_eq!(list(said).await, json!(expected), "{said}");
    }
    let remove = async |more: Value| {
        let body = crate::support::merged(json!({ "userId": "alice" }), more);
        let answer = core.post("/appid-a/recipe/session/remove", "5.4", body).await.ok();
        answer["sessionHandlesRevoked"].clone()
    };
    assert_eq!(remove(json!({ "revokeAcrossAllTenants": false })).await, json!(handles[..1]));
    assert_eq!(remove(json!({})).await, json!(handles[1..]));
}
