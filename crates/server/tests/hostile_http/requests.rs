//! What is wrong with a request itself.

use sessile_server::{Limits, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{LONG, Running, SHORT, patient, rest};

const SESSION: &str =
    r#"{"userId":"alice","userDataInJWT":{},"userDataInDatabase":{},"enableAntiCsrf":false}"#;

/// A whole request to create a session, after which the connection is closed.
fn create(more_headers: &str, body: &str) -> String {
    format!(
        "POST /recipe/session HTTP/1.1\r\nConnection: close\r\n{more_headers}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[track_caller]
fn assert_answered(answer: &str, status: u16, text: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.ends_with(&format!("\r\n\r\n{text}\n")), "{answer}");
    assert!(answer.contains("content-type: text/html; charset=UTF-8\r\n"), "{answer}");
}

#[tokio::test]
async fn what_is_no_http_is_answered_400_or_cut_off() {
    let server = Running::start(patient()).await;
    for (bytes, status) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], "400"),
        (b"GET /hello HTTP/9.9\r\n\r\n", "400"),
        (b"GET /hello HTTP/2.0\r\n\r\n", "400"),
        (b"GET /hello\r\n\r\n", "400"),
        (b"G\x00T /hello HTTP/1.1\r\n\r\n", "400"),
        (b"GET /he\x00llo HTTP/1.1\r\n\r\n", "400"),
        (b"GET /hello HTTP/1.1\r\nNo colon\r\n\r\n", "400"),
        (b"GET /hello HTTP/1.1\r\nX: a\x00b\r\n\r\n", "400"),
        (b"GET  /hello HTTP/1.1\r\n\r\n", "400"),
        (b"POST /session HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400"),
        (b"POST /session HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", "400"),
        (b"POST /session HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", "400"),
        (b"POST /session HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n{}", "400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""),
    ] {
        let shown = String::from_utf8_lossy(bytes);
        let answer = server.answer(bytes).await;
        let expected =
            if status.is_empty() { String::new() } else { format!("HTTP/1.1 {status} ") };
        assert!(answer.starts_with(&expected), "{shown}: {answer}");
        assert!(!answer.contains("HTTP/1.1 5"), "{shown}: {answer}");
    }
    server.serves().await;
}

