//! What the engine asks of a database.
//!
//! A [`Store`] has *intents*: each is one atomic step, one round trip and wherever possible one
//! statement. It holds no rule of its own; the guards and changes that it applies come from
//! [`rotation`](crate::rotation) as data. The suite in `conformance` (feature `conformance`) is
//! the contract: a store that passes it serves the engine.

use std::{error::Error as StdError, fmt, future::Future, num::NonZeroUsize};

pub use crate::{
    bulk_store::{BulkStore, SessionExport},
    moves::Moves,
    stored_keys::StoredSecret,
    stored_session::{Accounts, Owner, RemovedSession, SessionRecord},
    tenant_store::{StoredTenant, TenantStore},
};
use crate::{
    clock::Timestamp,
    identifier::{AppId, SessionHandle, TenantScope},
    rotation::Rotation,
};

/// The version of a session's data: a digest of the text that is stored, so a change by any
/// program is seen.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DataVersion([u8; 32]);

impl DataVersion {
    /// The version of `text`.
    pub fn of(text: &str) -> Self {
        Self(crate::rotation::sha256(text.as_bytes()))
    }

    /// SHA-256 of the text in UTF-8, for a store that compares it in the database.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// How a conditional replacement of session data ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DataReplacement {
    /// The data was replaced.
    Replaced,
    /// There is no such session, or its time is over.
    NoSession,
    /// The data is not the expected version any more; nothing was changed.
    Conflict,
}

/// How many sessions an account may have at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SessionLimit {
    /// The most that may be alive at the same time, over all tenants; at least one.
    pub maximum: NonZeroUsize,
    /// What happens to one more.
    pub when_full: WhenFull,
}

/// What happens when an account with as many sessions as may be logs in once more.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum WhenFull {
    /// The oldest sessions end.
    #[default]
    EndOldest,
    /// The new session is refused.
    Refuse,
}

/// How an insertion under a [`SessionLimit`] ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LimitedInsertion {
    /// The session was added.
    Inserted {
        /// Whose it is.
        owner: Owner,
        /// The sessions that were removed for it, oldest first.
        ended: Vec<SessionHandle>,
    },
    /// The account has as many sessions as may be; nothing was changed.
    Refused,
}

/// A signing key as a store keeps it. The store never looks inside `material`.
#[derive(Clone, Eq, PartialEq)]
pub struct StoredSigningKey {
    /// The key id that tokens name, unique within the app.
    pub key_id: String,
    /// The JWS name of its algorithm: `ES256`, `EdDSA` or `RS256`.
    pub algorithm: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The key itself, as text, wrapped or plain.
    pub material: String,
    /// Whether it is never replaced; a sweep leaves it alone.
    pub is_static: bool,
}

impl fmt::Debug for StoredSigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StoredSigningKey")
            .field("key_id", &self.key_id)
            .field("algorithm", &self.algorithm)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

/// What a sweep may remove. Each `…_before` is exclusive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sweep {
    /// Sessions that expired before this moment go.
    pub sessions_expired_before: Timestamp,
    /// Signing keys that were made before this moment go, unless they are static.
    pub keys_created_before: Timestamp,
    /// At most this many sessions go in one call.
    pub limit: usize,
}

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Swept {
    /// Number of sessions.
    pub sessions: usize,
    /// Number of signing keys.
    pub keys: usize,
}

/// What kind of failure a store reports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// A session or key with this name exists already; nothing was changed.
    AlreadyExists,
    /// The database is of a version or shape that this program cannot use.
    Incompatible,
    /// The database refuses writes: full, read-only, or without the right to.
    NotWritable,
    /// The database cannot be reached, or did not answer in time. The outcome of a write may be
    /// unknown.
    Unavailable,
    /// The app or tenant is not in the database, which is shared with a program that makes them;
    /// nothing was changed.
    UnknownTenant,
    /// Anything else.
    Other,
}

