//! What both a store and a running server can be asked.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use sessile::{AppId, Secret, SessionHandle};

use super::{server::RunningServer, store::StoredApp};

/// A session, as far as an operator is concerned. Its tokens are not in it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    pub(super) handle: String,
    pub(super) user_id: String,
    pub(super) tenant_id: String,
    pub(super) created_at: i64,
    pub(super) expires_at: i64,
    /// What the application calls the client, which servers do not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_label: Option<String>,
    pub(super) jwt_payload: Value,
    pub(super) session_data: Value,
}

/// A signing key without the key itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Key {
    pub(super) key_id: String,
    pub(super) algorithm: String,
    pub(super) kind: &'static str,
    pub(super) created_at: i64,
    /// What it does now, which a store alone does not tell: that depends on the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<String>,
}

/// Where the sessions of an app are.
pub(super) enum Backend {
    Store(StoredApp),
    Server(RunningServer),
}

impl Backend {
    pub(super) fn of_store(path: &Path, app: AppId) -> anyhow::Result<Self> {
        StoredApp::open(path, app).map(Self::Store)
    }

    pub(super) fn of_server(url: &str, key: Option<Secret>, app: &AppId) -> anyhow::Result<Self> {
        RunningServer::new(url, key, app).map(Self::Server)
    }

    /// The live sessions of a user, oldest first.
    pub(super) async fn sessions_of_user(&self, user_id: &str) -> anyhow::Result<Vec<Session>> {
        match self {
            Self::Store(app) => app.sessions_of_user(user_id).await,
            Self::Server(server) => server.sessions_of_user(user_id).await,
        }
    }

    /// The live session of that name.
    pub(super) async fn session(&self, handle: &SessionHandle) -> anyhow::Result<Option<Session>> {
        match self {
            Self::Store(app) => app.session(handle).await,
            Self::Server(server) => server.session(handle).await,
        }
    }

    /// Ends the sessions of these names, and gives the names of those that there were.
    pub(super) async fn revoke(&self, handles: &[SessionHandle]) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Store(app) => app.revoke(handles).await,
            Self::Server(server) => server.revoke(handles).await,
        }
    }

    /// Ends all sessions of a user, and gives their names.
    pub(super) async fn revoke_user(&self, user_id: &str) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Store(app) => app.revoke_user(user_id).await,
            Self::Server(server) => server.revoke_user(user_id).await,
        }
    }

    /// All signing keys, newest first.
    pub(super) async fn keys(&self) -> anyhow::Result<Vec<Key>> {
        match self {
            Self::Store(app) => app.keys().await,
            Self::Server(server) => server.keys().await,
        }
    }

    /// Makes the next signing key now; says whether it did, and not the next one is published.
    pub(super) async fn rotate_key(&self) -> anyhow::Result<bool> {
        match self {
            Self::Store(app) => app.rotate_key().await,
            Self::Server(server) => server.rotate_key().await,
        }
    }
}
