//! Hostile requests to a real server: the answer is one of the documented ones, nothing panics,
//! nothing secret is in a body or a log line, and the server goes on serving.

mod cookies;
mod headers;
mod server;
mod syntax;
mod tokens;
