use std::collections::BTreeSet;

use serde_json::json;
use sessile_core::store::StoreErrorKind;
use sessile_server::{CommitStatistics, ServerConfig};

use crate::{
    failing_store::{FailingStore, Trouble},
    support::Running,
};

/// The value of one line.
#[track_caller]
fn value(exposition: &str, line: &str) -> f64 {
    let found = exposition.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(' '));
    assert!(found.is_some(), "{line} is not in {exposition}");
    found.unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_happens_is_counted() {
    let store = FailingStore::default();
    let (server, _) = Running::on(ServerConfig::default(), store.clone()).await;
    let created = server.create().await;
    server.create().await;
    let token = created["refreshToken"]["token"].as_str().unwrap();
    let refresh = |token: &str| {
        let body = json!({
            "refreshToken": token, "enableAntiCsrf": false, "useDynamicSigningKey": true,
        });
        let body = body.to_string();
        let server = &server;
        async move { server.call("POST", "/recipe/session/refresh", &body).await.text }
    };
    // In 5.6, the token before the previous one is stale.
    let next: serde_json::Value = serde_json::from_str(&refresh(token).await).unwrap();
    refresh(next["refreshToken"]["token"].as_str().unwrap()).await;
    assert!(refresh(token).await.contains("TOKEN_THEFT_DETECTED"));
    server.call("POST", "/recipe/session/remove", "{\"userId\":\"alice\"}").await;
    server.call("POST", "/recipe/session/remove", "nonsense").await;
    store.get_into(Trouble::Failing(StoreErrorKind::Unavailable));
    assert_eq!(server.get("/recipe/session/user?userId=alice").await.status, 503);
    let answer = server.get("/metrics").await;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.headers["content-type"], content_type);
    let text = answer.text;
    for (line, expected) in [
        ("sessile_sessions_created_total", 2.0),
        ("sessile_sessions_refreshed_total", 2.0),
        ("sessile_refreshes_reissued_total", 0.0),
        ("sessile_thefts_detected_total{kind=\"stale_refresh_token\"}", 1.0),
        ("sessile_thefts_detected_total{kind=\"late_retry\"}", 0.0),
        ("sessile_sessions_revoked_total{reason=\"all_of_user\"}", 1.0),
        ("sessile_signing_keys", 2.0),
        ("sessile_signing_keys_made_total", 2.0),
        ("sessile_store_duration_seconds_count{intent=\"insert_session\"}", 2.0),
        ("sessile_store_errors_total{intent=\"sessions_of_user\",kind=\"unavailable\"}", 1.0),
        ("sessile_requests_in_flight", 1.0),
        ("sessile_request_duration_seconds_count{route=\"session\",method=\"POST\"}", 2.0),
    ] {
        assert_eq!(value(&text, line), expected, "{line}");
    }
    for (labels, expected) in [
        ("route=\"session\",method=\"POST\",cdi=\"5.6\",status=\"200\"", 2.0),
        ("route=\"session_refresh\",method=\"POST\",cdi=\"5.6\",status=\"200\"", 3.0),
        ("route=\"session_remove\",method=\"POST\",cdi=\"5.6\",status=\"400\"", 1.0),
        ("route=\"session_user\",method=\"GET\",cdi=\"5.6\",status=\"503\"", 1.0),
    ] {
        assert_eq!(value(&text, &format!("sessile_requests_total{{{labels}}}")), expected);
    }
    assert!(value(&text, "sessile_connections_accepted_total") >= 1.0);
    assert!(!text.contains("alice"), "no user is named");
    assert!(!text.contains(created["session"]["handle"].as_str().unwrap()), "nor a session");
}

#[tokio::test]
async fn clients_cannot_make_up_labels() {
    let server = Running::start(ServerConfig::default()).await;
    for number in 0..20 {
        let method = format!("METHOD{number}");
        server.call(&method, &format!("/path/{number}"), "").await;
        server.get(&format!("/appid-{number}/hello")).await;
        server.get(&format!("/{number}/recipe/session/user?userId={number}")).await;
    }
    let text = server.get("/metrics").await.text;
    let requests = text.lines().filter(|line| line.starts_with("sessile_requests_total")).count();
    assert_eq!(requests, 3, "{text}");
}

/// The names of a page: the first cell of each row that begins with one.
fn documented(page: &str) -> BTreeSet<String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `sessile_"));
    rows.map(|row| format!("sessile_{}", row.split(['`', '{']).next().unwrap())).collect()
}

#[tokio::test]
async fn every_metric_is_documented_and_every_documented_metric_is_there() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let page = std::fs::read_to_string(page).unwrap();
    let store = FailingStore::default();
    let (running, server) = Running::on(ServerConfig::default(), store.clone()).await;
    store.get_into(Trouble::Failing(StoreErrorKind::Other));
    assert_eq!(running.get("/health/ready").await.status, 503);
    server.measure_commits(|| CommitStatistics {
        commits: 3,
        writes: 7,
        by_size: vec![(1, 2), (2, 0), (4, 0), (8, 1)],
    });
    let text = running.get("/metrics").await.text;
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert_eq!(value(&text, "sessile_commit_writes_sum"), 7.0);
    assert_eq!(value(&text, "sessile_commit_writes_bucket{le=\"4.0\"}"), 2.0);
    assert_eq!(value(&text, "sessile_commit_writes_bucket{le=\"+Inf\"}"), 3.0);
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let told: BTreeSet<String> = types
        .map(|line| match line.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, "info") => format!("{name}_info"),
            (name, _) => name.to_owned(),
        })
        .collect();
    assert_eq!(documented(&page), told);
}
