//! The Core Driver Interface over HTTP, as SDKs of both generations speak it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test that asked for it")]

mod access;
mod idempotent;
mod inputs;
mod keys;
mod legacy;
mod paths;
mod responses;
mod revocation;
mod rotation;
mod stored_apps;
mod support;
mod tenants;
mod token_versions;
mod validity;
