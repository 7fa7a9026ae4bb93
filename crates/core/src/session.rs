use std::{fmt, sync::Arc};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    access_token::{AccessToken, AccessTokenVersion},
    clock::Timestamp,
    error::GeneralError,
    identifier::{SessionHandle, TenantId},
    json::{JsonObject, object_from_text},
    secret::Secret,
    store::SessionRecord,
};

/// What a good access token says: a session, as it was when the token was signed.
///
/// Reading it asks nobody. Clones are cheap.
#[derive(Clone, Debug)]
pub struct VerifiedSession {
    pub(crate) token: Arc<SignedToken>,
    pub(crate) replacement: Option<Arc<IssuedToken>>,
    pub(crate) payload_update_available: Option<bool>,
}

/// An access token as it is sent, and what it says. One allocation, because requests meet it cold.
#[derive(Debug)]
pub(crate) struct SignedToken {
    pub(crate) claims: AccessToken,
    pub(crate) text: Secret,
}

impl From<Arc<SignedToken>> for VerifiedSession {
    fn from(token: Arc<SignedToken>) -> Self {
        Self { token, replacement: None, payload_update_available: None }
    }
}

impl VerifiedSession {
    /// What the token of this text says.
    pub(crate) fn new(claims: AccessToken, text: Secret) -> Self {
        Arc::new(SignedToken { claims, text }).into()
    }

    /// The access token that all this was read from.
    pub fn access_token(&self) -> &Secret {
        &self.token.text
    }

    /// The session's name.
    pub fn handle(&self) -> &SessionHandle {
        &self.token.claims.handle
    }

    /// Whose session it is: the primary user, where accounts are linked.
    pub fn user_id(&self) -> &str {
        &self.token.claims.user_id
    }

    /// The tenant of its user.
    pub fn tenant(&self) -> &TenantId {
        &self.token.claims.tenant
    }

    /// The payload.
    pub fn jwt_payload(&self) -> &JsonObject {
        &self.token.claims.jwt_payload
    }

    /// The payload as a type of the application's.
    ///
    /// # Errors
    /// [`GeneralError::Deserialise`] when it has another shape.
    pub fn jwt_payload_as<T: DeserializeOwned>(&self) -> Result<T, GeneralError> {
        from_object(self.token.claims.jwt_payload.clone())
    }

    /// The anti-CSRF token that belongs to the access token, where there is one.
    pub fn anti_csrf_token(&self) -> Option<&str> {
        self.token.claims.anti_csrf_token.as_deref()
    }

    /// When the access token was signed, in whole seconds.
    pub fn issued_at(&self) -> Timestamp {
        self.token.claims.issued_at
    }

    /// When the access token ends, in whole seconds.
    pub fn expires_at(&self) -> Timestamp {
        self.token.claims.expires_at
    }

    /// All claims of the access token, the payload's among them: what a `front-token` carries.
    pub fn claims(&self) -> JsonObject {
        self.token.claims.claims()
    }

    /// The account that logged in; the same as the user where no accounts are linked.
    pub fn recipe_user_id(&self) -> &str {
        &self.token.claims.recipe_user_id
    }

    /// The format of the access token.
    pub fn access_token_version(&self) -> AccessTokenVersion {
        self.token.claims.version
    }

    /// The access token that replaces the one that was verified, and that this session is read
    /// from; only where it was the first use after a refresh under
    /// [`RotationPolicy::OnUse`](crate::policy::RotationPolicy::OnUse), or the stored payload is
    /// another one there.
    pub fn new_access_token(&self) -> Option<&IssuedToken> {
        self.replacement.as_deref()
    }

    /// Whether the stored payload is another one than the token's; known under
    /// [`RotationPolicy::OnRefresh`](crate::policy::RotationPolicy::OnRefresh) where the store was
    /// asked.
    pub fn payload_update_available(&self) -> Option<bool> {
        self.payload_update_available
    }
}

pub(crate) fn from_object<T: DeserializeOwned>(object: JsonObject) -> Result<T, GeneralError> {
    serde_json::from_value(Value::Object(object)).map_err(GeneralError::Deserialise)
}

/// A token as it is given to a client.
#[derive(Clone, Debug)]
#[must_use = "a token does nothing until it is given to its client"]
pub struct IssuedToken {
    /// The token.
    pub token: Secret,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A session with a new pair of tokens, after a login or a refresh.
#[derive(Clone)]
#[must_use = "the tokens do nothing until they are given to the client"]
pub struct IssuedSession {
    /// What the new access token says.
    pub session: VerifiedSession,
    /// The new access token.
    pub access_token: IssuedToken,
    /// The new refresh token.
    pub refresh_token: IssuedToken,
    /// The anti-CSRF token that belongs to both, where one was asked for.
    pub anti_csrf_token: Option<String>,
}

impl fmt::Debug for IssuedSession {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("IssuedSession")
            .field("session", &self.session)
            .field("access_token", &self.access_token)
            .field("refresh_token", &self.refresh_token)
            .finish_non_exhaustive()
    }
}

/// A session whose payload was replaced.
#[derive(Clone, Debug)]
pub struct Regenerated {
    /// The session with its new payload.
    pub session: VerifiedSession,
    /// The access token that replaces the one that was given; `None` when that one had expired
    /// meanwhile. The payload is stored all the same.
    pub access_token: Option<IssuedToken>,
}

/// What a refresh token says about itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefreshTokenDescription {
    /// The session that it belongs to.
    pub handle: SessionHandle,
    /// When it was made; `None` where its format does not say.
    pub created_at: Option<Timestamp>,
}

/// All that is known of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionInformation {
    /// Its name.
    pub handle: SessionHandle,
    /// Whose it is: the primary user, where accounts are linked.
    pub user_id: String,
    /// The account that logged in; the same as the user where no accounts are linked.
    pub recipe_user_id: String,
    /// The tenant of its user.
    pub tenant: TenantId,
    /// The payload as it is stored, which may be newer than any access token.
    pub jwt_payload: JsonObject,
    /// What the application keeps with it.
    pub session_data: JsonObject,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was refreshed last; `None` if it never was.
    pub last_refreshed_at: Option<Timestamp>,
    /// When it ends unless it is refreshed.
    pub expires_at: Timestamp,
    /// When it ends for good; [`Timestamp::MAX`] for never.
    pub ends_at: Timestamp,
    /// What the application calls the client, its device for instance.
    pub client_label: Option<String>,
}

impl TryFrom<SessionRecord> for SessionInformation {
    type Error = GeneralError;

    fn try_from(row: SessionRecord) -> Result<Self, GeneralError> {
        Ok(Self {
            tenant: row.handle.tenant(),
            handle: row.handle,
            user_id: row.primary_user_id.unwrap_or_else(|| row.user_id.clone()),
            recipe_user_id: row.user_id,
            jwt_payload: object_from_text(&row.jwt_payload)?,
            session_data: object_from_text(&row.session_data)?,
            created_at: row.created_at,
            last_refreshed_at: row.rotated_at,
            expires_at: row.expires_at,
            ends_at: row.ends_at,
            client_label: row.client_label,
        })
    }
}
