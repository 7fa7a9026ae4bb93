//! An app in a store, without a server.

use std::path::Path;

use anyhow::{Context as _, bail};
use sessile::{
    Algorithm, AppId, SessionHandle, Sessions, TenantScope, WrappingKey,
    clock::{Clock as _, SystemClock, Timestamp},
    policy::Policy,
    sqlite::SqliteStore,
    store::{Accounts, SessionRecord, Store as _, StoredSigningKey},
};

use super::backend::{Key, Session};

pub(super) struct StoredApp {
    store: SqliteStore,
    wrapping_key: WrappingKey,
    app: AppId,
}

impl StoredApp {
    pub(super) fn open(path: &Path, app: AppId) -> anyhow::Result<Self> {
        let shown = path.display();
        // Opening makes a store where there is none, and nobody asks an empty one on purpose.
        if !path.is_file() {
            bail!(
                "there is no file {shown}; name the store with --store, or a server with --server"
            );
        }
        let store = SqliteStore::open(path).with_context(|| format!("{shown} cannot be opened"))?;
        let wrapping_key = sessile::wrapping_key_of(path)?;
        Ok(Self { store, wrapping_key, app })
    }

    pub(super) async fn sessions_of_user(&self, user_id: &str) -> anyhow::Result<Vec<Session>> {
        let all = TenantScope::All;
        let rows =
            self.store.sessions_of_user(&self.app, user_id, Accounts::Linked, &all, now()).await?;
        rows.into_iter().map(Session::try_from).collect()
    }

    pub(super) async fn session(&self, handle: &SessionHandle) -> anyhow::Result<Option<Session>> {
        let row = self.store.get_session(&self.app, handle).await?;
        row.filter(|row| !row.is_expired(now())).map(Session::try_from).transpose()
    }

    pub(super) async fn revoke(&self, handles: &[SessionHandle]) -> anyhow::Result<Vec<String>> {
        let removed = self.store.remove_sessions(&self.app, handles).await?;
        Ok(removed.into_iter().map(|session| session.handle.to_string()).collect())
    }

    pub(super) async fn revoke_user(&self, user_id: &str) -> anyhow::Result<Vec<String>> {
        let all = TenantScope::All;
        let removed = self
            .store
            .remove_sessions_of_user(&self.app, user_id, Accounts::Linked, &all, None)
            .await?;
        Ok(removed.into_iter().map(|session| session.handle.to_string()).collect())
    }

    pub(super) async fn keys(&self) -> anyhow::Result<Vec<Key>> {
        let keys = self.store.signing_keys(&self.app).await?;
        Ok(keys.into_iter().map(Key::from).collect())
    }

    pub(super) async fn rotate_key(&self) -> anyhow::Result<bool> {
        let keys = self.store.signing_keys(&self.app).await?;
        // The next key is of the kind that signs, whatever the application has configured.
        let Some(newest) = keys.iter().find(|key| !key.is_static) else {
            bail!("the app {} has no signing key to replace in this store", self.app);
        };
        let algorithm: Algorithm = newest.algorithm.parse()?;
        let policy = Policy { algorithm, ..Policy::default() };
        let sessions = Sessions::builder(self.store.clone())
            .wrapping_key(self.wrapping_key.clone())
            .app(self.app.clone())
            .policy(policy)
            .build()
            .await?;
        Ok(sessions.rotate_signing_key().await?)
    }
}

fn now() -> Timestamp {
    SystemClock.now()
}

impl TryFrom<SessionRecord> for Session {
    type Error = anyhow::Error;

    fn try_from(row: SessionRecord) -> anyhow::Result<Self> {
        let unreadable = || format!("what is kept with the session {} is no JSON", row.handle);
        Ok(Self {
            handle: row.handle.to_string(),
            tenant_id: row.handle.tenant().to_string(),
            jwt_payload: serde_json::from_str(&row.jwt_payload).with_context(unreadable)?,
            session_data: serde_json::from_str(&row.session_data).with_context(unreadable)?,
            user_id: row.user().to_owned(),
            created_at: row.created_at.as_millis(),
            expires_at: row.expires_at.as_millis(),
            client_label: row.client_label,
        })
    }
}

impl From<StoredSigningKey> for Key {
    fn from(key: StoredSigningKey) -> Self {
        Self {
            key_id: key.key_id,
            algorithm: key.algorithm,
            kind: if key.is_static { "static" } else { "dynamic" },
            created_at: key.created_at.as_millis(),
            state: None,
        }
    }
}
