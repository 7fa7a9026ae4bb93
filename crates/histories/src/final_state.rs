//! What is in the store when all is quiet.

use std::collections::{BTreeMap, BTreeSet};

use sessile_core::{
    SessionHandle, TenantScope,
    clock::Timestamp,
    store::{Accounts, Store, StoreError},
};

use crate::{
    client::writes_of,
    history::{Call, History, Outcome, TokenId},
    workload::app,
};

/// The sessions that are left, once nobody calls any more.
#[derive(Clone, Debug, Default)]
pub struct FinalState {
    /// Those that are found by their handles.
    pub sessions: BTreeMap<String, FinalSession>,
    /// Those that are listed, by their users.
    pub listed: BTreeMap<String, Vec<String>>,
}

/// A session that is left.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FinalSession {
    /// Whose it is.
    pub user: String,
    /// Its current refresh token.
    pub current: TokenId,
    /// The refresh token before it.
    pub previous: Option<TokenId>,
    /// The writes that made its data.
    pub writes: Vec<String>,
}

impl FinalState {
    /// Reads the sessions of all users and under all handles of the history.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn read(store: &impl Store, history: &History) -> Result<Self, StoreError> {
        let (mut users, mut handles) = (BTreeSet::new(), BTreeSet::new());
        for operation in &history.operations {
            handles.extend(operation.call.handle().map(str::to_owned));
            match &operation.call {
                Call::LogIn { user } | Call::RevokeAll { user, .. } | Call::List { user } => {
                    users.insert(user.clone());
                }
                _ => {}
            }
            if let Some((_, Outcome::LoggedIn { handle, .. })) = operation.known() {
                handles.insert(handle.clone());
            }
        }
        handles.extend(history.events.iter().map(|event| event.handle.clone()));

        let mut state = Self::default();
        let (app, start) = (app(), Timestamp::default());
        for user in users {
            let rows = store
                .sessions_of_user(&app, &user, Accounts::Linked, &TenantScope::All, start)
                .await?;
            let listed: Vec<_> = rows.iter().map(|row| row.handle.as_str().to_owned()).collect();
            handles.extend(listed.iter().cloned());
            state.listed.insert(user, listed);
        }
        for handle in handles {
            let Some(row) = store.get_session(&app, &SessionHandle::new(&handle)).await? else {
                continue;
            };
            let data = serde_json::from_str(&row.session_data).unwrap_or_default();
            let session = FinalSession {
                user: row.user_id,
                current: TokenId::of_hash(&row.refresh_token_hash),
                previous: row.previous_refresh_token_hash.as_ref().map(TokenId::of_hash),
                writes: writes_of(&data),
            };
            state.sessions.insert(handle, session);
        }
        Ok(state)
    }
}
