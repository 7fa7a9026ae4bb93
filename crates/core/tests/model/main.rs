//! Random lives of sessions under every rotation policy, beside small models that were written
//! apart from the rules, and beside the promises themselves.
//!
//! `PROPTEST_CASES` says how many lives each test has; 256 where it says nothing.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers fail the test that asked for them"
)]

mod coverage;
mod crossing;
mod life;
mod outcomes;
mod planted_faults;
mod promises;
mod reference;
mod steps;
#[path = "../support/mod.rs"]
mod support;

use std::cell::RefCell;

use coverage::Coverage;
use life::{live, policy_of};
use planted_faults::{PLANTS, Plant};
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestError, TestRng, TestRunner},
};
use steps::{Rule, steps};

const USUAL_CASES: u32 = 256;

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// What must happen is told for as many lives as there usually are.
fn assert_covered(coverage: &Coverage, minimum: usize, expected: &[&str]) {
    if config().cases >= USUAL_CASES {
        coverage.assert_at_least(minimum, expected);
    }
}

/// Lives under one rule, or under another one with each call.
fn check(only: Option<Rule>, minimum: usize, expected: &[&str]) {
    let coverage = RefCell::new(Coverage::default());
    // Three policies that follow one another have more to say.
    let cases = if only.is_none() { config().cases * 3 } else { config().cases };
    let mut runner = TestRunner::new(ProptestConfig { cases, ..config() });
    let result = runner.run(&(steps(), any::<bool>()), |(steps, late_is_theft)| {
        coverage.borrow_mut().add(live(steps, late_is_theft, only, None));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    assert_covered(&coverage.into_inner(), minimum, expected);
}

#[test]
fn under_idempotent_no_honest_client_is_turned_away() {
    check(
        Some(Rule::Idempotent),
        5,
        &[
            "Idempotent: refresh NewChild Rotate",
            "Idempotent: refresh SameChild None",
            "Idempotent: refresh Ended(LateRetry",
            "Idempotent: refresh Ended(Stale, true) End",
            "Idempotent: refresh NotFound None",
            "Idempotent: refresh SessionExpired None",
            "Idempotent: refresh Fault None",
            "Idempotent: refresh Fault Rotate",
            "Idempotent: refresh Fault End",
            "Idempotent: verify Accepted None",
            "Idempotent: verify Expired None",
            "Idempotent: verify NotFound None",
            "Idempotent: verify Fault None",
        ],
    );
}

#[test]
fn under_on_refresh_the_outcomes_are_those_of_supertokens_from_cdi_5_6_on() {
    check(
        Some(Rule::OnRefresh),
        5,
        &[
            "OnRefresh: refresh NewChild Rotate",
            "OnRefresh: refresh NewChild Replace",
            "OnRefresh: refresh Ended(LateRetry",
            "OnRefresh: refresh Ended(OrphanedBranch",
            "OnRefresh: refresh Ended(Stale, true) End",
            "OnRefresh: refresh NotFound None",
            "OnRefresh: refresh SessionExpired None",
            "OnRefresh: refresh Fault None",
            "OnRefresh: refresh Fault Rotate",
            "OnRefresh: refresh Fault Replace",
            "OnRefresh: refresh Fault End",
            "OnRefresh: verify Accepted None",
            "OnRefresh: verify AcceptedWith(false) None",
            "OnRefresh: verify AcceptedWith(true) None",
            "OnRefresh: verify RotatedOut None",
            "OnRefresh: verify Expired None",
            "OnRefresh: verify NotFound None",
            "OnRefresh: verify Fault None",
        ],
    );
}

#[test]
fn under_on_use_the_outcomes_are_those_of_supertokens_up_to_cdi_5_5() {
    check(
        Some(Rule::OnUse),
        5,
        &[
            "OnUse: refresh NewChild None",
            "OnUse: refresh NewChild Promote",
            "OnUse: refresh Reported None",
            "OnUse: refresh NotFound None",
            "OnUse: refresh SessionExpired None",
            "OnUse: refresh Fault None",
            "OnUse: refresh Fault Promote",
            "OnUse: verify Accepted None",
            "OnUse: verify Replaced None",
            "OnUse: verify Replaced Promote",
            "OnUse: verify Expired None",
            "OnUse: verify NotFound None",
            "OnUse: verify Fault None",
            "OnUse: verify Fault Promote",
        ],
    );
}

#[test]
fn every_call_may_follow_another_policy() {
    check(
        None,
        1,
        &[
            "Idempotent: refresh NewChild Rotate",
            "Idempotent: refresh NewChild Replace",
            "Idempotent: refresh SameChild None",
            "Idempotent: refresh Ended(OrphanedBranch",
            "Idempotent: refresh Ended(LateRetry",
            "Idempotent: refresh Ended(Stale, true) End",
            "OnRefresh: refresh NewChild Rotate",
            "OnRefresh: refresh NewChild Replace",
            "OnRefresh: refresh Ended(Stale, true) End",
            "OnUse: refresh NewChild None",
            "OnUse: refresh NewChild Promote",
            "OnUse: refresh Reported None",
            "OnUse: verify Replaced Promote",
        ],
    );
}

/// How many lives it takes to find the fault.
fn lives_until_found(plant: &'static Plant, rule: Rule) -> Option<usize> {
    // It must be a policy that the engine takes: the lives have to find the fault.
    policy_of(false, Some(rule), Some(plant)).check().unwrap();
    let lives = RefCell::new(0);
    let config = ProptestConfig { max_shrink_iters: 0, ..config() };
    // The same lives each time: whether a fault is found is no matter of luck.
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, random);
    let result = runner.run(&(steps(), any::<bool>()), |(steps, late_is_theft)| {
        *lives.borrow_mut() += 1;
        drop(live(steps, late_is_theft, Some(rule), Some(plant)));
        Ok(())
    });
    matches!(result, Err(TestError::Fail(..))).then_some(lives.into_inner())
}

#[test]
fn a_planted_fault_is_found() {
    for plant in &PLANTS {
        for &rule in plant.rules {
            let lives = lives_until_found(plant, rule);
            println!("{rule:?}: {}: found after {lives:?}", plant.name);
            assert!(lives.is_some(), "under {rule:?} nobody finds that {}", plant.name);
        }
    }
}
