//! Sessile's sessions in one SQLite file.
//!
//! ```
//! use sessile_sqlite::SqliteStore;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("sessions.db");
//! let store = SqliteStore::open(path)?;
//! # Ok(())
//! # }
//! ```
//!
//! One thread writes, and a few read beside it; the asynchronous methods only pass requests to
//! them, so no call ever blocks an executor. The writer commits what has queued up meanwhile in
//! one transaction, and answers when that is on the disk: many concurrent writes share the wait
//! for the disk, and a lone one does not wait for company.
//!
//! Several processes may use one file on a local disk. SQLite's write-ahead log does not work over
//! network file systems.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod backup;
mod bulk;
mod connection;
mod examination;
mod failure;
mod file;
mod options;
mod reader;
mod request;
mod retirement;
mod schema;
mod statements;
mod store;
mod writer;

pub use bulk::SqliteExport;
pub use examination::{Examination, examine};
pub use options::{Durability, SqliteOptions};
pub use retirement::HeldWriters;
pub use store::SqliteStore;
pub use writer::Statistics;
