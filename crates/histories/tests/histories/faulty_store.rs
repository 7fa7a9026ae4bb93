//! A store that disturbs the order of things, and may have a fault.

use std::{
    collections::HashMap,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sessile_core::{
    AppId, SessionHandle, TenantScope,
    clock::Timestamp,
    rotation::Rotation,
    store::{
        Accounts, DataReplacement, DataVersion, LimitedInsertion, Owner, RemovedSession,
        SessionLimit, SessionRecord, Store, StoreError, StoredSigningKey, Sweep, Swept,
    },
};
use sessile_histories::Recorder;
use tokio::{task::yield_now, time::sleep};

use crate::faults::Fault;

/// What a process says when it has come to a halt.
pub(crate) const HALTED: &str = "halted in the midst of a rotation";

/// What a process says each time that so many calls have been made.
pub(crate) const GETTING_ON: &str = "getting on";
const CALLS: u32 = 100;

/// A store that lets others go first before and after each call, and has a fault.
#[derive(Debug)]
pub(crate) struct FaultyStore<S> {
    pub(crate) store: S,
    fault: Fault,
    recorder: Arc<Recorder>,
    /// The last list of each user.
    lists: Mutex<HashMap<String, Vec<SessionRecord>>>,
    /// The last reading of each session.
    rows: Mutex<HashMap<SessionHandle, Option<SessionRecord>>>,
    rotations: AtomicU32,
    /// The rotation that is made and never answered, if there is one.
    halts_at: Option<u32>,
    calls: AtomicU32,
    says_how_it_gets_on: bool,
}

/// Lets everybody else act.
pub(crate) async fn let_others_act() {
    for _ in 0..3 {
        yield_now().await;
    }
}

impl<S: Store> FaultyStore<S> {
    pub(crate) fn new(store: S, fault: Fault, recorder: &Arc<Recorder>) -> Self {
        Self {
            store,
            fault,
            recorder: Arc::clone(recorder),
            lists: Mutex::default(),
            rows: Mutex::default(),
            rotations: AtomicU32::new(0),
            halts_at: None,
            calls: AtomicU32::new(0),
            says_how_it_gets_on: false,
        }
    }

    /// The same, but that a rotation of that number is made and never answered. The process says
    /// so, and can then be killed in the midst of it.
    pub(crate) fn halting_at(self, rotation: u32) -> Self {
        Self { halts_at: Some(rotation), ..self }
    }

    /// The same, but that the process says so whenever some more calls have been made.
    pub(crate) fn saying_how_it_gets_on(self) -> Self {
        Self { says_how_it_gets_on: true, ..self }
    }

    async fn between<T>(&self, call: impl Future<Output = T>) -> T {
        let_others_act().await;
        let answer = call.await;
        let_others_act().await;
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        if self.says_how_it_gets_on && calls.is_multiple_of(CALLS) {
            println!("{GETTING_ON}");
        }
        answer
    }

    /// Comes to a halt, if that is what it shall do in this rotation or did in an earlier one.
    pub(crate) async fn halt_at(&self, rotation: u32) {
        if self.halts_at.is_some_and(|first| first <= rotation) {
            println!("{HALTED}");
            pending::<()>().await;
        }
    }
}

impl<S: Store> Store for FaultyStore<S> {
    async fn insert_session(
        &self,
        app: &AppId,
        session: SessionRecord,
    ) -> Result<Owner, StoreError> {
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
        let number = self.rotations.fetch_add(1, Ordering::Relaxed);
        let rotated = match self.fault {
            Fault::RotatedInTwoSteps => {
                // It halts between the halves, if there are two.
                return self.between(self.rotate_by_halves(app, handle, rotation, number)).await;
            }
            Fault::GuardCheckedBeforeTheWrite => {
                self.between(self.rotate_in_two_steps(app, handle, rotation)).await
            }
            Fault::PreviousTokenKept => {
                self.between(self.rotate_but_keep_previous(app, handle, rotation)).await
            }
            _ => self.between(self.store.rotate_session(app, handle, rotation)).await,
        };
        self.halt_at(number).await;
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
        accounts: Accounts,
        tenants: &TenantScope,
        except: Option<&SessionHandle>,
    ) -> Result<Vec<RemovedSession>, StoreError> {
        if self.fault != Fault::ListedBeforeTheRemoval {
            let call = self.store.remove_sessions_of_user(app, user_id, accounts, tenants, except);
            return self.between(call).await;
        }
        self.between(async {
            let start = Timestamp::default();
            let rows = self.store.sessions_of_user(app, user_id, accounts, tenants, start).await?;
            let listed = rows.into_iter().map(|row| row.handle);
            let listed: Vec<_> = listed.filter(|handle| Some(handle) != except).collect();
            let mut removed = Vec::new();
            for handle in listed {
                for _ in 0..10 {
                    let_others_act().await;
                }
                removed.extend(self.store.remove_sessions(app, &[handle]).await?);
            }
            Ok(removed)
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
        accounts: Accounts,
        tenants: &TenantScope,
        now: Timestamp,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let list =
            self.between(self.store.sessions_of_user(app, user_id, accounts, tenants, now)).await?;
        if self.fault == Fault::ListedFromACache {
            let last = self.lists.lock().unwrap().insert(user_id.to_owned(), list.clone());
            return Ok(last.unwrap_or(list));
        }
        Ok(list)
    }

    async fn signing_keys(&self, app: &AppId) -> Result<Vec<StoredSigningKey>, StoreError> {
        self.recorder.keys_are_read();
        self.store.signing_keys(app).await
    }

    async fn add_signing_key(
        &self,
        app: &AppId,
        key: StoredSigningKey,
        newest: Option<&str>,
    ) -> Result<Vec<StoredSigningKey>, StoreError> {
        if self.fault != Fault::KeyAddedWithoutComparison {
            return self.store.add_signing_key(app, key, newest).await;
        }
        // Meanwhile another node makes its own.
        sleep(Duration::from_millis(50)).await;
        let stored = self.store.signing_keys(app).await?;
        if stored.iter().any(|other| other.key_id == key.key_id) {
            return Ok(stored);
        }
        let newest = stored.first().map(|newest| newest.key_id.as_str());
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

    async fn sweep(&self, app: &AppId, mut sweep: Sweep) -> Result<Swept, StoreError> {
        if self.fault == Fault::KeysSweptTooEarly {
            let too_early = Duration::from_millis(2800);
            sweep.keys_created_before = sweep.keys_created_before.plus(too_early);
        }
        self.store.sweep(app, sweep).await
    }
}
