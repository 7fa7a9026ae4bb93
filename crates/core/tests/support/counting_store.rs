use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use sessile_core::{
    AppId, SessionHandle, TenantScope,
    clock::Timestamp,
    memory::MemoryStore,
    rotation::Rotation,
    store::{
        Accounts, DataReplacement, DataVersion, LimitedInsertion, Owner, RemovedSession,
        SessionLimit, SessionRecord, Store, StoreError, StoreErrorKind, StoredSigningKey, Sweep,
        Swept,
    },
};

/// What the engine can ask of a store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Intent {
    Insert,
    InsertWithin,
    Get,
    Rotate,
    ReplaceData,
    ReplacePayload,
    Remove,
    RemoveOfUser,
    RemoveCreatedBefore,
    List,
    SigningKeys,
    AddSigningKey,
    Secret,
    Sweep,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    None,
    /// Nothing is done.
    Fails,
    /// It is done, and nobody is told.
    LosesItsAnswer,
    /// It is done, and whoever asked waits for ever.
    NeverAnswers,
}

type Meanwhile = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Default)]
struct State {
    calls: Vec<Intent>,
    troubles: VecDeque<Trouble>,
    meanwhile: Vec<(Intent, Meanwhile)>,
    /// The primary users, by the accounts that are linked to them.
    links: BTreeMap<String, String>,
}

/// A store that counts what it is asked, fails when it is told to, lets another request come in
/// between, and knows of linked accounts. Clones share everything.
#[derive(Clone)]
pub(crate) struct CountingStore<S = MemoryStore> {
    inner: S,
    state: Arc<Mutex<State>>,
}

impl<S> CountingStore<S> {
    pub(crate) fn on(inner: S) -> Self {
        Self { inner, state: Arc::default() }
    }

    /// The store itself, for looking and changing without being counted.
    pub(crate) fn inner(&self) -> &S {
        &self.inner
    }

    /// Links the account to a primary user, as a database that has users may.
    pub(crate) fn link(&self, account: &str, primary_user: &str) {
        let link = (account.to_owned(), primary_user.to_owned());
        self.state.lock().unwrap().links.insert(link.0, link.1);
    }

    fn primary_user_of(&self, account: &str) -> Option<String> {
        self.state.lock().unwrap().links.get(account).cloned()
    }

    /// The accounts that are meant by a user's id, each once.
    fn accounts(&self, user_id: &str, accounts: Accounts) -> BTreeSet<String> {
        let mut meant = BTreeSet::from([user_id.to_owned()]);
        if accounts == Accounts::Linked {
            let links = &self.state.lock().unwrap().links;
            let primary_user = links.get(user_id).map_or(user_id, String::as_str);
            meant.insert(primary_user.to_owned());
            let linked = links.iter().filter(|(_, to)| *to == primary_user);
            meant.extend(linked.map(|(account, _)| account.clone()));
        }
        meant
    }

    fn with_primary_user(&self, row: SessionRecord) -> SessionRecord {
        SessionRecord { primary_user_id: self.primary_user_of(&row.user_id), ..row }
    }

    fn with_owner(&self, Owner { user_id, .. }: Owner) -> Owner {
        Owner { primary_user_id: self.primary_user_of(&user_id), user_id }
    }

    fn with_known_user(
        &self,
        RemovedSession { handle, user_id }: RemovedSession,
    ) -> RemovedSession {
        RemovedSession { handle, user_id: self.primary_user_of(&user_id).unwrap_or(user_id) }
    }

    /// The calls since the last time that this was asked.
    pub(crate) fn take_calls(&self) -> Vec<Intent> {
        std::mem::take(&mut self.state.lock().unwrap().calls)
    }

    /// What goes wrong with the next calls, one after the other.
    pub(crate) fn set_troubles(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.state.lock().unwrap().troubles = troubles.into_iter().collect();
    }

    pub(crate) fn fail_next_call(&self) {
        self.set_troubles([Trouble::Fails]);
    }

    pub(crate) fn lose_next_answer(&self) {
        self.set_troubles([Trouble::LosesItsAnswer]);
    }

    /// Awaits `request` just before the next call of this intent. Several wait for one call each.
    pub(crate) fn before_next(
        &self,
        intent: Intent,
        request: impl Future<Output = ()> + Send + 'static,
    ) {
        self.state.lock().unwrap().meanwhile.push((intent, Box::pin(request)));
    }

    async fn call<T>(
        &self,
        intent: Intent,
        answer: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        // A store in another process would let other tasks run here; this one does too, so that
        // tests of races have races.
        tokio::task::yield_now().await;
        let (trouble, meanwhile) = {
            let mut state = self.state.lock().unwrap();
            state.calls.push(intent);
            let position = state.meanwhile.iter().position(|(of, _)| *of == intent);
            let meanwhile = position.map(|position| state.meanwhile.remove(position).1);
            (state.troubles.pop_front(), meanwhile)
        };
        if let Some(meanwhile) = meanwhile {
            meanwhile.await;
        }
        let lost = || StoreError::new(StoreErrorKind::Unavailable, "the test said so");
        match trouble {
            Some(Trouble::Fails) => Err(lost()),
            Some(Trouble::LosesItsAnswer) => {
                answer.await?;
                Err(lost())
            }
            Some(Trouble::NeverAnswers) => {
                answer.await?;
                std::future::pending().await
            }
            Some(Trouble::None) | None => answer.await,
        }
    }
}

