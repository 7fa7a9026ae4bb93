//! Real PostgreSQL servers for tests.
//!
//! A [`Cluster`] is a server with a folder and a port of its own. It ends with the process that
//! started it, however that ends: a small shell watches it. Each test makes itself a [`Database`]
//! in the cluster that its binary shares, or starts a cluster of its own to stop and start it, or to
//! have it on a [`SmallDisk`] that gets full.
//!
//! PostgreSQL's programs are found in `PATH` or where Debian puts them. They refuse to run as root,
//! so for root the system user `postgres` runs them.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test cannot go on without its server, and should say why"
)]

mod cluster;
mod database;
mod programs;
mod small_disk;
pub mod supertokens;

pub use cluster::{Cluster, Shutdown};
pub use database::Database;
pub use small_disk::SmallDisk;
