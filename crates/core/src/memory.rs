//! A store that forgets everything when the process ends: for tests, and to try things out.

mod bulk;

pub use self::bulk::MemoryExport;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    clock::Timestamp,
    identifier::{AppId, SessionHandle, TenantId, TenantScope},
    rotation::Rotation,
    store::{
        Accounts, DataReplacement, DataVersion, LimitedInsertion, Owner, RemovedSession,
        SessionLimit, SessionRecord, Store, StoreError, StoreErrorKind, StoredSigningKey,
        StoredTenant, Sweep, Swept, TenantStore, WhenFull,
    },
};

/// A [`Store`] in this process' memory. A clone is the same store.
///
/// Its sessions, and the signing keys that verify their access tokens, end with the process.
#[derive(Clone, Default)]
pub struct MemoryStore {
    apps: Arc<Mutex<HashMap<AppId, App>>>,
}

#[derive(Default)]
struct App {
    sessions: HashMap<SessionHandle, SessionRecord>,
    by_user: HashMap<String, BTreeSet<SessionHandle>>,
    /// In the order in which they were added.
    signing_keys: Vec<StoredSigningKey>,
    secrets: HashMap<String, String>,
    tenants: BTreeMap<TenantId, StoredTenant>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs one atomic step on the app's part of the store.
    fn with<T>(&self, app: &AppId, step: impl FnOnce(&mut App) -> T) -> T {
        // No step leaves a map half changed where it could panic, so a poisoned lock is sound.
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        step(apps.entry(app.clone()).or_default())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl App {
    /// The session of that name, if its time is not over.
    fn live_session(
        &mut self,
        handle: &SessionHandle,
        now: Timestamp,
    ) -> Option<&mut SessionRecord> {
        self.sessions.get_mut(handle).filter(|session| !session.is_expired(now))
    }

    fn insert(&mut self, session: SessionRecord) -> Result<Owner, StoreError> {
        let handle = session.handle.clone();
        if self.sessions.contains_key(&handle) {
            return Err(already_exists("a session with this handle exists already"));
        }
        self.by_user.entry(session.user_id.clone()).or_default().insert(handle.clone());
        let owner = Owner::alone(&session.user_id);
        self.sessions.insert(handle, session);
        Ok(owner)
    }

    /// Oldest first.
    fn live_sessions_of_user(
        &self,
        user_id: &str,
        tenants: &TenantScope,
        now: Timestamp,
    ) -> Vec<SessionRecord> {
        let handles = self.handles_of_user(user_id, tenants);
        let sessions = handles.iter().filter_map(|handle| self.sessions.get(handle));
        let mut sessions: Vec<_> =
            sessions.filter(|session| !session.is_expired(now)).cloned().collect();
        // Stable: the sessions of one moment stay in the order of their handles.
        sessions.sort_by_key(|session| session.created_at);
        sessions
    }

    fn remove(&mut self, handle: &SessionHandle) -> Option<RemovedSession> {
        let SessionRecord { handle, user_id, .. } = self.sessions.remove(handle)?;
        if let Some(handles) = self.by_user.get_mut(&user_id) {
            handles.remove(&handle);
            if handles.is_empty() {
                self.by_user.remove(&user_id);
            }
        }
        Some(RemovedSession { handle, user_id })
    }

    fn handles_of_user(&self, user_id: &str, tenants: &TenantScope) -> Vec<SessionHandle> {
        let handles = self.by_user.get(user_id).into_iter().flatten();
        handles.filter(|handle| tenants.covers(&handle.tenant())).cloned().collect()
    }

    fn signing_keys(&self) -> Vec<StoredSigningKey> {
        self.signing_keys.iter().rev().cloned().collect()
    }
}

impl Store for MemoryStore {
    async fn insert_session(
        &self,
        app: &AppId,
        session: SessionRecord,
    ) -> Result<Owner, StoreError> {
        self.with(app, |app| app.insert(session))
    }

    async fn insert_session_within(
        &self,
        app: &AppId,
        session: SessionRecord,
        limit: SessionLimit,
        now: Timestamp,
    ) -> Result<LimitedInsertion, StoreError> {
        self.with(app, |app| {
            let oldest_first = app.live_sessions_of_user(&session.user_id, &TenantScope::All, now);
            let room = limit.maximum.get() - 1;
            let excess = oldest_first.len().saturating_sub(room);
            if excess > 0 && limit.when_full == WhenFull::Refuse {
                return Ok(LimitedInsertion::Refused);
            }
            let owner = app.insert(session)?;
            let ended: Vec<_> =
                oldest_first.into_iter().take(excess).map(|session| session.handle).collect();
            for handle in &ended {
                app.remove(handle);
            }
            Ok(LimitedInsertion::Inserted { owner, ended })
        })
    }

    async fn get_session(
        &self,
        app: &AppId,
        handle: &SessionHandle,
    ) -> Result<Option<SessionRecord>, StoreError> {
        Ok(self.with(app, |app| app.sessions.get(handle).cloned()))
    }

    async fn rotate_session(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        rotation: Rotation,
    ) -> Result<Option<SessionRecord>, StoreError> {
        Ok(self.with(app, |app| {
            let session = app.sessions.get_mut(handle)?;
            rotation.guard.holds(session).then(|| {
                rotation.change.apply(session);
                session.clone()
            })
        }))
    }

    async fn replace_session_data(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        session_data: String,
        expected: Option<DataVersion>,
        now: Timestamp,
    ) -> Result<DataReplacement, StoreError> {
        Ok(self.with(app, |app| match app.live_session(handle, now) {
            None => DataReplacement::NoSession,
            Some(session)
                if expected
                    .is_some_and(|version| version != DataVersion::of(&session.session_data)) =>
            {
                DataReplacement::Conflict
            }
            Some(session) => {
                session.session_data = session_data;
                DataReplacement::Replaced
            }
        }))
    }

    async fn replace_jwt_payload(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        jwt_payload: String,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError> {
        Ok(self.with(app, |app| {
            let session = app.live_session(handle, now)?;
            session.jwt_payload = jwt_payload;
            Some(session.clone())
        }))
    }

    async fn remove_sessions(
        &self,
        app: &AppId,
        handles: &[SessionHandle],
    ) -> Result<Vec<RemovedSession>, StoreError> {
        Ok(self.with(app, |app| handles.iter().filter_map(|handle| app.remove(handle)).collect()))
    }

    async fn remove_sessions_of_user(
        &self,
        app: &AppId,
        user_id: &str,
        _: Accounts,
        tenants: &TenantScope,
        except: Option<&SessionHandle>,
    ) -> Result<Vec<RemovedSession>, StoreError> {
        Ok(self.with(app, |app| {
            let mut handles = app.handles_of_user(user_id, tenants);
            handles.retain(|handle| Some(handle) != except);
            handles.iter().filter_map(|handle| app.remove(handle)).collect()
        }))
    }

    async fn remove_sessions_created_before(
        &self,
        app: &AppId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<RemovedSession>, StoreError> {
        Ok(self.with(app, |app| {
            let sessions = app.sessions.values().filter(|session| session.created_at < before);
            let handles: Vec<_> =
                sessions.take(limit).map(|session| session.handle.clone()).collect();
            handles.iter().filter_map(|handle| app.remove(handle)).collect()
        }))
    }

    async fn sessions_of_user(
        &self,
        app: &AppId,
        user_id: &str,
        _: Accounts,
        tenants: &TenantScope,
        now: Timestamp,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        Ok(self.with(app, |app| app.live_sessions_of_user(user_id, tenants, now)))
    }

    async fn signing_keys(&self, app: &AppId) -> Result<Vec<StoredSigningKey>, StoreError> {
        Ok(self.with(app, |app| app.signing_keys()))
    }

    async fn add_signing_key(
        &self,
        app: &AppId,
        key: StoredSigningKey,
        newest: Option<&str>,
    ) -> Result<Vec<StoredSigningKey>, StoreError> {
        self.with(app, |app| {
            if app.signing_keys.last().map(|key| key.key_id.as_str()) == newest {
                if app.signing_keys.iter().any(|other| other.key_id == key.key_id) {
                    return Err(already_exists("a signing key with this id exists already"));
                }
                app.signing_keys.push(key);
            }
            Ok(app.signing_keys())
        })
    }

    async fn secret(
        &self,
        app: &AppId,
        name: &str,
        candidate: String,
    ) -> Result<String, StoreError> {
        Ok(self.with(app, |app| app.secrets.entry(name.to_owned()).or_insert(candidate).clone()))
    }

    async fn sweep(&self, app: &AppId, sweep: Sweep) -> Result<Swept, StoreError> {
        Ok(self.with(app, |app| {
            let expired: Vec<SessionHandle> = app
                .sessions
                .values()
                .filter(|session| session.expires_at < sweep.sessions_expired_before)
                .take(sweep.limit)
                .map(|session| session.handle.clone())
                .collect();
            for handle in &expired {
                app.remove(handle);
            }
            let keys = app.signing_keys.len();
            app.signing_keys
                .retain(|key| key.is_static || key.created_at >= sweep.keys_created_before);
            Swept { sessions: expired.len(), keys: keys - app.signing_keys.len() }
        }))
    }
}

impl TenantStore for MemoryStore {
    async fn tenants(&self) -> Result<Vec<StoredTenant>, StoreError> {
        let apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(apps.values().flat_map(|app| app.tenants.values()).cloned().collect())
    }

    async fn put_tenant(&self, tenant: StoredTenant) -> Result<bool, StoreError> {
        let name = tenant.app.clone();
        Ok(self.with(&name, |app| {
            let known = app.tenants.get(&tenant.tenant).map(|known| known.created_at);
            let created_at = known.unwrap_or(tenant.created_at);
            app.tenants.insert(tenant.tenant.clone(), StoredTenant { created_at, ..tenant });
            known.is_none()
        }))
    }

    async fn remove_tenant(&self, app: &AppId, tenant: &TenantId) -> Result<bool, StoreError> {
        Ok(self.with(app, |app| {
            let handles = app.sessions.keys().filter(|handle| handle.tenant() == *tenant);
            for handle in handles.cloned().collect::<Vec<_>>() {
                app.remove(&handle);
            }
            app.tenants.remove(tenant).is_some()
        }))
    }

    async fn remove_app(&self, app: &AppId) -> Result<bool, StoreError> {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(apps.remove(app).is_some_and(|app| !app.tenants.is_empty()))
    }
}

fn already_exists(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::AlreadyExists, what)
}
