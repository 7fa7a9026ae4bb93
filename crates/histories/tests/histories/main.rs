//! Histories on real stores, and on stores with planted faults.
//!
//! Every run has a seed. `SESSILE_HISTORIES_SEED=100 cargo test -p sessile-histories` adds 100 to
//! each, and so makes other histories; `SESSILE_HISTORIES_KEPT` names a folder in which the records
//! of a run are kept that shows a violation.

#![expect(clippy::panic, clippy::unwrap_used, reason = "in a test, what must not fail may panic")]

mod faults;
mod planted_faults;
mod processes;
mod run;

/// What a test of this program starts in a process of its own. By itself it does nothing.
#[test]
#[ignore = "the other tests start it"]
fn a_process_of_a_run() {
    run::act_as_told();
}
