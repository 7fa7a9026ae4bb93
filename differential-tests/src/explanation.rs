//! Why verifiers differ about a token: the classes of the table in README.md. Each is told from
//! the token itself, by other code than the reader's.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::peers::{Difference, Verdict};

/// A class of split verdicts; its name is the row's in README.md.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Class {
    Spelling,
    NoJson,
    NoKeyId,
    TypeOrVersion,
    HeaderSaysMore,
    NoSession,
    ClaimsOfTheApplication,
    IssuedLater,
    LastMillisecond,
    Unexplained,
}

impl Class {
    #[cfg(test)]
    const EXPLAINED: [Self; 9] = [
        Self::Spelling,
        Self::NoJson,
        Self::NoKeyId,
        Self::TypeOrVersion,
        Self::HeaderSaysMore,
        Self::NoSession,
        Self::ClaimsOfTheApplication,
        Self::IssuedLater,
        Self::LastMillisecond,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Spelling => "spelling",
            Self::NoJson => "no JSON",
            Self::NoKeyId => "no key id",
            Self::TypeOrVersion => "type or version",
            Self::HeaderSaysMore => "header says more",
            Self::NoSession => "no session",
            Self::ClaimsOfTheApplication => "claims of the application",
            Self::IssuedLater => "issued later",
            Self::LastMillisecond => "last millisecond",
            Self::Unexplained => "unexplained",
        }
    }

    /// Why the two differ about `token` at `now`, in seconds.
    pub(crate) fn of(token: &str, ours: &Verdict, theirs: &Verdict, now: i64) -> Self {
        match ours.difference(theirs) {
            Some(Difference::OnlySessileRefuses) => Self::of_refusal(token, &ours.reason),
            Some(Difference::OnlySessileAccepts) => Self::of_acceptance(token, now),
            _ => Self::Unexplained,
        }
    }

    fn of_refusal(token: &str, reason: &str) -> Self {
        // Whatever else is the matter, a bad signature or an old token is good for nobody.
        if reason != "access_token_malformed" {
            return Self::Unexplained;
        }
        let Some([header, claims, _]) = parts(token) else { return Self::Spelling };
        let (Some(header), Some(claims)) = (object(&header), object(&claims)) else {
            return Self::NoJson;
        };
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        let known_versions = [None, Some("3"), Some("4"), Some("5")];
        let has_version = header.get("version").is_some_and(|version| !version.is_null());
        if text("kid").is_none() {
            Self::NoKeyId
        } else if text("typ") != Some("JWT")
            || has_version && text("version").is_none()
            || !known_versions.contains(&text("version"))
        {
            Self::TypeOrVersion
        } else if header.keys().any(|name| !["alg", "kid", "typ", "version"].contains(&&**name)) {
            Self::HeaderSaysMore
        } else if !is_session(&claims, text("version").unwrap_or("5")) {
            Self::NoSession
        } else {
            Self::Unexplained
        }
    }

    fn of_acceptance(token: &str, now: i64) -> Self {
        let claims = parts(token).and_then(|[_, claims, _]| object(&claims)).unwrap_or_default();
        let moment = |name: &str| claims.get(name).and_then(Value::as_i64);
        if ["nbf", "aud", "iss", "jti"].iter().any(|name| claims.contains_key(*name)) {
            Self::ClaimsOfTheApplication
        } else if moment("exp") == Some(now) {
            Self::LastMillisecond
        } else if moment("iat").is_some_and(|moment| moment > now) {
            Self::IssuedLater
        } else {
            Self::Unexplained
        }
    }
}

/// The three parts, where each is spelled as base64url without padding is.
fn parts(token: &str) -> Option<[Vec<u8>; 3]> {
    let parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).ok());
    parts.collect::<Option<Vec<_>>>()?.try_into().ok()
}

/// The object that the bytes are, as JSON (RFC 8259) has it, with each member once.
fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    let object: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
    let text = std::str::from_utf8(bytes).ok()?;
    // Only headers are refused for it, and their members are texts without colons of their own.
    let is_header = object.contains_key("alg") || object.contains_key("kid");
    let has_each_once = text.matches("\":").count() <= object.len() || !is_header;
    has_each_once.then_some(object)
}

/// Whether the claims are those that a version must have.
fn is_session(claims: &Map<String, Value>, version: &str) -> bool {
    let is = |name: &str, right: fn(&Value) -> bool| claims.get(name).is_some_and(right);
    let is_tenant = |value: &Value| {
        value.as_str().is_some_and(|text| {
            let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
            (1..=64).contains(&text.len()) && text.bytes().all(plain)
        })
    };
    ["sub", "sessionHandle", "refreshTokenHash1"].iter().all(|name| is(name, Value::is_string))
        && ["parentRefreshTokenHash1", "antiCsrfToken"]
            .iter()
            .all(|name| is(name, |value| value.is_string() || value.is_null()))
        && ["exp", "iat"].iter().all(|name| is(name, Value::is_i64))
        && (version < "4" || is("tId", is_tenant))
        && (version < "5" || is("rsub", Value::is_string))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_a_row_of_the_table_and_every_row_a_class() {
        let table = include_str!("../README.md");
        let rows: Vec<_> = table
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
            .filter(|name| !["Class"].contains(name) && !name.starts_with('-'))
            .collect();
        assert_eq!(rows, Class::EXPLAINED.map(Class::name));
    }

    #[test]
    fn what_is_sound_and_refused_is_not_explained() {
        let refused = Verdict::refused("access_token_signature_invalid");
        let accepted = Verdict::accepted(&Value::Null);
        assert_eq!(Class::of("a.b.c", &refused, &accepted, 0), Class::Unexplained);
        let token = ["{}", "{}", "x"].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        assert_eq!(Class::of(&token, &accepted, &refused, 0), Class::Unexplained);
        let other = Verdict::accepted(&Value::Bool(true));
        assert_eq!(Class::of(&token, &accepted, &other, 0), Class::Unexplained);
    }
}
