use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, channel::Channel};
use sessile_server::{Limits, ServerConfig};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::support::{Answer, Running};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(100);

/// What a core was asked.
#[derive(Debug)]
struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

/// A core that writes down what it is asked and answers with the body that it gets, part by part.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let router = Router::new().fallback(echo).with_state(Arc::clone(&asked));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, asked }
    }

    pub(crate) fn forget(&self) {
        self.asked.lock().unwrap().clear();
    }

    fn last(&self) -> Asked {
        self.asked.lock().unwrap().pop().unwrap()
    }

    pub(crate) fn was_asked(&self) -> bool {
        !self.asked.lock().unwrap().is_empty()
    }
}

async fn echo(State(asked): State<Arc<Mutex<Vec<Asked>>>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let (method, uri, headers) = (head.method, head.uri, head.headers);
    asked.lock().unwrap().push(Asked { method, uri, headers });
    Response::builder()
        .status(StatusCode::IM_A_TEAPOT)
        .header("x-upstream", "one")
        .header("x-upstream", "two")
        .header("connection", "x-of-the-hop")
        .header("x-of-the-hop", "1")
        .header("content-type", "text/plain")
        .body(body)
        .unwrap()
}

async fn in_front_of(address: SocketAddr, limits: Limits) -> Running {
    let forward = Some(format!("http://{address}").parse().unwrap());
    Running::start(ServerConfig { forward, limits, ..ServerConfig::default() }).await
}

#[track_caller]
fn assert_text(answer: &Answer, status: u16, text: &str) {
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (status, &*format!("{text}\n")));
    assert_eq!(answer.headers["content-type"], "text/html; charset=UTF-8");
}

#[tokio::test]
async fn requests_and_answers_go_through_as_they_are() {
    let upstream = Upstream::start().await;
    let server = in_front_of(upstream.address, Limits::default()).await;
    let body = "{\"email\": \"a@example.com\"}";
    let request = Request::builder()
        .method("POST")
        .uri(server.url("/appid-a/t1/recipe/signup?a=%20b&c"))
        .header("api-key", "the key")
        .header("cdi-version", "5.4")
        .header("rid", "emailpassword")
        .header("x-twice", "1")
        .header("x-twice", "2")
        .header("connection", "x-of-the-hop")
        .header("x-of-the-hop", "1")
        .body(Body::from(body))
        .unwrap();
    let answer = server.send(request).await;
    let asked = upstream.last();
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.uri, "/appid-a/t1/recipe/signup?a=%20b&c");
    assert_eq!(asked.headers["api-key"], "the key");
    assert_eq!(asked.headers["cdi-version"], "5.4");
    assert_eq!(asked.headers["rid"], "emailpassword");
    assert_eq!(asked.headers.get_all("x-twice").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(asked.headers["host"], upstream.address.to_string().as_str());
    assert_eq!(asked.headers["content-length"], body.len().to_string().as_str());
    assert!(!asked.headers.contains_key("x-of-the-hop"), "{:?}", asked.headers);
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::IM_A_TEAPOT, body));
    assert_eq!(answer.headers["content-type"], "text/plain");
    assert_eq!(answer.headers.get_all("x-upstream").iter().collect::<Vec<_>>(), ["one", "two"]);
    assert!(!answer.headers.contains_key("x-of-the-hop"), "{:?}", answer.headers);
}

#[tokio::test]
async fn what_is_not_served_here_goes_there_and_nothing_else() {
    let upstream = Upstream::start().await;
    let server = in_front_of(upstream.address, Limits::default()).await;
    for (method, path) in [
        ("POST", "/recipe/signin"),
        ("GET", "/recipe/user?userId=a"),
        ("PATCH", "/what/nobody/knows"),
        ("DELETE", "/recipe/dashboard/session"),
        // Answered here too, but only the other core knows better.
        ("GET", "/user/id?userId=a"),
        ("GET", "/appid-a/ee/featureflag"),
        ("GET", "/telemetry"),
    ] {
        assert_eq!(server.call(method, path, "").await.status, StatusCode::IM_A_TEAPOT, "{path}");
        let asked = upstream.last();
        assert_eq!((asked.method.as_str(), asked.uri.to_string().as_str()), (method, path));
    }
    server.create().await;
    for path in ["/hello", "/recipe/jwt/jwks", "/health/ready", "/metrics", "/apiversion"] {
        assert_eq!(server.get(path).await.status, StatusCode::OK, "{path}");
    }
    assert_text(&server.call("PATCH", "/hello", "").await, 405, "Method not supported");
    assert!(!upstream.was_asked());
    let exposition = server.get("/metrics").await.text;
    let counted =
        "sessile_requests_total{route=\"forwarded\",method=\"POST\",cdi=\"none\",status=\"418\"} 1";
    assert!(exposition.contains(counted), "{exposition}");
}

