//! What the measurements of Sessile share: clocks, rounds and medians, a
//! server in a process of its own, and a client that loads it.

#![forbid(unsafe_code)]

pub mod apps;
pub mod clock;
pub mod load;
pub mod race;
pub mod server;
pub mod signer;
pub mod table;
