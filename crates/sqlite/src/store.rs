use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use sessile_core::{
    AppId, SessionHandle, TenantId, TenantScope,
    clock::Timestamp,
    rotation::Rotation,
    store::{
        Accounts, DataReplacement, DataVersion, LimitedInsertion, Owner, RemovedSession,
        SessionLimit, SessionRecord, Store, StoreError, StoredSigningKey, StoredTenant, Sweep,
        Swept, TenantStore,
    },
};

use crate::{
    backup, connection,
    file::DatabaseFile,
    options::SqliteOptions,
    reader::Readers,
    statements::{keys, limits, sessions, sweeping, tenants},
    writer::{Statistics, Writer},
};

/// A [`Store`] in a SQLite file. A clone is the same store.
///
/// When the last clone is dropped, its threads finish what was sent to them and close the file.
#[derive(Clone)]
pub struct SqliteStore {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) writer: Writer,
    pub(crate) readers: Arc<Readers>,
}

impl SqliteStore {
    /// Opens the store in that file, and creates the file where there is none. It must be on a
    /// local disk, in a folder that exists and can be written to: SQLite keeps two more files
    /// beside it, named `-wal` and `-shm`. Where the system knows them, all have the mode 0600.
    ///
    /// This waits for the disk: call it before the program serves requests.
    ///
    /// # Errors
    /// [`Incompatible`](sessile_core::store::StoreErrorKind::Incompatible) when the file is
    /// another program's or that of a newer version, which is then left as it was;
    /// [`NotWritable`](sessile_core::store::StoreErrorKind::NotWritable) when the file or its
    /// folder is read-only; otherwise
    /// [`Unavailable`](sessile_core::store::StoreErrorKind::Unavailable).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::options().open(path)
    }

    /// How to open a store, to be changed before it is opened.
    pub fn options() -> SqliteOptions {
        SqliteOptions::default()
    }

    pub(crate) fn open_with(path: &Path, options: &SqliteOptions) -> Result<Self, StoreError> {
        let file = DatabaseFile::find_or_create(path)?;
        let writer = connection::open_writer(&file, options)?;
        let readers = (0..options.readers)
            .map(|_| connection::open_reader(&file, options))
            .collect::<Result<Vec<_>, _>>()?;
        let for_backups = connection::open_reader(&file, options)?;
        let readers = Arc::new(Readers::start(readers, Some(for_backups))?);
        let writer = Writer::start(writer, options.busy_timeout, Arc::clone(&readers))?;
        let path = file.path().to_owned();
        Ok(Self { shared: Arc::new(Shared { path, writer, readers }) })
    }

    /// Writes a copy of the store, as it is at one moment, into a new file, beside the traffic. The
    /// copy is a store of its own and has the mode 0600.
    ///
    /// It opens with the same wrapping key. Sessions that end after the copy was made live on in
    /// it: after restoring one, end all that began before, if that matters
    /// (`Sessions::revoke_sessions_created_before`).
    ///
    /// # Errors
    /// [`NotWritable`](sessile_core::store::StoreErrorKind::NotWritable) when the file is there
    /// already or cannot be made.
    pub async fn back_up(&self, to: impl AsRef<Path>) -> Result<(), StoreError> {
        let to = to.as_ref().to_owned();
        let work = move |connection: &_| backup::write_copy(connection, &to);
        self.shared.readers.submit_backup("backing up the store", work).await
    }

    /// Finishes what was sent to the store, closes the file, and waits for both. Every later call
    /// on any clone fails with
    /// [`Unavailable`](sessile_core::store::StoreErrorKind::Unavailable).
    ///
    /// Before a process forks, a store must be closed: SQLite cannot be used on both sides of a
    /// fork. Who needs to know no more than that the file is closed some time drops the clones.
    pub fn close(&self) {
        self.shared.readers.close();
        self.shared.writer.close();
    }

    /// What the writer has done since this store was opened.
    pub fn statistics(&self) -> Statistics {
        self.shared.writer.statistics()
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SqliteStore")
            .field("path", &self.shared.path)
            .finish_non_exhaustive()
    }
}

impl Store for SqliteStore {
    async fn insert_session(
        &self,
        app: &AppId,
        session: SessionRecord,
    ) -> Result<Owner, StoreError> {
        let (app, owner) = (app.clone(), Owner::alone(&session.user_id));
        let work = move |connection: &_| sessions::insert(connection, &app, &session);
        self.shared.writer.submit("inserting a session", work).await?;
        Ok(owner)
    }

    async fn insert_session_within(
        &self,
        app: &AppId,
        session: SessionRecord,
        limit: SessionLimit,
        now: Timestamp,
    ) -> Result<LimitedInsertion, StoreError> {
        let app = app.clone();
        let work =
            move |connection: &_| limits::insert_within(connection, &app, &session, limit, now);
        self.shared.writer.submit("inserting a session", work).await
    }

    async fn get_session(
        &self,
        app: &AppId,
        handle: &SessionHandle,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let (app, handle) = (app.clone(), handle.clone());
        let work = move |connection: &_| sessions::get(connection, &app, &handle);
        self.shared.readers.submit("reading a session", work).await
    }

    async fn rotate_session(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        rotation: Rotation,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let (app, handle) = (app.clone(), handle.clone());
        let work = move |connection: &_| sessions::rotate(connection, &app, &handle, &rotation);
        self.shared.writer.submit("rotating a session", work).await
    }

