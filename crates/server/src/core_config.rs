//! `coreConfig`: the settings that an app has of its own, as SDKs send them.

use std::fmt;

use serde_json::Value;
use sessile_core::JsonObject;

use crate::{
    addresses::AddressFilter,
    answer::Failure,
    api_keys::ApiKeys,
    config::AppConfig,
    settings::{Effect, Given, Problem, Scope, table},
};

/// Settings, of which nulls fall back to the server's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CoreConfig(JsonObject);

impl CoreConfig {
    pub(crate) fn as_object(&self) -> &JsonObject {
        &self.0
    }

    /// What [`Display`](fmt::Display) has written, or another program in its place.
    pub(crate) fn from_stored(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// The same with `changes` on top; null takes a setting away.
    pub(crate) fn changed(&self, changes: &JsonObject) -> Self {
        let mut settings = self.0.clone();
        for (name, value) in changes {
            if value.is_null() {
                settings.remove(name);
            } else {
                settings.insert(name.clone(), value.clone());
            }
        }
        Self(settings)
    }

    /// The settings of an app that inherits from `base`.
    ///
    /// # Errors
    /// An input error that names the first setting that is unknown or cannot be so.
    pub(crate) fn over(&self, base: &AppConfig, test_mode: bool) -> Result<AppConfig, Failure> {
        self.checked(base, test_mode).map_err(|problem| invalid(&problem.text))
    }

    fn checked(&self, base: &AppConfig, test_mode: bool) -> Result<AppConfig, Problem> {
        let mut config = base.clone();
        for (name, value) in &self.0 {
            set(&mut config, name, value)?;
        }
        config.check(test_mode)?;
        Ok(config)
    }

    /// The same for settings that may be another program's, or were allowed before: what cannot be
    /// followed is left out, and said. What says who is let in cannot be left out: nobody is then.
    pub(crate) fn over_where_possible(
        &self,
        base: &AppConfig,
        test_mode: bool,
    ) -> (AppConfig, Vec<NotFollowed>) {
        // One by one, a setting could contradict what another changes too.
        if let Ok(config) = self.checked(base, test_mode) {
            return (config, Vec::new());
        }
        let (mut config, mut left_out) = (base.clone(), Vec::new());
        for (name, value) in &self.0 {
            let mut changed = config.clone();
            let result = set(&mut changed, name, value);
            match result.and_then(|()| changed.check(test_mode)) {
                Ok(()) => config = changed,
                Err(problem) => left_out.push(leave_out(&mut config, name, problem)),
            }
        }
        (config, left_out)
    }

    /// Whether a tenant may have all of these of its own, beside its app.
    pub(crate) fn is_of_tenants(&self) -> bool {
        let scope = |name: &String| table::find(name).map(|key| key.scope);
        self.0.keys().all(|name| scope(name) == Some(Scope::Tenant))
    }

    /// From where requests to the tenant with these settings may come, where they say so, and its
    /// app lets others in; and what of that cannot be followed.
    pub(crate) fn addresses_over(
        &self,
        app: &AddressFilter,
    ) -> Option<(AddressFilter, Vec<NotFollowed>)> {
        let own = self.0.iter().filter(|(name, _)| ADDRESSES.contains(&name.as_str()));
        let mut config = AppConfig { addresses: app.clone(), ..AppConfig::default() };
        let (mut said, mut left_out) = (false, Vec::new());
        for (name, value) in own {
            said = true;
            if let Err(problem) = set(&mut config, name, value) {
                left_out.push(leave_out(&mut config, name, problem));
            }
        }
        said.then_some((config.addresses, left_out))
    }

    /// The settings of these that do nothing, and why.
    pub(crate) fn without_effect(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.0.iter().filter_map(|(name, value)| {
            let key = table::find(name)?;
            let Effect::Nothing { harmless, .. } = key.effect else { return None };
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (!harmless.contains(&text.as_str())).then_some((key.name, key.about))
        })
    }
}

impl fmt::Display for CoreConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&serde_json::to_string(&self.0).map_err(|_| fmt::Error)?)
    }
}

/// What is refused of settings, as SDKs are told it.
pub(crate) fn invalid(problem: &str) -> Failure {
    Failure::BadInput(format!("Invalid core config: {problem}"))
}

/// What says from where requests may come.
const ADDRESSES: [&str; 2] = ["ip_allow_regex", "ip_deny_regex"];

/// A setting that cannot be followed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct NotFollowed {
    pub(crate) name: String,
    /// What is wrong with it. It never tells the value.
    pub(crate) problem: String,
    /// Whether nobody is let in for that, because it is not known who may come in.
    pub(crate) lets_nobody_in: bool,
}

/// Goes on without a setting.
fn leave_out(config: &mut AppConfig, name: &str, problem: Problem) -> NotFollowed {
    let mut lets_nobody_in = true;
    if name == "api_keys" {
        config.api_keys = ApiKeys::closed();
    } else if ADDRESSES.contains(&name) {
        config.addresses = AddressFilter::closed();
    } else {
        lets_nobody_in = false;
    }
    NotFollowed { name: name.to_owned(), problem: problem.text, lets_nobody_in }
}

fn set(config: &mut AppConfig, name: &str, value: &Value) -> Result<(), Problem> {
    let Some(key) = table::find(name) else {
        return Err(Problem::new(format!("Invalid config key: {name}")));
    };
    if key.scope == Scope::Server {
        let problem = format!("{name} can only be set via the core's base config setting");
        return Err(Problem::new(problem));
    }
    // SDKs send numbers as text too.
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ => return Err(Problem::wrong_type(key)),
    };
    let given = Given { key, text: &text };
    match key.effect {
        Effect::App(set) => set(config, &given),
        Effect::Nothing { check, .. } => check(&given),
        // Nothing that apps have of their own sets something of the server.
        Effect::Server(_) => Ok(()),
    }
}
