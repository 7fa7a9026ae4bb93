//! An app on a running server: over the Core Driver Interface, so that SuperTokens' own core
//! answers too, but for the keys, of which only Sessile tells.

use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::body::Bytes;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use serde_json::{Value, json};
use sessile::{AppId, Secret, SessionHandle};

use super::backend::{Key, Session};

/// A version that today's servers all have.
const CDI_VERSION: &str = "5.0";

const TIMEOUT: Duration = Duration::from_secs(30);

/// The largest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 16 * 1024 * 1024;

pub(crate) struct RunningServer {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// The URL of the app, without a slash at the end.
    base: String,
    api_key: Option<Secret>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToldSession {
    session_handle: String,
    user_id: String,
    #[serde(default = "public")]
    tenant_id: String,
    time_created: i64,
    expiry: i64,
    #[serde(rename = "userDataInJWT")]
    jwt_payload: Value,
    #[serde(rename = "userDataInDatabase")]
    session_data: Value,
}

fn public() -> String {
    "public".to_owned()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToldKey {
    key_id: String,
    algorithm: String,
    is_static: bool,
    created_at: i64,
    state: String,
}

impl RunningServer {
    pub(crate) fn new(url: &str, api_key: Option<Secret>, app: &AppId) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().context("the server's URL cannot be read")?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            bail!("the server's URL must begin with http:// or https:// and name a host");
        }
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .context("the system's certificates cannot be read")?
            .https_or_http()
            .enable_http1()
            .build();
        let url = url.trim_end_matches('/');
        let base =
            if *app == AppId::default() { url.to_owned() } else { format!("{url}/appid-{app}") };
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), base, api_key })
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let body = self.exchange(method, path, body).await?;
        serde_json::from_slice(&body).context("the server's answer is no JSON")
    }

    /// The body of the answer, whatever it is.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Bytes> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("cdi-version", CDI_VERSION)
            .header("content-type", "application/json; charset=utf-8");
        if let Some(key) = &self.api_key {
            let mut key = http::HeaderValue::try_from(key.expose())
                .context("the API key has characters that no header can have")?;
            key.set_sensitive(true);
            request = request.header("api-key", key);
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = request.body(Full::from(body)).context("the request cannot be made")?;
        let exchange = async {
            let answer = self.client.request(request).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_LIMIT).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
            anyhow::Ok((status, body))
        };
        let (status, body) = tokio::time::timeout(TIMEOUT, exchange)
            .await
            .with_context(|| format!("the server did not answer in {} s", TIMEOUT.as_secs()))?
            .context("the server cannot be reached")?;
        if status != StatusCode::OK {
            let text = String::from_utf8_lossy(&body);
            let advice = match (status, &self.api_key) {
                (StatusCode::UNAUTHORIZED, None) => "; give its key with --api-key",
                _ => "",
            };
            bail!("the server answered {}: {}{advice}", status.as_u16(), text.trim());
        }
        Ok(body)
    }

    /// Asks whether the server is well and has its database.
    pub(crate) async fn hello(&self) -> anyhow::Result<()> {
        self.exchange(Method::GET, "/hello", None).await.map(drop)
    }

    /// The versions of the Core Driver Interface that the server has.
    pub(crate) async fn versions(&self) -> anyhow::Result<Vec<String>> {
        texts(self.call(Method::GET, "/apiversion", None).await?, "versions")
    }

    pub(super) async fn sessions_of_user(&self, user_id: &str) -> anyhow::Result<Vec<Session>> {
        let path = with_query("/recipe/session/user", "userId", user_id);
        let mut sessions = Vec::new();
        for handle in texts(self.call(Method::GET, &path, None).await?, "sessionHandles")? {
            // One that has ended meanwhile is not there any more.
            sessions.extend(self.session(&SessionHandle::new(&handle)).await?);
        }
        sessions.sort_by_key(|session| session.created_at);
        Ok(sessions)
    }

    pub(super) async fn session(&self, handle: &SessionHandle) -> anyhow::Result<Option<Session>> {
        let path = with_query("/recipe/session", "sessionHandle", handle.as_str());
        let told = self.call(Method::GET, &path, None).await?;
        if told["status"] != "OK" {
            return Ok(None);
        }
        let told: ToldSession =
            serde_json::from_value(told).context("the server tells sessions in another way")?;
        Ok(Some(told.into()))
    }

    pub(super) async fn revoke(&self, handles: &[SessionHandle]) -> anyhow::Result<Vec<String>> {
        let handles: Vec<_> = handles.iter().map(SessionHandle::as_str).collect();
        self.remove(json!({ "sessionHandles": handles })).await
    }

    pub(super) async fn revoke_user(&self, user_id: &str) -> anyhow::Result<Vec<String>> {
        self.remove(json!({ "userId": user_id })).await
    }

    async fn remove(&self, body: Value) -> anyhow::Result<Vec<String>> {
        let told = self.call(Method::POST, "/recipe/session/remove", Some(body)).await?;
        texts(told, "sessionHandlesRevoked")
    }

    pub(super) async fn keys(&self) -> anyhow::Result<Vec<Key>> {
        let mut told = self.call(Method::GET, "/sessile/keys", None).await?;
        let told: Vec<ToldKey> = serde_json::from_value(told["keys"].take())
            .context("the server tells keys in another way")?;
        Ok(told.into_iter().map(Key::from).collect())
    }

    pub(super) async fn rotate_key(&self) -> anyhow::Result<bool> {
        let told = self.call(Method::POST, "/sessile/keys/rotate", Some(json!({}))).await?;
        told["made"].as_bool().context("the server tells of keys in another way")
    }
}

fn with_query(path: &str, name: &str, value: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    format!("{path}?{query}")
}

fn texts(mut told: Value, name: &str) -> anyhow::Result<Vec<String>> {
    serde_json::from_value(told[name].take())
        .with_context(|| format!("the server's answer has no list of texts named {name}"))
}

impl From<ToldSession> for Session {
    fn from(told: ToldSession) -> Self {
        Self {
            handle: told.session_handle,
            user_id: told.user_id,
            tenant_id: told.tenant_id,
            created_at: told.time_created,
            expires_at: told.expiry,
            client_label: None,
            jwt_payload: told.jwt_payload,
            session_data: told.session_data,
        }
    }
}

impl From<ToldKey> for Key {
    fn from(told: ToldKey) -> Self {
        Self {
            key_id: told.key_id,
            algorithm: told.algorithm,
            kind: if told.is_static { "static" } else { "dynamic" },
            created_at: told.created_at,
            state: Some(told.state),
        }
    }
}
