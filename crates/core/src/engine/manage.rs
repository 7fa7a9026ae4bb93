//! What is done with a session by its name, and with all sessions of a user.

use super::Engine;
use crate::{
    access_token::{AccessToken, check_payload},
    error::{Error, UnauthorisedReason},
    event::{EventKind, RevocationReason},
    identifier::{SessionHandle, TenantScope},
    json::{JsonObject, data_to_text, object_from_text, payload_to_text},
    session::SessionInformation,
    store::{Accounts, DataReplacement, SessionRecord, Store},
};

/// What a token has beside its payload is never more than this, whoever its user is: its other
/// claims, and what header, signature and the cookie's name take of a cookie, in bytes of claims.
const MOST_BESIDE_PAYLOAD: usize = 2300;

impl<S: Store> Engine<S> {
    pub(super) async fn live_session(
        &self,
        handle: &SessionHandle,
    ) -> Result<Option<SessionRecord>, Error> {
        let row = self.store().get_session(&self.app, handle).await?;
        let now = self.now();
        Ok(row.filter(|row| !row.is_expired(now)))
    }

    pub(super) async fn require_session(
        &self,
        handle: &SessionHandle,
    ) -> Result<SessionRecord, Error> {
        let row = self.live_session(handle).await?;
        Ok(row.ok_or(UnauthorisedReason::SessionNotFound)?)
    }

    pub(super) async fn replace_data(
        &self,
        handle: &SessionHandle,
        session_data: &JsonObject,
    ) -> Result<(), Error> {
        let text = data_to_text(session_data)?;
        let now = self.now();
        match self.store().replace_session_data(&self.app, handle, text, None, now).await? {
            DataReplacement::Replaced => Ok(()),
            DataReplacement::NoSession | DataReplacement::Conflict => {
                Err(UnauthorisedReason::SessionNotFound.into())
            }
        }
    }

    pub(super) async fn replace_payload(
        &self,
        handle: &SessionHandle,
        jwt_payload: JsonObject,
    ) -> Result<(), Error> {
        let version = self.policy.access_token_version;
        if !version.is_legacy() {
            check_payload(version, &jwt_payload)?;
        }
        let text = payload_to_text(&jwt_payload)?;
        // Only a payload that might not fit is worth a second store call to measure.
        if text.len() + MOST_BESIDE_PAYLOAD > self.cookie_limit() / 4 * 3 {
            let row = self.require_session(handle).await?;
            self.check_future_size(&row, jwt_payload)?;
        }
        let now = self.now();
        let row = self.store().replace_jwt_payload(&self.app, handle, text, now).await?;
        row.map(drop).ok_or_else(|| UnauthorisedReason::SessionNotFound.into())
    }

    /// Whether the token of the next refresh will fit a cookie with this payload.
    fn check_future_size(&self, row: &SessionRecord, jwt_payload: JsonObject) -> Result<(), Error> {
        let now = self.now();
        let token = AccessToken {
            version: self.policy.access_token_version,
            handle: row.handle.clone(),
            user_id: row.user().to_owned(),
            recipe_user_id: row.user_id.clone(),
            tenant: row.handle.tenant(),
            refresh_token_inner_hash: "0".repeat(64),
            parent_refresh_token_inner_hash: None,
            anti_csrf_token: self.new_anti_csrf_token(true)?,
            issued_at: now,
            expires_at: now,
            jwt_payload,
        };
        Ok(self.check_size_for_every_key(&token)?)
    }

    pub(super) async fn stored_payload(&self, handle: &SessionHandle) -> Result<JsonObject, Error> {
        Ok(object_from_text(&self.require_session(handle).await?.jwt_payload)?)
    }

    pub(super) async fn stored_data(&self, handle: &SessionHandle) -> Result<JsonObject, Error> {
        Ok(object_from_text(&self.require_session(handle).await?.session_data)?)
    }

    pub(super) async fn revoke(
        &self,
        handles: &[SessionHandle],
        reason: RevocationReason,
    ) -> Result<Vec<SessionHandle>, Error> {
        if handles.is_empty() {
            return Ok(Vec::new());
        }
        let removed = self.store().remove_sessions(&self.app, handles).await?;
        for session in &removed {
            self.tell(&session.handle, &session.user_id, EventKind::Revoked { reason });
        }
        Ok(removed.into_iter().map(|session| session.handle).collect())
    }

    pub(super) async fn revoke_of_user(
        &self,
        user_id: &str,
        accounts: Accounts,
        tenants: &TenantScope,
        except: Option<&SessionHandle>,
    ) -> Result<Vec<SessionHandle>, Error> {
        let removed = self
            .store()
            .remove_sessions_of_user(&self.app, user_id, accounts, tenants, except)
            .await?;
        let reason = match except {
            Some(_) => RevocationReason::AllOthersOfUser,
            None => RevocationReason::AllOfUser,
        };
        for session in &removed {
            self.tell(&session.handle, &session.user_id, EventKind::Revoked { reason });
        }
        Ok(removed.into_iter().map(|session| session.handle).collect())
    }

    pub(super) async fn list_of_user(
        &self,
        user_id: &str,
        accounts: Accounts,
        tenants: &TenantScope,
    ) -> Result<Vec<SessionInformation>, Error> {
        let now = self.now();
        let rows =
            self.store().sessions_of_user(&self.app, user_id, accounts, tenants, now).await?;
        Ok(rows.into_iter().map(SessionInformation::try_from).collect::<Result<_, _>>()?)
    }
}
