use std::{collections::HashMap, sync::Arc};

use sessile_core::{
    AppId,
    store::{BulkStore, SessionExport, SessionRecord, StoreError, StoredSecret, StoredSigningKey},
};

use crate::{
    connection::Connection,
    failure::{Failure, Task},
    ownership::Ownership,
    shared::Manner,
    statements::{
        bulk,
        insertion::Insert,
        keys::{is_supertokens_key, refusal},
    },
    store::PostgresStore,
};

/// Gives the sessions of a [`PostgresStore`] as they were at one moment, over a connection of its
/// own.
#[derive(Debug)]
pub struct PostgresExport {
    connection: Arc<Connection>,
    /// Keeps what serves the connection.
    _store: PostgresStore,
}

const EXPORTING: Task = Task::Read("reading all sessions");

impl BulkStore for PostgresStore {
    type Export = PostgresExport;

    async fn apps(&self) -> Result<Vec<AppId>, StoreError> {
        let read = |connection: Arc<_>, _| async move { bulk::apps(&connection).await };
        self.shared.read_long("listing the apps", (), read).await
    }

    async fn export_sessions(&self) -> Result<PostgresExport, StoreError> {
        let open = async {
            let connection = self.shared.connector.connect().await?;
            connection.execute_template(bulk::OPEN).await?;
            Ok(PostgresExport { connection, _store: self.clone() })
        };
        open.await.map_err(|failure: Failure| failure.report(EXPORTING))
    }

    async fn put_sessions(
        &self,
        app: &AppId,
        sessions: Vec<SessionRecord>,
    ) -> Result<(), StoreError> {
        // In the order in which everybody locks rows, and each once.
        let mut named = HashMap::new();
        for session in sessions {
            named.insert(session.handle.clone(), Insert::new(app, session)?);
        }
        let mut sessions: Vec<_> = named.into_values().collect();
        sessions.sort_by(|one, other| one.key.cmp(&other.key));
        if sessions.is_empty() {
            return Ok(());
        }
        let ownership = self.shared.ownership;
        let manner = Manner::endless("putting sessions");
        self.shared
            .write(manner, (app.clone(), sessions), move |connection, arguments| async move {
                let (app, sessions) = &*arguments;
                bulk::put_sessions(&connection, app, sessions, ownership).await
            })
            .await
    }

    fn check_signing_keys(&self, keys: &[StoredSigningKey]) -> Result<(), StoreError> {
        if self.shared.ownership == Ownership::Own {
            return Ok(());
        }
        let mut oldest_first = keys.iter().rev();
        let mut newest = None;
        match oldest_first.find(|key| {
            let follows =
                newest.replace(key.created_at).is_none_or(|before| before < key.created_at);
            !follows || !is_supertokens_key(key)
        }) {
            Some(key) => {
                let task = Task::Write("putting signing keys");
                Err(Failure::Incompatible(refusal(key)).report(task))
            }
            None => Ok(()),
        }
    }

    async fn replace_signing_keys(
        &self,
        app: &AppId,
        keys: Vec<StoredSigningKey>,
    ) -> Result<(), StoreError> {
        let ownership = self.shared.ownership;
        let manner = Manner::repeatable("putting signing keys");
        self.shared
            .write(manner, (app.clone(), keys), move |connection, arguments| async move {
                let (app, keys) = &*arguments;
                bulk::replace_signing_keys(&connection, app, keys, ownership).await
            })
            .await
    }

    async fn secrets(&self, app: &AppId) -> Result<Vec<StoredSecret>, StoreError> {
        let read = |connection: Arc<_>| async move { bulk::secrets(&connection, app).await };
        self.shared.read("reading the secrets", read).await
    }

    async fn replace_secrets(
        &self,
        app: &AppId,
        secrets: Vec<StoredSecret>,
    ) -> Result<(), StoreError> {
        let ownership = self.shared.ownership;
        let manner = Manner::repeatable("putting secrets");
        self.shared
            .write(manner, (app.clone(), secrets), move |connection, arguments| async move {
                let (app, secrets) = &*arguments;
                bulk::replace_secrets(&connection, app, secrets, ownership).await
            })
            .await
    }
}

impl SessionExport for PostgresExport {
    async fn next(&mut self) -> Result<Vec<(AppId, SessionRecord)>, StoreError> {
        bulk::next(&self.connection).await.map_err(|failure| failure.report(EXPORTING))
    }
}
