//! What a server would make of a store, told without starting one.

use sessile_core::{AppId, GeneralError, TenantId, policy::Policy};

use crate::{
    addresses::AddressFilter, config::ServerConfig, core_config::CoreConfig, path::PUBLIC,
};

/// Settings of an app or tenant in a store that a server does not follow.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UnfollowedSettings {
    /// The app.
    pub app: AppId,
    /// Its tenant: the public one for what is the app's.
    pub tenant: TenantId,
    /// What is wrong, with the name of the setting and without its value.
    pub problem: String,
    /// What a server does.
    pub consequence: Consequence,
}

/// What a server does where it cannot follow settings of an app or tenant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Consequence {
    /// What the server itself has counts in their place.
    ServersOwn,
    /// Nobody is let in: each request is answered 401 where it is about API keys, and 403 where it
    /// is about addresses.
    NobodyIsLetIn,
    /// Each request is answered 500.
    NotServed,
}

impl ServerConfig {
    /// Whether a server with this configuration starts on a store. One that is
    /// [shared](sessile_core::store::Store::is_shared_with_supertokens) takes no wrapping key, for
    /// instance.
    ///
    /// # Errors
    /// [`GeneralError::Configuration`], with what stands in the way.
    pub fn check_store(&self, is_shared: bool, has_wrapping_key: bool) -> Result<(), GeneralError> {
        let policy = self.policy();
        policy.check()?;
        if is_shared { policy.check_shared(has_wrapping_key) } else { Ok(()) }
    }

    /// The settings in a store that a server with this configuration does not follow, of each
    /// tenant's `coreConfig`, which is JSON.
    pub fn unfollowed<'a>(
        &self,
        tenants: impl IntoIterator<Item = (&'a AppId, &'a TenantId, &'a str)>,
    ) -> Vec<UnfollowedSettings> {
        let found = tenants.into_iter().flat_map(|(app, tenant, core_config)| {
            let told = self.unfollowed_of(app.as_str(), tenant.as_str(), core_config);
            told.into_iter().map(|(problem, consequence)| UnfollowedSettings {
                app: app.clone(),
                tenant: tenant.clone(),
                problem,
                consequence,
            })
        });
        found.collect()
    }

    fn unfollowed_of(
        &self,
        app: &str,
        tenant: &str,
        core_config: &str,
    ) -> Vec<(String, Consequence)> {
        let Some(settings) = CoreConfig::from_stored(core_config) else {
            return vec![("they are no JSON object".to_owned(), Consequence::ServersOwn)];
        };
        let mut policy = self.policy();
        let left_out = if tenant != PUBLIC {
            let addresses = settings.addresses_over(&AddressFilter::default());
            addresses.map(|(_, left_out)| left_out).unwrap_or_default()
        } else if app != PUBLIC {
            let (config, left_out) = settings.over_where_possible(&self.app, self.test_mode);
            policy = config.policy(self.test_mode);
            left_out
        } else if settings.as_object().is_empty() {
            Vec::new()
        } else {
            let problem = "the public app has the settings of the server".to_owned();
            return vec![(problem, Consequence::ServersOwn)];
        };
        let told = left_out.into_iter().map(|setting| {
            let problem = format!("{}: {}", setting.name, setting.problem);
            let consequence = match setting.lets_nobody_in {
                true => Consequence::NobodyIsLetIn,
                false => Consequence::ServersOwn,
            };
            (problem, consequence)
        });
        let refused = policy.check().err();
        told.chain(refused.map(|problem| (problem.to_string(), Consequence::NotServed))).collect()
    }

    fn policy(&self) -> Policy {
        self.app.policy(self.test_mode)
    }
}
