//! Stores with one realistic fault each, for the checks to find.

use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    future::pending,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use sessile_core::{
    AppId, SessionHandle, TenantScope,
    clock::Timestamp,
    rotation::{Rotation, RotationGuard},
    store::{
        DataReplacement, DataVersion, LimitedInsertion, RemovedSession, SessionLimit,
        SessionRecord, Store, StoreError, StoredSigningKey, Sweep, Swept, WhenFull,
    },
};
use tokio::task::yield_now;

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// A rotation looks whether its guard holds, and then writes whatever the row has become.
    GuardCheckedBeforeTheWrite,
    /// Ending all sessions of a user lists them first, and then ends those of the list one by one.
    ListedBeforeTheRemoval,
    /// A change of data reads the row and writes it back whole, also where it is gone by then.
    DataWriteUpserts,
    /// A compare-and-swap compares first, and then writes.
    ComparedBeforeTheWrite,
    /// A login counts the sessions of its user first, and then adds its own.
    CountedBeforeTheInsert,
    /// A removal looks which sessions are there, removes them, and gives those that it saw.
    FoundBeforeTheRemoval,
    /// A list is the one that was read for the last who asked.
    ListedFromACache,
    /// A session is as it was read for the last who asked.
    ReadFromACache,
    /// A rotation keeps the previous token that the row has, if it has one.
    PreviousTokenKept,
}

/// What a process says when it has come to a halt.
pub(crate) const HALTED: &str = "halted in the midst of a rotation";

/// A store that lets others go first before and after each call, and has a fault.
#[derive(Debug)]
pub(crate) struct FaultyStore<S> {
    store: S,
    fault: Fault,
    /// The last list of each user.
    lists: Mutex<HashMap<String, Vec<SessionRecord>>>,
    /// The last reading of each session.
    rows: Mutex<HashMap<SessionHandle, Option<SessionRecord>>>,
    rotations: AtomicU32,
    /// The rotation that is made and never answered, if there is one.
    halts_at: Option<u32>,
}

/// Lets everybody else act.
async fn let_others_act() {
    for _ in 0..3 {
        yield_now().await;
    }
}

impl<S: Store> FaultyStore<S> {
    pub(crate) fn new(store: S, fault: Fault) -> Self {
        Self {
            store,
            fault,
            lists: Mutex::default(),
            rows: Mutex::default(),
            rotations: AtomicU32::new(0),
            halts_at: None,
        }
    }

    /// The same, but that a rotation of that number is made and never answered. The process says
    /// so, and can then be killed in the midst of it.
    pub(crate) fn halting_at(self, rotation: Option<u32>) -> Self {
        Self { halts_at: rotation, ..self }
    }

    async fn between<T>(&self, call: impl Future<Output = T>) -> T {
        let_others_act().await;
        let answer = call.await;
        let_others_act().await;
        answer
    }

