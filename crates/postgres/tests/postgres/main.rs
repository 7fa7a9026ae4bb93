//! The PostgreSQL store on a real server.

#![expect(clippy::unwrap_used, reason = "in a test, what must not fail may panic")]

mod conformance;
