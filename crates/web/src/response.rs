use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, SET_COOKIE},
};
use serde_json::json;
use sessile_core::{IssuedSession, IssuedToken, Secret, VerifiedSession, clock::Timestamp};

use crate::{
    config::{BrowserContract, Transfer, WebConfig},
    cookies::SessionCookie,
    origin::{host_name, is_https},
    request::RequestHead,
};

const FRONT_TOKEN: HeaderName = HeaderName::from_static("front-token");
pub(crate) const ANTI_CSRF: HeaderName = HeaderName::from_static("anti-csrf");
const ACCESS_TOKEN: HeaderName = HeaderName::from_static("st-access-token");
const REFRESH_TOKEN: HeaderName = HeaderName::from_static("st-refresh-token");
const ID_REFRESH_TOKEN: HeaderName = HeaderName::from_static("id-refresh-token");

/// The access-token cookie outlives its token, so that an expired token still arrives and is
/// answered with "try refresh token" instead of "no session": 365 days after it was made.
const ACCESS_COOKIE_VALIDITY: Duration = Duration::from_secs(365 * 24 * 3600);

/// What an answer will do to the client's tokens.
///
/// Made before the handler runs, changed by [`Session`](crate::Session) and
/// [`WebSessions`](crate::WebSessions), and written into the answer after it, whatever became of
/// the handler. Clones share the same changes. The last change of a token counts, so an answer
/// never sets and clears the same cookie.
#[derive(Clone)]
pub struct ResponseChanges(Arc<Shared>);

struct Shared {
    config: Arc<WebConfig>,
    secure: bool,
    /// Made with the first change: most answers have none.
    pending: OnceLock<Box<Mutex<Pending>>>,
}

#[derive(Default)]
struct Pending {
    cookies: [Change; 3],
    headers: [Change; 2],
    front_token: Option<HeaderValue>,
    id_refresh_token: Option<HeaderValue>,
    anti_csrf: Option<HeaderValue>,
    /// The host whose browser holds several of a cookie.
    duplicated_at: [Option<String>; 3],
}

#[derive(Default)]
enum Change {
    #[default]
    None,
    Clear,
    Set(Secret, Timestamp),
}

impl ResponseChanges {
    /// No change yet, to the answer of this request.
    pub fn new(config: &Arc<WebConfig>, head: &RequestHead<'_>) -> Self {
        Self(Arc::new(Shared {
            config: Arc::clone(config),
            secure: is_https(head, config),
            pending: OnceLock::new(),
        }))
    }

    /// The changes, of which there will be one.
    fn change(&self) -> MutexGuard<'_, Pending> {
        self.0.pending.get_or_init(Box::default).lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the client a new pair of tokens.
    pub(crate) fn set_tokens(&self, issued: &IssuedSession, transfer: Transfer) {
        self.set_access_token(&issued.session, &issued.access_token, transfer);
        let refresh = &issued.refresh_token;
        let mut pending = self.change();
        pending.of(transfer)[1] = Change::Set(refresh.token.clone(), refresh.expires_at);
        if self.0.config.contract == BrowserContract::IdRefreshToken {
            let value = id_refresh_token(&issued.session);
            let header = format!("{value};{}", refresh.expires_at.as_millis());
            pending.id_refresh_token = HeaderValue::try_from(header).ok();
            pending.cookies[2] = Change::Set(Secret::new(value), refresh.expires_at);
        }
        pending.anti_csrf =
            issued.anti_csrf_token.as_deref().and_then(|token| HeaderValue::try_from(token).ok());
    }

    /// Gives the client a new access token.
    pub(crate) fn set_access_token(
        &self,
        session: &VerifiedSession,
        token: &IssuedToken,
        transfer: Transfer,
    ) {
        let (expires_at, front_token) = match self.0.config.contract {
            BrowserContract::Current => {
                (token.created_at.plus(ACCESS_COOKIE_VALIDITY), front_token(session))
            }
            BrowserContract::IdRefreshToken => (token.expires_at, None),
        };
        let mut pending = self.change();
        pending.of(transfer)[0] = Change::Set(token.token.clone(), expires_at);
        pending.front_token = front_token;
    }

    /// Takes all tokens from the client.
    pub(crate) fn clear(&self, transfer: Transfer) {
        let mut pending = self.change();
        pending.of(transfer)[..2].fill_with(|| Change::Clear);
        pending.anti_csrf = None;
        let removed = Some(HeaderValue::from_static("remove"));
        match self.0.config.contract {
            BrowserContract::Current => pending.front_token = removed,
            BrowserContract::IdRefreshToken => {
                pending.cookies[2] = Change::Clear;
                pending.id_refresh_token = removed;
            }
        }
    }

