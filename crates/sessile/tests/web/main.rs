//! Sessions over HTTP, on a real SQLite file.

#![expect(clippy::unwrap_used, reason = "in a test, what must not fail may panic")]

mod browser_contract;
mod hostile;
mod id_refresh_token_contract;
mod session_object;
mod support;
