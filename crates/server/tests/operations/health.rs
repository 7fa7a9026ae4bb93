use std::time::Duration;

use sessile_core::{Sessions, memory::MemoryStore, store::StoreErrorKind};
use sessile_server::{Limits, PlainText, Server, ServerConfig};
use tokio::{net::TcpListener, sync::oneshot};

use crate::{
    failing_store::{FailingStore, Trouble},
    support::Running,
};

#[tokio::test]
async fn a_server_with_a_store_lives_and_is_ready() {
    let server = Running::start(ServerConfig::default()).await;
    for (path, body) in
        [("/health/live", "{\"status\":\"live\"}\n"), ("/health/ready", "{\"status\":\"ready\"}\n")]
    {
        let answer = server.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, body));
        assert_eq!(answer.headers["content-type"], "application/json; charset=UTF-8");
    }
}

#[tokio::test]
async fn a_server_whose_store_fails_lives_and_says_why_it_is_not_ready() {
    let store = FailingStore::default();
    let (server, _) = Running::on(ServerConfig::default(), store.clone()).await;
    for (kind, message) in [
        (StoreErrorKind::Unavailable, "the store cannot be reached, or did not answer in time"),
        (StoreErrorKind::Other, "the store failed; the log says how"),
    ] {
        store.get_into(Trouble::Failing(kind));
        let answer = server.get("/health/ready").await;
        let body = format!(
            "{{\"message\":\"{message}\",\"reason\":\"store\",\"status\":\"not_ready\"}}\n"
        );
        assert_eq!((answer.status.as_u16(), answer.text), (503, body));
        assert_eq!(server.get("/health/live").await.status, 200);
    }
    store.get_into(Trouble::None);
    assert_eq!(server.get("/health/ready").await.status, 200);
}

#[tokio::test]
async fn a_server_whose_store_does_not_answer_is_not_ready() {
    let store = FailingStore::default();
    let limits = Limits { readiness_timeout: Duration::from_millis(50), ..Limits::default() };
    let config = ServerConfig { limits, ..ServerConfig::default() };
    let (server, _) = Running::on(config, store.clone()).await;
    store.get_into(Trouble::Hanging);
    // However many ask, each is answered in time.
    let (first, second) = tokio::join!(server.get("/health/ready"), server.get("/health/ready"));
    for answer in [first, second] {
        assert_eq!(answer.status, 503);
        assert!(answer.text.contains("the store did not answer in time"), "{}", answer.text);
    }
    store.get_into(Trouble::None);
    assert_eq!(server.get("/health/ready").await.status, 200);
}

#[tokio::test]
async fn a_server_that_is_stopping_says_so_and_serves_until_it_has_drained() {
    let limits = Limits { drain_time: Duration::from_secs(60), ..Limits::default() };
    let config = ServerConfig { limits, ..ServerConfig::default() };
    let server = Server::start(config, Sessions::builder(MemoryStore::new())).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Running::at(listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = async { server.serve(listener, PlainText, async { drop(stopped.await) }).await };
    let asking = async {
        assert_eq!(client.get("/health/ready").await.status, 200);
        drop(stop);
        let mut answer = client.get("/health/ready").await;
        while answer.status == 200 {
            answer = client.get("/health/ready").await;
        }
        let body = "{\"message\":\"the server is stopping\",\"reason\":\"stopping\",\
                    \"status\":\"not_ready\"}\n";
        assert_eq!(answer.text, body);
        assert_eq!(client.get("/health/live").await.status, 200);
        client.create().await;
    };
    tokio::select! {
        () = serving => panic!("the server did not drain"),
        () = asking => {}
    }
}

#[tokio::test]
async fn a_place_for_operators_has_health_and_metrics_alone() {
    let config =
        ServerConfig { metrics_address: Some("elsewhere:1".to_owned()), ..ServerConfig::default() };
    let (main, server) = Running::on(config, MemoryStore::new()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let operations = Running::at(listener.local_addr().unwrap());
    tokio::spawn(async move { server.serve_operations(listener, std::future::pending()).await });
    for path in ["/health/live", "/health/ready", "/metrics"] {
        assert_eq!(operations.get(path).await.status, 200, "{path}");
    }
    assert_eq!(operations.get("/hello").await.status, 404);
    assert_eq!(operations.call("POST", "/metrics", "").await.status, 405);
    // There it is a path as any other: that of a tenant which does not exist.
    assert_eq!(main.get("/metrics").await.status, 404);
    assert_eq!(main.get("/health/ready").await.status, 200);
}
