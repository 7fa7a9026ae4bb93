//! Histories on real stores, and on stores with planted faults.
//!
//! Every run has a seed. `SESSILE_HISTORIES_SEED=100 cargo test -p sessile-histories` adds 100 to
//! each, and so makes other histories; `SESSILE_HISTORIES_KEPT` names a folder in which the records
//! of a run are kept that shows a violation. `SESSILE_HISTORIES_RUNS=20` has the nodes on PostgreSQL
//! run so many times under each policy, each time with another seed.

#![expect(clippy::panic, clippy::unwrap_used, reason = "in a test, what must not fail may panic")]

mod disturbances;
mod faults;
mod faulty_store;
mod planted_faults;
mod postgres;
mod processes;
mod run;
mod settings;

/// What a test of this program starts in a process of its own. By itself it does nothing.
#[test]
#[ignore = "the other tests start it"]
fn a_process_of_a_run() {
    run::act_as_told();
}
