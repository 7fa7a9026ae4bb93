//! An application on a real SQLite file, and a client with a cookie jar.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Form, Json, Router,
    body::Body,
    http::{HeaderMap, HeaderName, Request, Response, StatusCode},
    routing::{get, post},
};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use sessile::{
    AppId, JsonObject, NewSession, SessionHandle, Sessions, TenantScope, WebConfig, WebSessions,
    axum::{
        Immediate, Session, SessionLayer, SessionRejection, SessionRequest, SessionWith, routes,
    },
    clock::{ManualClock, Timestamp},
    event::{Event, EventKind},
    policy::Policy,
    rotation::Rotation,
    sqlite::SqliteStore,
    store::{
        Accounts, DataReplacement, DataVersion, LimitedInsertion, Owner, RemovedSession,
        SessionLimit, SessionRecord, Store, StoreError, StoredSigningKey, Sweep, Swept,
    },
};
use tempfile::TempDir;
use tower::ServiceExt as _;

/// Counts every call that reaches the store.
#[derive(Clone, Debug)]
pub(crate) struct CountingStore {
    inner: SqliteStore,
    calls: Arc<AtomicUsize>,
}

macro_rules! counted {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl Store for CountingStore {
            $(fn $name(&self, $($argument: $type),*)
                -> impl Future<Output = Result<$answer, StoreError>> + Send {
                self.calls.fetch_add(1, Ordering::SeqCst);
                self.inner.$name($($argument),*)
            })*
        }
    };
}

counted! {
    insert_session(app: &AppId, session: SessionRecord) -> Owner;
    insert_session_within(app: &AppId, session: SessionRecord, limit: SessionLimit, now: Timestamp)
        -> LimitedInsertion;
    remove_sessions_created_before(app: &AppId, before: Timestamp, limit: usize)
        -> Vec<RemovedSession>;
    get_session(app: &AppId, handle: &SessionHandle) -> Option<SessionRecord>;
    rotate_session(app: &AppId, handle: &SessionHandle, rotation: Rotation)
        -> Option<SessionRecord>;
    replace_session_data(app: &AppId, handle: &SessionHandle, data: String,
        expected: Option<DataVersion>, now: Timestamp) -> DataReplacement;
    replace_jwt_payload(app: &AppId, handle: &SessionHandle, payload: String, now: Timestamp)
        -> Option<SessionRecord>;
    remove_sessions(app: &AppId, handles: &[SessionHandle]) -> Vec<RemovedSession>;
    remove_sessions_of_user(app: &AppId, user: &str, accounts: Accounts, tenants: &TenantScope,
        except: Option<&SessionHandle>) -> Vec<RemovedSession>;
    sessions_of_user(app: &AppId, user: &str, accounts: Accounts, tenants: &TenantScope,
        now: Timestamp) -> Vec<SessionRecord>;
    signing_keys(app: &AppId) -> Vec<StoredSigningKey>;
    add_signing_key(app: &AppId, key: StoredSigningKey, newest: Option<&str>)
        -> Vec<StoredSigningKey>;
    secret(app: &AppId, name: &str, candidate: String) -> String;
    sweep(app: &AppId, sweep: Sweep) -> Swept;
}

/// A running application.
pub(crate) struct Application {
    pub(crate) router: Router,
    pub(crate) sessions: Sessions<CountingStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) events: Arc<Mutex<Vec<EventKind>>>,
    calls: Arc<AtomicUsize>,
    _folder: TempDir,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Login {
    user_id: String,
    #[serde(default)]
    jwt_payload: JsonObject,
    #[serde(default)]
    session_data: JsonObject,
}

type Answer = Result<Json<Value>, SessionRejection>;

async fn login(request: SessionRequest, Json(login): Json<Login>) -> Answer {
    let new = NewSession::new(login.user_id)
        .jwt_payload(login.jwt_payload)
        .session_data(login.session_data);
    let session = request.create_new_session(new).await?;
    Ok(Json(json!({ "handle": session.get_handle().as_str() })))
}

async fn me(session: Session) -> Json<Value> {
    Json(json!({ "userId": session.get_user_id(), "payload": session.get_jwt_payload() }))
}

async fn optional(session: Option<Session>) -> String {
    session.map_or_else(|| "nobody".to_owned(), |session| session.get_user_id().to_owned())
}

async fn immediate(SessionWith(session, ..): SessionWith<Immediate>) -> String {
    session.get_user_id().to_owned()
}

async fn payload(mut session: Session, Json(payload): Json<Value>) -> Answer {
    session.update_jwt_payload(&payload).await?;
    Ok(Json(json!(session.get_jwt_payload())))
}

async fn data(session: Session) -> Answer {
    Ok(Json(session.get_session_data().await?.into()))
}

async fn update_data(session: Session, Json(data): Json<Value>) -> Answer {
    session.update_session_data(&data).await?;
    Ok(Json(json!({})))
}

async fn revoke(mut session: Session) -> Answer {
    session.revoke_session().await?;
    Ok(Json(json!({ "status": "ok" })))
}

/// Changes the token and fails all the same.
async fn change_and_fail(mut session: Session) -> Result<(), StatusCode> {
    session.update_jwt_payload(&json!({ "kept": true })).await.unwrap();
    Err(StatusCode::IM_A_TEAPOT)
}

