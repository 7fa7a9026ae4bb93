//! What clients see of a real PostgreSQL that is away, takes no writes, or has no room.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test that asked for it")]

#[path = "../operations/support.rs"]
#[expect(dead_code, reason = "it has more than these tests need")]
mod support;

mod away;
mod client;
mod full;
mod read_only;
