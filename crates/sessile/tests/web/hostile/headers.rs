//! Headers that concern sessions, with values that nobody sends, beside a good session.

use sessile::{AntiCsrfMode, Transfer, WebConfig, policy::Policy};

use super::server::{RawAnswer, Server, assert_refused, line};

/// Values for any header: some are no text, none is what it should be.
fn odd_values() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = [
        &b""[..],
        b" ",
        b"\t",
        b"\xff",
        b"\xff\xfe\xfd",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xc3\xbc",
        b"null",
        b"none, none",
        b"same-origin, cross-site",
        b"Same-Origin",
        b"same-origin\x80",
        b"*",
        b"true",
        b"0",
        b"-1",
        b"%00",
        b"%0d%0aset-cookie: x=y",
        b"\"",
        b"\\",
        b"<script>alert(1)</script>",
        b"' OR 1=1 --",
        b"../../../etc/passwd",
        b"https://",
        b"https://app.example.com.evil.example",
        b"https://app.example.com@evil.example",
        b"https://app.example.com:99999",
        b"://app.example.com",
        b"javascript:alert(1)",
        b"[::1",
        b"[::1]:80:80",
        b"app.example.com; Domain=evil.example",
        b"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z",
        b"Bearer",
        b"Bearer ",
        b"bearer  \t ",
        b"Bearer a b c",
        b"Bearer \xff",
        b"Basic YWxpY2U6c2VjcmV0",
        b"header",
        b"cookie",
        b"Header",
        b"header, cookie",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    values.push(b"a".repeat(100_000));
    values.push(b"a.".repeat(50_000));
    values.push(b"\xff".repeat(50_000));
    values.push(b"https://a".repeat(10_000));
    values
}

const NAMES: [&str; 10] = [
    "authorization",
    "rid",
    "st-auth-mode",
    "anti-csrf",
    "origin",
    "referer",
    "sec-fetch-site",
    "fdi-version",
    "x-forwarded-proto",
    "content-type",
];

/// The session's own answer or a refusal, and no line that the header made.
fn check(answer: &RawAnswer, served: &str, what: &str) {
    if answer.status == 200 {
        assert_eq!(answer.body, served, "{what}");
    } else {
        assert_refused(answer, what);
    }
    for cookie in answer.headers("set-cookie") {
        let is_ours = cookie.starts_with("sAccessToken=") || cookie.starts_with("sRefreshToken=");
        assert!(is_ours && !cookie.contains("evil"), "{what}: {cookie}");
    }
}

#[tokio::test]
async fn odd_headers_beside_a_good_session_do_no_harm() {
    for anti_csrf in [AntiCsrfMode::FetchMetadata, AntiCsrfMode::Token] {
        for default_transfer in [Transfer::Cookie, Transfer::Header] {
            let config = WebConfig { anti_csrf, default_transfer, ..WebConfig::default() };
            let server = Server::start(Policy::default(), config).await;
            let issued = server.log_in().await;
            let cookie =
                line("cookie", format!("sAccessToken={}", issued.access_token.token.expose()));
            for name in NAMES {
                for value in odd_values() {
                    let shown = String::from_utf8_lossy(&value[..value.len().min(40)]).into_owned();
                    let what = format!("{anti_csrf:?} {default_transfer:?} {name}: {shown}");
                    let lines =
                        [line("host", "app.example.com"), cookie.clone(), line(name, &value)];
                    check(&server.request("GET", "/me", &lines).await, "alice", &what);
                    check(&server.request("POST", "/optional", &lines).await, "alice", &what);
                    // No refresh token comes with it.
                    let answer = server.request("POST", "/session/refresh", &lines).await;
                    assert_refused(&answer, &what);
                }
            }
            server.is_as_before().await;
        }
    }
}

#[tokio::test]
async fn what_browsers_never_say_of_their_own_requests_is_another_sites() {
    let server = Server::start(Policy::default(), WebConfig::default()).await;
    let issued = server.log_in().await;
    let cookie = line("cookie", format!("sAccessToken={}", issued.access_token.token.expose()));
    for name in ["sec-fetch-site", "origin", "referer"] {
        for value in odd_values() {
            let lines = [line("host", "app.example.com"), cookie.clone(), line(name, &value)];
            let answer = server.request("POST", "/me", &lines).await;
            assert_eq!(answer.status, 403, "{name}: {}", String::from_utf8_lossy(&value));
            assert_eq!(answer.reason(), "cross_site_request");
            assert!(answer.headers("set-cookie").is_empty(), "no cookie is touched");
        }
    }
    server.is_as_before().await;
}

#[tokio::test]
async fn odd_hosts_set_no_odd_cookies() {
    let server = Server::start(Policy::default(), WebConfig::default()).await;
    let issued = server.log_in().await;
    let token = issued.access_token.token.expose();
    // Twice, so that the answer also clears cookies of the domains above the host.
    let cookie = line("cookie", format!("sAccessToken={token}; sAccessToken=x"));
    for value in odd_values() {
        let shown = String::from_utf8_lossy(&value[..value.len().min(40)]).into_owned();
        let lines = [line("host", &value), cookie.clone()];
        for (method, path) in [("GET", "/me"), ("POST", "/login")] {
            let answer = server.request(method, path, &lines).await;
            let served = if path == "/me" { "alice" } else { "welcome" };
            assert_eq!((answer.status, answer.body.as_str()), (200, served), "host: {shown}");
            let cookies = answer.headers("set-cookie");
            assert!(!cookies.is_empty() && cookies.len() < 80, "host: {shown}");
            for cookie in cookies {
                let domains = cookie.matches("Domain=").count();
                assert!(domains <= 1 && !cookie.contains("evil"), "host: {shown}: {cookie}");
            }
        }
    }
    server.is_as_before().await;
}
