//! Faults that are found, and that nothing is found where there is none.

use sessile_core::memory::MemoryStore;
use sessile_histories::invariants::{Invariant, Violation};

use crate::{
    faults::Fault,
    run::{Run, assert_nothing_found},
    settings::{Rotation, Settings},
};

/// Several clients in one thread, which takes turns wherever a call yields.
async fn found_with(settings: Settings) -> Vec<Violation> {
    let run = Run::new(settings);
    let found = run.act_here(MemoryStore::new()).await;
    if settings.fault == Fault::None {
        assert_nothing_found(&run, &found);
    }
    found.1
}

async fn assert_found(fault: Fault, limit: Option<(usize, bool)>, invariant: Invariant) {
    let violations = found_with(Settings { fault, limit, ..Settings::of_seed(11) }).await;
    let found: Vec<_> = violations.iter().map(|one| one.invariant).collect();
    assert!(found.contains(&invariant), "{invariant} holds with {fault:?}: {violations:#?}");
}

#[tokio::test]
async fn nothing_is_found_without_a_fault() {
    for (seed, limit) in [(11, None), (12, Some((3, false))), (13, Some((3, true)))] {
        for rotation in [Rotation::Idempotent, Rotation::OnRefresh, Rotation::OnUse] {
            found_with(Settings { limit, rotation, ..Settings::of_seed(seed) }).await;
        }
    }
}

#[tokio::test]
async fn a_guard_checked_before_the_write_is_found() {
    assert_found(Fault::GuardCheckedBeforeTheWrite, None, Invariant::OneLiveGeneration).await;
}

#[tokio::test]
async fn a_list_made_before_the_removal_is_found() {
    let invariant = Invariant::RevokeAllSparesNoEarlierLogin;
    assert_found(Fault::ListedBeforeTheRemoval, None, invariant).await;
}

#[tokio::test]
async fn a_data_write_that_upserts_is_found() {
    assert_found(Fault::DataWriteUpserts, None, Invariant::EndedSessionsStayEnded).await;
}

#[tokio::test]
async fn a_comparison_before_the_write_is_found() {
    assert_found(Fault::ComparedBeforeTheWrite, None, Invariant::DataWritesAreNotLost).await;
}

#[tokio::test]
async fn a_count_before_the_insert_is_found() {
    for refuse in [false, true] {
        let limit = Some((3, refuse));
        assert_found(Fault::CountedBeforeTheInsert, limit, Invariant::SessionLimitHolds).await;
    }
}

#[tokio::test]
async fn a_look_before_the_removal_is_found() {
    assert_found(Fault::FoundBeforeTheRemoval, None, Invariant::TheftEndsOnce).await;
}

#[tokio::test]
async fn a_list_from_a_cache_is_found() {
    assert_found(Fault::ListedFromACache, None, Invariant::LoginsAreListed).await;
}

#[tokio::test]
async fn a_session_from_a_cache_is_found() {
    assert_found(Fault::ReadFromACache, None, Invariant::AcknowledgedRevocationsHold).await;
}

#[tokio::test]
async fn a_previous_token_that_is_kept_is_found() {
    assert_found(Fault::PreviousTokenKept, None, Invariant::NoFalseTheft).await;
}
