//! Apps and tenants outlive their process, and other processes see them.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use sessile_core::{
    clock::ManualClock,
    store::{StoredTenant, TenantStore},
};
use sessile_server::ServerConfig;

use crate::{
    store::{self, TestStore},
    support::{Core, START, access_token, part, refresh_token, text},
};

const APP: &str = "/recipe/multitenancy/app/v2";
const TENANT: &str = "/appid-a/recipe/multitenancy/tenant/v2";
const LIST: &str = "/appid-a/recipe/multitenancy/tenant/list/v2";

/// A store, and the servers on it.
struct Nodes {
    store: TestStore,
    clock: Arc<ManualClock>,
}

impl Nodes {
    async fn new() -> Self {
        Self { store: store::open().await, clock: Arc::new(ManualClock::at(START)) }
    }

    async fn start(&self) -> Core {
        let config = ServerConfig { test_mode: true, ..ServerConfig::default() };
        Core::on(self.store.clone(), Arc::clone(&self.clock), config).await
    }
}

async fn put_app(core: &Core, settings: Value) {
    core.put(APP, "", json!({ "appId": "a", "coreConfig": settings })).await.ok();
}

async fn validity(core: &Core) -> i64 {
    let created = core.create_with("/appid-a", "2.9", json!({})).await;
    created["accessToken"]["expiry"].as_i64().unwrap() - core.now()
}

#[tokio::test]
async fn apps_and_tenants_outlive_the_process() {
    let nodes = Nodes::new().await;
    let before = nodes.start().await;
    put_app(&before, json!({ "access_token_validity": 10 })).await;
    let tenant = json!({
        "tenantId": "t1", "coreConfig": { "access_token_validity": 10 },
        "firstFactors": ["otp-email"], "requiredSecondaryFactors": ["totp"],
    });
    before.put(TENANT, "", tenant).await.ok();
    let factors = json!({ "tenantId": "public", "firstFactors": ["emailpassword"] });
    before.put("/recipe/multitenancy/tenant/v2", "", factors).await.ok();
    let created = before.create_with("/appid-a/t1", "5.4", json!({})).await;
    let lists = [LIST, "/recipe/multitenancy/tenant/list/v2"];
    let mut shown = Vec::new();
    for list in lists {
        shown.push(before.get(list, "").await.ok());
    }
    drop(before);

    let after = nodes.start().await;
    for (list, shown) in lists.into_iter().zip(shown) {
        assert_eq!(after.get(list, "").await.ok(), shown);
    }
    assert_eq!(validity(&after).await, 10_000);
    let verified = after.verify_with("/appid-a", "5.4", access_token(&created), json!({})).await;
    assert_eq!(verified.ok()["session"]["tenantId"], "t1");
    let body = json!({
        "refreshToken": refresh_token(&created), "enableAntiCsrf": false,
        "useDynamicSigningKey": true,
    });
    after.post("/appid-a/recipe/session/refresh", "5.4", body).await.ok();
    let again = after.put(TENANT, "", json!({ "tenantId": "t1" })).await.ok();
    assert_eq!(again["createdNew"], false);
}

#[tokio::test]
async fn what_another_process_makes_is_there_when_it_is_asked_for() {
    let nodes = Nodes::new().await;
    let (one, other) = (nodes.start().await, nodes.start().await);
    put_app(&one, json!({})).await;
    // The start has read the store this very moment; nobody makes it read all the time.
    assert_eq!(other.get("/appid-a/hello", "").await.status, 400);
    nodes.clock.advance(Duration::from_secs(1));
    assert_eq!(other.get("/appid-a/hello", "").await.status, 200);

    one.put(TENANT, "", json!({ "tenantId": "t1" })).await.ok();
    let created = one.create_with("/appid-a/t1", "5.4", json!({})).await;
    nodes.clock.advance(Duration::from_secs(1));
    let handle = text(&created["session"]["handle"]);
    let path = format!("/appid-a/recipe/session?sessionHandle={handle}");
    assert_eq!(other.get(&path, "5.4").await.ok()["tenantId"], "t1", "named by a handle alone");
}

