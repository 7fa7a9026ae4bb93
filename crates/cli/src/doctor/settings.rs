//! Settings that a server on the database would refuse, or not follow: its own, and those in it.

use sessile::{
    WRAPPING_KEY_VARIABLE,
    postgres::{Content, Ownership},
};
use sessile_server::{Consequence, ServerConfig, UnfollowedSettings};

use super::report::{Finding, listed};

/// Why a server would not start with its own settings, if it would not.
pub(super) fn of_server(
    config: &ServerConfig,
    opens_as: Ownership,
    has_wrapping_key: bool,
) -> Option<Finding> {
    let is_shared = opens_as == Ownership::Shared;
    let problem = config.check_store(is_shared, has_wrapping_key).err()?;
    let finding = |check| Finding::problem(check, format!("a server does not start: {problem}"));
    // Where it starts without the key, that is what to do.
    Some(if has_wrapping_key && config.check_store(is_shared, false).is_ok() {
        finding("wrapping key").advise(format!("unset {WRAPPING_KEY_VARIABLE}"))
    } else {
        finding("settings").advise("change it, or take it out")
    })
}

/// What apps and tenants have of their own.
pub(super) fn of_tenants(config: &ServerConfig, content: &Content) -> Finding {
    let stored = content.tenant_settings.iter();
    let stored =
        stored.map(|settings| (&settings.app, &settings.tenant, settings.core_config.expose()));
    let found = config.unfollowed(stored);
    if found.is_empty() {
        return Finding::ok("app settings", "a server follows all that apps and tenants have");
    }
    let is_harmless =
        |settings: &&UnfollowedSettings| settings.consequence == Consequence::ServersOwn;
    let (harmless, harmful): (Vec<_>, Vec<_>) = found.iter().partition(is_harmless);
    let text =
        listed(&harmful.iter().chain(&harmless).map(|found| told(found)).collect::<Vec<_>>());
    let advice = "change them in the core, which has no such limits, before it is replaced";
    match harmful.as_slice() {
        [] => Finding::note("app settings", text).advise(advice),
        _ => Finding::problem("app settings", text).advise(advice),
    }
}

fn told(settings: &UnfollowedSettings) -> String {
    let UnfollowedSettings { app, tenant, problem, consequence, .. } = settings;
    let consequence = match consequence {
        Consequence::ServersOwn => "what the server itself has counts",
        Consequence::NobodyIsLetIn => "nobody is let in",
        _ => "each request is answered 500",
    };
    format!("{app}/{tenant}: {problem} ({consequence})")
}
