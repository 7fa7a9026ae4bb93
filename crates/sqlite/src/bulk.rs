use std::sync::Arc;

use sessile_core::{
    AppId,
    store::{BulkStore, SessionExport, SessionRecord, StoreError, StoredSecret, StoredSigningKey},
};

use crate::{
    statements::bulk::{self, Place},
    store::SqliteStore,
};

/// Gives the sessions of a [`SqliteStore`].
#[derive(Debug)]
pub struct SqliteExport {
    store: SqliteStore,
    after: Place,
}

impl BulkStore for SqliteStore {
    type Export = SqliteExport;

    async fn apps(&self) -> Result<Vec<AppId>, StoreError> {
        self.shared.readers.submit("listing the apps", bulk::apps).await
    }

    async fn export_sessions(&self) -> Result<SqliteExport, StoreError> {
        Ok(SqliteExport { store: self.clone(), after: Place::default() })
    }

    async fn put_sessions(
        &self,
        app: &AppId,
        sessions: Vec<SessionRecord>,
    ) -> Result<(), StoreError> {
        let app = app.clone();
        let work = move |connection: &_| bulk::put_sessions(connection, &app, &sessions);
        self.shared.writer.submit("putting sessions", work).await
    }

    fn check_signing_keys(&self, _: &[StoredSigningKey]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn replace_signing_keys(
        &self,
        app: &AppId,
        keys: Vec<StoredSigningKey>,
    ) -> Result<(), StoreError> {
        let app = app.clone();
        let work = move |connection: &_| bulk::replace_signing_keys(connection, &app, &keys);
        self.shared.writer.submit("putting signing keys", work).await
    }

    async fn secrets(&self, app: &AppId) -> Result<Vec<StoredSecret>, StoreError> {
        let app = app.clone();
        let work = move |connection: &_| bulk::secrets(connection, &app);
        self.shared.readers.submit("reading the secrets", work).await
    }

    async fn replace_secrets(
        &self,
        app: &AppId,
        secrets: Vec<StoredSecret>,
    ) -> Result<(), StoreError> {
        let app = app.clone();
        let work = move |connection: &_| bulk::replace_secrets(connection, &app, &secrets);
        self.shared.writer.submit("putting secrets", work).await
    }
}

impl SessionExport for SqliteExport {
    async fn next(&mut self) -> Result<Vec<(AppId, SessionRecord)>, StoreError> {
        let after = Arc::new(self.after.clone());
        let work = move |connection: &_| bulk::sessions_after(connection, &after);
        let sessions = self.store.shared.readers.submit("reading all sessions", work).await?;
        if let Some((app, session)) = sessions.last() {
            self.after = (app.to_string(), session.handle.to_string());
        }
        Ok(sessions)
    }
}