#[tokio::test]
async fn bodies_are_streamed_both_ways() {
    let upstream = Upstream::start().await;
    let server = in_front_of(upstream.address, Limits::default()).await;
    let (mut sender, body) = Channel::<Bytes>::new(1);
    let request = Request::builder().method("POST").uri(server.url("/bulk-import/users"));
    let request = request.body(Body::new(body)).unwrap();
    let mut answer = server.begin(request).await;
    // Each part comes back before the next is sent.
    for part in ["one", "two", "three"] {
        sender.send_data(part.into()).await.unwrap();
        let frame = answer.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), part);
    }
    drop(sender);
    assert!(answer.body_mut().frame().await.is_none());
    // More than this server would read for itself.
    let large = "x".repeat(5 * 1024 * 1024);
    assert_eq!(server.call("POST", "/bulk-import/users", &large).await.text.len(), large.len());
}

#[tokio::test]
async fn a_core_that_is_not_there_is_answered_502() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let server = in_front_of(address, Limits::default()).await;
    let text = "The core that this request was forwarded to could not be reached";
    assert_text(&server.call("POST", "/recipe/signin", "{}").await, 502, text);
    server.create().await;
}

/// A core that answers what it is given, byte for byte, and leaves the connection open.
async fn talking(said: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(said.as_bytes()).await;
            open.push(stream);
        }
    });
    address
}

#[tokio::test]
async fn a_core_that_does_not_speak_http_is_answered_502() {
    let server = in_front_of(talking("nonsense\r\n\r\n").await, Limits::default()).await;
    let text = "The core that this request was forwarded to could not be reached";
    assert_text(&server.call("POST", "/recipe/signin", "{}").await, 502, text);
}

#[tokio::test]
async fn a_core_that_does_not_answer_in_time_is_answered_504() {
    let limits = Limits { forward_timeout: SHORT, ..Limits::default() };
    let server = in_front_of(talking("").await, limits).await;
    let text = "The core that this request was forwarded to did not answer within 0.1 s";
    assert_text(&server.call("POST", "/recipe/signin", "{}").await, 504, text);
    server.create().await;
}

#[tokio::test]
async fn an_answer_that_stops_half_way_ends_early() {
    let limits = Limits { forward_timeout: SHORT * 10, ..Limits::default() };
    let said = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    let server = in_front_of(talking(said).await, limits).await;
    let request = Request::builder().uri(server.url("/users")).body(Body::empty()).unwrap();
    let answer = server.begin(request).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.into_body().collect().await.is_err());
}

#[tokio::test]
async fn a_client_that_does_not_send_its_body_is_answered_408() {
    let limits = Limits { body_timeout: SHORT, ..Limits::default() };
    let server = in_front_of(talking("").await, limits).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let request = "POST /recipe/signin HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.ends_with("The request's body did not come within 0.1 s\n"), "{answer}");
}

#[tokio::test]
async fn forwards_beyond_their_limit_are_refused_and_sessions_are_not() {
    let limits = Limits { forwards: 1, forward_timeout: LONG, ..Limits::default() };
    let server = in_front_of(talking("").await, limits).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(b"GET /users HTTP/1.1\r\n\r\n").await.unwrap();
    // Until the first is under way, the one that is tried takes the place, and waits as long.
    while !server.get("/metrics").await.text.contains("sessile_requests_in_flight 2\n") {}
    let refused = server.get("/users").await;
    let text =
        "There are too many requests under way to the core behind this server; try again later";
    assert_text(&refused, 503, text);
    assert_eq!(refused.headers["retry-after"], "1");
    server.create().await;
}

#[tokio::test]
async fn without_another_core_an_answer_names_the_option() {
    let server = Running::start(ServerConfig::default()).await;
    for (path, recipe) in [
        ("/recipe/signup", "email and password"),
        ("/appid-a/recipe/user/roles", "user roles"),
        ("/recipe/dashboard/users", "the dashboard"),
    ] {
        let text = format!(
            "Sessile serves sessions and JWTs, and not this path, which is for {recipe}. Start it \
             with --forward URL, the URL of a SuperTokens core, to have such requests answered \
             there"
        );
        assert_text(&server.call("POST", path, "{}").await, 404, &text);
    }
    assert_text(&server.get("/nothing/of/anybody").await, 404, "Not found");
}

#[tokio::test]
async fn urls_that_are_none_of_a_core_are_refused() {
    use sessile_core::{Sessions, memory::MemoryStore};
    for (url, problem) in [
        ("/path", "a URL with a host"),
        ("core:3567", "a URL with a host"),
        ("ftp://core", "http:// or https://"),
        ("http://user:password@core", "without a user and password"),
        ("http://core/?a=b", "without a query"),
    ] {
        let config =
            ServerConfig { forward: Some(url.parse().unwrap()), ..ServerConfig::default() };
        let sessions = Sessions::builder(MemoryStore::new());
        let error = sessile_server::Server::start(config, sessions).await.unwrap_err().to_string();
        assert!(error.contains(problem) && !error.contains("password@"), "{error}");
    }
}

#[tokio::test]
async fn the_path_of_the_url_comes_before_that_of_the_request() {
    let upstream = Upstream::start().await;
    let forward = Some(format!("http://{}/core/", upstream.address).parse().unwrap());
    let server = Running::start(ServerConfig { forward, ..ServerConfig::default() }).await;
    server.get("/users?limit=1").await;
    assert_eq!(upstream.last().uri, "/core/users?limit=1");
}
