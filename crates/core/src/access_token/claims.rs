use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::Value;

use super::{AccessTokenVersion, legacy};
use crate::{
    clock::Timestamp,
    error::GeneralError,
    identifier::{SessionHandle, TenantId},
    json::JsonObject,
    keys::SigningKey,
};

/// What an access token says.
#[derive(Clone)]
pub(crate) struct AccessToken {
    pub(crate) version: AccessTokenVersion,
    pub(crate) handle: SessionHandle,
    /// The user, and the account that logged in; another one where accounts are linked.
    pub(crate) user_id: String,
    pub(crate) recipe_user_id: String,
    pub(crate) tenant: TenantId,
    pub(crate) refresh_token_inner_hash: String,
    /// Of the token that its refresh token was made from, until its generation is current.
    pub(crate) parent_refresh_token_inner_hash: Option<String>,
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
    #[serde(rename = "tId", skip_serializing_if = "Option::is_none")]
    tenant_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rsub: Option<&'a str>,
    #[serde(flatten)]
    payload: &'a JsonObject,
}

impl AccessToken {
    /// The claims as they are signed.
    pub(crate) fn claims_text(&self) -> Result<Vec<u8>, GeneralError> {
        if self.version.is_legacy() {
            return legacy::claims_text(self);
        }
        // A session may be older than the version of its tokens, and its payload name a claim that
        // was its own then. Readers would take the payload's for the session's.
        check_payload(self.version, &self.jwt_payload)?;
        serde_json::to_vec(&Claims {
            sub: &self.user_id,
            exp: self.expires_at.as_seconds(),
            iat: self.issued_at.as_seconds(),
            session_handle: self.handle.as_str(),
            refresh_token_hash1: &self.refresh_token_inner_hash,
            parent_refresh_token_hash1: self.parent_refresh_token_inner_hash.as_deref(),
            anti_csrf_token: self.anti_csrf_token.as_deref(),
            tenant_id: (self.version >= AccessTokenVersion::V4).then(|| self.tenant.as_str()),
            rsub: (self.version >= AccessTokenVersion::V5).then_some(&self.recipe_user_id),
            payload: &self.jwt_payload,
        })
        .map_err(GeneralError::Serialise)
    }

    /// All claims, as a reader of the token sees them.
    pub(crate) fn claims(&self) -> JsonObject {
        let mut claims = self.jwt_payload.clone();
        if self.version.is_legacy() {
            return claims;
        }
        let own = [
            ("sub", Value::from(self.user_id.as_str())),
            ("exp", Value::from(self.expires_at.as_seconds())),
            ("iat", Value::from(self.issued_at.as_seconds())),
            ("sessionHandle", Value::from(self.handle.as_str())),
            ("refreshTokenHash1", Value::from(self.refresh_token_inner_hash.as_str())),
            (
                "parentRefreshTokenHash1",
                Value::from(self.parent_refresh_token_inner_hash.as_deref()),
            ),
            ("antiCsrfToken", Value::from(self.anti_csrf_token.as_deref())),
            ("tId", Value::from(self.tenant.as_str())),
            ("rsub", Value::from(self.recipe_user_id.as_str())),
        ];
        let number = self.version.protected_claims().len();
        claims.extend(own.into_iter().take(number).map(|(name, value)| (name.to_owned(), value)));
        claims
    }

    /// A moment as tokens of this version carry it.
    pub(crate) fn precision(version: AccessTokenVersion, moment: Timestamp) -> Timestamp {
        if version.is_legacy() { moment } else { moment.floor_to_second() }
    }

    /// The signed token.
    pub(crate) fn sign(&self, key: &SigningKey) -> Result<String, GeneralError> {
        if self.version.is_legacy() {
            return legacy::sign(self, key);
        }
        let claims = self.claims_text()?;
        let header = key.encoded_header(self.version);
        let mut token = String::with_capacity(encoded_length(key, header, claims.len()));
        token.push_str(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = key.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// How long the token will be when `key` signs it, in bytes.
    pub(crate) fn length(&self, key: &SigningKey) -> Result<usize, GeneralError> {
        let claims = self.claims_text()?.len();
        Ok(if self.version.is_legacy() {
            legacy::encoded_length(claims)
        } else {
            encoded_length(key, key.encoded_header(self.version), claims)
        })
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
    pub(crate) fn from_claims(version: AccessTokenVersion, mut claims: JsonObject) -> Option<Self> {
        let mut text = |name: &str| match claims.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let handle = SessionHandle::new(&text("sessionHandle")?);
        let user_id = text("sub")?;
        // What a version does not know is the payload's.
        let recipe_user_id = match version {
            AccessTokenVersion::V5 => text("rsub")?,
            _ => user_id.clone(),
        };
        let tenant = match version {
            AccessTokenVersion::V4 | AccessTokenVersion::V5 => text("tId")?.parse().ok()?,
            _ => TenantId::default(),
        };
        let refresh_token_inner_hash = text("refreshTokenHash1")?;
        let mut optional_text = |name: &str| match claims.remove(name) {
            Some(Value::String(text)) => Some(Some(text)),
            Some(Value::Null) => Some(None),
            _ => None,
        };
        let parent_refresh_token_inner_hash = optional_text("parentRefreshTokenHash1")?;
        let anti_csrf_token = optional_text("antiCsrfToken")?;
        let mut seconds = |name: &str| claims.remove(name)?.as_i64().map(Timestamp::from_seconds);
        let expires_at = seconds("exp")?;
        let issued_at = seconds("iat")?;
        Some(Self {
            version,
            handle,
            user_id,
            recipe_user_id,
            tenant,
            refresh_token_inner_hash,
            parent_refresh_token_inner_hash,
            anti_csrf_token,
            issued_at,
            expires_at,
            jwt_payload: claims,
        })
    }
}

/// The length of a token with that many bytes of claims, signed by `key`.
fn encoded_length(key: &SigningKey, header: &str, claims: usize) -> usize {
    let claims = (claims * 4).div_ceil(3);
    header.len() + 1 + claims + 1 + key.algorithm().signature_length()
}

/// Whether a payload leaves the own claims of such a token alone.
pub(crate) fn check_payload(
    version: AccessTokenVersion,
    payload: &JsonObject,
) -> Result<(), GeneralError> {
    let mut claims = version.protected_claims().iter();
    match claims.find(|claim| payload.contains_key(**claim)) {
        Some(claim) => Err(GeneralError::ProtectedClaim { claim }),
        None => Ok(()),
    }
}
