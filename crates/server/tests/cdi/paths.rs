//! Paths: apps, tenants, letters of any case, slashes, a base path.

use serde_json::json;
use sessile_server::ServerConfig;

use crate::support::{Core, text};

async fn with_tenants() -> Core {
    let core = Core::new().await;
    for app in ["a", "b"] {
        core.put("/recipe/multitenancy/app/v2", "", json!({ "appId": app })).await.ok();
    }
    for path in ["", "/appid-a"] {
        let path = format!("{path}/recipe/multitenancy/tenant/v2");
        core.put(&path, "", json!({ "tenantId": "t1" })).await.ok();
    }
    core
}

fn unknown(app: &str, tenant: &str) -> String {
    format!(
        "AppId or tenantId not found => Tenant with the following connectionURIDomain, appId and \
         tenantId combination not found: (, {app}, {tenant})"
    )
}

#[tokio::test]
async fn a_path_names_app_and_tenant() {
    let core = with_tenants().await;
    for (at, tenant) in [
        ("", "public"),
        ("/public", "public"),
        ("/t1", "t1"),
        ("/T1", "t1"),
        ("/appid-public/t1", "t1"),
        ("/appid-a", "public"),
        ("/appid-a/t1", "t1"),
        ("/APPID-A/T1", "t1"),
        ("/appid-b/public", "public"),
    ] {
        let created = core.create_with(at, "5.4", json!({})).await;
        assert_eq!(created["session"]["tenantId"], tenant, "{at}");
        let handle = text(&created["session"]["handle"]);
        assert_eq!(handle.ends_with("_t1"), tenant == "t1", "{handle}");
    }
    let body = json!({
        "userId": "a", "userDataInJWT": {}, "userDataInDatabase": {}, "enableAntiCsrf": false,
    });
    for (path, app, tenant) in [
        ("/t9", "public", "t9"),
        ("/appid-b/t1", "b", "t1"),
        ("/appid-x", "x", "public"),
        ("/appid-x/t1", "x", "t1"),
    ] {
        let path = format!("{path}/recipe/session");
        core.post(&path, "5.4", body.clone()).await.refused(400, &unknown(app, tenant));
    }
    core.get("/appid-x/hello", "").await.refused(400, &unknown("x", "public"));
}

#[tokio::test]
async fn slashes_and_queries_do_not_matter_and_other_paths_are_not_found() {
    let core = with_tenants().await;
    for path in [
        "/hello",
        "/hello/",
        "/HELLO",
        "/t1/hello",
        "/appid-a/hello",
        "/appid-a/t1/hello/",
        "/",
        "/t1",
        "/t1/",
        "/appid-a",
        "/appid-a/t1",
        "/hello?a=b",
    ] {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            let answer = core.call(method, path, "", "nonsense").await;
            assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "Hello\n"), "{path}");
            assert_eq!(answer.headers["content-type"], "text/html; charset=UTF-8");
        }
    }
    for path in [
        "/t9",
        "/appid-b/t1",
        "/test/t1/t2",
        "/recipe",
        "/recipe/sessions",
        "/recipe/session/x",
        "/hello/hello",
        "/config/recipe/session",
        "/users/recipe/session",
        "/a_b/hello",
        "//hello",
    ] {
        core.get(path, "").await.refused(404, "Not found");
    }
    core.get("/appid-a/recipe/session/user/?userId=alice", "5.4").await.ok();
}

#[tokio::test]
async fn tenants_in_paths_came_with_3_0() {
    let core = with_tenants().await;
    for version in ["2.7", "2.21"] {
        let path = "/t1/recipe/session/user?userId=a";
        core.get(path, version).await.refused(404, "Not found");
        core.get("/public/recipe/session/user?userId=a", version).await.ok();
        core.get("/appid-a/recipe/session/user?userId=a", version).await.ok();
    }
}

#[tokio::test]
async fn generations_of_paths_do_not_mix() {
    let core = Core::new().await;
    for (path, version) in [
        ("/recipe/session/user?userId=a", "2.3"),
        ("/session/user?userId=a", "2.7"),
        ("/session/user?userId=a", "5.4"),
        ("/telemetry", "2.2"),
    ] {
        core.get(path, version).await.refused(404, "Not found");
    }
    let telemetry = core.get("/telemetry", "5.4").await.outcome();
    assert_eq!(telemetry, json!({ "exists": false }));
    let user = core.get("/user/id?userId=a", "5.4").await.outcome();
    assert_eq!(user, json!({ "status": "UNKNOWN_USER_ID_ERROR" }));
}

#[tokio::test]
async fn a_base_path_comes_first() {
    for base_path in ["some/path", "/some/path", "/some//path/", "/SOME/path"] {
        let config = ServerConfig { base_path: base_path.to_owned(), ..ServerConfig::default() };
        let core = Core::with(config).await;
        core.get("/some/path/recipe/session/user?userId=a", "5.4").await.ok();
        core.get("/some/path/appid-public/public/recipe/session/user?userId=a", "5.4").await.ok();
        for path in ["/hello", "/some/hello", "/some/pathhello", "/some/path2/hello"] {
            core.get(path, "").await.refused(404, "Not found");
        }
        for path in ["/some/path", "/some/path/", "/some/path/hello"] {
            assert_eq!(core.get(path, "").await.text, "Hello\n", "{path}");
        }
    }
}

#[tokio::test]
async fn a_tenant_may_have_the_name_of_a_path() {
    let config = ServerConfig { base_path: "session".to_owned(), ..ServerConfig::default() };
    for (base, core) in [("", Core::new().await), ("/session", Core::with(config).await)] {
        let names = ["session", "jwt", "apiversion", "handshake", "telemetry", "user", "ee"];
        for name in names {
            let path = format!("{base}/recipe/multitenancy/tenant/v2");
            core.put(&path, "", json!({ "tenantId": name })).await.ok();
        }
        for name in names {
            let created = core.create_with(&format!("{base}/{name}"), "5.4", json!({})).await;
            assert_eq!(created["session"]["tenantId"], name);
            assert_eq!(core.get(&format!("{base}/{name}/hello"), "").await.text, "Hello\n");
        }
        // Paths that there are come first.
        let versions = core.get(&format!("{base}/apiversion"), "").await.outcome();
        assert!(versions["versions"].is_array());
        core.post(&format!("{base}/handshake"), "2.2", json!({})).await.ok();
        core.get(&format!("{base}/session"), "2.2").await.refused(405, "Method not supported");
        let listed = core.get(&format!("{base}/session/user?userId=a"), "2.2").await.ok();
        assert_eq!(listed["sessionHandles"], json!([]));
    }
}

#[tokio::test]
async fn the_configuration_is_told_to_who_knows_the_process() {
    let config_path = Some("config.yaml".into());
    let core = Core::with(ServerConfig { config_path, ..ServerConfig::default() }).await;
    let ours = format!("/config?pid={}", std::process::id());
    let told = core.get(&ours, "").await.outcome();
    assert_eq!(told, json!({ "status": "OK", "path": "config.yaml" }));
    for (version, status) in [("2.3", "NOT ALLOWED"), ("5.4", "NOT_ALLOWED")] {
        let told = core.get("/config?pid=1x", version).await.outcome();
        assert_eq!(told, json!({ "status": status }));
    }
    core.get("/t1/config?pid=1", "").await.refused(
        403,
        "you can call this only from the base connection uri domain, public app and tenant",
    );
}
