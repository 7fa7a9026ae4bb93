use std::{cell::Cell, future::Future};

use axum::{extract::Request, middleware::Next, response::Response};
use sessile::{
    AppId, SessionHandle, TenantScope,
    clock::Timestamp,
    rotation::Rotation,
    store::{
        Accounts, DataReplacement, DataVersion, LimitedInsertion, Owner, RemovedSession,
        SessionLimit, SessionRecord, Store, StoreError, StoredSigningKey, Sweep, Swept,
    },
};

tokio::task_local! {
    static CALLS: Cell<u64>;
}

/// Counts the store calls of a request, for [`store_calls`].
pub(super) async fn count_store_calls(request: Request, next: Next) -> Response {
    CALLS.scope(Cell::new(0), next.run(request)).await
}

/// How many store calls this request has made so far.
pub(super) fn store_calls() -> u64 {
    CALLS.try_with(Cell::get).unwrap_or_default()
}

/// A store whose calls are counted for the request that makes them.
#[derive(Debug)]
pub(super) struct CountingStore<S>(pub(super) S);

impl<S: Store> CountingStore<S> {
    fn counted(&self) -> &S {
        // Outside a request, at the start for instance, nobody counts.
        let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
        &self.0
    }
}

impl<S: Store> Store for CountingStore<S> {
    fn is_shared_with_supertokens(&self) -> bool {
        self.0.is_shared_with_supertokens()
    }

    fn insert_session(
        &self,
        app: &AppId,
        session: SessionRecord,
    ) -> impl Future<Output = Result<Owner, StoreError>> + Send {
        self.counted().insert_session(app, session)
    }

    fn insert_session_within(
        &self,
        app: &AppId,
        session: SessionRecord,
        limit: SessionLimit,
        now: Timestamp,
    ) -> impl Future<Output = Result<LimitedInsertion, StoreError>> + Send {
        self.counted().insert_session_within(app, session, limit, now)
    }

    fn get_session(
        &self,
        app: &AppId,
        handle: &SessionHandle,
    ) -> impl Future<Output = Result<Option<SessionRecord>, StoreError>> + Send {
        self.counted().get_session(app, handle)
    }

    fn rotate_session(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        rotation: Rotation,
    ) -> impl Future<Output = Result<Option<SessionRecord>, StoreError>> + Send {
        self.counted().rotate_session(app, handle, rotation)
    }

    fn replace_session_data(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        session_data: String,
        expected: Option<DataVersion>,
        now: Timestamp,
    ) -> impl Future<Output = Result<DataReplacement, StoreError>> + Send {
        self.counted().replace_session_data(app, handle, session_data, expected, now)
    }

    fn replace_jwt_payload(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        jwt_payload: String,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<SessionRecord>, StoreError>> + Send {
        self.counted().replace_jwt_payload(app, handle, jwt_payload, now)
    }

    fn remove_sessions(
        &self,
        app: &AppId,
        handles: &[SessionHandle],
    ) -> impl Future<Output = Result<Vec<RemovedSession>, StoreError>> + Send {
        self.counted().remove_sessions(app, handles)
    }

    fn remove_sessions_of_user(
        &self,
        app: &AppId,
        user_id: &str,
        accounts: Accounts,
        tenants: &TenantScope,
        except: Option<&SessionHandle>,
    ) -> impl Future<Output = Result<Vec<RemovedSession>, StoreError>> + Send {
        self.counted().remove_sessions_of_user(app, user_id, accounts, tenants, except)
    }

    fn remove_sessions_created_before(
        &self,
        app: &AppId,
        before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<RemovedSession>, StoreError>> + Send {
        self.counted().remove_sessions_created_before(app, before, limit)
    }

    fn sessions_of_user(
        &self,
        app: &AppId,
        user_id: &str,
        accounts: Accounts,
        tenants: &TenantScope,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<SessionRecord>, StoreError>> + Send {
        self.counted().sessions_of_user(app, user_id, accounts, tenants, now)
    }

    fn signing_keys(
        &self,
        app: &AppId,
    ) -> impl Future<Output = Result<Vec<StoredSigningKey>, StoreError>> + Send {
        self.counted().signing_keys(app)
    }

    fn add_signing_key(
        &self,
        app: &AppId,
        key: StoredSigningKey,
        newest: Option<&str>,
    ) -> impl Future<Output = Result<Vec<StoredSigningKey>, StoreError>> + Send {
        self.counted().add_signing_key(app, key, newest)
    }

    fn secret(
        &self,
        app: &AppId,
        name: &str,
        candidate: String,
    ) -> impl Future<Output = Result<String, StoreError>> + Send {
        self.counted().secret(app, name, candidate)
    }

    fn sweep(
        &self,
        app: &AppId,
        sweep: Sweep,
    ) -> impl Future<Output = Result<Swept, StoreError>> + Send {
        self.counted().sweep(app, sweep)
    }
}
