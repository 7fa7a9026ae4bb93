use async_trait::async_trait;

use super::Sessions;
use crate::{
    error::Error,
    event::RevocationReason,
    identifier::{SessionHandle, TenantScope},
    json::JsonObject,
    keys::JsonWebKeySet,
    service::{NewSession, RefreshRequest, RegenerateRequest, SessionService, VerifyRequest},
    session::{
        IssuedSession, RefreshTokenDescription, Regenerated, SessionInformation, VerifiedSession,
    },
    store::{Accounts, Store},
};

#[async_trait]
impl<S: Store> SessionService for Sessions<S> {
    async fn create_session(&self, new: NewSession) -> Result<IssuedSession, Error> {
        self.engine.create(new).await
    }

    async fn verify(&self, request: VerifyRequest<'_>) -> Result<VerifiedSession, Error> {
        self.engine.verify_token(request).await
    }

    fn verify_locally(
        &self,
        request: &VerifyRequest<'_>,
    ) -> Option<Result<VerifiedSession, Error>> {
        self.engine.verify_locally(request)
    }

    async fn identify(&self, access_token: &str) -> Result<Option<VerifiedSession>, Error> {
        self.engine.identify_token(access_token).await
    }

    async fn refresh(&self, request: RefreshRequest<'_>) -> Result<IssuedSession, Error> {
        self.engine.refresh_session(request).await
    }

    async fn describe_refresh_token(&self, refresh_token: &str) -> Option<RefreshTokenDescription> {
        let token = self.engine.refresh_tokens.open(refresh_token)?;
        Some(RefreshTokenDescription { handle: token.handle, created_at: token.issued_at })
    }

    async fn regenerate(&self, request: RegenerateRequest<'_>) -> Result<Regenerated, Error> {
        self.engine.regenerate_token(request).await
    }

    async fn get_session_information(
        &self,
        handle: &SessionHandle,
    ) -> Result<Option<SessionInformation>, Error> {
        let row = self.engine.live_session(handle).await?;
        Ok(row.map(SessionInformation::try_from).transpose()?)
    }

    async fn get_session_data(&self, handle: &SessionHandle) -> Result<JsonObject, Error> {
        self.engine.stored_data(handle).await
    }

    async fn update_session_data(
        &self,
        handle: &SessionHandle,
        session_data: JsonObject,
    ) -> Result<(), Error> {
        self.engine.replace_data(handle, &session_data).await
    }

    async fn get_jwt_payload(&self, handle: &SessionHandle) -> Result<JsonObject, Error> {
        self.engine.stored_payload(handle).await
    }

    async fn update_jwt_payload(
        &self,
        handle: &SessionHandle,
        jwt_payload: JsonObject,
    ) -> Result<(), Error> {
        self.engine.replace_payload(handle, jwt_payload).await
    }

    async fn revoke_sessions(
        &self,
        handles: &[SessionHandle],
        reason: RevocationReason,
    ) -> Result<Vec<SessionHandle>, Error> {
        self.engine.revoke(handles, reason).await
    }

    async fn revoke_sessions_of_user(
        &self,
        user_id: &str,
        tenants: &TenantScope,
        except: Option<&SessionHandle>,
    ) -> Result<Vec<SessionHandle>, Error> {
        self.engine.revoke_of_user(user_id, Accounts::Linked, tenants, except).await
    }

    async fn revoke_sessions_of_account(
        &self,
        user_id: &str,
        tenants: &TenantScope,
        except: Option<&SessionHandle>,
    ) -> Result<Vec<SessionHandle>, Error> {
        self.engine.revoke_of_user(user_id, Accounts::Alone, tenants, except).await
    }

    async fn get_sessions_of_user(
        &self,
        user_id: &str,
        tenants: &TenantScope,
    ) -> Result<Vec<SessionInformation>, Error> {
        self.engine.list_of_user(user_id, Accounts::Linked, tenants).await
    }

    async fn get_sessions_of_account(
        &self,
        user_id: &str,
        tenants: &TenantScope,
    ) -> Result<Vec<SessionInformation>, Error> {
        self.engine.list_of_user(user_id, Accounts::Alone, tenants).await
    }

    async fn get_json_web_key_set(&self) -> Result<JsonWebKeySet, Error> {
        Ok(self.engine.published_keys().await)
    }
}
