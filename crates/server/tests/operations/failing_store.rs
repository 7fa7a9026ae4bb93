//! A store that fails or hangs when a test wants it to.

use std::{
    future::pending,
    sync::{Arc, Mutex},
};

use sessile_core::{
    AppId, SessionHandle, TenantId, TenantScope,
    clock::Timestamp,
    memory::MemoryStore,
    rotation::Rotation,
    store::{
        Accounts, DataReplacement, DataVersion, LimitedInsertion, Owner, RemovedSession,
        SessionLimit, SessionRecord, Store, StoreError, StoreErrorKind, StoredSigningKey,
        StoredTenant, Sweep, Swept, TenantStore,
    },
};

#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Trouble {
    #[default]
    None,
    Failing(StoreErrorKind),
    Hanging,
}

/// A store in memory, in trouble or not. A clone is the same store.
#[derive(Clone, Debug, Default)]
pub(crate) struct FailingStore {
    store: Arc<MemoryStore>,
    trouble: Arc<Mutex<Trouble>>,
}

impl FailingStore {
    pub(crate) fn get_into(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap() = trouble;
    }

    async fn usable(&self) -> Result<&MemoryStore, StoreError> {
        let trouble = *self.trouble.lock().unwrap();
        match trouble {
            Trouble::None => Ok(&self.store),
            Trouble::Failing(kind) => Err(StoreError::new(kind, "at secret.example.com")),
            Trouble::Hanging => pending().await,
        }
    }
}

impl Store for FailingStore {
    async fn insert_session(
        &self,
        app: &AppId,
        session: SessionRecord,
    ) -> Result<Owner, StoreError> {
        self.usable().await?.insert_session(app, session).await
    }

    async fn insert_session_within(
        &self,
        app: &AppId,
        session: SessionRecord,
        limit: SessionLimit,
        now: Timestamp,
    ) -> Result<LimitedInsertion, StoreError> {
        self.usable().await?.insert_session_within(app, session, limit, now).await
    }

    async fn get_session(
        &self,
        app: &AppId,
        handle: &SessionHandle,
    ) -> Result<Option<SessionRecord>, StoreError> {
        self.usable().await?.get_session(app, handle).await
    }

    async fn rotate_session(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        rotation: Rotation,
    ) -> Result<Option<SessionRecord>, StoreError> {
        self.usable().await?.rotate_session(app, handle, rotation).await
    }

    async fn replace_session_data(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        session_data: String,
        expected: Option<DataVersion>,
        now: Timestamp,
    ) -> Result<DataReplacement, StoreError> {
        self.usable().await?.replace_session_data(app, handle, session_data, expected, now).await
    }

    async fn replace_jwt_payload(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        jwt_payload: String,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError> {
        self.usable().await?.replace_jwt_payload(app, handle, jwt_payload, now).await
    }

    async fn remove_sessions(
        &self,
        app: &AppId,
        handles: &[SessionHandle],
    ) -> Result<Vec<RemovedSession>, StoreError> {
        self.usable().await?.remove_sessions(app, handles).await
    }

    async fn remove_sessions_of_user(
        &self,
        app: &AppId,
        user_id: &str,
        accounts: Accounts,
        tenants: &TenantScope,
        except: Option<&SessionHandle>,
    ) -> Result<Vec<RemovedSession>, StoreError> {
        self.usable().await?.remove_sessions_of_user(app, user_id, accounts, tenants, except).await
    }

    async fn remove_sessions_created_before(
        &self,
        app: &AppId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<RemovedSession>, StoreError> {
        self.usable().await?.remove_sessions_created_before(app, before, limit).await
    }

    async fn sessions_of_user(
        &self,
        app: &AppId,
        user_id: &str,
        accounts: Accounts,
        tenants: &TenantScope,
        now: Timestamp,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        self.usable().await?.sessions_of_user(app, user_id, accounts, tenants, now).await
    }

    async fn signing_keys(&self, app: &AppId) -> Result<Vec<StoredSigningKey>, StoreError> {
        self.usable().await?.signing_keys(app).await
    }

    async fn add_signing_key(
        &self,
        app: &AppId,
        key: StoredSigningKey,
        newest: Option<&str>,
    ) -> Result<Vec<StoredSigningKey>, StoreError> {
        self.usable().await?.add_signing_key(app, key, newest).await
    }

    async fn secret(
        &self,
        app: &AppId,
        name: &str,
        candidate: String,
    ) -> Result<String, StoreError> {
        self.usable().await?.secret(app, name, candidate).await
    }

    async fn sweep(&self, app: &AppId, sweep: Sweep) -> Result<Swept, StoreError> {
        self.usable().await?.sweep(app, sweep).await
    }
}

impl TenantStore for FailingStore {
    async fn tenants(&self) -> Result<Vec<StoredTenant>, StoreError> {
        self.usable().await?.tenants().await
    }

    async fn put_tenant(&self, tenant: StoredTenant) -> Result<bool, StoreError> {
        self.usable().await?.put_tenant(tenant).await
    }

    async fn remove_tenant(&self, app: &AppId, tenant: &TenantId) -> Result<bool, StoreError> {
        self.usable().await?.remove_tenant(app, tenant).await
    }

    async fn remove_app(&self, app: &AppId) -> Result<bool, StoreError> {
        self.usable().await?.remove_app(app).await
    }
}
