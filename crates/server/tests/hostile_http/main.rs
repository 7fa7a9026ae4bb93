//! Clients that are slow, broken or hostile, over real sockets: each is answered as documented or
//! cut off, and others are served meanwhile.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test that asked for it")]

mod connections;
mod every_route;
mod requests;
mod support;