    async fn replace_session_data(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        session_data: String,
        expected: Option<DataVersion>,
        now: Timestamp,
    ) -> Result<DataReplacement, StoreError> {
        let (app, handle) = (app.clone(), handle.clone());
        let work = move |connection: &_| {
            sessions::replace_session_data(connection, &app, &handle, &session_data, expected, now)
        };
        self.shared.writer.submit("replacing the data of a session", work).await
    }

    async fn replace_jwt_payload(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        jwt_payload: String,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let (app, handle) = (app.clone(), handle.clone());
        let work = move |connection: &_| {
            sessions::replace_jwt_payload(connection, &app, &handle, &jwt_payload, now)
        };
        self.shared.writer.submit("replacing the payload of a session", work).await
    }

    async fn remove_sessions(
        &self,
        app: &AppId,
        handles: &[SessionHandle],
    ) -> Result<Vec<RemovedSession>, StoreError> {
        let (app, handles) = (app.clone(), handles.to_vec());
        let work = move |connection: &_| sessions::remove(connection, &app, &handles);
        self.shared.writer.submit("removing sessions", work).await
    }

    async fn remove_sessions_of_user(
        &self,
        app: &AppId,
        user_id: &str,
        _: Accounts,
        tenants: &TenantScope,
        except: Option<&SessionHandle>,
    ) -> Result<Vec<RemovedSession>, StoreError> {
        let (app, user_id) = (app.clone(), user_id.to_owned());
        let (tenants, except) = (tenants.clone(), except.cloned());
        let work = move |connection: &_| {
            sessions::remove_of_user(connection, &app, &user_id, &tenants, except.as_ref())
        };
        self.shared.writer.submit("removing the sessions of a user", work).await
    }

    async fn remove_sessions_created_before(
        &self,
        app: &AppId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<RemovedSession>, StoreError> {
        let mut removed = Vec::new();
        loop {
            // Found by a reader: a look at every session must not keep others from writing.
            let (of, missing) = (app.clone(), limit.saturating_sub(removed.len()));
            let find =
                move |connection: &_| limits::created_before(connection, &of, before, missing);
            let found = self.shared.readers.submit("looking for old sessions", find).await?;
            let (of, number) = (app.clone(), found.len());
            let work = move |connection: &_| sessions::remove(connection, &of, &found);
            removed.extend(self.shared.writer.submit("removing old sessions", work).await?);
            // Some of them may have been removed by others meanwhile; there may be more then.
            if number < missing || removed.len() >= limit {
                return Ok(removed);
            }
        }
    }

    async fn sessions_of_user(
        &self,
        app: &AppId,
        user_id: &str,
        _: Accounts,
        tenants: &TenantScope,
        now: Timestamp,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let (app, user_id, tenants) = (app.clone(), user_id.to_owned(), tenants.clone());
        let work =
            move |connection: &_| sessions::of_user(connection, &app, &user_id, &tenants, now);
        self.shared.readers.submit("listing the sessions of a user", work).await
    }

    async fn signing_keys(&self, app: &AppId) -> Result<Vec<StoredSigningKey>, StoreError> {
        let app = app.clone();
        let work = move |connection: &_| keys::all(connection, &app);
        self.shared.readers.submit("reading the signing keys", work).await
    }

    async fn add_signing_key(
        &self,
        app: &AppId,
        key: StoredSigningKey,
        newest: Option<&str>,
    ) -> Result<Vec<StoredSigningKey>, StoreError> {
        let (app, newest) = (app.clone(), newest.map(str::to_owned));
        let work = move |connection: &_| keys::add(connection, &app, &key, newest.as_deref());
        self.shared.writer.submit("adding a signing key", work).await
    }

    async fn secret(
        &self,
        app: &AppId,
        name: &str,
        candidate: String,
    ) -> Result<String, StoreError> {
        let (app, name) = (app.clone(), name.to_owned());
        let work = move |connection: &_| keys::secret(connection, &app, &name, &candidate);
        self.shared.writer.submit("keeping a secret", work).await
    }

    async fn sweep(&self, app: &AppId, sweep: Sweep) -> Result<Swept, StoreError> {
        let app = app.clone();
        let work = move |connection: &_| sweeping::sweep(connection, &app, &sweep);
        self.shared.writer.submit("sweeping", work).await
    }
}

impl TenantStore for SqliteStore {
    async fn tenants(&self) -> Result<Vec<StoredTenant>, StoreError> {
        self.shared.readers.submit("listing the tenants", tenants::all).await
    }

    async fn put_tenant(&self, tenant: StoredTenant) -> Result<bool, StoreError> {
        let work = move |connection: &_| tenants::put(connection, &tenant);
        self.shared.writer.submit("putting a tenant", work).await
    }

    async fn remove_tenant(&self, app: &AppId, tenant: &TenantId) -> Result<bool, StoreError> {
        let (app, tenant) = (app.clone(), tenant.clone());
        let work = move |connection: &_| tenants::remove(connection, &app, &tenant);
        self.shared.writer.submit("removing a tenant", work).await
    }

    async fn remove_app(&self, app: &AppId) -> Result<bool, StoreError> {
        let app = app.clone();
        let work = move |connection: &_| tenants::remove_app(connection, &app);
        self.shared.writer.submit("removing an app", work).await
    }
}
