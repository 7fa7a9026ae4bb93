//! A server whose clock stands still, and what a client remembers.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sessile_core::{
    AppId, SessionHandle, Sessions,
    clock::{Clock, ManualClock, Timestamp},
    store::{SessionRecord, Store as _},
};
use sessile_server::{Server, ServerConfig};
use tower::ServiceExt;

use crate::store::{self, TestStore};

pub(crate) const START: Timestamp = Timestamp::from_millis(1_700_000_000_123);

/// Versions whose surface is below `/recipe`, one for each dialect.
pub(crate) const MODERN: [&str; 7] = ["2.7", "2.9", "2.21", "3.0", "4.0", "5.4", "5.6"];

pub(crate) struct Core {
    router: Router,
    pub(crate) server: Server<TestStore>,
    pub(crate) clock: Arc<ManualClock>,
}

/// An answer, its body both as text and, where it is that, as JSON.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Response {
    /// The JSON of an outcome.
    #[track_caller]
    pub(crate) fn outcome(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/json; charset=UTF-8");
        assert!(self.text.ends_with("}\n"), "{}", self.text);
        self.json
    }

    /// The JSON of an outcome with the status `OK`.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        let outcome = self.outcome();
        assert_eq!(outcome["status"], "OK", "{outcome}");
        outcome
    }

    /// An error, with this status and text.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, text: &str) {
        assert_eq!(
            (self.status.as_u16(), self.text.as_str()),
            (status, format!("{text}\n").as_str())
        );
        assert_eq!(self.headers["content-type"], "text/html; charset=UTF-8");
    }
}

/// The fields of an object, in alphabetical order.
#[track_caller]
pub(crate) fn fields(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub(crate) fn access_token(session: &Value) -> &str {
    text(&session["accessToken"]["token"])
}

pub(crate) fn refresh_token(session: &Value) -> &str {
    text(&session["refreshToken"]["token"])
}

/// A part of a token, of either encoding.
pub(crate) fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap().replace('-', "+").replace('_', "/");
    let padding = "=".repeat((4 - part.len() % 4) % 4);
    serde_json::from_slice(&STANDARD.decode(part + &padding).unwrap()).unwrap()
}

impl Core {
    pub(crate) async fn new() -> Self {
        Self::with(ServerConfig::default()).await
    }

    pub(crate) async fn with(config: ServerConfig) -> Self {
        Self::on(store::open().await, Arc::new(ManualClock::at(START)), config).await
    }

    /// A server, and the store that it is on.
    pub(crate) async fn with_store() -> (Self, TestStore) {
        let store = store::open().await;
        let clock = Arc::new(ManualClock::at(START));
        (Self::on(store.clone(), clock, ServerConfig::default()).await, store)
    }

    /// A server beside others that may use the same store.
    pub(crate) async fn on(
        store: TestStore,
        clock: Arc<ManualClock>,
        config: ServerConfig,
    ) -> Self {
        let sessions = Sessions::builder(store).clock(Arc::clone(&clock));
        let server = Server::start(config, sessions).await.unwrap();
        Self { router: server.router(), server, clock }
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().as_millis()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        Response { status: head.status, headers: head.headers, text, json }
    }

    /// With these headers beside the version, and from this address if it is not empty.
    pub(crate) async fn call_from(
        &self,
        address: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Response {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !address.is_empty() {
            let address = SocketAddr::new(address.parse().unwrap(), 40_000);
            request = request.extension(ConnectInfo(address));
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        version: &str,
        body: impl ToString,
    ) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        if !version.is_empty() {
            request = request.header("cdi-version", version);
        }
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str, version: &str) -> Response {
        self.call("GET", path, version, "").await
    }

    pub(crate) async fn post(&self, path: &str, version: &str, body: Value) -> Response {
        self.call("POST", path, version, body).await
    }

    pub(crate) async fn put(&self, path: &str, version: &str, body: Value) -> Response {
        self.call("PUT", path, version, body).await
    }

    /// Creates a session of `alice`, with what `more` says beside or instead.
    pub(crate) async fn create_with(&self, at: &str, version: &str, more: Value) -> Value {
        let body = merged(
            json!({
                "userId": "alice",
                "userDataInJWT": { "key": "value", "none": null },
                "userDataInDatabase": { "cart": [1] },
                "enableAntiCsrf": false,
            }),
            more,
        );
        self.post(&format!("{at}/recipe/session"), version, body).await.ok()
    }

    pub(crate) async fn create(&self, version: &str) -> Value {
        self.create_with("", version, json!({})).await
    }

    pub(crate) async fn verify_with(
        &self,
        at: &str,
        version: &str,
        token: &str,
        more: Value,
    ) -> Response {
        let body = merged(
            json!({
                "accessToken": token,
                "doAntiCsrfCheck": false,
                "enableAntiCsrf": false,
                "checkDatabase": false,
            }),
            more,
        );
        self.post(&format!("{at}/recipe/session/verify"), version, body).await
    }

    pub(crate) async fn verify(&self, version: &str, token: &str) -> Value {
        self.verify_with("", version, token, json!({})).await.outcome()
    }

    /// Verifies, and asks the store.
    pub(crate) async fn verify_in_store(&self, version: &str, token: &str) -> Value {
        self.verify_with("", version, token, json!({ "checkDatabase": true })).await.outcome()
    }

    pub(crate) async fn refresh_with(&self, version: &str, token: &str, more: Value) -> Response {
        let body = merged(
            json!({ "refreshToken": token, "enableAntiCsrf": false, "useDynamicSigningKey": true }),
            more,
        );
        self.post("/recipe/session/refresh", version, body).await
    }

    pub(crate) async fn refresh(&self, version: &str, token: &str) -> Value {
        self.refresh_with(version, token, json!({})).await.outcome()
    }

    pub(crate) async fn regenerate(&self, version: &str, token: &str, more: Value) -> Response {
        let body = merged(json!({ "accessToken": token }), more);
        self.post("/recipe/session/regenerate", version, body).await
    }

    /// What the store has of a session.
    pub(crate) async fn information(&self, handle: &Value) -> Value {
        let path = format!("/recipe/session?sessionHandle={}", text(handle));
        self.get(&path, "5.4").await.outcome()
    }
}

/// The row of a session of the public app's.
pub(crate) async fn row(store: &TestStore, session: &Value) -> Option<SessionRecord> {
    let handle = SessionHandle::new(text(&session["session"]["handle"]));
    store.get_session(&AppId::default(), &handle).await.unwrap()
}

pub(crate) fn merged(mut body: Value, more: Value) -> Value {
    let Value::Object(more) = more else { return body };
    for (name, value) in more {
        body[name] = value;
    }
    body
}
