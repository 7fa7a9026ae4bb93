//! The sessions of one store, put into another one.

use std::{collections::VecDeque, mem};

use sessile::{
    AppId, SessionHandle,
    store::{BulkStore, SessionExport, SessionRecord},
};

use super::{copy::Copy, side::Movable};

/// How many sessions are put at once.
const BATCH: usize = 500;

/// After how many sessions somebody is told.
const TOLD_EVERY: usize = 2000;

impl<S: Movable, T: Movable> Copy<'_, S, T> {
    /// Both sides come in one order, so each session is met once.
    pub(super) async fn copy_sessions(&self, name: &str) -> anyhow::Result<usize> {
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
