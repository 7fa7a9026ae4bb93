//! An application behind a socket, whose log and whose panics are recorded.

use std::{
    cell::RefCell,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, Once, PoisonError},
    thread,
};

use axum::{
    Json, Router,
    routing::{get, post},
};
use serde_json::{Value, json};
use sessile::{
    AppId, IssuedSession, NewSession, SessionService as _, Sessions, WebConfig, WebSessions,
    axum::{Session, SessionLayer, SessionRejection, SessionRequest, routes},
    clock::{ManualClock, Timestamp},
    policy::Policy,
    sqlite::SqliteStore,
    store::Store as _,
};
use sessile_hostile_tokens::Forge;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tracing_subscriber::filter::LevelFilter;

/// When everything happens.
pub(crate) const NOW: i64 = 1_800_000_000;

/// Reason codes of the answers 401 and 403 that a request without a good session may get.
const UNAUTHORISED: [&str; 15] = [
    "access_token_expired",
    "access_token_key_unknown",
    "access_token_malformed",
    "access_token_missing",
    "access_token_signature_invalid",
    "anti_csrf_mismatch",
    "late_retry",
    "no_session",
    "orphaned_branch",
    "refresh_token_invalid",
    "refresh_token_missing",
    "rotated_out",
    "session_expired",
    "session_not_found",
    "stale_refresh_token",
];
const FORBIDDEN: [&str; 2] = ["cross_site_request", "custom_header_missing"];

/// The names of the threads that panicked.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// How many panics there were on this thread, which serves the requests too, and on threads of no
/// test.
fn panics() -> usize {
    let own = thread::current();
    let is_ours = |name: &&String| Some(name.as_str()) == own.name() || !name.contains("::");
    PANICS.lock().unwrap().iter().filter(is_ours).count()
}

/// Records panics from now on, of whatever thread.
fn record_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |information| {
            let name = thread::current().name().unwrap_or_default().to_owned();
            PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(name);
            before(information);
        }));
    });
}

thread_local! {
    /// What was logged on this thread, which serves the requests too.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Records the log from now on. It is one for the whole process: of subscribers for one thread
/// each, a first event on a thread without one would silence it for all.
fn record_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(|| Log)
            .init();
    });
}

fn take_log() -> String {
    String::from_utf8_lossy(&LOG.take()).into_owned()
}

struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An application that listens. It runs on the thread of the test, so the log is the test's own.
pub(crate) struct Server {
    pub(crate) sessions: Sessions<SqliteStore>,
    address: SocketAddr,
    /// Texts that must be seen nowhere but in the headers of answers.
    secrets: Mutex<Vec<String>>,
    panics_before: usize,
    _folder: TempDir,
}

/// An answer as it came over the socket.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl RawAnswer {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn reason(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// The values of a header, in their order.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| *key == name).map(|(_, value)| value).collect()
    }
}

async fn login(request: SessionRequest) -> Result<&'static str, SessionRejection> {
    request.create_new_session(NewSession::new("alice")).await?;
    Ok("welcome")
}

async fn me(session: Session) -> String {
    session.get_user_id().to_owned()
}

async fn optional(session: Option<Session>) -> String {
    session.map_or_else(|| "nobody".to_owned(), |session| session.get_user_id().to_owned())
}

async fn data(session: Session) -> Result<Json<Value>, SessionRejection> {
    Ok(Json(session.get_session_data().await?.into()))
}

