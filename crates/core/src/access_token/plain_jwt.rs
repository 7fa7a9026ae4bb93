//! JWTs that are no access tokens: claims of the application's, signed by the app's keys.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use crate::{clock::Timestamp, error::GeneralError, json::JsonObject, keys::SigningKey};

/// Signs `claims` with `iat` and `exp` beside them.
pub(crate) fn sign_claims(
    mut claims: JsonObject,
    validity: Duration,
    key: &SigningKey,
    now: Timestamp,
) -> Result<String, GeneralError> {
    claims.insert("iat".to_owned(), now.as_seconds().into());
    claims.insert("exp".to_owned(), now.plus(validity).as_seconds().into());
    let header = json!({ "alg": key.algorithm().name(), "kid": key.key_id(), "typ": "JWT" });
    let claims = serde_json::to_vec(&claims).map_err(GeneralError::Serialise)?;
    let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}
