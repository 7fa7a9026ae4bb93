//! What a file, the environment and a command line make of a server's settings.

#![expect(clippy::unwrap_used, reason = "in a test, what must not fail may panic")]

mod problems;
mod support;
mod values;
