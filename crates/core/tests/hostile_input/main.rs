//! Whatever is presented as a token, a key or a secret: it is taken, or refused by the error that
//! belongs to it. Nothing panics, no fault is reported, and nothing in the store changes.

#![expect(
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers fail the test that asked for them"
)]

mod access_tokens;
mod parsers;
mod refresh_tokens;
mod sealing;
#[path = "../support/mod.rs"]
mod support;
mod target;
