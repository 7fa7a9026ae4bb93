//! A server on a port of its own, and a client that sends what it likes.

use std::net::SocketAddr;

use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use sessile_core::{Sessions, memory::MemoryStore, store::TenantStore};
use sessile_server::{PlainText, Server, ServerConfig};
use tokio::net::TcpListener;

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    client: Client<HttpConnector, Body>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Running {
    pub(crate) async fn start(config: ServerConfig) -> Self {
        Self::on(config, MemoryStore::new()).await.0
    }

    /// A server on that store, which is served until the test ends.
    pub(crate) async fn on<S: TenantStore>(config: ServerConfig, store: S) -> (Self, Server<S>) {
        let server = Server::start(config, Sessions::builder(store)).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = server.clone();
        tokio::spawn(
            async move { served.serve(listener, PlainText, std::future::pending()).await },
        );
        (Self::at(address), server)
    }

    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (head, body) = self.client.request(request).await.unwrap().into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: head.status, headers: head.headers, text }
    }

    /// The answer as it comes.
    pub(crate) async fn begin(
        &self,
        request: Request<Body>,
    ) -> http::Response<hyper::body::Incoming> {
        self.client.request(request).await.unwrap()
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        let request = Request::builder().method(method).uri(self.url(path));
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, "").await
    }

    /// Creates a session.
    pub(crate) async fn create(&self) -> serde_json::Value {
        let body = serde_json::json!({
            "userId": "alice",
            "userDataInJWT": {},
            "userDataInDatabase": {},
            "enableAntiCsrf": false,
        });
        let created = self.call("POST", "/recipe/session", &body.to_string()).await;
        serde_json::from_str(&created.text).unwrap()
    }
}