/// A store failed.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// A failure of `kind`; `message` says what was being done, and what to do about it.
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The same with the error that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the session store failed: {}", self.message)?;
        match &self.source {
            Some(source) => write!(formatter, ": {source}"),
            None => Ok(()),
        }
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// A database of sessions and signing keys.
///
/// Every method is one atomic step: it happens wholly or not at all, and once it has answered, it
/// is durable and every later call sees it. Everything is kept apart by app. Methods may run at
/// the same time; for one session they take effect one after the other. A call whose future is
/// dropped may or may not take effect.
///
/// Names are compared byte by byte, and payload and data come back byte for byte: a column that
/// ignores case, or keeps JSON in a form of its own, will not do. A name that a database cannot
/// hold (one with a NUL character, in PostgreSQL) is not found.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Adds a session, and says whose it is.
    ///
    /// # Errors
    /// [`StoreErrorKind::AlreadyExists`] when its handle is taken: a session is never overwritten.
    fn insert_session(
        &self,
        app: &AppId,
        session: SessionRecord,
    ) -> impl Future<Output = Result<Owner, StoreError>> + Send;

    /// Adds a session if its account has fewer than `limit.maximum` that are not expired at `now`, or
    /// makes room for it as `limit.when_full` says. However many are added at once, there are
    /// never more.
    ///
    /// # Errors
    /// As [`insert_session`](Self::insert_session).
    fn insert_session_within(
        &self,
        app: &AppId,
        session: SessionRecord,
        limit: SessionLimit,
        now: Timestamp,
    ) -> impl Future<Output = Result<LimitedInsertion, StoreError>> + Send;

    /// The session of that name, expired or not.
    fn get_session(
        &self,
        app: &AppId,
        handle: &SessionHandle,
    ) -> impl Future<Output = Result<Option<SessionRecord>, StoreError>> + Send;

    /// Applies `rotation.change` to the session if `rotation.guard` holds of it, and gives the
    /// changed session; `None`, with nothing changed, if it does not hold or there is no session.
    ///
    /// The outcome must be what [`RotationGuard::holds`](crate::rotation::RotationGuard::holds)
    /// and [`RotationChange::apply`](crate::rotation::RotationChange::apply) say.
    fn rotate_session(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        rotation: Rotation,
    ) -> impl Future<Output = Result<Option<SessionRecord>, StoreError>> + Send;

    /// Replaces the session data of a session that is not expired at `now`; with `expected`, only
    /// if the stored text still has that version.
    fn replace_session_data(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        session_data: String,
        expected: Option<DataVersion>,
        now: Timestamp,
    ) -> impl Future<Output = Result<DataReplacement, StoreError>> + Send;

    /// Replaces the payload of a session that is not expired at `now`, and gives the changed
    /// session; `None` if there is none.
    fn replace_jwt_payload(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        jwt_payload: String,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<SessionRecord>, StoreError>> + Send;

    /// Removes the sessions of these names, expired or not, and gives those that existed. Each
    /// session is given to exactly one caller, however many remove it at once.
    fn remove_sessions(
        &self,
        app: &AppId,
        handles: &[SessionHandle],
    ) -> impl Future<Output = Result<Vec<RemovedSession>, StoreError>> + Send;

    /// Removes all sessions of a user's `accounts` in these tenants, but `except`, and gives them.
    /// A session that was acknowledged before this call began cannot survive it.
    fn remove_sessions_of_user(
        &self,
        app: &AppId,
        user_id: &str,
        accounts: Accounts,
        tenants: &TenantScope,
        except: Option<&SessionHandle>,
    ) -> impl Future<Output = Result<Vec<RemovedSession>, StoreError>> + Send;

    /// Removes at most `limit` sessions that were created before `before`, and gives them; callers
    /// repeat it while it gives as many.
    fn remove_sessions_created_before(
        &self,
        app: &AppId,
        before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<RemovedSession>, StoreError>> + Send;

    /// The sessions of a user's `accounts` in these tenants that are not expired at `now`, oldest
    /// first; in any order where they were created in the same millisecond.
    fn sessions_of_user(
        &self,
        app: &AppId,
        user_id: &str,
        accounts: Accounts,
        tenants: &TenantScope,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<SessionRecord>, StoreError>> + Send;

    /// All signing keys of the app, newest first. The newest is the one that was added last,
    /// whatever the clock of who added it said.
    fn signing_keys(
        &self,
        app: &AppId,
    ) -> impl Future<Output = Result<Vec<StoredSigningKey>, StoreError>> + Send;

    /// Adds `key` if the newest key of the app is still `newest` (`None`: if it has no key), and
    /// gives all keys, newest first, whichever came about. However many race, one is added.
    ///
    /// # Errors
    /// [`StoreErrorKind::AlreadyExists`] when the newest key is `newest`, and the app has another
    /// key of that id.
    fn add_signing_key(
        &self,
        app: &AppId,
        key: StoredSigningKey,
        newest: Option<&str>,
    ) -> impl Future<Output = Result<Vec<StoredSigningKey>, StoreError>> + Send;

    /// The secret of that name; `candidate` becomes it if there is none yet. However many race,
    /// all are given the same one.
    fn secret(
        &self,
        app: &AppId,
        name: &str,
        candidate: String,
    ) -> impl Future<Output = Result<String, StoreError>> + Send;

    /// Whether a SuperTokens core reads and writes the same database. Only what that can read may
    /// be written there then, and an engine that would write anything else does not start. A store
    /// around another answers as that does.
    fn is_shared_with_supertokens(&self) -> bool {
        false
    }

    /// Removes what has expired, in one short step that holds nobody up; callers repeat it while
    /// it removes as many sessions as its limit, which does not apply to keys.
    fn sweep(
        &self,
        app: &AppId,
        sweep: Sweep,
    ) -> impl Future<Output = Result<Swept, StoreError>> + Send;
}
