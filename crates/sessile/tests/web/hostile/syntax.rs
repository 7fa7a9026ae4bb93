//! Requests that are broken as HTTP: the server answers 400 or closes, or what reaches the
//! application is answered as ever.

use sessile::{WebConfig, policy::Policy};

use super::server::{Server, assert_refused};

fn broken_requests() -> Vec<Vec<u8>> {
    let mut requests: Vec<Vec<u8>> = [
        &b"\r\n\r\n"[..],
        b"\0\0\0\0",
        b"GET\r\n\r\n",
        b"GET /me\r\n\r\n",
        b"GET /me HTTP/9.9\r\n\r\n",
        b"GET  /me HTTP/1.1\r\n\r\n",
        b"G\xff\xffT /me HTTP/1.1\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"GET /me\0 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"GET /%ff%00 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"GET /me HTTP/1.1\r\ncookie: sAccessToken=a\0b\r\nconnection: close\r\n\r\n",
        b"GET /me HTTP/1.1\r\ncookie: sAccessToken=a\x01b\r\nconnection: close\r\n\r\n",
        b"GET /me HTTP/1.1\r\ncookie: sAccessToken=a\x7fb\r\nconnection: close\r\n\r\n",
        b"GET /me HTTP/1.1\r\ncookie: sAccessToken=a\rb\r\nconnection: close\r\n\r\n",
        b"GET /me HTTP/1.1\r\ncookie: sAccessToken=a\nb: c\r\nconnection: close\r\n\r\n",
        b"GET /me HTTP/1.1\r\ncookie: a\r\n folded: sAccessToken=x\r\nconnection: close\r\n\r\n",
        b"GET /me HTTP/1.1\r\nco\0okie: a\r\nconnection: close\r\n\r\n",
        b"GET /me HTTP/1.1\r\n\xff\xfe: a\r\nconnection: close\r\n\r\n",
        b"GET /me HTTP/1.1\r\ncookie : sAccessToken=a\r\nconnection: close\r\n\r\n",
        b"GET /me HTTP/1.1\r\n: a\r\nconnection: close\r\n\r\n",
        b"GET /me HTTP/1.1\r\ncookie\r\nconnection: close\r\n\r\n",
        b"POST /signout HTTP/1.1\r\ncontent-length: -1\r\nconnection: close\r\n\r\n",
        b"POST /signout HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /signout HTTP/1.1\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\nzz\r\n",
        b"POST /session/refresh HTTP/1.1\r\ncontent-length: 99\r\nconnection: close\r\n\r\nshort",
        b"OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"GET http://user@evil.example:1/me HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"GET http://[::1/me HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /me HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n",
        b"GET /me HTTP/1.0\r\n\r\n",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    let long = |start: &str, middle: &[u8]| {
        [start.as_bytes(), &middle.repeat(1_000_000 / middle.len()), b" HTTP/1.1\r\n\r\n"].concat()
    };
    requests.push(long("GET /", b"a"));
    requests.push(long("GET /me?", b"%ff"));
    requests.push(long("G", b"E"));
    requests.push(b"x: y\r\n".repeat(100_000));
    requests
}

#[tokio::test]
async fn broken_requests_are_answered_without_a_fault() {
    let server = Server::start(Policy::default(), WebConfig::default()).await;
    for request in broken_requests() {
        let shown = String::from_utf8_lossy(&request[..request.len().min(60)]).into_owned();
        let Some(answer) = server.exchange_cut_off(&request).await else { continue };
        match answer.status {
            // What the server or the router says of requests that reach no handler of ours.
            400 | 404 | 405 | 414 | 431 => assert!(answer.reason().is_empty(), "{shown}"),
            _ => assert_refused(&answer, &shown),
        }
    }
    server.is_as_before().await;
}

#[tokio::test]
async fn a_request_cut_off_anywhere_ends_quietly() {
    let server = Server::start(Policy::default(), WebConfig::default()).await;
    let issued = server.log_in().await;
    let whole = format!(
        "POST /session/refresh HTTP/1.1\r\nhost: app.example.com\r\ncookie: sRefreshToken={}\r\n\
         content-length: 2\r\nconnection: close\r\n\r\n{{}}",
        issued.refresh_token.token.expose()
    );
    for length in (0..whole.len() - 2).step_by(3) {
        if let Some(answer) = server.exchange_cut_off(&whole.as_bytes()[..length]).await {
            assert!([400, 401].contains(&answer.status), "{length}: {}", answer.status);
        }
    }
    server.is_as_before().await;
}
