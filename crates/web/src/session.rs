use std::fmt;

use serde::{Serialize, de::DeserializeOwned};
use sessile_core::{
    Error, GeneralError, JsonObject, RegenerateRequest, Secret, SessionHandle, SessionInformation,
    SessionService, TenantId, TenantScope, UnauthorisedReason, VerifiedSession, clock::Timestamp,
    event::RevocationReason, to_json_object,
};

use crate::{config::Transfer, response::ResponseChanges, web_sessions::WebSessions};

/// The session of a request: what a handler receives.
///
/// Reading the user and the payload asks nobody; session data, updates and revocation are one
/// call of the session service each. Changes of tokens are put into the answer by the framework's
/// layer. When a method finds the session gone, the client's cookies are cleared as well.
///
/// ```
/// use serde_json::json;
/// use sessile_web::Session;
///
/// async fn handler(mut session: Session) -> Result<String, sessile_core::Error> {
///     let mut cart = session.get_session_data().await?;
///     cart.insert("last_seen".to_owned(), json!("today"));
///     session.update_session_data(&cart).await?;
///
///     session.update_jwt_payload(&json!({ "role": "editor" })).await?;
///     Ok(format!("{} is {}", session.get_user_id(), session.get_jwt_payload()["role"]))
/// }
/// ```
#[derive(Clone)]
pub struct Session {
    pub(crate) web: WebSessions,
    pub(crate) verified: VerifiedSession,
    pub(crate) transfer: Transfer,
    pub(crate) response: ResponseChanges,
}

impl Session {
    /// The user's id. No database call.
    pub fn get_user_id(&self) -> &str {
        self.verified.user_id()
    }

    /// The account that logged in, where a SuperTokens core has linked several to the user; else
    /// the same as [`get_user_id`](Self::get_user_id). No database call.
    pub fn get_recipe_user_id(&self) -> &str {
        self.verified.recipe_user_id()
    }

    /// The payload of the access token; after [`update_jwt_payload`](Self::update_jwt_payload),
    /// the new one. No database call.
    pub fn get_jwt_payload(&self) -> &JsonObject {
        self.verified.jwt_payload()
    }

    /// The payload as a type of the application's. No database call.
    ///
    /// # Errors
    /// [`GeneralError::Deserialise`] when it has another shape.
    pub fn get_jwt_payload_as<T: DeserializeOwned>(&self) -> Result<T, GeneralError> {
        self.verified.jwt_payload_as()
    }

    /// Replaces the payload, anything that serialises to a JSON object, and with it the access
    /// token, whose expiry stays. Keys that `payload` does not name are gone. One database call.
    ///
    /// # Errors
    /// [`Error::Unauthorised`] when the session is gone. [`GeneralError::PayloadTooLarge`],
    /// [`GeneralError::ProtectedClaim`] and [`GeneralError::NotAnObject`] refuse a payload that
    /// cannot be kept; nothing is changed then.
    pub async fn update_jwt_payload<T: Serialize + ?Sized>(
        &mut self,
        payload: &T,
    ) -> Result<(), Error> {
        let request = RegenerateRequest {
            access_token: self.get_access_token().expose(),
            jwt_payload: Some(to_json_object(payload)?),
        };
        let result = self.service().regenerate(request).await;
        let regenerated = self.clear_if_gone(result)?;
        self.verified = regenerated.session;
        if let Some(token) = regenerated.access_token {
            self.response.set_access_token(&self.verified, &token, self.transfer);
        }
        Ok(())
    }

    /// What is kept with the session in the database; clients never see it. One database call.
    ///
    /// # Errors
    /// [`Error::Unauthorised`] when the session is gone.
    pub async fn get_session_data(&self) -> Result<JsonObject, Error> {
        self.clear_if_gone(self.service().get_session_data(self.get_handle()).await)
    }

    /// What is kept with the session, as a type of the application's. One database call.
    ///
    /// # Errors
    /// As [`get_session_data`](Self::get_session_data), and [`GeneralError::Deserialise`] when it
    /// has another shape.
    pub async fn get_session_data_as<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let data = serde_json::Value::Object(self.get_session_data().await?);
        Ok(serde_json::from_value(data).map_err(GeneralError::Deserialise)?)
    }

    /// Overwrites what is kept with the session by anything that serialises to a JSON object. One
    /// database call.
    ///
    /// # Errors
    /// [`Error::Unauthorised`] when the session is gone; [`GeneralError::NotAnObject`] for
    /// anything but an object, and nothing is changed then.
    pub async fn update_session_data<T: Serialize + ?Sized>(&self, data: &T) -> Result<(), Error> {
        let data = to_json_object(data)?;
        self.clear_if_gone(self.service().update_session_data(self.get_handle(), data).await)
    }

    /// Ends the session and clears the client's cookies, also when somebody else ended it first.
    /// One database call.
    ///
    /// # Errors
    /// [`Error::General`] alone; the cookies stay then.
    pub async fn revoke_session(&mut self) -> Result<(), Error> {
        let handles = std::slice::from_ref(self.get_handle());
        self.service().revoke_sessions(handles, RevocationReason::SignedOut).await?;
        self.response.clear(self.transfer);
        Ok(())
    }

    /// Ends all other sessions of the user, and gives their names. One database call.
    ///
    /// # Errors
    /// [`Error::General`] alone.
    pub async fn revoke_other_sessions(&self) -> Result<Vec<SessionHandle>, Error> {
        let except = Some(self.get_handle());
        self.service().revoke_sessions_of_user(self.get_user_id(), &TenantScope::All, except).await
    }

    /// All sessions of the user, this one among them, oldest first. One database call.
    ///
    /// # Errors
    /// [`Error::General`] alone.
    pub async fn get_sessions_of_user(&self) -> Result<Vec<SessionInformation>, Error> {
        self.service().get_sessions_of_user(self.get_user_id(), &TenantScope::All).await
    }

    /// All that is known of the session. One database call.
    ///
    /// # Errors
    /// [`Error::Unauthorised`] when the session is gone.
    pub async fn get_session_information(&self) -> Result<SessionInformation, Error> {
        let found = self.service().get_session_information(self.get_handle()).await?;
        self.clear_if_gone(found.ok_or_else(|| UnauthorisedReason::SessionNotFound.into()))
    }

    /// The session's name. No database call.
    pub fn get_handle(&self) -> &SessionHandle {
        self.verified.handle()
    }

    /// The tenant of the user. No database call.
    pub fn get_tenant_id(&self) -> &TenantId {
        self.verified.tenant()
    }

    /// The access token that the client has, or will have once it has the answer.
    pub fn get_access_token(&self) -> &Secret {
        self.verified.access_token()
    }

    /// When the access token ends. No database call.
    pub fn get_access_token_expiry(&self) -> Timestamp {
        self.verified.expires_at()
    }

    fn service(&self) -> &dyn SessionService {
        self.web.service()
    }

    fn clear_if_gone<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::Unauthorised { .. }) = result {
            self.response.clear(self.transfer);
        }
        result
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Session")
            .field("handle", self.get_handle())
            .field("user_id", &self.get_user_id())
            .field("transfer", &self.transfer)
            .finish_non_exhaustive()
    }
}
