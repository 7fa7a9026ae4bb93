use std::{fmt, sync::Arc};

use sessile_core::{
    AppId, SessionHandle, TenantId, TenantScope,
    clock::Timestamp,
    rotation::Rotation,
    store::{
        Accounts, DataReplacement, DataVersion, LimitedInsertion, Owner, RemovedSession,
        SessionLimit, SessionRecord, Store, StoreError, StoreErrorKind, StoredSigningKey,
        StoredTenant, Sweep, Swept, TenantStore,
    },
};

use crate::{
    batch::Gathered,
    connector::Connector,
    failure::{Failure, Task},
    lane::submit,
    options::PostgresOptions,
    ownership::Ownership,
    pool::{Readers, Writers},
    record::can_be_kept,
    schema::{self, Wanted},
    shared::{Lanes, OwnRuntime, Shared},
    statements::{
        data::ReplaceData,
        insertion::{Insert, TAKEN},
        keys, limits,
        payload::ReplacePayload,
        reading,
        removal::Remove,
        rotation::Rotate,
        secrets, sweeping, tenants, users,
    },
    suspension::Suspended,
};

/// A [`Store`] in PostgreSQL. A clone is the same store.
///
/// Its connections are served by a thread of its own, so its methods may be awaited anywhere; see
/// [`PostgresOptions::runtime`] for another way.
#[derive(Clone)]
pub struct PostgresStore {
    pub(crate) shared: Arc<Shared>,
}

impl PostgresStore {
    /// Connects to the database that the URL names, and makes the tables that are missing; see
    /// [`PostgresOptions`] for everything else that can be said.
    ///
    /// # Errors
    /// [`Incompatible`](StoreErrorKind::Incompatible) when the URL cannot be used, or the tables
    /// are not those of a SuperTokens core since 6.0;
    /// [`NotWritable`](StoreErrorKind::NotWritable) when tables are missing and the user may not
    /// make them; [`Unavailable`](StoreErrorKind::Unavailable) when the server cannot be reached.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let options = PostgresOptions::from_url(url);
        options.map_err(|error| unusable(&error))?.open().await
    }

    pub(crate) async fn open_with(options: PostgresOptions) -> Result<Self, StoreError> {
        let names = Arc::new(options.names().map_err(|error| unusable(&error))?);
        let target = options.target().map_err(|error| unusable(&error))?;
        let (runtime, own_runtime) = OwnRuntime::start_unless(options.runtime)?;
        let timeouts = (options.connect_timeout, options.request_timeout);
        let connector = Arc::new(Connector::new(target, Arc::clone(&names), runtime, timeouts));
        let wanted =
            Wanted { ownership: options.ownership, legacy_key_kind: options.legacy_key_kind };
        let preparing = {
            let connector = Arc::clone(&connector);
            async move {
                let connection = connector.connect().await?;
                let ownership = schema::prepare(&connection, &connector, &names, wanted).await?;
                Ok((connection, ownership))
            }
        };
        let prepared = connector.runtime().spawn(preparing).await;
        let (connection, ownership) = prepared
            .unwrap_or(Err(Failure::Interrupted))
            .map_err(|failure| failure.report(Task::Write("opening the database")))?;
        let shared = Shared {
            readers: Readers::new(Arc::clone(&connector), options.readers),
            writers: Arc::new(Writers::new(Arc::clone(&connector), options.writers)),
            connector,
            ownership,
            lanes: Lanes::new(options.writers),
            _own_runtime: own_runtime,
        };
        shared.writers.put(connection);
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Whose the database is.
    pub fn ownership(&self) -> Ownership {
        self.shared.ownership
    }

    /// Ends the connections once they have done what was sent. Every later call on any clone fails
    /// with [`Unavailable`](StoreErrorKind::Unavailable).
    pub fn close(&self) {
        self.shared.readers.close();
        self.shared.writers.close();
    }

    /// Finishes what is being written and ends all connections, for a process that is about to
    /// fork: a connection must not be used on both sides. Calls on any clone wait until what this
    /// gives is dropped, and those that were reading read again. Who suspends meanwhile waits too.
    pub async fn suspend(&self) -> Suspended {
        Suspended::begin(Arc::clone(&self.shared)).await
    }
}

/// The report that the settings are wrong.
pub(crate) fn unusable(problem: &dyn fmt::Display) -> StoreError {
    StoreError::new(StoreErrorKind::Incompatible, problem.to_string())
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PostgresStore")
            .field("database", &self.shared.connector.description())
            .field("ownership", &self.shared.ownership)
            .finish_non_exhaustive()
    }
}

impl Store for PostgresStore {
    fn is_shared_with_supertokens(&self) -> bool {
        self.ownership() == Ownership::Shared
    }

    async fn insert_session(
        &self,
        app: &AppId,
        session: SessionRecord,
    ) -> Result<Owner, StoreError> {
        let inserted = submit(&self.shared, Insert::new(app, session)?).await?;
        inserted.ok_or_else(|| TAKEN.report(Insert::TASK))
    }

    async fn insert_session_within(
        &self,
        app: &AppId,
        session: SessionRecord,
        limit: SessionLimit,
        now: Timestamp,
    ) -> Result<LimitedInsertion, StoreError> {
        limits::insert_within(&self.shared, Insert::new(app, session)?, limit, now).await
    }