#[tokio::test]
async fn what_another_process_changes_is_taken_over() {
    let nodes = Nodes::new().await;
    let (one, other) = (nodes.start().await, nodes.start().await);
    put_app(&one, json!({ "access_token_validity": 10 })).await;
    one.put(TENANT, "", json!({ "tenantId": "t1" })).await.ok();
    other.server.synchronise().await.unwrap();
    assert_eq!(validity(&other).await, 10_000);

    put_app(&one, json!({ "access_token_validity": 20 })).await;
    other.server.synchronise().await.unwrap();
    assert_eq!(validity(&other).await, 20_000);

    // A change on top of one that this process has not seen keeps both.
    put_app(&one, json!({ "access_token_validity": 30 })).await;
    put_app(&other, json!({ "access_token_blacklisting": true })).await;
    one.server.synchronise().await.unwrap();
    let handshake = one.post("/appid-a/recipe/handshake", "2.9", json!({})).await.ok();
    assert_eq!(handshake["accessTokenValidity"], 30_000);
    assert_eq!(handshake["accessTokenBlacklistingEnabled"], true);

    let remove = json!({ "tenantId": "t1" });
    let path = "/appid-a/recipe/multitenancy/tenant/remove";
    assert_eq!(one.post(path, "", remove.clone()).await.ok()["didExist"], true);
    assert_eq!(other.post(path, "", remove).await.ok()["didExist"], false);
    let remove = json!({ "appId": "a" });
    let path = "/recipe/multitenancy/app/remove";
    assert_eq!(one.post(path, "", remove).await.ok()["didExist"], true);
    other.server.synchronise().await.unwrap();
    assert_eq!(other.get("/appid-a/hello", "").await.status, 400);
    assert_eq!(other.get("/hello", "").await.status, 200, "the public app needs no row");
}

#[tokio::test]
async fn a_removed_tenant_takes_its_sessions_along() {
    let core = Nodes::new().await.start().await;
    put_app(&core, json!({})).await;
    core.put(TENANT, "", json!({ "tenantId": "t1" })).await.ok();
    let gone = core.create_with("/appid-a/t1", "5.4", json!({})).await;
    let kept = core.create_with("/appid-a", "5.4", json!({})).await;
    let path = "/appid-a/recipe/multitenancy/tenant/remove";
    core.post(path, "", json!({ "tenantId": "t1" })).await.ok();
    core.put(TENANT, "", json!({ "tenantId": "t1" })).await.ok();
    for (session, status) in [(&gone, "UNAUTHORISED"), (&kept, "OK")] {
        let handle = text(&session["session"]["handle"]);
        let path = format!("/appid-a/recipe/session?sessionHandle={handle}");
        assert_eq!(core.get(&path, "5.4").await.outcome()["status"], status);
    }
}

#[tokio::test]
async fn settings_that_mean_nothing_here_are_left_out() {
    let nodes = Nodes::new().await;
    let tenant = |app: &str, core_config: &str| StoredTenant {
        app: app.parse().unwrap(),
        tenant: "public".parse().unwrap(),
        core_config: core_config.to_owned(),
        first_factors: None,
        required_secondary_factors: None,
        created_at: START,
    };
    let settings = r#"{"access_token_validity": 5, "of_tomorrow": 3,
        "refresh_token_rotation_grace_period": "x"}"#;
    for tenant in [tenant("a", settings), tenant("b", "[]")] {
        nodes.store.put_tenant(tenant).await.unwrap();
    }
    let core = nodes.start().await;
    assert_eq!(validity(&core).await, 5000);
    assert_eq!(core.get("/appid-b/hello", "").await.status, 200);
}

