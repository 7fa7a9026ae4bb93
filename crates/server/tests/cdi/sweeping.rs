//! What is over: how it is answered, and what a sweep removes of it.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use sessile_core::{
    AppId,
    clock::Clock as _,
    store::{Store as _, StoredSigningKey},
};
use sessile_server::ServerConfig;

use crate::{
    store::TestStore,
    support::{Core, access_token, part, refresh_token, row, text},
};

const DAY: u64 = 24 * 3600;

#[tokio::test]
async fn without_its_row_a_token_ends_when_it_would_and_no_refresh_follows() {
    let core = Core::new().await;
    for version in ["2.7", "2.9", "2.21", "3.0", "5.4", "5.6"] {
        let created = core.create(version).await;
        let body = json!({ "sessionHandles": [created["session"]["handle"]] });
        core.post("/recipe/session/remove", version, body).await.ok();
        core.advance(3599);
        assert_eq!(core.verify("5.4", access_token(&created)).await["status"], "OK", "{version}");
        core.advance(2);
        let ended = core.verify(version, access_token(&created)).await;
        assert_eq!(ended["status"], "TRY_REFRESH_TOKEN", "{version}");
        assert_eq!(ended["message"], "Access token expired");
        let refreshed = core.refresh(version, refresh_token(&created)).await;
        let message = "Session missing in db or has expired";
        assert_eq!(refreshed, json!({ "status": "UNAUTHORISED", "message": message }));
    }
}

async fn sweep(core: &Core) -> (usize, usize) {
    let swept = core.server.sweep().await;
    (swept.sessions, swept.keys)
}

async fn key_ids(store: &TestStore, app: &AppId) -> Vec<String> {
    let keys = store.signing_keys(app).await.unwrap();
    keys.into_iter().map(|key| key.key_id).collect()
}

fn key_id(session: &Value) -> String {
    text(&part(access_token(session), 0)["kid"]).to_owned()
}

#[tokio::test]
async fn a_sweep_removes_the_sessions_that_cannot_be_refreshed_any_more() {
    let (core, store) = Core::with_store().await;
    let abandoned = core.create("5.4").await;
    let revived = core.create("5.4").await;
    core.advance(1);
    let later = core.create("5.4").await;
    core.advance(DAY);
    let child = core.refresh("5.4", refresh_token(&revived)).await;
    core.verify("5.4", access_token(&child)).await;
    // 100 days after the first, to the millisecond.
    core.advance(99 * DAY - 1);
    assert_eq!(sweep(&core).await.0, 0);
    core.refresh_with("5.4", refresh_token(&abandoned), json!({})).await.ok();

    core.clock.advance(Duration::from_millis(1));
    assert!(row(&store, &abandoned).await.is_some(), "nothing but a sweep removes it");
    assert_eq!(sweep(&core).await.0, 1);
    assert!(row(&store, &abandoned).await.is_none());
    assert!(row(&store, &revived).await.is_some(), "it was used since");
    assert!(row(&store, &later).await.is_some());
    assert_eq!(sweep(&core).await, (0, 0));
}

