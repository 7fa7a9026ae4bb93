use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::Value;

use crate::{
    clock::Timestamp,
    error::GeneralError,
    identifier::{SessionHandle, TenantId},
    json::JsonObject,
    keys::SigningKey,
};

/// The claims that a V5 token must have, and that a payload must not.
const PROTECTED_CLAIMS: [&str; 9] = [
    "sub",
    "exp",
    "iat",
    "sessionHandle",
    "refreshTokenHash1",
    "parentRefreshTokenHash1",
    "antiCsrfToken",
    "tId",
    "rsub",
];

/// What an access token says.
#[derive(Clone)]
pub(crate) struct AccessToken {
    pub(crate) handle: SessionHandle,
    pub(crate) user_id: String,
    pub(crate) tenant: TenantId,
    pub(crate) refresh_token_inner_hash: String,
    pub(crate) anti_csrf_token: Option<String>,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) jwt_payload: JsonObject,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AccessToken")
            .field("handle", &self.handle)
            .field("user_id", &self.user_id)
            .field("tenant", &self.tenant)
            .field("issued_at", &self.issued_at)
            .field("expires_at", &self.expires_at)
            .field("jwt_payload", &self.jwt_payload)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Claims<'a> {
    sub: &'a str,
    exp: i64,
    iat: i64,
    session_handle: &'a str,
    refresh_token_hash1: &'a str,
    parent_refresh_token_hash1: Option<&'a str>,
    anti_csrf_token: Option<&'a str>,
    #[serde(rename = "tId")]
    tenant_id: &'a str,
    rsub: &'a str,
    #[serde(flatten)]
    payload: &'a JsonObject,
}

impl AccessToken {
    fn claims_text(&self) -> Result<Vec<u8>, GeneralError> {
        serde_json::to_vec(&Claims {
            sub: &self.user_id,
            exp: self.expires_at.as_seconds(),
            iat: self.issued_at.as_seconds(),
            session_handle: self.handle.as_str(),
            refresh_token_hash1: &self.refresh_token_inner_hash,
            parent_refresh_token_hash1: None,
            anti_csrf_token: self.anti_csrf_token.as_deref(),
            tenant_id: self.tenant.as_str(),
            rsub: &self.user_id,
            payload: &self.jwt_payload,
        })
        .map_err(GeneralError::Serialise)
    }

    /// The signed token.
    pub(crate) fn sign(&self, key: &SigningKey) -> Result<String, GeneralError> {
        let claims = self.claims_text()?;
        let mut token = String::with_capacity(encoded_length(key, claims.len()));
        token.push_str(key.encoded_header());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = key.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// How long the token will be when `key` signs it, in bytes.
    pub(crate) fn length(&self, key: &SigningKey) -> Result<usize, GeneralError> {
        Ok(encoded_length(key, self.claims_text()?.len()))
    }

    /// How long the cookie is in which SuperTokens' front-end SDK keeps the front token, name and
    /// value: base64 of `{"ate":<13 digits>,"uid":<user>,"up":<claims>}`.
    pub(crate) fn front_token_cookie_length(&self) -> Result<usize, GeneralError> {
        const NAME: &str = "sFrontToken";
        const BESIDE: usize = r#"{"ate":,"uid":,"up":}"#.len() + 13;
        let user_id = serde_json::to_string(&self.user_id).map_err(GeneralError::Serialise)?;
        let text = BESIDE + user_id.len() + self.claims_text()?.len();
        Ok(NAME.len() + text.div_ceil(3) * 4)
    }

    /// Reads the claims of a token whose signature is good; `None` if one is missing or of the
    /// wrong type.
    pub(crate) fn from_claims(mut claims: JsonObject) -> Option<Self> {
        let mut text = |name: &str| match claims.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let handle = SessionHandle::new(&text("sessionHandle")?);
        let user_id = text("sub")?;
        let recipe_user_id = text("rsub")?;
        let tenant = text("tId")?.parse().ok()?;
        let refresh_token_inner_hash = text("refreshTokenHash1")?;
        let mut optional_text = |name: &str| match claims.remove(name) {
            Some(Value::String(text)) => Some(Some(text)),
            Some(Value::Null) => Some(None),
            _ => None,
        };
        optional_text("parentRefreshTokenHash1")?;
        let anti_csrf_token = optional_text("antiCsrfToken")?;
        let mut seconds = |name: &str| claims.remove(name)?.as_i64().map(Timestamp::from_seconds);
        let expires_at = seconds("exp")?;
        let issued_at = seconds("iat")?;
        (user_id == recipe_user_id).then_some(Self {
            handle,
            user_id,
            tenant,
            refresh_token_inner_hash,
            anti_csrf_token,
            issued_at,
            expires_at,
            jwt_payload: claims,
        })
    }
}

/// The length of a token with that many bytes of claims, signed by `key`.
fn encoded_length(key: &SigningKey, claims: usize) -> usize {
    let claims = (claims * 4).div_ceil(3);
    key.encoded_header().len() + 1 + claims + 1 + key.algorithm().signature_length()
}

/// Whether a payload leaves the token's own claims alone.
pub(crate) fn check_payload(payload: &JsonObject) -> Result<(), GeneralError> {
    match PROTECTED_CLAIMS.into_iter().find(|claim| payload.contains_key(*claim)) {
        Some(claim) => Err(GeneralError::ProtectedClaim { claim }),
        None => Ok(()),
    }
}