    async fn get_session(
        &self,
        app: &AppId,
        handle: &SessionHandle,
    ) -> Result<Option<SessionRecord>, StoreError> {
        if !can_be_kept(handle.as_str()) {
            return Ok(None);
        }
        let read = |connection: Arc<_>| async move { reading::get(&connection, app, handle).await };
        self.shared.read("reading a session", read).await
    }

    async fn rotate_session(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        rotation: Rotation,
    ) -> Result<Option<SessionRecord>, StoreError> {
        if !can_be_kept(handle.as_str()) {
            return Ok(None);
        }
        submit(&self.shared, Rotate::new(app, handle, rotation)).await
    }

    async fn replace_session_data(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        session_data: String,
        expected: Option<DataVersion>,
        now: Timestamp,
    ) -> Result<DataReplacement, StoreError> {
        if !can_be_kept(handle.as_str()) {
            return Ok(DataReplacement::NoSession);
        }
        check_text(&session_data, ReplaceData::TASK)?;
        submit(&self.shared, ReplaceData::new(app, handle, session_data, expected, now)).await
    }

    async fn replace_jwt_payload(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        jwt_payload: String,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError> {
        if !can_be_kept(handle.as_str()) {
            return Ok(None);
        }
        check_text(&jwt_payload, ReplacePayload::TASK)?;
        submit(&self.shared, ReplacePayload::new(app, handle, jwt_payload, now)).await
    }

    async fn remove_sessions(
        &self,
        app: &AppId,
        handles: &[SessionHandle],
    ) -> Result<Vec<RemovedSession>, StoreError> {
        let work = Remove::new(app, handles);
        if work.keys().is_empty() {
            return Ok(Vec::new());
        }
        submit(&self.shared, work).await
    }

    async fn remove_sessions_of_user(
        &self,
        app: &AppId,
        user_id: &str,
        accounts: Accounts,
        tenants: &TenantScope,
        except: Option<&SessionHandle>,
    ) -> Result<Vec<RemovedSession>, StoreError> {
        if !can_be_kept(user_id) {
            return Ok(Vec::new());
        }
        // What cannot be there needs no exception.
        let except = except.filter(|handle| can_be_kept(handle.as_str()));
        users::remove_of_user(&self.shared, app, user_id, accounts, tenants, except).await
    }

    async fn remove_sessions_created_before(
        &self,
        app: &AppId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<RemovedSession>, StoreError> {
        users::remove_created_before(&self.shared, app, before, limit).await
    }

    async fn sessions_of_user(
        &self,
        app: &AppId,
        user_id: &str,
        accounts: Accounts,
        tenants: &TenantScope,
        now: Timestamp,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        if !can_be_kept(user_id) {
            return Ok(Vec::new());
        }
        let wanted = (app.clone(), user_id.to_owned(), tenants.clone());
        self.shared
            .read_long(
                "listing the sessions of a user",
                wanted,
                move |connection, wanted| async move {
                    let (app, user_id, tenants) = &*wanted;
                    reading::of_user(&connection, app, user_id, accounts, tenants, now).await
                },
            )
            .await
    }

    async fn signing_keys(&self, app: &AppId) -> Result<Vec<StoredSigningKey>, StoreError> {
        let read = |connection: Arc<_>| async move { keys::all(&connection, app).await };
        self.shared.read("reading the signing keys", read).await
    }

    async fn add_signing_key(
        &self,
        app: &AppId,
        key: StoredSigningKey,
        newest: Option<&str>,
    ) -> Result<Vec<StoredSigningKey>, StoreError> {
        keys::add(&self.shared, app, key, newest).await
    }

    async fn secret(
        &self,
        app: &AppId,
        name: &str,
        candidate: String,
    ) -> Result<String, StoreError> {
        secrets::find_or_add(&self.shared, app, name, candidate).await
    }

    async fn sweep(&self, app: &AppId, sweep: Sweep) -> Result<Swept, StoreError> {
        sweeping::sweep(&self.shared, app, sweep).await
    }
}

impl TenantStore for PostgresStore {
    async fn tenants(&self) -> Result<Vec<StoredTenant>, StoreError> {
        let read = |connection: Arc<_>, _| async move { tenants::all(&connection).await };
        self.shared.read_long("listing the tenants", (), read).await
    }

    async fn put_tenant(&self, tenant: StoredTenant) -> Result<bool, StoreError> {
        tenants::put(&self.shared, tenant).await
    }

    async fn remove_tenant(&self, app: &AppId, tenant: &TenantId) -> Result<bool, StoreError> {
        tenants::remove(&self.shared, app, tenant).await
    }

    async fn remove_app(&self, app: &AppId) -> Result<bool, StoreError> {
        tenants::remove_app(&self.shared, app).await
    }
}

/// # Errors
/// When the database cannot keep the text.
fn check_text(text: &str, task: Task) -> Result<(), StoreError> {
    if can_be_kept(text) {
        return Ok(());
    }
    Err(Failure::Value("PostgreSQL cannot keep a text with a NUL character").report(task))
}