#[tokio::test]
async fn a_key_that_is_replaced_before_it_is_due_signs_everywhere() {
    let nodes = Nodes::new().await;
    let (one, other) = (nodes.start().await, nodes.start().await);
    put_app(&one, json!({})).await;
    nodes.clock.advance(Duration::from_secs(1));
    let states = async |core: &Core| -> Vec<String> {
        let told = core.get("/appid-a/sessile/keys", "").await.ok();
        let keys = told["keys"].as_array().unwrap().clone();
        keys.iter().map(|key| format!("{} {}", text(&key["keyId"]), text(&key["state"]))).collect()
    };
    let before = states(&other).await;
    let rotate = "/appid-a/sessile/keys/rotate";
    assert_eq!(one.post(rotate, "", json!({})).await.ok()["made"], true);
    assert_eq!(other.post(rotate, "", json!({})).await.ok()["made"], false);
    let new = format!("d-{}", one.now());
    assert_eq!(states(&other).await[0], format!("{new} published"));
    assert_eq!(states(&other).await[1..], before);

    other.server.synchronise().await.unwrap();
    nodes.clock.advance(Duration::from_secs(60));
    for core in [&one, &other] {
        let created = core.create_with("/appid-a", "5.4", json!({})).await;
        assert_eq!(part(access_token(&created), 0)["kid"], new);
    }
    assert_eq!(states(&other).await[0], format!("{new} signing"));
}

#[tokio::test]
async fn what_another_process_makes_lets_in_whom_it_says() {
    const KEY: &str = "hg40239oirjgBHD9450=Beew123-";
    let nodes = Nodes::new().await;
    let (one, other) = (nodes.start().await, nodes.start().await);
    put_app(&one, json!({ "api_keys": KEY, "supertokens_max_cdi_version": "5.4" })).await;
    nodes.clock.advance(Duration::from_secs(1));
    // The one must look for it, and the other, that starts now, takes it into use.
    for core in [other, nodes.start().await] {
        let path = "/appid-a/recipe/session/user?userId=b";
        core.get(path, "").await.refused(401, "Invalid API key");
        let headers = [("api-key", KEY), ("cdi-version", "5.6")];
        core.call_from("", path, &headers).await.refused(400, "cdi-version 5.6 not supported");
        assert_eq!(core.call_from("", path, &[("api-key", KEY)]).await.status, 200);
    }
}

#[tokio::test]
async fn what_says_who_is_let_in_and_cannot_be_followed_lets_nobody_in() {
    let nodes = Nodes::new().await;
    let tenant = |app: &str, tenant: &str, core_config: Value| StoredTenant {
        app: app.parse().unwrap(),
        tenant: tenant.parse().unwrap(),
        core_config: core_config.to_string(),
        first_factors: None,
        required_secondary_factors: None,
        created_at: START,
    };
    for tenant in [
        tenant("keys", "public", json!({ "api_keys": "short" })),
        // Java knows look-ahead.
        tenant("addresses", "public", json!({ "ip_allow_regex": "(?=1)10.*" })),
        tenant("tenants", "public", json!({})),
        tenant("tenants", "t1", json!({ "ip_deny_regex": "(?!1)10.*", "ip_allow_regex": ".*" })),
        tenant("tenants", "t2", json!({ "ip_deny_regex": 5, "ip_allow_regex": ".*" })),
    ] {
        nodes.store.put_tenant(tenant).await.unwrap();
    }
    let core = nodes.start().await;
    let address = "10.0.0.1";
    for (path, status) in [
        ("/appid-keys/recipe/jwt/jwks", 401),
        ("/appid-keys/hello", 200),
        ("/appid-addresses/hello", 403),
        ("/appid-tenants/hello", 200),
        ("/appid-tenants/t1/hello", 403),
        ("/appid-tenants/t2/hello", 200),
    ] {
        let answer = core.call_from(address, path, &[("api-key", "short")]).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text);
    }
}
