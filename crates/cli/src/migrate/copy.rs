//! Making one store what another is, row by row.

use std::{collections::VecDeque, mem};

use anyhow::{Context as _, bail, ensure};
use sessile::{
    AppId, SessionHandle,
    store::{BulkStore, SessionExport, SessionRecord, StoredTenant},
};

use super::side::{Movable, Side};

/// How many sessions are put at once.
const BATCH: usize = 500;

/// After how many sessions somebody is told.
const TOLD_EVERY: usize = 2000;

pub(super) struct Copy<'a, S, T> {
    pub(super) from: &'a Side<S>,
    pub(super) to: &'a Side<T>,
}

impl<S: Movable, T: BulkStore> Copy<'_, S, T> {
    /// Checks that the target can have what the source has, and that nothing else is in it. The
    /// secrets of an app are random: whatever has the same is a copy.
    pub(super) async fn check(&self) -> anyhow::Result<()> {
        let Self { from, to } = self;
        for app in from.store.apps().await? {
            let keys = from.open_keys(&app).await.context("the source")?;
            from.open_secrets(&app).await.context("the source")?;
            let sealed = keys
                .iter()
                .map(|key| key.sealed_anew(&app, None, to.wrapping_key.as_ref()))
                .collect::<Result<Vec<_>, _>>()?;
            to.store.check_signing_keys(&sealed).context("the target cannot have the keys")?;
        }
        let mut is_copy = false;
        for app in to.store.apps().await? {
            let ours = from.open_secrets(&app).await?;
            let theirs = to.open_secrets(&app).await.context("the target")?;
            ensure!(
                theirs.iter().all(|secret| ours.contains(secret)),
                "{} is not empty, and what is in it is not of this source: name another target",
                to.place,
            );
            is_copy |= !theirs.is_empty();
            ensure!(
                !theirs.is_empty() || to.store.signing_keys(&app).await?.is_empty(),
                "{} has signing keys already: name an empty target",
                to.place,
            );
        }
        if !is_copy && !to.store.export_sessions().await?.next().await?.is_empty() {
            bail!("{} has sessions already: name an empty target", to.place);
        }
        Ok(())
    }

    /// Copies what the target does not have or has otherwise, removes what it has too much, and
    /// says how many sessions and keys that were.
    pub(super) async fn synchronise(&self, name: &str) -> anyhow::Result<usize> {
        self.check_not_moved().await?;
        self.copy_tenants().await?;
        for app in self.from.store.apps().await? {
            self.copy_secrets(&app).await?;
        }
        let mut changes = self.copy_keys().await?;
        changes += self.copy_sessions(name).await?;
        Ok(changes)
    }

    /// Whoever has moved the sessions meanwhile has told somebody to start servers on their target.
    async fn check_not_moved(&self) -> anyhow::Result<()> {
        ensure!(
            !self.from.store.moves().await?.is_retired,
            "the sessions of {} were moved away meanwhile: run this again to see where to",
            self.from.place,
        );
        Ok(())
    }

    async fn copy_tenants(&self) -> anyhow::Result<()> {
        let theirs = self.to.store.tenants().await?;
        for tenant in self.from.store.tenants().await? {
            if !theirs.iter().any(|other| is_same(other, &tenant)) {
                self.to.store.put_tenant(tenant).await?;
            }
        }
        Ok(())
    }

    async fn copy_secrets(&self, app: &AppId) -> anyhow::Result<()> {
        let theirs = self.to.open_secrets(app).await?;
        for secret in self.from.open_secrets(app).await? {
            if !theirs.contains(&secret) {
                let sealed = secret.sealed_anew(app, None, self.to.wrapping_key.as_ref())?;
                let (store, name) = (&self.to.store, &sealed.name);
                let kept = store.secret(app, name, sealed.value.clone()).await?;
                ensure!(kept == sealed.value, "the target has made a secret of its own meanwhile");
            }
        }
        Ok(())
    }

    async fn copy_keys(&self) -> anyhow::Result<usize> {
        let mut apps = self.from.store.apps().await?;
        apps.extend(self.to.store.apps().await?);
        apps.sort();
        apps.dedup();
        let mut changes = 0;
        for app in apps {
            let keys = self.from.open_keys(&app).await?;
            if keys != self.to.open_keys(&app).await? {
                let sealed = keys
                    .iter()
                    .map(|key| key.sealed_anew(&app, None, self.to.wrapping_key.as_ref()))
                    .collect::<Result<Vec<_>, _>>()?;
                changes += sealed.len().max(1);
                self.to.store.replace_signing_keys(&app, sealed).await?;
            }
        }
        Ok(changes)
    }

    /// Both sides come in one order, so each session is met once.
    async fn copy_sessions(&self, name: &str) -> anyhow::Result<usize> {
        let mut ours = Cursor::new(self.from.store.export_sessions().await?);
        let mut theirs = Cursor::new(self.to.store.export_sessions().await?);
        let mut changed = Changed::default();
        let (mut compared, mut copied, mut removed) = (0, 0, 0);
        while let Some((app, session)) = ours.next().await? {
            let place = |app: &AppId, session: &SessionRecord| {
                (app.to_string(), session.handle.to_string())
            };
            let here = place(&app, &session);
            while let Some((other_app, other)) = theirs.peek().await?
                && place(other_app, other) < here
            {
                changed.remove(other_app, &other.handle);
                removed += 1;
                theirs.next().await?;
            }
            let counterpart = match theirs.peek().await? {
                Some((other_app, other)) if place(other_app, other) == here => {
                    theirs.next().await?
                }
                _ => None,
            };
            if counterpart.is_none_or(|(_, other)| other != session) {
                changed.put(app, session);
                copied += 1;
            }
            compared += 1;
            if changed.is_large() {
                self.check_not_moved().await?;
                changed.write(&self.to.store).await?;
            }
            if compared % TOLD_EVERY == 0 {
                eprintln!("{name}: {compared} sessions compared, {copied} copied");
            }
        }
        while let Some((app, session)) = theirs.next().await? {
            changed.remove(&app, &session.handle);
            removed += 1;
        }
        self.check_not_moved().await?;
        changed.write(&self.to.store).await?;
        eprintln!("{name}: {compared} sessions compared, {copied} copied, {removed} removed");
        Ok(copied + removed)
    }
}