    async fn rotate_in_two_steps(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        Rotation { guard, change }: Rotation,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let row = self.store.get_session(app, handle).await?;
        if !row.is_some_and(|row| guard.holds(&row)) {
            return Ok(None);
        }
        let_others_act().await;
        while let Some(row) = self.store.get_session(app, handle).await? {
            let guard = RotationGuard {
                current: row.refresh_token_hash,
                or_current: None,
                previous: None,
                ..guard
            };
            let rotation = Rotation { guard, change: change.clone() };
            if let Some(row) = self.store.rotate_session(app, handle, rotation).await? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    async fn rotate_but_keep_previous(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        mut rotation: Rotation,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let row = self.store.get_session(app, handle).await?;
        let previous = row.and_then(|row| row.previous_refresh_token_hash);
        if let (Some(previous), Some(advance)) = (previous, &mut rotation.change.advance) {
            advance.previous = previous;
        }
        self.store.rotate_session(app, handle, rotation).await
    }

    async fn find_then_remove(
        &self,
        app: &AppId,
        handles: &[SessionHandle],
    ) -> Result<Vec<RemovedSession>, StoreError> {
        let mut found = Vec::new();
        for handle in handles {
            if let Some(row) = self.store.get_session(app, handle).await? {
                found.push(RemovedSession { handle: row.handle, user_id: row.user_id });
            }
        }
        let_others_act().await;
        self.store.remove_sessions(app, handles).await?;
        Ok(found)
    }

    async fn upsert_data(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        session_data: String,
        expected: Option<DataVersion>,
    ) -> Result<DataReplacement, StoreError> {
        let Some(row) = self.store.get_session(app, handle).await? else {
            return Ok(DataReplacement::NoSession);
        };
        if expected.is_some_and(|expected| expected != DataVersion::of(&row.session_data)) {
            return Ok(DataReplacement::Conflict);
        }
        let_others_act().await;
        self.store.remove_sessions(app, std::slice::from_ref(handle)).await?;
        // Another such write may be between the same two steps.
        match self.store.insert_session(app, SessionRecord { session_data, ..row }).await {
            Ok(()) => Ok(DataReplacement::Replaced),
            Err(_) => Ok(DataReplacement::Conflict),
        }
    }

    async fn compare_then_swap(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        session_data: String,
        expected: Option<DataVersion>,
        now: Timestamp,
    ) -> Result<DataReplacement, StoreError> {
        let Some(row) = self.store.get_session(app, handle).await? else {
            return Ok(DataReplacement::NoSession);
        };
        if expected.is_some_and(|expected| expected != DataVersion::of(&row.session_data)) {
            return Ok(DataReplacement::Conflict);
        }
        let_others_act().await;
        self.store.replace_session_data(app, handle, session_data, None, now).await
    }

    async fn count_then_insert(
        &self,
        app: &AppId,
        session: SessionRecord,
        limit: SessionLimit,
        now: Timestamp,
    ) -> Result<LimitedInsertion, StoreError> {
        let tenants = TenantScope::All;
        let oldest_first =
            self.store.sessions_of_user(app, &session.user_id, &tenants, now).await?;
        let excess = (oldest_first.len() + 1).saturating_sub(limit.maximum.get());
        if excess > 0 && limit.when_full == WhenFull::Refuse {
            return Ok(LimitedInsertion::Refused);
        }
        let_others_act().await;
        self.store.insert_session(app, session).await?;
        let oldest: Vec<_> = oldest_first.into_iter().take(excess).map(|row| row.handle).collect();
        let evicted = self.store.remove_sessions(app, &oldest).await?;
        Ok(LimitedInsertion::Inserted(evicted.into_iter().map(|row| row.handle).collect()))
    }
}

impl<S: Store> Store for FaultyStore<S> {
    async fn insert_session(&self, app: &AppId, session: SessionRecord) -> Result<(), StoreError> {
        self.between(self.store.insert_session(app, session)).await
    }

    async fn insert_session_within(
        &self,
        app: &AppId,
        session: SessionRecord,
        limit: SessionLimit,
        now: Timestamp,
    ) -> Result<LimitedInsertion, StoreError> {
        if self.fault == Fault::CountedBeforeTheInsert {
            return self.between(self.count_then_insert(app, session, limit, now)).await;
        }
        self.between(self.store.insert_session_within(app, session, limit, now)).await
    }

    async fn get_session(
        &self,
        app: &AppId,
        handle: &SessionHandle,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let row = self.between(self.store.get_session(app, handle)).await?;
        if self.fault == Fault::ReadFromACache {
            let last = self.rows.lock().unwrap().insert(handle.clone(), row.clone());
            return Ok(last.unwrap_or(row));
        }
        Ok(row)
    }

    async fn rotate_session(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        rotation: Rotation,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let rotated = match self.fault {
            Fault::GuardCheckedBeforeTheWrite => {
                self.between(self.rotate_in_two_steps(app, handle, rotation)).await
            }
            Fault::PreviousTokenKept => {
                self.between(self.rotate_but_keep_previous(app, handle, rotation)).await
            }
            _ => self.between(self.store.rotate_session(app, handle, rotation)).await,
        };
        if self.halts_at == Some(self.rotations.fetch_add(1, Ordering::Relaxed)) {
            println!("{HALTED}");
            pending::<()>().await;
        }
        rotated
    }

    async fn replace_session_data(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        session_data: String,
        expected: Option<DataVersion>,
        now: Timestamp,
    ) -> Result<DataReplacement, StoreError> {
        match self.fault {
            Fault::DataWriteUpserts => {
                self.between(self.upsert_data(app, handle, session_data, expected)).await
            }
            Fault::ComparedBeforeTheWrite => {
                let call = self.compare_then_swap(app, handle, session_data, expected, now);
                self.between(call).await
            }
            _ => {
                let store = &self.store;
                let call = store.replace_session_data(app, handle, session_data, expected, now);
                self.between(call).await
            }
        }
    }

    async fn replace_jwt_payload(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        jwt_payload: String,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError> {
        self.between(self.store.replace_jwt_payload(app, handle, jwt_payload, now)).await
    }

    async fn remove_sessions(
        &self,
        app: &AppId,
        handles: &[SessionHandle],
    ) -> Result<Vec<RemovedSession>, StoreError> {
        if self.fault == Fault::FoundBeforeTheRemoval {
            return self.between(self.find_then_remove(app, handles)).await;
        }
        self.between(self.store.remove_sessions(app, handles)).await
    }

    async fn remove_sessions_of_user(
        &self,
        app: &AppId,
        user_id: &str,
        tenants: &TenantScope,
        except: Option<&SessionHandle>,
    ) -> Result<Vec<SessionHandle>, StoreError> {
        if self.fault != Fault::ListedBeforeTheRemoval {
            let call = self.store.remove_sessions_of_user(app, user_id, tenants, except);
            return self.between(call).await;
        }
        self.between(async {
            let start = Timestamp::default();
            let rows = self.store.sessions_of_user(app, user_id, tenants, start).await?;
            let listed = rows.into_iter().map(|row| row.handle);
            let listed: Vec<_> = listed.filter(|handle| Some(handle) != except).collect();
            let mut removed = Vec::new();
            for handle in listed {
                for _ in 0..10 {
                    let_others_act().await;
                }
                removed.extend(self.store.remove_sessions(app, &[handle]).await?);
            }
            Ok(removed.into_iter().map(|session| session.handle).collect())
        })
        .await
    }

    async fn remove_sessions_created_before(
        &self,
        app: &AppId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<RemovedSession>, StoreError> {
        self.between(self.store.remove_sessions_created_before(app, before, limit)).await
    }

    async fn sessions_of_user(
        &self,
        app: &AppId,
        user_id: &str,
        tenants: &TenantScope,
        now: Timestamp,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let list = self.between(self.store.sessions_of_user(app, user_id, tenants, now)).await?;
        if self.fault == Fault::ListedFromACache {
            let last = self.lists.lock().unwrap().insert(user_id.to_owned(), list.clone());
            return Ok(last.unwrap_or(list));
        }
        Ok(list)
    }

    async fn signing_keys(&self, app: &AppId) -> Result<Vec<StoredSigningKey>, StoreError> {
        self.store.signing_keys(app).await
    }

    async fn add_signing_key(
        &self,
        app: &AppId,
        key: StoredSigningKey,
        newest: Option<&str>,
    ) -> Result<Vec<StoredSigningKey>, StoreError> {
        self.store.add_signing_key(app, key, newest).await
    }

    async fn secret(
        &self,
        app: &AppId,
        name: &str,
        candidate: String,
    ) -> Result<String, StoreError> {
        self.store.secret(app, name, candidate).await
    }

    async fn sweep(&self, app: &AppId, sweep: Sweep) -> Result<Swept, StoreError> {
        self.store.sweep(app, sweep).await
    }
}
