use std::sync::PoisonError;

use super::MemoryStore;
use crate::{
    identifier::AppId,
    store::{BulkStore, SessionExport, SessionRecord, StoreError, StoredSecret, StoredSigningKey},
};

/// The sessions that a [`MemoryStore`] had at one moment.
#[derive(Debug)]
pub struct MemoryExport(Vec<(AppId, SessionRecord)>);

impl BulkStore for MemoryStore {
    type Export = MemoryExport;

    async fn apps(&self) -> Result<Vec<AppId>, StoreError> {
        let apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<_> = apps.keys().cloned().collect();
        names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        Ok(names)
    }

    async fn export_sessions(&self) -> Result<MemoryExport, StoreError> {
        let apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        let sessions = apps.iter().flat_map(|(name, app)| {
            app.sessions.values().map(|session| (name.clone(), session.clone()))
        });
        let mut sessions: Vec<_> = sessions.collect();
        let name = |of: &(AppId, SessionRecord)| (of.0.to_string(), of.1.handle.to_string());
        sessions.sort_by_cached_key(name);
        Ok(MemoryExport(sessions))
    }

    async fn put_sessions(
        &self,
        app: &AppId,
        sessions: Vec<SessionRecord>,
    ) -> Result<(), StoreError> {
        self.with(app, |app| {
            sessions.into_iter().try_for_each(|session| {
                app.remove(&session.handle);
                app.insert(session).map(drop)
            })
        })
    }

    fn check_signing_keys(&self, _: &[StoredSigningKey]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn replace_signing_keys(
        &self,
        app: &AppId,
        keys: Vec<StoredSigningKey>,
    ) -> Result<(), StoreError> {
        self.with(app, |app| app.signing_keys = keys.into_iter().rev().collect());
        Ok(())
    }

    async fn secrets(&self, app: &AppId) -> Result<Vec<StoredSecret>, StoreError> {
        Ok(self.with(app, |app| {
            let secrets = app.secrets.iter();
            let mut secrets: Vec<_> = secrets
                .map(|(name, value)| StoredSecret { name: name.clone(), value: value.clone() })
                .collect();
            secrets.sort_by(|one, other| one.name.cmp(&other.name));
            secrets
        }))
    }

    async fn replace_secrets(
        &self,
        app: &AppId,
        secrets: Vec<StoredSecret>,
    ) -> Result<(), StoreError> {
        let secrets = secrets.into_iter().map(|secret| (secret.name, secret.value)).collect();
        self.with(app, |app| app.secrets = secrets);
        Ok(())
    }
}

impl SessionExport for MemoryExport {
    async fn next(&mut self) -> Result<Vec<(AppId, SessionRecord)>, StoreError> {
        Ok(std::mem::take(&mut self.0))
    }
}
