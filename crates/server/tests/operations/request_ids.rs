use axum::body::Body;
use http::Request;
use sessile_server::ServerConfig;

use crate::support::Running;

#[tokio::test]
async fn every_answer_names_its_request() {
    let server = Running::start(ServerConfig::default()).await;
    for path in ["/hello", "/nothing", "/health/live", "/metrics"] {
        let answer = server.get(path).await;
        assert_eq!(answer.headers["x-request-id"].len(), 32, "{path}");
    }
    let named = |id: &str| {
        let request = Request::builder().uri(server.url("/hello")).header("x-request-id", id);
        server.send(request.body(Body::empty()).unwrap())
    };
    assert_eq!(named("trace-1").await.headers["x-request-id"], "trace-1");
    let made = named("not a name").await.headers["x-request-id"].clone();
    assert_eq!(made.len(), 32);
}
