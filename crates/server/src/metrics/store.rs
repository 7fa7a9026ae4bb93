use std::{
    collections::HashMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
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
use tokio::time::Instant;

use super::seconds;

/// What is told of the store and of the signing keys in it.
#[derive(Clone)]
pub(crate) struct StoreMetrics {
    durations: Family<IntentLabels, Histogram>,
    errors: Family<ErrorLabels, Counter>,
    keys: Gauge,
    keys_made: Counter,
    keys_of_apps: Arc<Mutex<HashMap<AppId, i64>>>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct IntentLabels {
    intent: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ErrorLabels {
    intent: &'static str,
    kind: &'static str,
}

fn code(kind: StoreErrorKind) -> &'static str {
    match kind {
        StoreErrorKind::AlreadyExists => "already_exists",
        StoreErrorKind::Incompatible => "incompatible",
        StoreErrorKind::NotWritable => "not_writable",
        StoreErrorKind::Unavailable => "unavailable",
        StoreErrorKind::UnknownTenant => "unknown_tenant",
        _ => "other",
    }
}

impl StoreMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            durations: Family::new_with_constructor(seconds as fn() -> Histogram),
            errors: Family::default(),
            keys: Gauge::default(),
            keys_made: Counter::default(),
            keys_of_apps: Arc::default(),
        };
        registry.register(
            "store_duration_seconds",
            "Time that the store took, by what it was asked",
            metrics.durations.clone(),
        );
        registry.register(
            "store_errors",
            "Failures of the store, by what it was asked",
            metrics.errors.clone(),
        );
        registry.register(
            "signing_keys",
            "Signing keys in the store, of all apps that were used",
            metrics.keys.clone(),
        );
        registry.register(
            "signing_keys_made",
            "Signing keys that this server made",
            metrics.keys_made.clone(),
        );
        metrics
    }

    fn count_keys(&self, app: &AppId, keys: usize) {
        let keys = i64::try_from(keys).unwrap_or(i64::MAX);
        let mut of_apps = self.keys_of_apps.lock().unwrap_or_else(PoisonError::into_inner);
        let before = of_apps.insert(app.clone(), keys).unwrap_or_default();
        self.keys.inc_by(keys - before);
    }

    fn count_swept_keys(&self, app: &AppId, swept: usize) {
        let swept = i64::try_from(swept).unwrap_or_default();
        let mut of_apps = self.keys_of_apps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = of_apps.get_mut(app) {
            let gone = swept.min(*keys);
            *keys -= gone;
            self.keys.dec_by(gone);
        }
    }
}

impl fmt::Debug for StoreMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StoreMetrics")
    }
}

/// A store whose answers are timed and whose failures are counted.
#[derive(Debug)]
pub struct MeasuredStore<S> {
    store: S,
    metrics: StoreMetrics,
}

impl<S: Store> MeasuredStore<S> {
    pub(crate) fn new(store: S, metrics: StoreMetrics) -> Self {
        Self { store, metrics }
    }

    /// The store that is measured.
    pub fn inner(&self) -> &S {
        &self.store
    }

    async fn measured<T>(
        &self,
        intent: &'static str,
        answer: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let asked_at = Instant::now();
        let answer = answer.await;
        let labels = IntentLabels { intent };
        let duration = asked_at.elapsed().as_secs_f64();
        self.metrics.durations.get_or_create(&labels).observe(duration);
        if let Err(error) = &answer {
            let labels = ErrorLabels { intent, kind: code(error.kind()) };
            self.metrics.errors.get_or_create(&labels).inc();
        }
        answer
    }
}

impl<S: Store> Store for MeasuredStore<S> {
    fn is_shared_with_supertokens(&self) -> bool {
        self.store.is_shared_with_supertokens()
    }

    async fn insert_session(
        &self,
        app: &AppId,
        session: SessionRecord,
    ) -> Result<Owner, StoreError> {
        self.measured("insert_session", self.store.insert_session(app, session)).await
    }

    async fn insert_session_within(
        &self,
        app: &AppId,
        session: SessionRecord,
        limit: SessionLimit,
        now: Timestamp,
    ) -> Result<LimitedInsertion, StoreError> {
        let answer = self.store.insert_session_within(app, session, limit, now);
        self.measured("insert_session_within", answer).await
    }