impl Server {
    pub(crate) async fn start(policy: Policy, config: WebConfig) -> Self {
        record_panics();
        record_log();
        let folder = tempfile::tempdir().unwrap();
        // Without a wrapping key, so that the test can sign.
        let store = SqliteStore::open(folder.path().join("sessions.db")).unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(NOW)));
        let sessions = Sessions::builder(store).policy(policy).clock(clock).build().await.unwrap();
        assert!(take_log().contains("new signing key"), "the log is recorded");
        let web = WebSessions::new(sessions.clone(), config).unwrap();
        let router = Router::new()
            .route("/login", post(login))
            .route("/me", get(me).post(me))
            .route("/optional", get(optional).post(optional))
            .route("/data", get(data).post(data))
            .merge(routes(&web))
            .layer(SessionLayer::new(web));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            sessions,
            address,
            secrets: Mutex::default(),
            panics_before: panics(),
            _folder: folder,
        }
    }

    /// A session of alice, whose tokens must not be seen.
    pub(crate) async fn log_in(&self) -> IssuedSession {
        let new = NewSession::new("alice").anti_csrf_token(true);
        let issued = self.sessions.create_session(new).await.unwrap();
        self.keep_secret(issued.access_token.token.expose());
        self.keep_secret(issued.refresh_token.token.expose());
        self.keep_secret(issued.anti_csrf_token.as_deref().unwrap());
        issued
    }

    pub(crate) fn keep_secret(&self, text: &str) {
        if text.len() >= 16 {
            self.secrets.lock().unwrap().push(text.to_owned());
        }
    }

    /// What signs as the server does.
    pub(crate) async fn forge(&self) -> Forge {
        let keys = self.sessions.store().signing_keys(&AppId::default()).await.unwrap();
        Forge::new(&keys[0].key_id, &keys[0].algorithm, &keys[0].material)
    }

    /// Sends these bytes and reads until the server closes; `None` where it closed without an
    /// answer, or the answer was lost because it stopped reading in the middle of the request.
    pub(crate) async fn exchange(&self, request: &[u8]) -> Option<RawAnswer> {
        self.send(request, false).await
    }

    /// As [`exchange`](Self::exchange), and says first that no more will be sent: the server must
    /// not wait for the rest, and need not answer.
    pub(crate) async fn exchange_cut_off(&self, request: &[u8]) -> Option<RawAnswer> {
        self.send(request, true).await
    }

    async fn send(&self, request: &[u8], ends: bool) -> Option<RawAnswer> {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        // The server may have answered and closed before it has read everything.
        drop(socket.write_all(request).await);
        if ends {
            drop(socket.shutdown().await);
        }
        let mut answer = Vec::new();
        drop(socket.read_to_end(&mut answer).await);
        if answer.is_empty() {
            return None;
        }
        let answer = RawAnswer::read(&answer);
        self.check_nothing_is_told(&answer);
        Some(answer)
    }

    /// Sends a request with these header lines, each as the bytes that it is.
    pub(crate) async fn request(&self, method: &str, path: &str, lines: &[Vec<u8>]) -> RawAnswer {
        let request = request(method, path, lines);
        let answer = self.exchange(&request).await;
        assert!(answer.is_some(), "no answer to {method} {path}");
        answer.unwrap()
    }

    fn check_nothing_is_told(&self, answer: &RawAnswer) {
        let log = take_log();
        for secret in &*self.secrets.lock().unwrap() {
            assert!(!answer.body.contains(secret.as_str()), "in the body: {}", answer.body);
            assert!(!log.contains(secret.as_str()), "in the log: {log}");
        }
        // Tokens that this answer hands out are in its headers alone.
        for line in answer.headers("set-cookie") {
            let value = line.split(';').next().unwrap().split_once('=').unwrap().1;
            assert!(value.is_empty() || !log.contains(value), "in the log: {log}");
            assert!(value.is_empty() || !answer.body.contains(value));
        }
    }

    /// Nothing panicked, and the next client is served.
    pub(crate) async fn is_as_before(&self) {
        assert_eq!(panics(), self.panics_before, "something panicked");
        let host = b"host: app.example.com".to_vec();
        let answer = self.request("POST", "/login", &[host]).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "welcome"));
        assert_eq!(
            answer.headers("set-cookie").len() + answer.headers("st-access-token").len() * 2,
            2
        );
    }
}

/// The bytes of a request without a body.
pub(crate) fn request(method: &str, path: &str, lines: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\n").into_bytes();
    for line in lines {
        bytes.extend(line);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"content-length: 0\r\nconnection: close\r\n\r\n");
    bytes
}

/// Fails unless the answer is a refusal that the documents name.
#[track_caller]
pub(crate) fn assert_refused(answer: &RawAnswer, what: &str) {
    let reason = answer.reason();
    let known = match answer.status {
        401 => UNAUTHORISED.contains(&reason.as_str()),
        403 => FORBIDDEN.contains(&reason.as_str()),
        _ => false,
    };
    assert!(known, "{what}: {} {}", answer.status, answer.body);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let message = match answer.status {
        403 => json!("forbidden"),
        _ => body["message"].clone(),
    };
    assert_eq!(body, json!({ "message": message, "reason": reason }), "{what}");
}

/// As [`assert_refused`], or that the route served the request as one of nobody.
#[track_caller]
pub(crate) fn assert_refused_or_nobody(answer: &RawAnswer, what: &str) {
    if answer.status == 200 {
        assert_eq!(answer.body, "nobody", "{what}");
    } else {
        assert_refused(answer, what);
    }
}

pub(crate) fn line(name: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    [name.as_bytes(), b": ", value.as_ref()].concat()
}
