use http::{
    HeaderMap, HeaderValue, Method, Uri,
    header::{COOKIE, HOST, ORIGIN, REFERER},
};
use sessile_core::{
    IssuedSession, NewSession, SessionService as _, memory::MemoryStore, policy::Policy,
};
use sessile_web::{RequestHead, Requirements, ResponseChanges, WebConfig, WebError, WebSessions};

use crate::{
    Target,
    fixture::{Engine, access_token, answer, engine},
    plain_target,
};

/// Origins, domains and paths of the configuration, and hosts and origins of requests. The first
/// byte says which.
pub struct Origins {
    engine: Engine,
    web: WebSessions,
    issued: IssuedSession,
    samples: Vec<Vec<u8>>,
}

plain_target!(Origins);

impl Origins {
    /// A session, whose cookie every request carries.
    pub fn new() -> Self {
        let engine = engine(&MemoryStore::new(), Policy::default());
        let issued = answer(engine.create_session(NewSession::new("alice"))).unwrap();
        let web = WebSessions::new(engine.clone(), WebConfig::default()).unwrap();
        let samples = [
            "\x00https://app.example.com",
            "\x00http://localhost:3000/",
            "\x00https://App.Example.com:443",
            "\x00https://[::1]:8443",
            "\x00https://user@a.example",
            "\x01.example.com",
            "\x02/auth/",
            "\x03app.example.com\nhttps://app.example.com",
            "\x03app.example.com:80\nhttp://APP.example.com",
            "\x03[::1]:3000\nhttp://[::1]:3000",
            "\x03a.example\nnull",
            "\x04app.example.com\nhttps://app.example.com/path?query#fragment",
        ];
        let samples = samples.map(|text| text.as_bytes().to_vec()).to_vec();
        Self { engine, web, issued, samples }
    }

    /// Whether a request that changes something is let through, with these headers.
    fn is_let_through(&self, web: &WebSessions, headers: &[(http::HeaderName, &[u8])]) -> bool {
        let mut map = HeaderMap::new();
        let cookie = format!("sAccessToken={}", access_token(&self.issued));
        map.insert(COOKIE, HeaderValue::try_from(cookie).unwrap());
        for (name, value) in headers {
            // What is no header value never reaches a server's application.
            let Ok(value) = HeaderValue::from_bytes(value) else { return false };
            map.insert(name.clone(), value);
        }
        let uri = Uri::from_static("/change");
        let head = RequestHead { method: &Method::POST, uri: &uri, headers: &map };
        let changes = ResponseChanges::new(web.config(), &head);
        let result = answer(web.require(&head, Requirements::default(), &changes));
        changes.write_to(&mut HeaderMap::new());
        match result {
            Ok(_) => true,
            Err(WebError::Forbidden(_)) => false,
            Err(other) => panic!("{other}"),
        }
    }

    fn check_configured_origin(&self, text: &str) {
        let config = WebConfig { public_origin: Some(text.to_owned()), ..WebConfig::default() };
        let Ok(web) = WebSessions::new(self.engine.clone(), config) else { return };
        let origin = web.config().public_origin.clone().unwrap();
        let again = WebConfig { public_origin: Some(origin.clone()), ..WebConfig::default() };
        let again = WebSessions::new(self.engine.clone(), again).unwrap();
        assert_eq!(again.config().public_origin.as_ref(), Some(&origin), "{text:?}");
        let uri: Uri = origin.parse().expect("an origin is a URL");
        assert!(matches!(uri.scheme_str(), Some("http" | "https")) && !origin.contains('@'));
        assert!(self.is_let_through(&web, &[(ORIGIN, origin.as_bytes())]), "{origin:?}");
        let other = format!("{origin}x");
        assert!(!self.is_let_through(&web, &[(ORIGIN, other.as_bytes())]), "{other:?}");
    }

    fn check_request(&self, text: &[u8], name: &http::HeaderName) {
        let Some(end) = text.iter().position(|byte| *byte == b'\n') else { return };
        let (host, origin) = (&text[..end], &text[end + 1..]);
        if !self.is_let_through(&self.web, &[(HOST, host), (name.clone(), origin)]) {
            return;
        }
        // Whoever is let through is of this host, whatever the scheme and its own port.
        let bare = |text: &[u8]| {
            let text = String::from_utf8(text.to_ascii_lowercase()).unwrap();
            text.trim_end_matches(":443").trim_end_matches(":80").to_owned()
        };
        let origin = String::from_utf8(origin.to_vec()).unwrap();
        let (_, after) = origin.split_once("://").unwrap();
        let authority =
            if name == REFERER { after.split(['/', '?', '#']).next().unwrap() } else { after };
        assert_eq!(bare(host), bare(authority.as_bytes()), "{origin:?}");
    }
}

impl Target for Origins {
    fn name(&self) -> &'static str {
        "origin"
    }

    fn samples(&self) -> &[Vec<u8>] {
        &self.samples
    }

    fn check(&self, input: &[u8]) {
        let Some((&first, rest)) = input.split_first() else { return };
        let text = String::from_utf8_lossy(rest).into_owned();
        match first % 5 {
            0 => self.check_configured_origin(&text),
            1 => {
                let config = WebConfig { cookie_domain: Some(text), ..WebConfig::default() };
                if let Ok(web) = WebSessions::new(self.engine.clone(), config) {
                    let domain = web.config().cookie_domain.clone().unwrap();
                    assert!(HeaderValue::from_str(&domain).is_ok() && !domain.contains(';'));
                }
            }
            2 => {
                let config = WebConfig { api_base_path: text, ..WebConfig::default() };
                if let Ok(web) = WebSessions::new(self.engine.clone(), config) {
                    let path = web.config().refresh_path();
                    assert!(path.parse::<http::uri::PathAndQuery>().is_ok(), "{path:?}");
                }
            }
            3 => self.check_request(rest, &ORIGIN),
            _ => self.check_request(rest, &REFERER),
        }
    }
}
