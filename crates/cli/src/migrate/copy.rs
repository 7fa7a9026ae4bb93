//! Making one store what another is, row by row.

use std::collections::{BTreeSet, HashMap};

use anyhow::ensure;
use sessile::{
    AppId, TenantId,
    store::{StoredSecret, StoredSigningKey, StoredTenant},
};

use super::{
    notes::{self, Arrival},
    side::{Movable, Side},
};

/// A tenant by its app's name and its own.
pub(super) type TenantName = (AppId, TenantId);

pub(super) struct Copy<'a, S, T> {
    pub(super) from: &'a Side<S>,
    pub(super) to: &'a Side<T>,
    /// What the target keeps of this move.
    pub(super) arrival: Arrival,
    /// The secrets that the target had when it was last looked at: nobody else may change them.
    pub(super) secrets: HashMap<AppId, Vec<StoredSecret>>,
    /// The tenants that this run has made.
    made: BTreeSet<TenantName>,
    /// The tenants of the target that the source has not, and that are left to a SuperTokens core.
    pub(super) left: BTreeSet<TenantName>,
}

impl<'a, S: Movable, T: Movable> Copy<'a, S, T> {
    pub(super) fn new(from: &'a Side<S>, to: &'a Side<T>, arrival: Arrival) -> Self {
        let (made, left) = Default::default();
        Self { from, to, arrival, secrets: HashMap::new(), made, left }
    }

    /// Copies what the target does not have or has otherwise, removes what it has too much, and
    /// says how many sessions and keys that were.
    pub(super) async fn synchronise(&mut self, name: &str) -> anyhow::Result<usize> {
        self.check_not_moved().await?;
        self.copy_tenants().await?;
        self.note_secrets().await?;
        let mut gone = Vec::new();
        let ours = self.from.store.apps().await?;
        for app in self.to.store.apps().await? {
            if !ours.contains(&app) {
                gone.push(app);
            }
        }
        for app in &ours {
            self.copy_secrets(app).await?;
        }
        let mut changes = 0;
        for app in ours.iter().chain(&gone) {
            changes += self.copy_keys(app).await?;
        }
        changes += self.copy_sessions(name).await?;
        // What is left of an app is known again by its secrets, so they go last.
        for app in &gone {
            self.copy_secrets(app).await?;
            // PostgreSQL always has the public app.
            if !self.to.store.is_shared_with_supertokens() && *app != AppId::default() {
                self.to.store.remove_app(app).await?;
            }
        }
        Ok(changes)
    }

    /// Whoever has moved the sessions meanwhile has told somebody to start servers on their target.
    pub(super) async fn check_not_moved(&self) -> anyhow::Result<()> {
        ensure!(
            !self.from.store.moves().await?.is_retired,
            "the sessions of {} were moved away meanwhile: run this again to see where to",
            self.from.place,
        );
        Ok(())
    }

    /// In a database that is shared with a SuperTokens core, a tenant may have users: there only
    /// those are removed that this run has made.
    async fn copy_tenants(&mut self) -> anyhow::Result<()> {
        let ours = self.from.store.tenants().await?;
        let theirs = self.to.store.tenants().await?;
        for tenant in &ours {
            if !theirs.iter().any(|other| is_same(other, tenant))
                && self.to.store.put_tenant(tenant.clone()).await?
            {
                self.made.insert(name_of(tenant));
            }
        }
        let wanted: BTreeSet<_> = ours.iter().map(name_of).collect();
        self.left.clear();
        for name in theirs.iter().map(name_of).filter(|name| !wanted.contains(name)) {
            if self.to.store.is_shared_with_supertokens() && !self.made.contains(&name) {
                self.left.insert(name);
            } else {
                self.to.store.remove_tenant(&name.0, &name.1).await?;
            }
        }
        Ok(())
    }

    /// Notes in the target which secrets are put there, before they are.
    async fn note_secrets(&mut self) -> anyhow::Result<()> {
        let mut all_are_noted = true;
        for app in self.from.store.apps().await? {
            for secret in self.from.open_secrets(&app).await? {
                all_are_noted &= !self.arrival.put.insert(notes::fingerprint(&secret));
            }
        }
        if !all_are_noted {
            self.to.store.note_arrival(&self.arrival.to_text()).await?;
        }
        Ok(())
    }

    async fn copy_secrets(&mut self, app: &AppId) -> anyhow::Result<()> {
        let (ours, theirs) = (self.from.open_secrets(app).await?, self.to.open_secrets(app).await?);
        if ours == theirs {
            return Ok(());
        }
        ensure!(
            theirs == *self.secrets.entry(app.clone()).or_default(),
            "the target has made a secret of its own meanwhile: does a server run on it?"
        );
        let sealed = ours
            .iter()
            .map(|secret| secret.sealed_anew(app, None, self.to.wrapping_key.as_ref()))
            .collect::<Result<_, _>>()?;
        self.to.store.replace_secrets(app, sealed).await?;
        self.secrets.insert(app.clone(), ours);
        Ok(())
    }

    async fn copy_keys(&self, app: &AppId) -> anyhow::Result<usize> {
        let keys = self.from.open_keys(app).await?;
        if keys == self.to.open_keys(app).await? {
            return Ok(0);
        }
        let sealed = self.sealed_for_target(app, &keys)?;
        let changes = sealed.len().max(1);
        self.to.store.replace_signing_keys(app, sealed).await?;
        Ok(changes)
    }

    pub(super) fn sealed_for_target(
        &self,
        app: &AppId,
        keys: &[StoredSigningKey],
    ) -> anyhow::Result<Vec<StoredSigningKey>> {
        let wrapping_key = self.to.wrapping_key.as_ref();
        let sealed = keys.iter().map(|key| key.sealed_anew(app, None, wrapping_key));
        Ok(sealed.collect::<Result<_, _>>()?)
    }
}

pub(super) fn name_of(tenant: &StoredTenant) -> TenantName {
    (tenant.app.clone(), tenant.tenant.clone())
}

/// Whether it is the same but for the time at which it was created, which an existing tenant keeps.
fn is_same(one: &StoredTenant, other: &StoredTenant) -> bool {
    canonical(one) == canonical(other)
}

/// What of a tenant every store keeps. PostgreSQL does not tell an empty list of secondary factors
/// from none.
pub(super) fn canonical(tenant: &StoredTenant) -> StoredTenant {
    let required = &tenant.required_secondary_factors;
    StoredTenant {
        created_at: Default::default(),
        required_secondary_factors: required.clone().filter(|factors| !factors.is_empty()),
        ..tenant.clone()
    }
}