#[tokio::test]
async fn heads_that_are_too_large_are_answered_431() {
    let server = Running::start(Limits { head_bytes: 16 * 1024, ..patient() }).await;
    let large = "x".repeat(17 * 1024);
    let many = "X: y\r\n".repeat(101);
    for request in [
        format!("GET /hello HTTP/1.1\r\nX-Large: {large}\r\n\r\n"),
        format!("GET /{large} HTTP/1.1\r\n\r\n"),
        format!("GET /hello HTTP/1.1\r\n{many}\r\n"),
    ] {
        let answer = server.answer(&request).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    // A head that never ends is not kept either.
    let endless = format!("GET /hello HTTP/1.1\r\nX-Endless: {}", "x".repeat(4 * 1024 * 1024));
    let answer = server.answer(&endless).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    server.serves().await;
}

#[tokio::test]
async fn old_and_unusual_forms_of_http_are_served() {
    let server = Running::start(patient()).await;
    let close = "Connection: close\r\n\r\n";
    for request in [
        "GET /hello HTTP/1.0\r\n\r\n".to_owned(),
        format!("GET http://elsewhere:1/hello HTTP/1.1\r\nHost: other\r\n{close}"),
        format!("GET /hello?a=%FF%00&&=&a HTTP/1.1\r\n{close}"),
        format!("\r\n\r\nGET /hello HTTP/1.1\r\n{close}"),
        format!("GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n{close}"),
        format!("GET /hello HTTP/1.1\r\ncdi-version: nonsense\r\ncdi-version: 9.9\r\n{close}"),
    ] {
        let answer = server.answer(&request).await;
        assert!(answer.contains(" 200 OK\r\n"), "{request}: {answer}");
        assert!(answer.ends_with("\r\n\r\nHello\n"), "{request}: {answer}");
    }
    // Of a header that is there twice, the first counts.
    let twice = create("cdi-version: 5.4\r\ncdi-version: 9.9\r\n", SESSION);
    assert!(server.answer(&twice).await.contains("\"status\":\"OK\""));
    let twice = create("cdi-version: 9.9\r\ncdi-version: 5.4\r\n", SESSION);
    assert_answered(&server.answer(&twice).await, 400, "cdi-version 9.9 not supported");
}

#[tokio::test]
async fn methods_and_targets_that_no_route_has_are_refused() {
    let server = Running::start(patient()).await;
    for (line, status, text) in [
        ("PATCH /recipe/session", 405, "Method not supported"),
        ("OPTIONS /hello", 405, "Method not supported"),
        ("TRACE /recipe/session/verify", 405, "Method not supported"),
        ("BREW /recipe/session/remove", 405, "Method not supported"),
        ("DELETE /health/live", 405, "Method not supported"),
        ("OPTIONS *", 404, "Not found"),
        ("CONNECT host:443", 404, "Not found"),
        ("GET /%2e%2e/hello", 404, "Not found"),
        ("GET /recipe/session/verify/%00", 404, "Not found"),
    ] {
        let answer = server.answer(format!("{line} HTTP/1.1\r\nConnection: close\r\n\r\n")).await;
        // A body was not read, so there is none to be told of either.
        assert_answered(&answer, status, text);
    }
    let head = server.answer("HEAD /health/live HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn requests_may_be_pipelined() {
    let server = Running::start(patient()).await;
    let hello = "GET /hello HTTP/1.1\r\n\r\n";
    let last = "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n";
    let body = SESSION.len();
    let post = format!("POST /recipe/session HTTP/1.1\r\nContent-Length: {body}\r\n\r\n{SESSION}");
    let answer = server.answer(hello.repeat(20) + &post + last).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 22, "{answer}");
    assert_eq!(answer.matches("\"status\":\"OK\"").count(), 1, "{answer}");
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_its_body_is_asked() {
    let server = Running::start(patient()).await;
    let mut client = server.connect().await;
    let request = create("Expect: 100-continue\r\n", SESSION);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    client.write_all(format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
    let mut going_on = [0; 25];
    client.read_exact(&mut going_on).await.unwrap();
    assert_eq!(going_on, *b"HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(body.as_bytes()).await.unwrap();
    assert!(rest(&mut client).await.contains("\"status\":\"OK\""));
    // Where the body would be too large, it is not asked for.
    let mut client = server.connect().await;
    let head =
        "POST /recipe/session HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n";
    client.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    let answer = rest(&mut client).await;
    assert_answered(&answer, 413, "The request's body is larger than 1048576 bytes");
}

#[tokio::test]
async fn bodies_beyond_the_limit_are_refused_and_their_clients_are_told() {
    let server = Running::start(patient()).await;
    let text = "The request's body is larger than 1048576 bytes";
    let large = "x".repeat(10 * 1024 * 1024);
    assert_answered(&server.answer(create("", &large)).await, 413, text);
    // Without a length that says so at once.
    let chunk = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let head =
        "POST /recipe/session HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n";
    assert_answered(&server.answer(format!("{head}\r\n{chunk}")).await, 413, text);
    // As much as may be is read.
    let filling = " ".repeat(1024 * 1024 - SESSION.len());
    let answer = server.answer(create("", &(SESSION.to_owned() + &filling))).await;
    assert!(answer.contains("\"status\":\"OK\""), "{answer}");
    let more = server.answer(create("", &(SESSION.to_owned() + &filling + " "))).await;
    assert_answered(&more, 413, text);
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_answered_400() {
    let server = Running::start(patient()).await;
    let deep = |open: &str, close: &str| open.repeat(100_000) + &close.repeat(100_000);
    let nested = |field: &str| format!("{{\"userId\":\"a\",\"{field}\":{}}}", deep("[", "]"));
    let bodies = [
        String::new(),
        "nonsense".to_owned(),
        "[]".to_owned(),
        "\u{feff}{}".to_owned(),
        "{\"userId\":\"a\"".to_owned(),
        "{\"userId\":\"\\ud800\"}".to_owned(),
        "{\"n\":1e999}".to_owned(),
        deep("[", "]"),
        deep("{\"a\":", "}"),
        nested("userDataInJWT"),
    ];
    for body in bodies {
        let shown: String = body.chars().take(40).collect();
        let answer = server.answer(create("", &body)).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{shown}: {answer}");
        assert!(answer.ends_with("\r\n\r\nInvalid Json Input\n"), "{shown}: {answer}");
    }
    // Bytes that are no UTF-8.
    let head = create("", "{\"userId\":\"a\"}");
    let bytes = head.replace("\"a\"", "\"?\"").into_bytes();
    let bytes: Vec<u8> = bytes.iter().map(|&byte| if byte == b'?' { 0xff } else { byte }).collect();
    assert_answered(&server.answer(bytes).await, 400, "Invalid Json Input");
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_answered_408() {
    let limits = Limits { body_timeout: SHORT, ..patient() };
    let server = Running::start(limits).await;
    for sent in ["", "{\"userId\":"] {
        let mut client = server.connect().await;
        let head = "POST /recipe/session HTTP/1.1\r\nContent-Length: 1000\r\n\r\n";
        client.write_all(format!("{head}{sent}").as_bytes()).await.unwrap();
        let answer = rest(&mut client).await;
        assert_answered(&answer, 408, "The request's body did not come within 0.1 s");
    }
    server.serves().await;
}

#[tokio::test]
async fn a_body_that_ends_early_or_is_badly_encoded_harms_nobody() {
    let server = Running::start(patient()).await;
    let mut client = server.connect().await;
    client
        .write_all(b"POST /recipe/session HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{")
        .await
        .unwrap();
    client.shutdown().await.unwrap();
    let answer = rest(&mut client).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let head = "POST /recipe/session HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for chunks in ["nonsense\r\n", "ffffffffffffffffff\r\n", "5\r\nabcdefgh\r\n0\r\n\r\n"] {
        let answer = server.answer(format!("{head}{chunks}")).await;
        assert_answered(&answer, 400, "The request's body could not be read to its end");
    }
    server.serves().await;
}

#[tokio::test]
async fn requests_beyond_the_limit_are_refused_and_health_is_not() {
    let server = Running::start(Limits { requests: 1, ..patient() }).await;
    let mut slow = server.connect().await;
    let request = create("Expect: 100-continue\r\n", SESSION);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    slow.write_all(format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
    let mut going_on = [0; 25];
    slow.read_exact(&mut going_on).await.unwrap();
    let refused = server.answer(create("", SESSION)).await;
    assert_answered(&refused, 503, "There are too many requests under way; try again later");
    assert!(refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    for path in ["/health/live", "/health/ready", "/metrics"] {
        let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n");
        assert!(server.answer(request).await.starts_with("HTTP/1.1 200 "), "{path}");
    }
    slow.write_all(body.as_bytes()).await.unwrap();
    assert!(rest(&mut slow).await.contains("\"status\":\"OK\""));
    server.serves().await;
}

#[tokio::test]
async fn large_bodies_beyond_their_limit_are_refused_and_small_ones_are_not() {
    let server = Running::start(Limits { large_bodies: 1, ..patient() }).await;
    let large = SESSION.to_owned() + &" ".repeat(500_000);
    let mut slow = server.connect().await;
    let request = create("", &large);
    let (first, last) = request.split_at(request.len() - 1);
    slow.write_all(first.as_bytes()).await.unwrap();
    // The first has the one place as soon as the server has read enough of it, which shows when
    // others are refused.
    let text = "There are too many requests with large bodies under way; try again later";
    let mut refused = server.answer(create("", &large)).await;
    while !refused.starts_with("HTTP/1.1 503 ") {
        refused = server.answer(create("", &large)).await;
    }
    assert_answered(&refused, 503, text);
    assert!(server.answer(create("", SESSION)).await.contains("\"status\":\"OK\""));
    slow.write_all(last.as_bytes()).await.unwrap();
    assert!(rest(&mut slow).await.contains("\"status\":\"OK\""));
    assert!(server.answer(create("", &large)).await.contains("\"status\":\"OK\""));
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_cut_off() {
    let limits = Limits { write_timeout: SHORT, ..patient() };
    let config = ServerConfig { limits, ..ServerConfig::default() };
    let server = Running::with(config).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = socket.connect(server.address).await.unwrap();
    // More answers than the buffers on the way can hold, and nobody who takes them.
    let hello = "GET /hello HTTP/1.1\r\n\r\n".repeat(1000);
    let cut_off = async { while client.write_all(hello.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(LONG, cut_off).await.unwrap();
    server.serves().await;
}
