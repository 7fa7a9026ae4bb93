//! The Core Driver Interface over HTTP, as SDKs of both generations speak it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test that asked for it")]

mod access;
mod across_tenants;
mod idempotent;
mod inputs;
mod keys;
mod legacy;
mod legacy_inputs;
mod optional_inputs;
mod paths;
mod regeneration;
mod responses;
mod revocation;
mod rotation;
mod rotation_on_refresh;
mod store;
mod stored_apps;
mod support;
mod sweeping;
mod tenants;
mod token_versions;
mod validity;
mod version_matrix;
