//! The formats V1 and V2: standard base64 with padding in all three parts, and a constant header.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::Value;

use super::{AccessToken, AccessTokenVersion};
use crate::{
    clock::Timestamp,
    error::GeneralError,
    identifier::{SessionHandle, TenantId},
    json::JsonObject,
    keys::SigningKey,
};

/// Base64 of `{"alg":"RS256","typ":"JWT","version":"2"}`; readers compare it as it stands.
const HEADER: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsInZlcnNpb24iOiIyIn0=";

/// The same with `"1"`.
const HEADER_V1: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsInZlcnNpb24iOiIxIn0=";

fn header(version: AccessTokenVersion) -> &'static str {
    if version == AccessTokenVersion::V1 { HEADER_V1 } else { HEADER }
}

/// The version whose header this is.
pub(super) fn version_of(header: &str) -> Option<AccessTokenVersion> {
    match header {
        HEADER => Some(AccessTokenVersion::V2),
        HEADER_V1 => Some(AccessTokenVersion::V1),
        _ => None,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Claims<'a> {
    user_id: &'a str,
    expiry_time: i64,
    time_created: i64,
    session_handle: &'a str,
    refresh_token_hash1: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_refresh_token_hash1: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anti_csrf_token: Option<&'a str>,
    user_data: &'a JsonObject,
}

pub(super) fn claims_text(token: &AccessToken) -> Result<Vec<u8>, GeneralError> {
    serde_json::to_vec(&Claims {
        user_id: &token.user_id,
        expiry_time: token.expires_at.as_millis(),
        time_created: token.issued_at.as_millis(),
        session_handle: token.handle.as_str(),
        refresh_token_hash1: &token.refresh_token_inner_hash,
        parent_refresh_token_hash1: token.parent_refresh_token_inner_hash.as_deref(),
        anti_csrf_token: token.anti_csrf_token.as_deref(),
        user_data: &token.jwt_payload,
    })
    .map_err(GeneralError::Serialise)
}

pub(super) fn sign(token: &AccessToken, key: &SigningKey) -> Result<String, GeneralError> {
    // Its header is constant, so a key of another algorithm would make a token that nobody reads.
    token.version.check_algorithm(key.algorithm())?;
    let mut text = format!("{}.", header(token.version));
    STANDARD.encode_string(claims_text(token)?, &mut text);
    let signature = key.sign(text.as_bytes())?;
    text.push('.');
    STANDARD.encode_string(signature, &mut text);
    Ok(text)
}

/// The length of a token with that many bytes of claims.
pub(super) fn encoded_length(claims: usize) -> usize {
    const SIGNATURE: usize = 256;
    let padded = |bytes: usize| bytes.div_ceil(3) * 4;
    HEADER.len() + 1 + padded(claims) + 1 + padded(SIGNATURE)
}

pub(super) fn decode(part: &str) -> Option<Vec<u8>> {
    STANDARD.decode(part).ok()
}

/// Reads the claims of a token whose signature is good; `None` if one is missing or of the wrong
/// type.
pub(super) fn from_claims(
    version: AccessTokenVersion,
    mut claims: JsonObject,
) -> Option<AccessToken> {
    let mut take = |name: &str| claims.remove(name);
    let text = |value: Option<Value>| match value {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let optional_text = |value: Option<Value>| match value {
        Some(Value::String(text)) => Some(Some(text)),
        Some(Value::Null) | None => Some(None),
        _ => None,
    };
    let user_id = text(take("userId"))?;
    let Some(Value::Object(jwt_payload)) = take("userData") else { return None };
    Some(AccessToken {
        version,
        handle: SessionHandle::new(&text(take("sessionHandle"))?),
        recipe_user_id: user_id.clone(),
        user_id,
        tenant: TenantId::default(),
        refresh_token_inner_hash: text(take("refreshTokenHash1"))?,
        parent_refresh_token_inner_hash: optional_text(take("parentRefreshTokenHash1"))?,
        anti_csrf_token: optional_text(take("antiCsrfToken"))?,
        issued_at: Timestamp::from_millis(take("timeCreated")?.as_i64()?),
        expires_at: Timestamp::from_millis(take("expiryTime")?.as_i64()?),
        jwt_payload,
    })
}