#[tokio::test]
async fn a_sweep_removes_the_keys_whose_tokens_are_all_over() {
    let (core, store) = Core::with_store().await;
    let settings = json!({
        "access_token_validity": 600, "access_token_dynamic_signing_key_update_interval": 1,
    });
    let body = json!({ "appId": "quick", "coreConfig": settings });
    core.put("/recipe/multitenancy/app/v2", "", body).await.ok();
    let (public, quick) = (AppId::default(), "quick".parse::<AppId>().unwrap());
    let first = core.create_with("/appid-quick", "5.4", json!({})).await;
    let [fixed_of_public, fixed_of_quick] = [&public, &quick].map(async |app| {
        let fixed = key_ids(&store, app).await;
        fixed.into_iter().find(|key| key.starts_with("s-")).unwrap()
    });
    let (fixed_of_public, fixed_of_quick) = (fixed_of_public.await, fixed_of_quick.await);

    // Of the quick app a key signs for an hour, and what it signed lives for ten minutes, twice.
    core.advance(3600 + 2 * 600);
    let second = core.create_with("/appid-quick", "5.4", json!({})).await;
    assert_ne!(key_id(&second), key_id(&first));
    assert_eq!(sweep(&core).await, (0, 0));
    assert!(key_ids(&store, &quick).await.contains(&key_id(&first)));
    let published = core.get("/appid-quick/.well-known/jwks.json", "").await.outcome();
    assert_eq!(published["keys"].as_array().unwrap().len(), 3);

    core.clock.advance(Duration::from_millis(1));
    let published = core.get("/appid-quick/.well-known/jwks.json", "").await.outcome();
    assert_eq!(published["keys"].as_array().unwrap().len(), 2, "swept or not");
    assert_eq!(sweep(&core).await, (0, 1));
    assert_eq!(key_ids(&store, &quick).await, [key_id(&second), fixed_of_quick]);
    assert_eq!(key_ids(&store, &public).await.len(), 2, "another app's keys live by its own rules");

    // Static keys are there for good, and dynamic ones until a week and two hours are over.
    let of_public = key_id(&core.create("5.4").await);
    core.advance(7 * DAY + 2 * 3600 - (3600 + 2 * 600));
    core.create("5.4").await;
    assert_eq!(sweep(&core).await.0, 0);
    assert!(!key_ids(&store, &public).await.contains(&of_public), "older by the millisecond");
    assert!(key_ids(&store, &public).await.contains(&fixed_of_public));
}

/// The value of one line of the metrics.
async fn counted(core: &Core, line: &str) -> String {
    let told = core.get("/metrics", "").await.text;
    let found = told.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(' '));
    assert!(found.is_some(), "{line} is not in {told}");
    found.unwrap().to_owned()
}

#[tokio::test]
async fn an_app_whose_keys_cannot_be_read_keeps_no_other_from_its_upkeep() {
    const GOOD: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    let (core, store) = Core::with_store().await;
    for app in GOOD.into_iter().chain(["bad"]) {
        let body = json!({ "appId": app });
        core.put("/recipe/multitenancy/app/v2", "", body).await.ok();
        core.create_with(&format!("/appid-{app}"), "5.4", json!({})).await;
    }
    let newest = key_ids(&store, &"bad".parse().unwrap()).await;
    let unreadable = StoredSigningKey {
        key_id: format!("d-{}", core.now() + 1),
        algorithm: "RS256".into(),
        created_at: core.clock.now().plus(Duration::from_millis(1)),
        material: "no key".into(),
        is_static: false,
    };
    let newest = newest.first().map(String::as_str);
    store.add_signing_key(&"bad".parse().unwrap(), unreadable, newest).await.unwrap();

    // In one process all are in use, and in the other one none is.
    let config = ServerConfig::default();
    let other = Core::on(store.clone(), Arc::clone(&core.clock), config).await;
    let made = other.post("/appid-f/sessile/keys/rotate", "", json!({})).await.ok();
    assert_eq!(made["made"], true);
    core.server.synchronise().await.unwrap();
    let failures = "sessile_upkeep_failures_total{task=\"synchronisation\"}";
    assert_eq!(counted(&core, failures).await, "1");
    let keys = core.get("/appid-f/.well-known/jwks.json", "").await.json;
    assert_eq!(keys["keys"].as_array().unwrap().len(), 3);

    core.advance(100 * DAY + 1);
    let (sessions, _) = sweep(&other).await;
    assert_eq!(sessions, GOOD.len());
    assert_eq!(counted(&other, "sessile_upkeep_failures_total{task=\"sweep\"}").await, "1");
    // Where its keys were read before, nothing is amiss.
    assert_eq!(sweep(&core).await.0, 1);
}
