//! A database whose tables were there before: a SuperTokens core may read and write it too.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use sessile_core::clock::ManualClock;
use sessile_postgres::{Ownership, PostgresOptions, PostgresStore};
use sessile_postgres_fixture::{Database, supertokens};
use sessile_server::ServerConfig;

use crate::support::{Core, START, access_token, part, refresh_token, row, text};

async fn shared() -> (Core, PostgresStore, Database) {
    let database = Database::new();
    database.run(supertokens::TABLES);
    let store = PostgresStore::open(&database.url()).await.unwrap();
    assert_eq!(store.ownership(), Ownership::Shared);
    let clock = Arc::new(ManualClock::at(START));
    let core = Core::on(store.clone(), clock, ServerConfig::default()).await;
    (core, store, database)
}

/// A core reads all signing keys, and has the secret of the refresh tokens.
#[track_caller]
fn check_keys(database: &Database, app: &str) {
    let count = |table: &str| {
        database.rows(&format!("SELECT count(*) FROM {table} WHERE app_id = '{app}'")).concat()
    };
    assert_eq!(count("sessile_signing_key"), "0");
    assert_eq!(count("session_access_token_signing_keys"), "1");
    assert_eq!(count("jwt_signing_keys"), "1");
    let secret = format!("SELECT name FROM key_value WHERE app_id = '{app}'");
    assert_eq!(database.rows(&secret), ["refresh_token_key"]);
}

#[tokio::test]
async fn a_session_lives_and_ends_in_the_tables_of_a_core() {
    let (core, store, database) = shared().await;
    for version in ["2.7", "2.9", "2.21", "3.0", "4.0", "5.4", "5.6"] {
        let created = core.create(version).await;
        let handle = &created["session"]["handle"];
        assert_eq!(part(access_token(&created), 0)["alg"], "RS256");
        assert_eq!(core.verify_in_store(version, access_token(&created)).await["status"], "OK");
        let refreshed = core.refresh(version, refresh_token(&created)).await;
        assert_eq!(refreshed["status"], "OK", "{version}: {refreshed}");
        let verified = core.verify_in_store(version, access_token(&refreshed)).await;
        assert_eq!(verified["session"]["handle"], *handle, "{version}");
        assert_eq!(row(&store, &created).await.unwrap().user_id, "alice");

        let sql = format!(
            "SELECT user_id, session_data FROM session_info WHERE session_handle = '{}'",
            text(handle)
        );
        assert_eq!(database.rows(&sql), [r#"alice|{"cart":[1]}"#], "{version}");
        let removed = json!({ "sessionHandles": [handle] });
        let removed = core.post("/recipe/session/remove", version, removed).await.ok();
        assert_eq!(removed["sessionHandlesRevoked"], json!([handle]), "{version}");
        assert!(database.rows(&sql).is_empty(), "{version}");
        let ended = core.refresh(version, refresh_token(&refreshed)).await;
        assert_eq!(ended["status"], "UNAUTHORISED", "{version}");
    }
    check_keys(&database, "public");
}

#[tokio::test]
async fn an_app_and_its_tenants_are_made_before_their_first_session() {
    let (core, _, database) = shared().await;
    let app = json!({ "appId": "a", "coreConfig": { "access_token_validity": 60 } });
    assert_eq!(core.put("/recipe/multitenancy/app/v2", "", app).await.ok()["createdNew"], true);
    let tenant = json!({ "tenantId": "t1" });
    core.put("/appid-a/recipe/multitenancy/tenant/v2", "", tenant).await.ok();
    for at in ["/appid-a", "/appid-a/t1"] {
        let created = core.create_with(at, "5.4", json!({})).await;
        let token = access_token(&created);
        let verified = core.verify_with("/appid-a", "5.4", token, json!({ "checkDatabase": true }));
        assert_eq!(verified.await.ok()["session"]["userId"], "alice", "{at}");
    }
    let rows = database.rows("SELECT app_id, tenant_id FROM session_info ORDER BY 1, 2");
    assert_eq!(rows, ["a|public", "a|t1"]);
    check_keys(&database, "a");
    core.post("/appid-a/recipe/multitenancy/tenant/remove", "", json!({ "tenantId": "t1" }))
        .await
        .ok();
    let removed = core.post("/recipe/multitenancy/app/remove", "", json!({ "appId": "a" })).await;
    assert_eq!(removed.ok()["didExist"], true);
    for table in ["apps", "tenants", "session_info", "key_value", "jwt_signing_keys"] {
        let sql = format!("SELECT count(*) FROM {table} WHERE app_id = 'a'");
        assert_eq!(database.rows(&sql), ["0"], "{table}");
    }
}

#[tokio::test]
async fn two_servers_agree_on_a_database_that_is_said_to_be_shared() {
    let database = Database::new();
    let clock = Arc::new(ManualClock::at(START));
    let server = async || {
        let options = PostgresOptions::from_url(&database.url()).unwrap();
        let store = options.ownership(Ownership::Shared).open().await.unwrap();
        Core::on(store, Arc::clone(&clock), ServerConfig::default()).await
    };
    let (one, other) = (server().await, server().await);
    let created = one.create("5.4").await;
    let refreshed = other.refresh("5.4", refresh_token(&created)).await;
    assert_eq!(refreshed["status"], "OK", "{refreshed}");
    assert_eq!(one.verify_in_store("5.4", access_token(&refreshed)).await["status"], "OK");
    let app = json!({ "appId": "a" });
    one.put("/recipe/multitenancy/app/v2", "", app).await.ok();
    one.clock.advance(Duration::from_secs(1));
    other.create_with("/appid-a", "5.4", json!({})).await;
    check_keys(&database, "public");
    check_keys(&database, "a");
}

/// A SuperTokens core removes them, while this server still knows them.
#[tokio::test]
async fn a_tenant_or_app_that_a_core_has_removed_is_unknown() {
    let (core, _, database) = shared().await;
    core.put("/recipe/multitenancy/app/v2", "", json!({ "appId": "a" })).await.ok();
    let tenant = json!({ "tenantId": "t1" });
    core.put("/appid-a/recipe/multitenancy/tenant/v2", "", tenant).await.ok();
    let log_in = async |at: &str| {
        let body = json!({
            "userId": "alice", "userDataInJWT": {}, "userDataInDatabase": {},
            "enableAntiCsrf": false,
        });
        core.post(&format!("{at}/recipe/session"), "5.4", body).await
    };
    let unknown = |tenant: &str| {
        format!(
            "AppId or tenantId not found => Tenant with the following connectionURIDomain, appId \
             and tenantId combination not found: (, a, {tenant})"
        )
    };
    log_in("/appid-a/t1").await.ok();
    database.run("DELETE FROM tenants WHERE app_id = 'a' AND tenant_id = 't1'");
    log_in("/appid-a/t1").await.refused(400, &unknown("t1"));
    // Its app goes on, and so does another tenant.
    log_in("/appid-a").await.ok();
    // Once the server has looked again.
    core.clock.advance(Duration::from_secs(1));
    log_in("/appid-a/t1").await.refused(400, &unknown("t1"));

    database.run("DELETE FROM apps WHERE app_id = 'a'");
    for _ in 0..2 {
        log_in("/appid-a").await.refused(400, &unknown("public"));
        core.clock.advance(Duration::from_secs(1));
    }
    log_in("").await.ok();
}