/// The page's handler.
async fn test_info(mut session: Session) -> Answer {
    let _user_id = session.get_user_id();
    let mut session_data = session.get_session_data().await?;
    session_data.insert("newKey".to_owned(), json!("newVal"));
    session.update_session_data(&session_data).await?;
    let mut payload = session.get_jwt_payload().clone();
    payload.insert("newKey".to_owned(), json!("newVal"));
    session.update_jwt_payload(&payload).await?;
    session.revoke_session().await?;
    Ok(Json(json!({ "status": "ok" })))
}

/// A handler about another session than the request's.
async fn data_of(request: SessionRequest, Json(handle): Json<String>) -> Answer {
    Ok(Json(request.get_session_data(&SessionHandle::new(&handle)).await?.into()))
}

#[derive(Deserialize)]
struct Note {
    text: String,
}

async fn note(session: Session, Form(note): Form<Note>) -> Answer {
    Ok(Json(json!({ "by": session.get_user_id(), "text": note.text })))
}

impl Application {
    pub(crate) async fn new(policy: Policy, config: WebConfig) -> Self {
        Self::with_layer(policy, config, |layer| layer).await
    }

    pub(crate) async fn with_layer(
        policy: Policy,
        config: WebConfig,
        change: impl FnOnce(SessionLayer) -> SessionLayer,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.db");
        let wrapping_key = sessile::wrapping_key_of(&path).unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let store =
            CountingStore { inner: SqliteStore::open(&path).unwrap(), calls: Arc::clone(&calls) };
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&events);
        let sessions = Sessions::builder(store)
            .wrapping_key(wrapping_key)
            .policy(policy)
            .clock(Arc::clone(&clock))
            .on_event(move |event: &Event| heard.lock().unwrap().push(event.kind))
            .build()
            .await
            .unwrap();
        let web = WebSessions::new(sessions.clone(), config).unwrap();
        let router = Router::new()
            .route("/login", post(login))
            .route("/me", get(me).post(me))
            .route("/optional", get(optional))
            .route("/immediate", get(immediate))
            .route("/payload", post(payload))
            .route("/data", get(data).post(update_data))
            .route("/data-of", post(data_of))
            .route("/revoke", post(revoke))
            .route("/change-and-fail", post(change_and_fail))
            .route("/test", post(test_info))
            .route("/note", post(note))
            .merge(routes(&web))
            .layer(change(SessionLayer::new(web)));
        calls.store(0, Ordering::SeqCst);
        Self { router, sessions, clock, events, calls, _folder: folder }
    }

    /// The store calls since this was asked last.
    pub(crate) fn store_calls(&self) -> usize {
        self.calls.swap(0, Ordering::SeqCst)
    }

    pub(crate) fn client(&self) -> Client {
        Client { router: self.router.clone(), cookies: BTreeMap::new(), headers: HeaderMap::new() }
    }

    pub(crate) async fn logged_in(&self, login: Value) -> Client {
        let mut client = self.client();
        let answer = client.post("/login", login).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        self.store_calls();
        client
    }
}

/// A browser as far as cookies go: keeps them by name and path, and sends those that fit.
#[derive(Clone)]
pub(crate) struct Client {
    router: Router,
    pub(crate) cookies: BTreeMap<(String, String), String>,
    pub(crate) headers: HeaderMap,
}

/// An answer that was read.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        self.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The reason code of a refusal.
    pub(crate) fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or_default().to_owned()
    }
}

impl Client {
    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        self
    }

    /// The value of a cookie, wherever it applies.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|((known, _), _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) async fn get(&mut self, path: &str) -> Received {
        self.send("GET", path, None).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: Value) -> Received {
        self.send("POST", path, Some(("application/json", body.to_string()))).await
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        body: Option<(&str, String)>,
    ) -> Received {
        let mut request = Request::builder().method(method).uri(path);
        let headers = request.headers_mut().unwrap();
        headers.insert("host", "app.example.com".parse().unwrap());
        headers.extend(self.headers.clone());
        let sent: Vec<String> = self
            .cookies
            .iter()
            .filter(|((_, scope), _)| path.starts_with(scope.as_str()))
            .map(|((name, _), value)| format!("{name}={value}"))
            .collect();
        if !sent.is_empty() {
            headers.insert("cookie", sent.join("; ").parse().unwrap());
        }
        let request = match body {
            Some((kind, text)) => {
                headers.insert("content-type", kind.parse().unwrap());
                request.body(Body::from(text)).unwrap()
            }
            None => request.body(Body::empty()).unwrap(),
        };
        let response: Response<Body> = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let received = Received {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        };
        self.keep_cookies(&received);
        received
    }

    fn keep_cookies(&mut self, received: &Received) {
        for line in received.set_cookies() {
            // Cookies for a parent domain are other cookies, which this jar does not hold.
            if line.contains("Domain=") {
                continue;
            }
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            let path = line.split("Path=").nth(1).unwrap().split(';').next().unwrap();
            let key = (name.to_owned(), path.to_owned());
            if value.is_empty() {
                self.cookies.remove(&key);
            } else {
                self.cookies.insert(key, value.to_owned());
            }
        }
    }
}
