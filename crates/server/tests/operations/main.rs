//! What operators rely on: health, metrics, request ids, and another core behind this one.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test that asked for it")]

mod access;
mod failing_store;
mod forwarding;
mod health;
mod metrics;
mod request_ids;
mod support;
