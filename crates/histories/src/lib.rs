//! Histories of concurrent calls, recorded and checked afterwards.
//!
//! Clients in several processes log in, refresh, replay, verify, revoke, list and change data on
//! one store at the same time ([`workload`]). A [`Recorder`] in each process writes down every call
//! with the moments at which it began and was answered, and every event. Nothing is asserted while
//! they run. Afterwards the records of all processes are read as one [`History`], and
//! [`check`](invariants::check) looks for what no order of the calls can explain.
//!
//! A call takes effect at one moment between its beginning and its answer, and one that was never
//! answered at any moment after its beginning or not at all. The checks report only what is certain
//! under that reading: a violation is a bug, and not an accident of timing.
//!
//! Any [`Store`](sessile_core::store::Store) can be put under it; `tests/histories` does so with
//! SQLite and two processes, and with PostgreSQL and three of which some are killed while the
//! server is stopped; and plants faults to show that they are found.
//!
//! ```
//! use std::sync::Arc;
//!
//! use sessile_core::{Sessions, memory::MemoryStore};
//! use sessile_histories::{
//!     History, MonotonicClock, Recorder,
//!     final_state::FinalState,
//!     invariants::check,
//!     wallet::Wallet,
//!     workload::{Workload, run},
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let (record, wallet) = (folder.path().join("record"), folder.path().join("wallet"));
//! // In each process, with a record of its own, and one wallet and one store for all:
//! let recorder = Recorder::create(&record, 0)?;
//! let wallet = Arc::new(Wallet::open(&wallet)?);
//! let sessions = Sessions::builder(MemoryStore::new())
//!     .clock(MonotonicClock)
//!     .on_event(recorder.listener())
//!     .build()
//!     .await?;
//! run(&sessions, &recorder, &wallet, Workload { steps: 20, ..Workload::default() }).await;
//!
//! // In one of them, when all are done:
//! let history = History::read(&[record])?;
//! let last = FinalState::read(sessions.store(), &history).await?;
//! assert!(check(&history, &last, sessions.policy()).is_empty());
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod final_state;
pub mod history;
pub mod invariants;
pub mod wallet;
pub mod workload;

mod client;
#[cfg(test)]
mod hand_written;
mod lifetimes;
mod monotonic;
mod recorder;
mod signature;

pub use history::History;
pub use monotonic::MonotonicClock;
pub use recorder::Recorder;
pub use signature::Signature;
