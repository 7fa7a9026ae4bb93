//! The tests of the Core Driver Interface once more, on PostgreSQL, and some on a database that a
//! SuperTokens core may use too.

// A request of a test is a future within many others.
#![recursion_limit = "256"]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test that asked for it")]

#[path = "../cdi/access.rs"]
mod access;
#[path = "../cdi/across_tenants.rs"]
mod across_tenants;
#[path = "../cdi/idempotent.rs"]
mod idempotent;
#[path = "../cdi/inputs.rs"]
mod inputs;
#[path = "../cdi/keys.rs"]
mod keys;
#[path = "../cdi/legacy.rs"]
mod legacy;
#[path = "../cdi/legacy_inputs.rs"]
mod legacy_inputs;
#[path = "../cdi/optional_inputs.rs"]
mod optional_inputs;
#[path = "../cdi/paths.rs"]
mod paths;
#[path = "../cdi/regeneration.rs"]
mod regeneration;
#[path = "../cdi/responses.rs"]
mod responses;
#[path = "../cdi/revocation.rs"]
mod revocation;
#[path = "../cdi/rotation.rs"]
mod rotation;
#[path = "../cdi/rotation_on_refresh.rs"]
mod rotation_on_refresh;
#[path = "../cdi/stored_apps.rs"]
mod stored_apps;
#[path = "../cdi/support.rs"]
mod support;
#[path = "../cdi/sweeping.rs"]
mod sweeping;
#[path = "../cdi/tenants.rs"]
mod tenants;
#[path = "../cdi/token_versions.rs"]
mod token_versions;
#[path = "../cdi/validity.rs"]
mod validity;
#[path = "../cdi/version_matrix.rs"]
mod version_matrix;

mod linked_accounts;
mod shared_database;
mod store;