/// Whether it is the same but for the time at which it was created, which an existing tenant keeps.
/// PostgreSQL does not tell an empty list of secondary factors from none.
fn is_same(one: &StoredTenant, other: &StoredTenant) -> bool {
    canonical(one) == canonical(other)
}

/// What of a tenant every store keeps.
pub(super) fn canonical(tenant: &StoredTenant) -> StoredTenant {
    let required = &tenant.required_secondary_factors;
    StoredTenant {
        created_at: Default::default(),
        required_secondary_factors: required.clone().filter(|factors| !factors.is_empty()),
        ..tenant.clone()
    }
}

/// Changes that are written at once.
#[derive(Default)]
struct Changed {
    put: Vec<(AppId, SessionRecord)>,
    removed: Vec<(AppId, SessionHandle)>,
}

impl Changed {
    fn put(&mut self, app: AppId, session: SessionRecord) {
        self.put.push((app, session));
    }

    fn remove(&mut self, app: &AppId, handle: &SessionHandle) {
        self.removed.push((app.clone(), handle.clone()));
    }

    fn is_large(&self) -> bool {
        self.put.len() + self.removed.len() >= BATCH
    }

    /// What is next to each other has the same app, mostly.
    async fn write(&mut self, store: &impl BulkStore) -> anyhow::Result<()> {
        let put = mem::take(&mut self.put);
        for sessions in put.chunk_by(|one, other| one.0 == other.0) {
            let app = &sessions[0].0;
            let sessions = sessions.iter().map(|(_, session)| session.clone()).collect();
            store.put_sessions(app, sessions).await?;
        }
        let removed = mem::take(&mut self.removed);
        for handles in removed.chunk_by(|one, other| one.0 == other.0) {
            let app = &handles[0].0;
            let handles: Vec<_> = handles.iter().map(|(_, handle)| handle.clone()).collect();
            store.remove_sessions(app, &handles).await?;
        }
        Ok(())
    }
}

/// The sessions of an export, one by one.
pub(super) struct Cursor<E> {
    export: E,
    present: VecDeque<(AppId, SessionRecord)>,
    is_at_end: bool,
}

impl<E: SessionExport> Cursor<E> {
    pub(super) fn new(export: E) -> Self {
        Self { export, present: VecDeque::new(), is_at_end: false }
    }

    async fn peek(&mut self) -> anyhow::Result<Option<&(AppId, SessionRecord)>> {
        if self.present.is_empty() && !self.is_at_end {
            self.present = self.export.next().await?.into();
            self.is_at_end = self.present.is_empty();
        }
        Ok(self.present.front())
    }

    pub(super) async fn next(&mut self) -> anyhow::Result<Option<(AppId, SessionRecord)>> {
        self.peek().await?;
        Ok(self.present.pop_front())
    }
}
