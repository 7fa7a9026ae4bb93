//! Whether a target can take the sessions.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail, ensure};
use sessile::store::SessionExport as _;

use super::{
    copy::{Copy, TenantName, name_of},
    notes::{Arrival, fingerprint},
    side::{Movable, Side},
};

/// The most tenants that are named.
const NAMED: usize = 10;

impl<'a, S: Movable, T: Movable> Copy<'a, S, T> {
    /// Checks that the target can have what the source has, and that nothing else is in it; then
    /// notes in it that something is moved to it.
    pub(super) async fn begin(from: &'a Side<S>, to: &'a Side<T>) -> anyhow::Result<Self> {
        let before = to.store.moves().await.context("the target")?;
        ensure!(
            !before.is_retired,
            "the sessions of {} were moved away before, so nobody can write to it: name another \
             target; or, to go back to it, run `sessile migrate --reinstate` on it first",
            to.place,
        );
        let arrival = Arrival::after(before.arrival.as_deref())?;
        let mut copy = Self::new(from, to, arrival);
        copy.check_keys().await?;
        copy.check_content().await?;
        copy.arrival.is_unfinished = true;
        let note = copy.arrival.to_text();
        to.store.note_arrival(&note).await.context("the target")?;
        if from.store.moves().await?.arrival.as_deref() == Some(&note) {
            to.store.note_arrival(before.arrival.as_deref().unwrap_or_default()).await?;
            bail!("the source and the target are the same store: name another target");
        }
        Ok(copy)
    }

    async fn check_keys(&self) -> anyhow::Result<()> {
        for app in self.from.store.apps().await? {
            let keys = self.from.open_keys(&app).await.context("the source")?;
            self.from.open_secrets(&app).await.context("the source")?;
            let sealed = self.sealed_for_target(&app, &keys)?;
            let checked = self.to.store.check_signing_keys(&sealed);
            checked.context("the target cannot have the keys")?;
        }
        Ok(())
    }

    /// The secrets of an app are random: what has some of the same is a copy. In a copy that was
    /// not finished there may be others, of apps that the source has no more.
    async fn check_content(&mut self) -> anyhow::Result<()> {
        let Self { from, to, arrival, .. } = self;
        let (mut is_copy, mut others, mut leftovers, mut has_keys) = (false, false, false, false);
        for app in to.store.apps().await? {
            let ours = from.open_secrets(&app).await?;
            let theirs = to.open_secrets(&app).await.context("the target")?;
            for secret in &theirs {
                match (ours.contains(secret), arrival.put.contains(&fingerprint(secret))) {
                    (true, _) => is_copy = true,
                    (false, true) => leftovers = true,
                    (false, false) => others = true,
                }
            }
            has_keys |= theirs.is_empty() && !to.store.signing_keys(&app).await?.is_empty();
            self.secrets.insert(app, theirs);
        }
        ensure!(
            !others && (is_copy || !leftovers),
            "{} is not empty, and what is in it is not of this source: name another target",
            to.place,
        );
        ensure!(!has_keys, "{} has signing keys already: name an empty target", to.place);
        if !is_copy && !to.store.export_sessions().await?.next().await?.is_empty() {
            bail!("{} has sessions already: name an empty target", to.place);
        }
        if !is_copy && !arrival.is_unfinished && !to.store.is_shared_with_supertokens() {
            let ours: BTreeSet<_> = from.store.tenants().await?.iter().map(name_of).collect();
            let theirs: BTreeSet<_> = to.store.tenants().await?.iter().map(name_of).collect();
            let foreign: BTreeSet<_> = theirs.difference(&ours).cloned().collect();
            ensure!(
                foreign.is_empty(),
                "{} has tenants already: {}; name an empty target",
                to.place,
                listed(&foreign),
            );
        }
        Ok(())
    }

    /// Tells of the tenants that the source has not.
    pub(super) fn tell_what_is_left(&self) {
        if !self.left.is_empty() {
            eprintln!(
                "{} is shared with a SuperTokens core, so these of its tenants were left, though \
                 the source has them not: {}",
                self.to.place,
                listed(&self.left),
            );
        }
    }
}

fn listed(tenants: &BTreeSet<TenantName>) -> String {
    let names = tenants.iter().take(NAMED).map(|(app, tenant)| format!("{app}/{tenant}"));
    let mut text = names.collect::<Vec<_>>().join(", ");
    if tenants.len() > NAMED {
        text += &format!(" and {} more", tenants.len() - NAMED);
    }
    text
}
