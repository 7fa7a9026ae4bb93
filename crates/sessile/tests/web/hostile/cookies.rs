//! Cookie headers that are huge, broken, or full of planted cookies.

use sessile::{SessionService as _, WebConfig, policy::Policy};

use super::server::{Server, assert_refused, line, request};

fn host() -> Vec<u8> {
    line("host", "app.example.com")
}

#[tokio::test]
async fn broken_cookies_neither_hide_the_good_one_nor_become_one() {
    let server = Server::start(Policy::default(), WebConfig::default()).await;
    let issued = server.log_in().await;
    let good = issued.access_token.token.expose();
    let around: [(&[u8], &[u8]); 18] = [
        (b"", b""),
        (b";;;; ; ;", b";;; ="),
        (b"=; ==; =x; x; ", b"; sAccessToken"),
        (b"\xff\xfe=\xc0\xaf; ", b"; y=\x80\x81"),
        (b"x=\"; ", b"; y=\""),
        (b"x=\"a;b\"; ", b""),
        (b"$Version=1; $Path=/; ", b"; $Domain=x"),
        (b"saccesstoken=x; SACCESSTOKEN=y; ", b""),
        (b"sAccessToken=; sAccessToken; ", b"; sAccessToken=\"\""),
        (b"sAccessToken=%00; ", b"; sAccessToken=%73%41"),
        (b"sAccessToken =a; ", b"; sAccessToken= b"),
        (b"s%41ccessToken=a; ", b"; xsAccessToken=b"),
        (b"sAccessToken\t=\ta; ", b"\t"),
        (b"sAccessToken[]=a; ", b"; sAccessToken.x=b"),
        (b"sAccessToken=a, sAccessToken=b; ", b""),
        (b"sAccessToken=\xff; ", b"; sAccessToken=\xed\xa0\x80"),
        (b"__Host-sAccessToken=a; ", b"; __Secure-sAccessToken=b"),
        (b"sAccessToken=../../etc/passwd; ", b"; sAccessToken=<script>"),
    ];
    for (before, after) in around {
        let pair = format!("sAccessToken={good}");
        let cookies = [before, pair.as_bytes(), after].concat();
        let answer = server.request("GET", "/me", &[host(), line("cookie", cookies)]).await;
        let shown = String::from_utf8_lossy(before);
        assert_eq!((answer.status, answer.body.as_str()), (200, "alice"), "{shown}");
        let without = [before, after].concat();
        let answer = server.request("GET", "/me", &[host(), line("cookie", without)]).await;
        assert_refused(&answer, &shown);
    }
    server.is_as_before().await;
}

#[tokio::test]
async fn cookies_of_100_kilobytes_are_read_past() {
    let server = Server::start(Policy::default(), WebConfig::default()).await;
    let issued = server.log_in().await;
    let good = issued.access_token.token.expose();
    let refresh = issued.refresh_token.token.expose();
    let large = "x".repeat(100_000);
    for filler in [
        format!("other={large}"),
        format!("sAccessToken={large}"),
        format!("sRefreshToken={large}"),
        format!("sAccessToken={}", ".".repeat(100_000)),
        "x=y;".repeat(25_000),
        ";".repeat(100_000),
        format!("sAccessToken={};", "=".repeat(100_000)),
    ] {
        let cookies = format!("{filler}; sAccessToken={good}");
        let answer = server.request("GET", "/me", &[host(), line("cookie", cookies)]).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "alice"));
        let answer = server.request("GET", "/me", &[host(), line("cookie", &filler)]).await;
        assert_refused(&answer, "a large cookie");
        let lines = [host(), line("cookie", &filler)];
        assert_refused(&server.request("POST", "/session/refresh", &lines).await, "to refresh");
        assert_refused(&server.request("POST", "/signout", &lines).await, "to sign out");
        let answer = server.request("POST", "/login", &lines).await;
        assert_eq!(answer.status, 200);
    }
    // The refresh token is found behind all that, too.
    let cookies = format!("other={large}; sRefreshToken={refresh}");
    let lines = [host(), line("cookie", cookies)];
    assert_eq!(server.request("POST", "/session/refresh", &lines).await.status, 200);
    server.is_as_before().await;
}

/// What a browser holds at most for one site; more are never sent.
const COOKIES_OF_A_BROWSER: usize = 180;

#[tokio::test]
async fn planted_cookies_do_not_hide_the_good_one() {
    let server = Server::start(Policy::default(), WebConfig::default()).await;
    let issued = server.log_in().await;
    let good = issued.access_token.token.expose();
    let refresh = issued.refresh_token.token.expose();
    let header = good.split('.').next().unwrap();
    let planted = |name: &str, number: usize| -> String {
        // As costly as can be: they name the real key, so that their signatures are checked.
        let token = |index: usize| format!("{header}.{index:04}.{}", "A".repeat(86));
        (0..number).map(|index| format!("{name}={}; ", token(index))).collect()
    };
    let most = COOKIES_OF_A_BROWSER - 1;
    server.keep_secret(&"A".repeat(86));
    let cookies = format!("{}sAccessToken={good}", planted("sAccessToken", most));
    let answer = server.request("GET", "/me", &[host(), line("cookie", cookies)]).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "alice"));
    let cookies = format!("{}sRefreshToken={refresh}", planted("sRefreshToken", most));
    let lines = [host(), line("cookie", cookies)];
    assert_eq!(server.request("POST", "/session/refresh", &lines).await.status, 200);
    // Thousands come from no browser; of those a part is looked at.
    for name in ["sAccessToken", "sRefreshToken"] {
        for (method, path) in [("GET", "/me"), ("POST", "/session/refresh"), ("POST", "/login")] {
            let lines = [host(), line("cookie", planted(name, 1500))];
            let answer = server.request(method, path, &lines).await;
            if path == "/login" {
                assert_eq!(answer.status, 200);
            } else {
                assert_refused(&answer, path);
            }
        }
    }
    let alive = server.sessions.get_all_session_handles_for_user("alice").await.unwrap();
    assert_eq!(alive.len(), 3, "the first one and two logins");
    server.is_as_before().await;
}

#[tokio::test]
async fn headers_beyond_what_the_server_reads_are_answered_by_the_server() {
    let server = Server::start(Policy::default(), WebConfig::default()).await;
    let huge = format!("sAccessToken={}", "x".repeat(2_000_000));
    let many: Vec<_> =
        (0..500).map(|index| line("cookie", format!("sAccessToken={index}"))).collect();
    for lines in [vec![host(), line("cookie", huge)], many] {
        let answer = server.exchange(&request("GET", "/me", &lines)).await;
        // It may close while the request is still being written.
        if let Some(answer) = answer {
            assert_eq!(answer.status, 431, "{}", answer.body);
        }
    }
    server.is_as_before().await;
}
