//! A session as a store keeps it, and whose it is.

use std::fmt;

use crate::{clock::Timestamp, identifier::SessionHandle, rotation::TokenHash};

/// A session as a store keeps it.
#[derive(Clone, Eq, PartialEq)]
pub struct SessionRecord {
    /// Its name, unique within the app. The tenant is part of it.
    pub handle: SessionHandle,
    /// The account that logged in.
    pub user_id: String,
    /// The user that the application knows, where that is another than the account: the primary
    /// user that it is linked to. A store of a database that has users answers with it; none
    /// keeps it with the session.
    pub primary_user_id: Option<String>,
    /// SHA-256, applied twice, of the current refresh token.
    pub refresh_token_hash: TokenHash,
    /// The same of the token before it; `None` before the first rotation.
    pub previous_refresh_token_hash: Option<TokenHash>,
    /// When the current token replaced the previous one; `None` before the first rotation.
    pub rotated_at: Option<Timestamp>,
    /// The current token, sealed under a key that only a holder of the previous one has.
    pub sealed_child: Option<Vec<u8>>,
    /// The payload of its access tokens: the text of a JSON object.
    pub jwt_payload: String,
    /// What the application keeps with it: the text of a JSON object.
    pub session_data: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ends unless it is refreshed.
    pub expires_at: Timestamp,
    /// When it ends for good; `expires_at` is never later. [`Timestamp::MAX`] for never.
    pub ends_at: Timestamp,
    /// What the application calls the client, its device for instance.
    pub client_label: Option<String>,
    /// Whether a static key signs its access tokens.
    pub use_static_key: bool,
}

impl SessionRecord {
    /// The user that the application knows: the primary one, or the account itself.
    pub fn user(&self) -> &str {
        self.primary_user_id.as_deref().unwrap_or(&self.user_id)
    }

    /// Whether the session's time is over for reads and updates.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }
}

impl fmt::Debug for SessionRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SessionRecord")
            .field("handle", &self.handle)
            .field("user_id", &self.user_id)
            .field("primary_user_id", &self.primary_user_id)
            .field("rotated_at", &self.rotated_at)
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .field("ends_at", &self.ends_at)
            .field("client_label", &self.client_label)
            .finish_non_exhaustive()
    }
}

/// Whose a session is, as the store knows it once the session is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    /// The account that logged in, as the session keeps it.
    pub user_id: String,
    /// As [`SessionRecord::primary_user_id`].
    pub primary_user_id: Option<String>,
}

impl Owner {
    /// An account that is no other user's: all that a store without users knows.
    pub fn alone(user_id: impl Into<String>) -> Self {
        Self { user_id: user_id.into(), primary_user_id: None }
    }
}

/// Whose sessions are meant by a user's id.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Accounts {
    /// Those of the user: of all accounts that are linked with the one of that id, and its own.
    /// To a store without users it is the same as `Alone`.
    Linked,
    /// Those of the account of that id alone.
    Alone,
}

/// A session that was removed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RemovedSession {
    /// Its name.
    pub handle: SessionHandle,
    /// The user that the application knew it by, as [`SessionRecord::user`].
    pub user_id: String,
}
