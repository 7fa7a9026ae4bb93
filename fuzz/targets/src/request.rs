use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header::SET_COOKIE};
use sessile_core::{
    IssuedSession, NewSession, SessionHandle, SessionService as _, Sessions, TenantScope,
    clock::ManualClock,
    memory::MemoryStore,
    policy::{Policy, Revocation},
    store::{Accounts, SessionRecord, Store as _},
};
use sessile_web::{
    AntiCsrfMode, BrowserContract, RequestHead, Requirements, ResponseChanges, Transfer, WebConfig,
    WebError, WebSessions,
};

use crate::{
    Target,
    fixture::{Engine, START, access_token, answer, app, refresh_token},
    plain_target,
};

/// Requests, by method, path and headers: the answer is a session of ours or one of the refusals,
/// and sets nothing but our own cookies and headers. The first byte says the configuration; then
/// come lines, the first `<method> <path>`, each other one a header.
pub struct Requests {
    engine: Engine,
    /// Whether the store is not as it was at first.
    is_changed: Arc<AtomicBool>,
    rows: Vec<SessionRecord>,
    configured: Vec<WebSessions>,
    samples: Vec<Vec<u8>>,
}

plain_target!(Requests);

const MODES: [AntiCsrfMode; 4] = [
    AntiCsrfMode::FetchMetadata,
    AntiCsrfMode::Token,
    AntiCsrfMode::CustomHeader,
    AntiCsrfMode::Off,
];

impl Requests {
    /// Two sessions of alice, and every configuration of contract, anti-CSRF mode and transfer.
    pub fn new() -> Self {
        let is_changed = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_changed);
        let building = Sessions::builder(MemoryStore::new())
            .clock(Arc::new(ManualClock::at(START)))
            .policy(Policy::default())
            .on_event(move |_| told.store(true, Ordering::Relaxed))
            .build();
        let engine = answer(building).unwrap();
        let log_in = || {
            let new = NewSession::new("alice").anti_csrf_token(true);
            answer(engine.create_session(new)).unwrap()
        };
        let issued = [log_in(), log_in()];
        is_changed.store(false, Ordering::Relaxed);
        let rows = answer(engine.store().sessions_of_user(
            &app(),
            "alice",
            Accounts::Linked,
            &TenantScope::All,
            START,
        ));
        let configured = (0..32)
            .filter_map(|bits: usize| {
                let config = WebConfig {
                    anti_csrf: MODES[bits % 4],
                    default_transfer: [Transfer::Cookie, Transfer::Header][bits / 4 % 2],
                    refresh_in_place: bits / 8 % 2 == 1,
                    contract: [BrowserContract::Current, BrowserContract::IdRefreshToken]
                        [bits / 16],
                    trusted_origins: vec!["https://www.example.com".to_owned()],
                    ..WebConfig::default()
                };
                WebSessions::new(engine.clone(), config).ok()
            })
            .collect();
        let samples = samples(&issued);
        Self { engine, is_changed, rows: rows.unwrap(), configured, samples }
    }

    /// Puts the store back into its first state.
    fn restore(&self) {
        if !self.is_changed.swap(false, Ordering::Relaxed) {
            return;
        }
        let store = self.engine.store();
        let all = TenantScope::All;
        answer(store.remove_sessions_of_user(&app(), "alice", Accounts::Linked, &all, None))
            .unwrap();
        for row in &self.rows {
            answer(store.insert_session(&app(), row.clone())).unwrap();
        }
    }

    fn is_known(&self, handle: &SessionHandle) -> bool {
        self.rows.iter().any(|row| row.handle == *handle)
    }

    /// Serves the request by its path; gives the handle of the session that it is served with.
    fn serve(
        &self,
        web: &WebSessions,
        head: &RequestHead<'_>,
        changes: &ResponseChanges,
    ) -> Result<Option<SessionHandle>, WebError> {
        let immediate =
            Requirements { revocation: Some(Revocation::Immediate), ..Requirements::default() };
        let session = match head.uri.path() {
            "/session/refresh" => answer(web.refresh_session(head, changes)).map(Some),
            "/signout" => return answer(web.sign_out(head, changes)).map(|()| None),
            "/login" => {
                let new = NewSession::new("alice");
                // A new session is no session of before.
                return answer(web.create_new_session(head, new, changes)).map(|_| None);
            }
            "/optional" => answer(web.authenticate(head, Requirements::default(), changes)),
            "/immediate" => answer(web.require(head, immediate, changes)).map(Some),
            _ => answer(web.require(head, Requirements::default(), changes)).map(Some),
        };
        session.map(|session| session.map(|session| session.get_handle().clone()))
    }
}

