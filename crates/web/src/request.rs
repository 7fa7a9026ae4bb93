use std::iter;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{
    HeaderMap, HeaderName, Method, Uri,
    header::{AUTHORIZATION, COOKIE},
};
use memchr::memchr_iter;
use serde::Deserialize;
use sessile_core::ACCESS_TOKEN_COOKIE;
use simdutf8::basic::from_utf8;
use smallvec::SmallVec;

use crate::{
    config::{BrowserContract, Transfer, WebConfig},
    cookies::{ID_REFRESH_TOKEN_COOKIE, REFRESH_TOKEN_COOKIE},
};

/// How many different values of one cookie are looked at: as many cookies as Chromium and Firefox
/// keep for a site, so that nothing that a sibling domain plants can hide the real one. Each may
/// cost a signature or a key derivation, and one request must not buy thousands.
const MOST_VALUES: usize = 180;

const AUTH_MODE: HeaderName = HeaderName::from_static("st-auth-mode");

/// The parts of a request that concern sessions.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its URI.
    pub uri: &'a Uri,
    /// Its headers.
    pub headers: &'a HeaderMap,
}

impl<'a> From<&'a http::request::Parts> for RequestHead<'a> {
    fn from(parts: &'a http::request::Parts) -> Self {
        Self { method: &parts.method, uri: &parts.uri, headers: &parts.headers }
    }
}

impl<'a> RequestHead<'a> {
    /// The value of a header, where it is there and is text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How the client wants its tokens: by the header `st-auth-mode`, or as configured.
    pub(crate) fn wanted_transfer(&self, config: &WebConfig) -> Transfer {
        if config.contract == BrowserContract::IdRefreshToken {
            return Transfer::Cookie;
        }
        match self.header(&AUTH_MODE) {
            Some("header") => Transfer::Header,
            Some("cookie") => Transfer::Cookie,
            _ => config.default_transfer,
        }
    }

    /// The bearer token of the request, where tokens travel in headers.
    pub(crate) fn bearer(&self, config: &WebConfig) -> Option<&'a str> {
        if config.contract == BrowserContract::IdRefreshToken {
            return None;
        }
        let (scheme, token) = self.header(&AUTHORIZATION)?.split_once(' ')?;
        let token = token.trim();
        (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
    }

    /// Every value of the access-token cookie, each once, in the order of the request.
    pub(crate) fn access_cookies(&self) -> CookieValues<'a> {
        self.cookies(ACCESS_TOKEN_COOKIE)
    }

    /// Every value of the refresh-token cookie, each once, in the order of the request.
    pub(crate) fn refresh_cookies(&self) -> CookieValues<'a> {
        self.cookies(REFRESH_TOKEN_COOKIE)
    }

    /// Whether the request says that it has a session, by the cookie for that.
    pub(crate) fn has_id_refresh_cookie(&self) -> bool {
        self.cookies(ID_REFRESH_TOKEN_COOKIE).count > 0
    }

    fn cookies(&self, name: &str) -> CookieValues<'a> {
        let mut found = CookieValues::default();
        for header in self.headers.get_all(COOKIE) {
            // Another application's cookie may not be text; ours is, and stands between ';'.
            for pair in pairs(header.as_bytes()) {
                let Some(rest) = pair.trim_ascii_start().strip_prefix(name.as_bytes()) else {
                    continue;
                };
                let Some(value) = rest.trim_ascii_start().strip_prefix(b"=") else { continue };
                let Ok(value) = from_utf8(value.trim_ascii()) else { continue };
                let value = value
                    .strip_prefix('"')
                    .and_then(|value| value.strip_suffix('"'))
                    .unwrap_or(value);
                if value.is_empty() {
                    continue;
                }
                found.count += 1;
                if found.values.len() < MOST_VALUES && !found.values.contains(&value) {
                    found.values.push(value);
                }
            }
        }
        found
    }
}

/// What stands between the semicolons. Each request is searched, and a token is long.
fn pairs(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr_iter(b';', header).chain(iter::once(header.len())).map(move |end| {
        let pair = &header[start..end];
        start = end + 1;
        pair
    })
}

/// The values that a request has of one cookie.
#[derive(Debug, Default)]
pub(crate) struct CookieValues<'a> {
    /// The different ones, the first of them where there are very many.
    pub(crate) values: Values<'a>,
    /// How many there are, equal ones counted.
    pub(crate) count: usize,
}

impl CookieValues<'_> {
    /// Whether the browser holds more than one cookie of that name, in several scopes.
    pub(crate) fn are_duplicated(&self) -> bool {
        self.count > 1
    }
}

/// Tokens as a request carries them: one, if nothing is wrong.
pub(crate) type Values<'a> = SmallVec<[&'a str; 1]>;

/// Whether a bearer token has the claims of a session's, ours or not. Another system's token
/// must not hide the cookie beside it.
pub(crate) fn looks_like_access_token(token: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct SessionClaims {
        #[serde(rename = "sessionHandle")]
        _handle: String,
        #[serde(rename = "refreshTokenHash1")]
        _hash: String,
    }
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    URL_SAFE_NO_PAD
        .decode(claims)
        .is_ok_and(|claims| serde_json::from_slice::<SessionClaims>(&claims).is_ok())
}

#[cfg(test)]
#[expect(clippy::type_complexity, reason = "a table of cases")]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn access_cookies(lines: &[&[u8]]) -> (Vec<String>, usize) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        let uri = Uri::from_static("/");
        let head = RequestHead { method: &Method::GET, uri: &uri, headers: &headers };
        let found = head.access_cookies();
        (found.values.iter().map(|value| (*value).to_owned()).collect(), found.count)
    }

    #[test]
    fn of_thousands_of_cookies_a_few_are_looked_at() {
        let line: String = (0..5000).map(|index| format!("sAccessToken={index};")).collect();
        let (values, count) = access_cookies(&[line.as_bytes()]);
        assert_eq!((values.len(), count), (MOST_VALUES, 5000));
        assert_eq!(values[MOST_VALUES - 1], "179");
    }

    #[test]
    fn cookies_are_found_wherever_they_stand() {
        let cases: [(&[&[u8]], &[&str], usize); 9] = [
            (&[b"sAccessToken=a"], &["a"], 1),
            (&[b"x=1; sAccessToken=a; y=2"], &["a"], 1),
            (&[b"x=1;sAccessToken=\"a\""], &["a"], 1),
            (&[b"sAccessToken=a; sAccessToken=b"], &["a", "b"], 2),
            (&[b"sAccessToken=a", b"sAccessToken=a"], &["a"], 2),
            (&[b"sAccessToken="], &[], 0),
            (&[b"xsAccessToken=a; sAccessToken2=b; sAccessToken"], &[], 0),
            (&[b"x=\xff; sAccessToken=a"], &["a"], 1),
            (&[b"saccesstoken=a;;; =; sAccessToken = c=d "], &["c=d"], 1),
        ];
        for (lines, values, count) in cases {
            let (found, found_count) = access_cookies(lines);
            assert_eq!(
                (found.as_slice(), found_count),
                (
                    values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>().as_slice(),
                    count
                )
            );
        }
    }
}