    /// The browser sent several cookies of this name: it keeps the one that is set here, or the
    /// one given, and loses the others.
    pub(crate) fn heal(
        &self,
        cookie: SessionCookie,
        keep: Option<(&Secret, Timestamp)>,
        head: &RequestHead<'_>,
    ) {
        let mut pending = self.change();
        let index = cookie as usize;
        pending.duplicated_at[index] = Some(host_name(head).unwrap_or_default().to_owned());
        if let (Change::None, Some((value, expires_at))) = (&pending.cookies[index], keep) {
            pending.cookies[index] = Change::Set(value.clone(), expires_at);
        }
    }

    /// Keeps one of several access tokens, and drops the others.
    pub(crate) fn heal_access_token(&self, session: &VerifiedSession, head: &RequestHead<'_>) {
        let expires_at = match self.0.config.contract {
            BrowserContract::Current => session.issued_at().plus(ACCESS_COOKIE_VALIDITY),
            BrowserContract::IdRefreshToken => session.expires_at(),
        };
        self.heal(SessionCookie::Access, Some((session.access_token(), expires_at)), head);
        if self.0.config.contract == BrowserContract::IdRefreshToken {
            return;
        }
        let mut pending = self.change();
        if pending.front_token.is_none() {
            pending.front_token = front_token(session);
        }
    }

    /// Writes the changes into the headers of the answer.
    pub fn write_to(&self, headers: &mut HeaderMap) {
        let Shared { config, secure, pending } = &*self.0;
        let Some(pending) = pending.get() else { return };
        let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
        let Pending {
            cookies,
            headers: in_headers,
            front_token,
            id_refresh_token,
            anti_csrf,
            duplicated_at,
        } = std::mem::take(&mut *pending);
        let mut carries_tokens = false;

        for (index, cookie) in SessionCookie::ALL.into_iter().enumerate() {
            let line = match &cookies[index] {
                Change::None => None,
                Change::Clear => cookie.clear(*secure, config),
                Change::Set(token, expires_at) => {
                    carries_tokens = true;
                    cookie.set(token.expose(), *expires_at, *secure, config)
                }
            };
            let elsewhere = match &duplicated_at[index] {
                Some(host) => cookie.clear_elsewhere(host, config),
                None => Vec::new(),
            };
            for line in elsewhere.into_iter().chain(line) {
                headers.append(SET_COOKIE, line);
            }
        }
        for (name, change) in [ACCESS_TOKEN, REFRESH_TOKEN].into_iter().zip(in_headers) {
            let value = match change {
                Change::None => continue,
                Change::Clear => HeaderValue::from_static(""),
                Change::Set(token, _) => match HeaderValue::try_from(token.expose()) {
                    Ok(value) => value,
                    Err(_) => continue,
                },
            };
            carries_tokens = true;
            expose(headers, name, value);
        }
        let for_scripts = [
            (FRONT_TOKEN, front_token),
            (ID_REFRESH_TOKEN, id_refresh_token),
            (ANTI_CSRF, anti_csrf),
        ];
        for (name, value) in for_scripts {
            if let Some(value) = value {
                expose(headers, name, value);
            }
        }
        if carries_tokens && !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }
}

impl Pending {
    /// The access token first, then the refresh token.
    fn of(&mut self, transfer: Transfer) -> &mut [Change] {
        match transfer {
            Transfer::Cookie => &mut self.cookies,
            Transfer::Header => &mut self.headers,
        }
    }
}

/// Sets a header that a page on another origin must be able to read.
fn expose(headers: &mut HeaderMap, name: HeaderName, mut value: HeaderValue) {
    value.set_sensitive(true);
    headers.append(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from(name.clone()));
    headers.insert(name, value);
}

/// What tells two refreshes of a session apart: the hash of the refresh token that access tokens
/// carry. It is no secret, and all who are given the same refresh token are given the same.
fn id_refresh_token(session: &VerifiedSession) -> String {
    let claims = session.claims();
    let hash = claims.get("refreshTokenHash1").and_then(serde_json::Value::as_str);
    hash.unwrap_or_else(|| session.handle().as_str()).to_owned()
}

/// What a script may know of the access token: whose it is, when it ends, and its claims; not the
/// token itself.
fn front_token(session: &VerifiedSession) -> Option<HeaderValue> {
    let text = json!({
        "uid": session.user_id(),
        "ate": session.expires_at().as_millis(),
        "up": session.claims(),
    });
    HeaderValue::try_from(STANDARD.encode(text.to_string())).ok()
}

impl fmt::Debug for ResponseChanges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ResponseChanges(…)")
    }
}
