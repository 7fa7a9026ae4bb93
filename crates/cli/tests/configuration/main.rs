//! `sessile serve` as it is configured: by a file, the environment and options.

#![expect(clippy::panic, clippy::unwrap_used, reason = "in a test, what must not fail may panic")]

mod rotation;
mod starting;
mod stopping;
mod support;
mod tls;