fn samples(issued: &[IssuedSession; 2]) -> Vec<Vec<u8>> {
    let [first, second] = issued;
    let (access, refresh) = (access_token(first), refresh_token(first));
    let (other_access, other_refresh) = (access_token(second), refresh_token(second));
    let anti_csrf = first.anti_csrf_token.as_deref().unwrap();
    let host = "host: app.example.com";
    let cookies = format!("cookie: x=1; sAccessToken={access}; y=2; sRefreshToken=\"{refresh}\"");
    let twice = format!(
        "cookie: sAccessToken={other_access}; sAccessToken={access}; sRefreshToken={refresh}\n\
         cookie: sRefreshToken={other_refresh};sAccessToken=;;=;sRefreshToken"
    );
    let guarded = format!("rid: anti-csrf\nanti-csrf: {anti_csrf}\nsec-fetch-site: same-origin");
    let own = "origin: https://app.example.com";
    [
        format!("\x00GET /me\n{host}\n{cookies}"),
        format!("\x14POST /session/refresh\n{host}\n{cookies}; sIdRefreshToken=x\n{guarded}"),
        format!("\x01POST /me\n{host}\n{cookies}\n{guarded}\n{own}"),
        format!("\x02POST /session/refresh\n{host}\n{cookies}\n{guarded}"),
        format!("\x03POST /session/refresh\n{host}\nauthorization: Bearer {refresh}\nst-auth-mode: header"),
        format!("\x04POST /signout\n{host}\nauthorization: Bearer {access}\nst-auth-mode: header"),
        format!("\x08GET /optional\n{host}\n{twice}\nreferer: https://app.example.com/x"),
        format!("\x0dPOST https://a.b.example.com/login\n{host}:8443\n{twice}\n{own}"),
        format!("\x0aDELETE /immediate\nhost: [::1]:80\n{twice}\nsec-fetch-site: cross-site"),
    ]
    .map(String::into_bytes)
    .to_vec()
}

/// What a server makes of the lines; what is no header at all never reaches an application.
fn parse(lines: &[u8]) -> (Method, Uri, HeaderMap) {
    let mut lines = lines.split(|byte| *byte == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let (method, uri) = first.split_once(' ').unwrap_or((&first, "/"));
    let mut headers = HeaderMap::new();
    for line in lines.take(100) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::POST);
    (method, uri.parse().unwrap_or_default(), headers)
}

/// Nothing is set but our own cookies and headers, each of which can be read.
fn check_answer(headers: &HeaderMap) {
    let lines: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
    assert!(lines.len() <= 120, "{} cookies", lines.len());
    for line in lines {
        let line = line.to_str().expect("a cookie is text");
        let (name, _) = line.split_once('=').unwrap();
        assert!(["sAccessToken", "sRefreshToken", "sIdRefreshToken"].contains(&name), "{name}");
        let known = ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Path=/session/refresh"];
        for attribute in line.split("; ").skip(1) {
            let is_known = known.contains(&attribute)
                || attribute.starts_with("Expires=")
                || attribute.starts_with("Domain=");
            assert!(is_known, "{attribute}");
        }
    }
    if let Some(front) = headers.get("front-token").filter(|front| *front != "remove") {
        let front = STANDARD.decode(front).expect("base64");
        let front: serde_json::Value = serde_json::from_slice(&front).unwrap();
        assert_eq!(front["uid"], "alice");
    }
    let known = [
        "set-cookie",
        "front-token",
        "id-refresh-token",
        "anti-csrf",
        "st-access-token",
        "st-refresh-token",
        "access-control-expose-headers",
        "cache-control",
    ];
    assert!(headers.keys().all(|name| known.contains(&name.as_str())), "{:?}", headers.keys());
}

impl Target for Requests {
    fn name(&self) -> &'static str {
        "request"
    }

    fn samples(&self) -> &[Vec<u8>] {
        &self.samples
    }

    fn check(&self, input: &[u8]) {
        let Some((&first, lines)) = input.split_first() else { return };
        let web = &self.configured[usize::from(first) % self.configured.len()];
        let (method, uri, headers) = parse(lines);
        let head = RequestHead { method: &method, uri: &uri, headers: &headers };
        let changes = ResponseChanges::new(web.config(), &head);
        match self.serve(web, &head, &changes) {
            Ok(None) => {}
            Ok(Some(handle)) => assert!(self.is_known(&handle), "{handle}"),
            Err(error) => {
                let status = error.status(web.config());
                let expected = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
                assert!(expected.contains(&status), "{error}");
            }
        }
        let mut answer_headers = HeaderMap::new();
        changes.write_to(&mut answer_headers);
        check_answer(&answer_headers);
        self.restore();
    }
}