impl<S> fmt::Debug for CountingStore<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CountingStore")
    }
}

impl<S: Store> Store for CountingStore<S> {
    async fn insert_session(
        &self,
        app: &AppId,
        session: SessionRecord,
    ) -> Result<Owner, StoreError> {
        let owner = self.call(Intent::Insert, self.inner.insert_session(app, session)).await?;
        Ok(self.with_owner(owner))
    }

    async fn insert_session_within(
        &self,
        app: &AppId,
        session: SessionRecord,
        limit: SessionLimit,
        now: Timestamp,
    ) -> Result<LimitedInsertion, StoreError> {
        let answer = self.inner.insert_session_within(app, session, limit, now);
        match self.call(Intent::InsertWithin, answer).await? {
            LimitedInsertion::Inserted { owner, ended } => {
                Ok(LimitedInsertion::Inserted { owner: self.with_owner(owner), ended })
            }
            LimitedInsertion::Refused => Ok(LimitedInsertion::Refused),
        }
    }

    async fn remove_sessions_created_before(
        &self,
        app: &AppId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<RemovedSession>, StoreError> {
        let answer = self.inner.remove_sessions_created_before(app, before, limit);
        let removed = self.call(Intent::RemoveCreatedBefore, answer).await?;
        Ok(removed.into_iter().map(|session| self.with_known_user(session)).collect())
    }

    async fn get_session(
        &self,
        app: &AppId,
        handle: &SessionHandle,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let row = self.call(Intent::Get, self.inner.get_session(app, handle)).await?;
        Ok(row.map(|row| self.with_primary_user(row)))
    }

    async fn rotate_session(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        rotation: Rotation,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let answer = self.inner.rotate_session(app, handle, rotation);
        Ok(self.call(Intent::Rotate, answer).await?.map(|row| self.with_primary_user(row)))
    }

    async fn replace_session_data(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        session_data: String,
        expected: Option<DataVersion>,
        now: Timestamp,
    ) -> Result<DataReplacement, StoreError> {
        let answer = self.inner.replace_session_data(app, handle, session_data, expected, now);
        self.call(Intent::ReplaceData, answer).await
    }

    async fn replace_jwt_payload(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        jwt_payload: String,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let answer = self.inner.replace_jwt_payload(app, handle, jwt_payload, now);
        let row = self.call(Intent::ReplacePayload, answer).await?;
        Ok(row.map(|row| self.with_primary_user(row)))
    }

    async fn remove_sessions(
        &self,
        app: &AppId,
        handles: &[SessionHandle],
    ) -> Result<Vec<RemovedSession>, StoreError> {
        let removed = self.call(Intent::Remove, self.inner.remove_sessions(app, handles)).await?;
        Ok(removed.into_iter().map(|session| self.with_known_user(session)).collect())
    }

    async fn remove_sessions_of_user(
        &self,
        app: &AppId,
        user_id: &str,
        accounts: Accounts,
        tenants: &TenantScope,
        except: Option<&SessionHandle>,
    ) -> Result<Vec<RemovedSession>, StoreError> {
        let answer = async {
            let mut removed = Vec::new();
            for account in self.accounts(user_id, accounts) {
                let all = self.inner.remove_sessions_of_user(
                    app,
                    &account,
                    Accounts::Alone,
                    tenants,
                    except,
                );
                removed.extend(all.await?);
            }
            Ok(removed)
        };
        let removed = self.call(Intent::RemoveOfUser, answer).await?;
        Ok(removed.into_iter().map(|session| self.with_known_user(session)).collect())
    }

    async fn sessions_of_user(
        &self,
        app: &AppId,
        user_id: &str,
        accounts: Accounts,
        tenants: &TenantScope,
        now: Timestamp,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let answer = async {
            let mut rows = Vec::new();
            for account in self.accounts(user_id, accounts) {
                let alone = Accounts::Alone;
                rows.extend(self.inner.sessions_of_user(app, &account, alone, tenants, now).await?);
            }
            rows.sort_by_key(|row| row.created_at);
            Ok(rows)
        };
        let rows = self.call(Intent::List, answer).await?;
        Ok(rows.into_iter().map(|row| self.with_primary_user(row)).collect())
    }

    async fn signing_keys(&self, app: &AppId) -> Result<Vec<StoredSigningKey>, StoreError> {
        self.call(Intent::SigningKeys, self.inner.signing_keys(app)).await
    }

    async fn add_signing_key(
        &self,
        app: &AppId,
        key: StoredSigningKey,
        newest: Option<&str>,
    ) -> Result<Vec<StoredSigningKey>, StoreError> {
        self.call(Intent::AddSigningKey, self.inner.add_signing_key(app, key, newest)).await
    }

    async fn secret(
        &self,
        app: &AppId,
        name: &str,
        candidate: String,
    ) -> Result<String, StoreError> {
        self.call(Intent::Secret, self.inner.secret(app, name, candidate)).await
    }

    async fn sweep(&self, app: &AppId, sweep: Sweep) -> Result<Swept, StoreError> {
        self.call(Intent::Sweep, self.inner.sweep(app, sweep)).await
    }
}
