use std::{borrow::Cow, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::{AccessToken, AccessTokenVersion, legacy};
use crate::{
    clock::Timestamp,
    error::TryRefreshReason,
    keys::{Algorithm, KeyRing, KeySchedule, SigningKey},
};

/// No token is longer than this; what is longer is refused unread.
pub(crate) const MAXIMUM_LENGTH: usize = 64 * 1024;

/// Why a token cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ReadError {
    /// Its key is not in the ring; the store may have it.
    UnknownKey,
    /// It is bad whatever keys there are.
    Bad(TryRefreshReason),
}

const MALFORMED: ReadError = ReadError::Bad(TryRefreshReason::Malformed);

/// The JOSE header (RFC 7515). Whatever else a header names (`jku`, `jwk`, `crit`, …) makes the
/// token malformed: this reader trusts nothing that a token says about its own key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow)]
    kid: Cow<'a, str>,
    #[serde(borrow)]
    typ: Cow<'a, str>,
    #[serde(borrow)]
    version: Option<Cow<'a, str>>,
}

/// Reads a token and checks its signature, not its expiry. Gives the last moment at which its key
/// verifies beside it.
pub(crate) fn read(
    text: &str,
    ring: &KeyRing,
    schedule: KeySchedule,
    now: Timestamp,
) -> Result<(AccessToken, Timestamp), ReadError> {
    if text.len() > MAXIMUM_LENGTH {
        return Err(MALFORMED);
    }
    let (message, signature) = text.rsplit_once('.').ok_or(MALFORMED)?;
    let (header, claims) = message.split_once('.').ok_or(MALFORMED)?;
    if claims.contains('.') {
        return Err(MALFORMED);
    }
    if let Some(version) = legacy::version_of(header) {
        return read_legacy(version, message, claims, signature, ring, schedule, now);
    }
    let (key, version) = match ring.by_header(header) {
        Some(found) => found,
        None => key_of_foreign_header(header, ring)?,
    };
    if !KeyRing::is_alive(key, schedule, now) {
        return Err(ReadError::Bad(TryRefreshReason::UnknownKey));
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| MALFORMED)?;
    if !key.verify(message.as_bytes(), &signature) {
        return Err(ReadError::Bad(TryRefreshReason::SignatureInvalid));
    }
    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| MALFORMED)?;
    let token = parse_claims(version, &claims).ok_or(MALFORMED)?;
    Ok((token, KeyRing::retires_at(key, schedule)))
}

/// A V1 or V2 token names no key, so every RSA key is tried, newest first.
fn read_legacy(
    version: AccessTokenVersion,
    message: &str,
    claims: &str,
    signature: &str,
    ring: &KeyRing,
    schedule: KeySchedule,
    now: Timestamp,
) -> Result<(AccessToken, Timestamp), ReadError> {
    let signature = legacy::decode(signature).ok_or(MALFORMED)?;
    let key = ring
        .keys()
        .iter()
        .filter(|key| key.algorithm() == Algorithm::Rs256)
        .filter(|key| KeyRing::is_alive(key, schedule, now))
        .find(|key| key.verify(message.as_bytes(), &signature))
        // Another process may have made the key that it was signed with.
        .ok_or(ReadError::UnknownKey)?;
    let claims = legacy::decode(claims).ok_or(MALFORMED)?;
    let token = parse_claims(version, &claims).ok_or(MALFORMED)?;
    Ok((token, KeyRing::retires_at(key, schedule)))
}

/// Reads the claims of a token whose signature is good. Of a member that is there twice the last
/// counts, as in every peer; who can sign that could sign anything.
pub(crate) fn parse_claims(version: AccessTokenVersion, claims: &[u8]) -> Option<AccessToken> {
    let claims = serde_json::from_slice(claims).ok()?;
    if version.is_legacy() {
        legacy::from_claims(version, claims)
    } else {
        AccessToken::from_claims(version, claims)
    }
}

/// A header that is not written the way our own keys' are: another program's, or a made-up one.
fn key_of_foreign_header<'r>(
    header: &str,
    ring: &'r KeyRing,
) -> Result<(&'r Arc<SigningKey>, AccessTokenVersion), ReadError> {
    let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| MALFORMED)?;
    // From a list serde would fill the fields in their order.
    if header.trim_ascii_start().first() != Some(&b'{') {
        return Err(MALFORMED);
    }
    let header: Header<'_> = serde_json::from_slice(&header).map_err(|_| MALFORMED)?;
    let algorithm: Algorithm = header.alg.parse().map_err(|_| MALFORMED)?;
    let version = match header.version {
        None => AccessTokenVersion::default(),
        Some(number) => AccessTokenVersion::WITH_KEY_ID
            .into_iter()
            .find(|version| version.number() == number)
            .ok_or(MALFORMED)?,
    };
    if header.typ != "JWT" {
        return Err(MALFORMED);
    }
    let key = ring.by_key_id(&header.kid).ok_or(ReadError::UnknownKey)?;
    // The algorithm belongs to the key; a header that names another one is an attack.
    if key.algorithm() == algorithm { Ok((key, version)) } else { Err(MALFORMED) }
}
