//! Hostile tokens in cookies and in headers, in every anti-CSRF mode and both transfers.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sessile::{AntiCsrfMode, IssuedSession, Transfer, WebConfig, policy::Policy};
use sessile_hostile_tokens::Base;
use sessile_mutation::Dice;

use super::server::{NOW, Server, assert_refused, assert_refused_or_nobody, line};

const ROUTES: [(&str, &str); 7] = [
    ("GET", "/me"),
    ("POST", "/me"),
    ("GET", "/data"),
    ("GET", "/optional"),
    ("POST", "/optional"),
    ("POST", "/signout"),
    ("POST", "/session/refresh"),
];

/// Access tokens of every hostile class, none of which is good: those that a reader may take are
/// left out by asking the engine, which has tests of its own.
async fn hostile_access_tokens(server: &Server, number: usize) -> Vec<(&'static str, String)> {
    let (first, second) = (server.log_in().await, server.log_in().await);
    let forge = server.forge().await;
    let (token, other) = (first.access_token.token.expose(), second.access_token.token.expose());
    let base = Base { forge: &forge, token, other, now: NOW };
    let mut dice = Dice::seeded();
    let mut tokens = vec![
        ("oversized", "a".repeat(100_000)),
        ("oversized", format!("{token}{}", "A".repeat(100_000))),
        ("oversized", format!("{}.{}.{}", "A".repeat(40_000), "A".repeat(40_000), "A".repeat(9))),
        ("dots", ".".repeat(50_000)),
        ("empty parts", "..".to_owned()),
        ("refresh token", first.refresh_token.token.expose().to_owned()),
    ];
    for _ in 0..number {
        let hostile = base.hostile_token(&mut dice);
        // What cannot stand in a header, or would be another cookie, is no token there.
        let is_plain = hostile.text.bytes().all(|byte| byte >= b' ' && byte != 0x7f);
        if is_plain && !hostile.text.contains([';', '"']) && !hostile.text.trim().is_empty() {
            tokens.push((hostile.class, hostile.text.trim().to_owned()));
        }
    }
    use sessile::SessionService as _;
    let mut refused = Vec::new();
    for (class, text) in tokens {
        let bearer = text.split_once(' ').map_or(text.as_str(), |(_, rest)| rest.trim());
        if server.sessions.identify(&text).await.unwrap().is_none()
            && server.sessions.identify(bearer).await.unwrap().is_none()
        {
            server.keep_secret(&text);
            refused.push((class, text));
        }
    }
    refused
}

fn hostile_refresh_tokens(first: &IssuedSession, second: &IssuedSession) -> Vec<String> {
    let token = first.refresh_token.token.expose();
    let other = second.refresh_token.token.expose();
    let sealed = token.strip_prefix("srt1.").unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(sealed).unwrap();
    let mut dice = Dice::seeded();
    let mut tokens = vec![
        "srt1.".to_owned(),
        "srt1".to_owned(),
        sealed.to_owned(),
        format!("srt2.{sealed}"),
        format!("{token}="),
        format!("{token}A"),
        format!("srt1.srt1.{sealed}"),
        token.to_uppercase(),
        token[..token.len() - 1].to_owned(),
        base64::engine::general_purpose::STANDARD.encode(&bytes),
        format!("{}.{}.V2", URL_SAFE_NO_PAD.encode(&bytes), "0".repeat(64)),
        format!("srt1.{}", "A".repeat(100_000)),
        "A".repeat(100_000),
        first.access_token.token.expose().to_owned(),
        "none".to_owned(),
        "\u{1f980}".to_owned(),
    ];
    for _ in 0..60 {
        let text = dice.mutate_text(token, other);
        let is_plain = text.bytes().all(|byte| byte > b' ' && byte != 0x7f);
        if text != token && text != other && is_plain && !text.contains([';', '"', ' ']) {
            tokens.push(text);
        }
    }
    tokens
}

fn configurations() -> Vec<WebConfig> {
    let modes = [
        AntiCsrfMode::FetchMetadata,
        AntiCsrfMode::Token,
        AntiCsrfMode::CustomHeader,
        AntiCsrfMode::Off,
    ];
    modes
        .into_iter()
        .flat_map(|anti_csrf| {
            [Transfer::Cookie, Transfer::Header].map(|default_transfer| WebConfig {
                anti_csrf,
                default_transfer,
                ..WebConfig::default()
            })
        })
        .collect()
}

#[tokio::test]
async fn hostile_access_tokens_are_refused_on_every_route() {
    for config in configurations() {
        let what = format!("{:?} {:?}", config.anti_csrf, config.default_transfer);
        let server = Server::start(Policy::default(), config).await;
        let tokens = hostile_access_tokens(&server, 40).await;
        assert!(tokens.len() > 25, "{}", tokens.len());
        for (index, (class, token)) in tokens.iter().enumerate() {
            let cookie = line("cookie", format!("sAccessToken={token}"));
            let bearer = line("authorization", format!("Bearer {token}"));
            let host = line("host", "app.example.com");
            // Each token meets some of the routes, and each route all classes.
            for (method, path) in ROUTES.iter().skip(index % 3).step_by(2) {
                // A refresh token is no hostile one there.
                if *class == "refresh token" && *path == "/session/refresh" {
                    continue;
                }
                for carrier in [&cookie, &bearer] {
                    let lines = [host.clone(), carrier.clone()];
                    let answer = server.request(method, path, &lines).await;
                    assert_refused_or_nobody(&answer, &format!("{what}: {class}, {method} {path}"));
                }
            }
        }
        server.is_as_before().await;
    }
}

#[tokio::test]
async fn hostile_refresh_tokens_are_refused_and_touch_no_session() {
    for config in configurations() {
        let what = format!("{:?} {:?}", config.anti_csrf, config.default_transfer);
        let server = Server::start(Policy::default(), config).await;
        let (first, second) = (server.log_in().await, server.log_in().await);
        let guard = [
            line("host", "app.example.com"),
            line("rid", "anti-csrf"),
            line("anti-csrf", first.anti_csrf_token.as_deref().unwrap()),
        ];
        for token in hostile_refresh_tokens(&first, &second) {
            server.keep_secret(&token);
            let cookie = line("cookie", format!("sRefreshToken={token}"));
            let twice = line("cookie", format!("sRefreshToken={token}; sRefreshToken={token}~"));
            let bearer = line("authorization", format!("Bearer {token}"));
            for carrier in [cookie, twice, bearer] {
                let lines = [guard.as_slice(), &[carrier]].concat();
                let answer = server.request("POST", "/session/refresh", &lines).await;
                assert_refused(&answer, &what);
            }
        }
        use sessile::SessionService as _;
        let alive = server.sessions.get_all_session_handles_for_user("alice").await.unwrap();
        assert_eq!(alive.len(), 2, "{what}: no session was ended");
        server.is_as_before().await;
    }
}

#[tokio::test]
async fn a_hostile_token_beside_the_good_one_does_not_hide_it() {
    let server = Server::start(Policy::default(), WebConfig::default()).await;
    let tokens = hostile_access_tokens(&server, 60).await;
    let good = server.log_in().await;
    let good = good.access_token.token.expose();
    for (class, token) in &tokens {
        for cookies in [
            format!("sAccessToken={token}; sAccessToken={good}"),
            format!("sAccessToken={good}; sAccessToken={token}"),
        ] {
            let lines = [line("host", "app.example.com"), line("cookie", cookies)];
            let answer = server.request("GET", "/me", &lines).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, "alice"), "{class}");
        }
    }
    server.is_as_before().await;
}
