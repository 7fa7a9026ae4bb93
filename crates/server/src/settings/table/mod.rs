//! Every key: those of SuperTokens' core up to 12.1, of its core 2.5, of its PostgreSQL plugin, and
//! Sessile's own. What reads a configuration, what checks an app's `coreConfig` and what the page
//! on configuration tells, all come from here.

mod access;
mod legacy;
mod operations;
mod own;
mod postgres;
mod server;
mod sessions;
mod without_effect;

use super::key::Key;

/// Every key, by subject, as the page tells them.
pub(crate) static SUBJECTS: [(&str, &[Key]); 8] = [
    ("Sessions and keys", &sessions::KEYS),
    ("Who may ask", &access::KEYS),
    ("Address, paths and logs", &server::KEYS),
    ("Sessile's own", &own::KEYS),
    ("Sessile's own, for operators", &operations::KEYS),
    ("PostgreSQL", &postgres::KEYS),
    ("SDKs up to CDI 2.3", &legacy::KEYS),
    ("Without effect", &without_effect::KEYS),
];

/// Old names of keys, and today's.
pub(crate) const ALIASES: [(&str, &str); 2] = [
    (
        "access_token_signing_key_update_interval",
        "access_token_dynamic_signing_key_update_interval",
    ),
    ("supertokens_default_cdi_version", "supertokens_max_cdi_version"),
];

/// Every key.
pub(crate) fn keys() -> impl Iterator<Item = &'static Key> {
    SUBJECTS.iter().flat_map(|(_, keys)| keys.iter())
}

/// The key of this name, or of which this is an old name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    let alias = ALIASES.iter().find(|(old, _)| *old == name);
    let name = alias.map_or(name, |(_, today)| today);
    keys().find(|key| key.name == name)
}
