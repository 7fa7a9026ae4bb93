use std::{fmt, future::Future};

use crate::{
    identifier::AppId,
    store::{SessionRecord, StoreError, StoredSecret, StoredSigningKey, TenantStore},
};

/// A [`TenantStore`] of which everything can be read, and into which everything can be put as it
/// was elsewhere: for moving sessions from one database to another. The engine needs none of this.
pub trait BulkStore: TenantStore {
    /// What gives the sessions.
    type Export: SessionExport;

    /// Every app of which something is kept, by the bytes of its name.
    fn apps(&self) -> impl Future<Output = Result<Vec<AppId>, StoreError>> + Send;

    /// All sessions of all apps, in portions.
    fn export_sessions(&self) -> impl Future<Output = Result<Self::Export, StoreError>> + Send;

    /// Puts sessions as they are, in place of those that have their names: all of them or none.
    fn put_sessions(
        &self,
        app: &AppId,
        sessions: Vec<SessionRecord>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Checks that these could be all signing keys of an app, newest first; puts nothing.
    ///
    /// # Errors
    /// [`Incompatible`](crate::store::StoreErrorKind::Incompatible) when the store cannot keep them.
    fn check_signing_keys(&self, keys: &[StoredSigningKey]) -> Result<(), StoreError>;

    /// Puts these keys, newest first, in place of all that the app has: all of them or none.
    ///
    /// # Errors
    /// As [`check_signing_keys`](Self::check_signing_keys).
    fn replace_signing_keys(
        &self,
        app: &AppId,
        keys: Vec<StoredSigningKey>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The secrets of the app, by the bytes of their names.
    fn secrets(
        &self,
        app: &AppId,
    ) -> impl Future<Output = Result<Vec<StoredSecret>, StoreError>> + Send;

    /// Puts these secrets in place of all that the app has: all of them or none. Whoever has been
    /// given one by [`secret`](crate::store::Store::secret) does not learn of it.
    ///
    /// # Errors
    /// [`Incompatible`](crate::store::StoreErrorKind::Incompatible) when the store cannot keep them.
    fn replace_secrets(
        &self,
        app: &AppId,
        secrets: Vec<StoredSecret>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Gives all sessions of a store by the bytes of app and handle, each one once. What is written
/// meanwhile may be in it or not.
pub trait SessionExport: fmt::Debug + Send {
    /// The next sessions; none at the end.
    fn next(
        &mut self,
    ) -> impl Future<Output = Result<Vec<(AppId, SessionRecord)>, StoreError>> + Send;
}
