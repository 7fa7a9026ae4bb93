//! Sessile's sessions in PostgreSQL, in the tables of SuperTokens' core 12.1.
//!
//! ```no_run
//! use sessile_postgres::PostgresStore;
//!
//! # async fn open() -> Result<(), Box<dyn std::error::Error>> {
//! let store = PostgresStore::open("postgresql://sessile:password@db.example/sessile").await?;
//! # Ok(())
//! # }
//! ```
//!
//! A database that a SuperTokens core has used is taken over as it is: its sessions, signing keys
//! and refresh tokens are good at once, and it may go on using them. What Sessile has beside them
//! is in tables of its own, whose names begin with `sessile_`.
//!
//! Every intent is one statement, or a few that are sent at once. Those of one kind that come while
//! one is under way are gathered into the next, so many concurrent writes share one wait for the
//! disk; one that comes alone goes out at once. Reads share a few connections, on which each is sent
//! while the answers to others are awaited.
//!
//! PostgreSQL 13 or newer is needed. Where PgBouncer stands before it, let that pool sessions.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod batch;
mod bulk;
mod connection;
mod connector;
mod examination;
mod failure;
mod lane;
mod locked;
mod names;
mod options;
mod ownership;
mod pool;
mod record;
mod retirement;
mod schema;
mod servers;
mod shared;
mod statements;
mod store;
mod suspension;
mod tenure;
mod tls;
mod url;
mod users;

pub use bulk::PostgresExport;
pub use examination::{
    Content, Elsewhere, Encryption, Examination, Server, Structure, TenantSettings, UnusableKey,
};
pub use names::InvalidName;
pub use options::PostgresOptions;
pub use ownership::Ownership;
pub use retirement::HeldWriters;
pub use store::PostgresStore;
pub use suspension::Suspended;
pub use url::InvalidSettings;
