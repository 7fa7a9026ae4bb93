//! Two processes, each with its own store on one SQLite file.

use std::time::Duration;

use sessile_histories::{
    History,
    history::Call,
    invariants::{Invariant, Violation},
};

use crate::{
    faults::Fault,
    run::{Run, assert_found, assert_happens, assert_nothing_found},
    settings::Settings,
};

fn run_two_processes(run: &Run) -> (History, Vec<Violation>) {
    for mut child in [run.start(0), run.start(1)] {
        assert!(child.wait().unwrap().success());
    }
    run.finish(2)
}

fn two_sound_processes(settings: Settings) -> History {
    let run = Run::new(settings);
    let found = run_two_processes(&run);
    assert_nothing_found(&run, &found);
    found.0
}

#[test]
fn two_processes_keep_every_invariant() {
    for seed in 1..=2 {
        let expected = [
            "Append SessionNotFound",
            "Append unanswered",
            "CompareAndSwap Conflict",
            "CompareAndSwap Data",
            "LogIn unanswered",
            "Refresh Ended",
            "Refresh unanswered",
            "Reissued",
            "Revoked(\"all_of_user\")",
            "Revoked(\"all_others_of_user\")",
            "Verify SessionNotFound",
        ];
        assert_happens(Settings::of_seed(seed), &expected, |settings| {
            let history = two_sound_processes(settings);
            assert!(history.operations.len() > 3000);
            history
        });
    }
}

#[test]
fn two_processes_keep_them_with_a_short_grace_period() {
    let grace = Duration::from_millis(5);
    for (seed, late) in [(3, "Revoked(\"late_retry\")"), (4, "TheftDetected(\"late_retry\")")] {
        let settings =
            Settings { grace, late_retry_is_theft: seed == 4, ..Settings::of_seed(seed) };
        assert_happens(settings, &[late], two_sound_processes);
    }
}

#[test]
fn two_processes_keep_them_under_a_session_limit() {
    for (seed, refuse) in [(5, false), (6, true)] {
        let settings = Settings { limit: Some((3, refuse)), ..Settings::of_seed(seed) };
        let full = if refuse { "LogIn TooManySessions" } else { "Revoked(\"evicted\")" };
        assert_happens(settings, &[full], two_sound_processes);
    }
}

#[test]
fn a_process_that_is_killed_loses_nothing_that_it_answered() {
    for seed in 7..=8 {
        let run = Run::new(Settings::of_seed(seed));
        let mut survivor = run.start(0);
        run.start_and_kill(1);
        let mut restarted = run.start(2);
        assert!(survivor.wait().unwrap().success());
        assert!(restarted.wait().unwrap().success());
        let found = run.finish(3);
        assert_nothing_found(&run, &found);

        assert!(found.0.operations.iter().any(|operation| {
            let is_refresh = matches!(operation.call, Call::Refresh { .. });
            is_refresh && operation.id.process == 1 && operation.answer.is_none()
        }));
    }
}

#[test]
fn planted_faults_are_found_in_two_processes() {
    let faults = [
        (Fault::GuardCheckedBeforeTheWrite, None, Invariant::OneLiveGeneration),
        (Fault::ListedBeforeTheRemoval, None, Invariant::RevokeAllSparesNoEarlierLogin),
        (Fault::DataWriteUpserts, None, Invariant::EndedSessionsStayEnded),
        (Fault::ComparedBeforeTheWrite, None, Invariant::DataWritesAreNotLost),
        (Fault::CountedBeforeTheInsert, Some((3, true)), Invariant::SessionLimitHolds),
    ];
    for (fault, limit, invariant) in faults {
        let settings = Settings { fault, limit, ..Settings::of_seed(9) };
        assert_found(settings, invariant, |settings| run_two_processes(&Run::new(settings)).1);
    }
}
