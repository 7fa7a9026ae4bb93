//! Who may see the metrics and reach the other core: whoever has a key, where there are keys.

use std::net::SocketAddr;

use axum::body::Body;
use http::Request;
use sessile_server::{AddressFilter, ApiKeys, AppConfig, ServerConfig};

use crate::{
    forwarding::Upstream,
    support::{Answer, Running},
};

const KEY: &str = "hg40239oirjgBHD9450=Beew123-";

async fn get(server: &Running, path: &str, key: &str) -> Answer {
    let request = Request::builder().uri(server.url(path)).header("api-key", key);
    server.send(request.body(Body::empty()).unwrap()).await
}

async fn in_front_of(address: SocketAddr, app: AppConfig) -> Running {
    let forward = Some(format!("http://{address}").parse().unwrap());
    Running::start(ServerConfig { app, forward, ..ServerConfig::default() }).await
}

#[tokio::test]
async fn metrics_and_the_other_core_want_the_key_and_health_does_not() {
    let upstream = Upstream::start().await;
    let app = AppConfig { api_keys: ApiKeys::parse(KEY).unwrap(), ..AppConfig::default() };
    let server = in_front_of(upstream.address, app).await;
    for (path, status) in [("/metrics", 200), ("/users", 418), ("/appid-none/users", 418)] {
        for key in ["", "hg40239oirjgBHD9450=Beew123"] {
            let refused = get(&server, path, key).await;
            assert_eq!(
                (refused.status.as_u16(), refused.text.as_str()),
                (401, "Invalid API key\n")
            );
        }
        assert!(!upstream.was_asked());
        assert_eq!(get(&server, path, KEY).await.status.as_u16(), status, "{path}");
        upstream.forget();
    }
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(get(&server, path, "").await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_app_has_keys_of_its_own_for_the_other_core_too() {
    let upstream = Upstream::start().await;
    let server = in_front_of(upstream.address, AppConfig::default()).await;
    let app = format!("{{\"appId\":\"a\",\"coreConfig\":{{\"api_keys\":\"{KEY}\"}}}}");
    assert_eq!(server.call("PUT", "/recipe/multitenancy/app/v2", &app).await.status, 200);
    assert_eq!(get(&server, "/appid-a/users", "").await.status, 401);
    assert_eq!(get(&server, "/APPID-A/t1/users", KEY).await.status, 418);
    assert_eq!(get(&server, "/users", "").await.status, 418);
}

#[tokio::test]
async fn addresses_that_are_kept_out_see_nothing_but_health() {
    let upstream = Upstream::start().await;
    let addresses = AddressFilter::default().denying("127\\..*").unwrap();
    let app = AppConfig { addresses, ..AppConfig::default() };
    let server = in_front_of(upstream.address, app).await;
    for path in ["/metrics", "/users", "/hello"] {
        let refused = get(&server, path, "").await;
        assert_eq!(
            (refused.status.as_u16(), refused.text.as_str()),
            (403, "Forbidden\n"),
            "{path}"
        );
    }
    assert!(!upstream.was_asked());
    assert_eq!(get(&server, "/health/ready", "").await.status, 200);
}
