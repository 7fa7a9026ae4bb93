use std::future::Future;

use crate::{
    clock::Timestamp,
    identifier::{AppId, TenantId},
    store::{Store, StoreError},
};

/// A tenant as a store keeps it. An app is there as soon as one of its tenants is, usually its
/// `public` one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredTenant {
    /// The app that it belongs to.
    pub app: AppId,
    /// Its own name.
    pub tenant: TenantId,
    /// What it has configured of its own: the text of a JSON object.
    pub core_config: String,
    /// The first factors that it allows; `None` where nothing was said of them.
    pub first_factors: Option<Vec<String>>,
    /// The factors that it wants beside the first; `None` where nothing was said of them.
    pub required_secondary_factors: Option<Vec<String>>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A [`Store`] that also keeps which apps and tenants there are, for a server that makes them while
/// it runs. The apps of an embedded engine are in its code, so it needs none of this.
///
/// What [`Store`] says of its intents holds of these too. Sessions and keys do not ask whether
/// their app or tenant was put here.
pub trait TenantStore: Store {
    /// Every tenant of every app, in any order.
    fn tenants(&self) -> impl Future<Output = Result<Vec<StoredTenant>, StoreError>> + Send;

    /// Adds a tenant, or replaces what is kept of it but the time of its creation; says whether it
    /// is new.
    fn put_tenant(
        &self,
        tenant: StoredTenant,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes a tenant with its sessions; says whether there was one.
    fn remove_tenant(
        &self,
        app: &AppId,
        tenant: &TenantId,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes an app: all its tenants, sessions, signing keys and secrets. Says whether it had a
    /// tenant.
    fn remove_app(&self, app: &AppId) -> impl Future<Output = Result<bool, StoreError>> + Send;
}