    async fn get_session(
        &self,
        app: &AppId,
        handle: &SessionHandle,
    ) -> Result<Option<SessionRecord>, StoreError> {
        self.measured("get_session", self.store.get_session(app, handle)).await
    }

    async fn rotate_session(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        rotation: Rotation,
    ) -> Result<Option<SessionRecord>, StoreError> {
        self.measured("rotate_session", self.store.rotate_session(app, handle, rotation)).await
    }

    async fn replace_session_data(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        session_data: String,
        expected: Option<DataVersion>,
        now: Timestamp,
    ) -> Result<DataReplacement, StoreError> {
        let answer = self.store.replace_session_data(app, handle, session_data, expected, now);
        self.measured("replace_session_data", answer).await
    }

    async fn replace_jwt_payload(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        jwt_payload: String,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let answer = self.store.replace_jwt_payload(app, handle, jwt_payload, now);
        self.measured("replace_jwt_payload", answer).await
    }

    async fn remove_sessions(
        &self,
        app: &AppId,
        handles: &[SessionHandle],
    ) -> Result<Vec<RemovedSession>, StoreError> {
        self.measured("remove_sessions", self.store.remove_sessions(app, handles)).await
    }

    async fn remove_sessions_of_user(
        &self,
        app: &AppId,
        user_id: &str,
        accounts: Accounts,
        tenants: &TenantScope,
        except: Option<&SessionHandle>,
    ) -> Result<Vec<RemovedSession>, StoreError> {
        let answer = self.store.remove_sessions_of_user(app, user_id, accounts, tenants, except);
        self.measured("remove_sessions_of_user", answer).await
    }

    async fn remove_sessions_created_before(
        &self,
        app: &AppId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<RemovedSession>, StoreError> {
        let answer = self.store.remove_sessions_created_before(app, before, limit);
        self.measured("remove_sessions_created_before", answer).await
    }

    async fn sessions_of_user(
        &self,
        app: &AppId,
        user_id: &str,
        accounts: Accounts,
        tenants: &TenantScope,
        now: Timestamp,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let answer = self.store.sessions_of_user(app, user_id, accounts, tenants, now);
        self.measured("sessions_of_user", answer).await
    }

    async fn signing_keys(&self, app: &AppId) -> Result<Vec<StoredSigningKey>, StoreError> {
        let keys = self.measured("signing_keys", self.store.signing_keys(app)).await?;
        self.metrics.count_keys(app, keys.len());
        Ok(keys)
    }

    async fn add_signing_key(
        &self,
        app: &AppId,
        key: StoredSigningKey,
        newest: Option<&str>,
    ) -> Result<Vec<StoredSigningKey>, StoreError> {
        let key_id = key.key_id.clone();
        let answer = self.store.add_signing_key(app, key, newest);
        let keys = self.measured("add_signing_key", answer).await?;
        self.metrics.count_keys(app, keys.len());
        // Another process may have been faster, and its key is then there instead.
        if keys.iter().any(|key| key.key_id == key_id) {
            self.metrics.keys_made.inc();
        }
        Ok(keys)
    }

    async fn secret(
        &self,
        app: &AppId,
        name: &str,
        candidate: String,
    ) -> Result<String, StoreError> {
        self.measured("secret", self.store.secret(app, name, candidate)).await
    }

    async fn sweep(&self, app: &AppId, sweep: Sweep) -> Result<Swept, StoreError> {
        let swept = self.measured("sweep", self.store.sweep(app, sweep)).await?;
        self.metrics.count_swept_keys(app, swept.keys);
        Ok(swept)
    }
}

impl<S: TenantStore> TenantStore for MeasuredStore<S> {
    async fn tenants(&self) -> Result<Vec<StoredTenant>, StoreError> {
        self.measured("tenants", self.store.tenants()).await
    }

    async fn put_tenant(&self, tenant: StoredTenant) -> Result<bool, StoreError> {
        self.measured("put_tenant", self.store.put_tenant(tenant)).await
    }

    async fn remove_tenant(&self, app: &AppId, tenant: &TenantId) -> Result<bool, StoreError> {
        self.measured("remove_tenant", self.store.remove_tenant(app, tenant)).await
    }

    async fn remove_app(&self, app: &AppId) -> Result<bool, StoreError> {
        let existed = self.measured("remove_app", self.store.remove_app(app)).await?;
        self.metrics.count_keys(app, 0);
        Ok(existed)
    }
}
