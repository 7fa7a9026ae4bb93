use std::{borrow::Cow, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::AccessToken;
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

/// Reads a token and checks its signature, not its expiry. Beside the token it gives the last
/// moment at which its key verifies.
pub(crate) fn read(
    token: &str,
    ring: &KeyRing,
    schedule: KeySchedule,
    now: Timestamp,
) -> Result<(AccessToken, Timestamp), ReadError> {
    if token.len() > MAXIMUM_LENGTH {
        return Err(MALFORMED);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(MALFORMED)?;
    let (header, claims) = message.split_once('.').ok_or(MALFORMED)?;
    if claims.contains('.') {
        return Err(MALFORMED);
    }
    let key = match ring.by_header(header) {
        Some(key) => key,
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
    let claims = serde_json::from_slice(&claims).map_err(|_| MALFORMED)?;
    let token = AccessToken::from_claims(claims).ok_or(MALFORMED)?;
    Ok((token, KeyRing::retires_at(key, schedule)))
}

/// A header that is not written the way our own keys' are: another program's, or a made-up one.
fn key_of_foreign_header<'r>(
    header: &str,
    ring: &'r KeyRing,
) -> Result<&'r Arc<SigningKey>, ReadError> {
    let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| MALFORMED)?;
    // From a list serde would fill the fields in their order.
    if header.first() != Some(&b'{') {
        return Err(MALFORMED);
    }
    let header: Header<'_> = serde_json::from_slice(&header).map_err(|_| MALFORMED)?;
    let algorithm: Algorithm = header.alg.parse().map_err(|_| MALFORMED)?;
    if header.typ != "JWT" || header.version.is_some_and(|version| version != "5") {
        return Err(MALFORMED);
    }
    let key = ring.by_key_id(&header.kid).ok_or(ReadError::UnknownKey)?;
    // The algorithm belongs to the key; a header that names another one is an attack.
    if key.algorithm() == algorithm { Ok(key) } else { Err(MALFORMED) }
}
