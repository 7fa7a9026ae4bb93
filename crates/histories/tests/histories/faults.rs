//! Realistic faults of a store, for the checks to find.

use serde::{Deserialize, Serialize};
use sessile_core::{
    AppId, SessionHandle, TenantScope,
    clock::Timestamp,
    rotation::{Rotation, RotationChange, RotationGuard},
    store::{
        Accounts, DataReplacement, DataVersion, LimitedInsertion, RemovedSession, SessionLimit,
        SessionRecord, Store, StoreError, WhenFull,
    },
};

use crate::faulty_store::{FaultyStore, let_others_act};

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
    /// A rotation writes the new token first, and then which one it has replaced, and when.
    RotatedInTwoSteps,
    /// A new signing key is added whatever other key was added meanwhile.
    KeyAddedWithoutComparison,
    /// A sweep removes signing keys whose tokens are still good.
    KeysSweptTooEarly,
}

impl<S: Store> FaultyStore<S> {
    pub(crate) async fn rotate_in_two_steps(
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

    pub(crate) async fn rotate_but_keep_previous(
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

    pub(crate) async fn rotate_by_halves(
        &self,
        app: &AppId,
        handle: &SessionHandle,
        Rotation { guard, change }: Rotation,
        number: u32,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let first = Rotation {
            guard: guard.clone(),
            change: RotationChange { advance: None, ..change.clone() },
        };
        if self.store.rotate_session(app, handle, first).await?.is_none() {
            return Ok(None);
        }
        if change.advance.is_some() {
            self.halt_at(number).await;
        }
        let guard =
            RotationGuard { current: change.current, or_current: None, previous: None, ..guard };
        self.store.rotate_session(app, handle, Rotation { guard, change }).await
    }

    pub(crate) async fn find_then_remove(
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

    pub(crate) async fn upsert_data(
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
            Ok(_) => Ok(DataReplacement::Replaced),
            Err(_) => Ok(DataReplacement::Conflict),
        }
    }

    pub(crate) async fn compare_then_swap(
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

    pub(crate) async fn count_then_insert(
        &self,
        app: &AppId,
        session: SessionRecord,
        limit: SessionLimit,
        now: Timestamp,
    ) -> Result<LimitedInsertion, StoreError> {
        let tenants = TenantScope::All;
        let oldest_first = self
            .store
            .sessions_of_user(app, &session.user_id, Accounts::Linked, &tenants, now)
            .await?;
        let excess = (oldest_first.len() + 1).saturating_sub(limit.maximum.get());
        if excess > 0 && limit.when_full == WhenFull::Refuse {
            return Ok(LimitedInsertion::Refused);
        }
        let_others_act().await;
        let owner = self.store.insert_session(app, session).await?;
        let oldest: Vec<_> = oldest_first.into_iter().take(excess).map(|row| row.handle).collect();
        let evicted = self.store.remove_sessions(app, &oldest).await?;
        let ended = evicted.into_iter().map(|row| row.handle).collect();
        Ok(LimitedInsertion::Inserted { owner, ended })
    }
}
