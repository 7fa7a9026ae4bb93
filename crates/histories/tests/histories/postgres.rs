//! Three nodes on one PostgreSQL.

use std::{collections::BTreeSet, time::Duration};

use sessile_core::clock::Clock;
use sessile_histories::{
    History, MonotonicClock,
    history::{Call, Outcome},
    invariants::{Invariant, Violation},
};
use sessile_postgres_fixture::{Cluster, Database, Shutdown};

use crate::{
    disturbances::Nodes,
    faults::Fault,
    run::{Run, assert_found, assert_happens, assert_nothing_else_found},
    settings::{Keys, Rotation, Settings, number_in},
};

const NODES: usize = 3;

/// So long that three signing keys have been replaced.
const LEAST_TIME: Duration = Duration::from_secs(11);

/// Each disturbance is a node killed, or the server stopped and started, or both.
const DISTURBANCES: u32 = 6;

/// As many runs as were asked for, while nodes are killed and the server is stopped.
fn run_disturbed(settings: Settings, expected: &[&str]) {
    for number in 0..number_in("SESSILE_HISTORIES_RUNS").unwrap_or(1) {
        let settings = Settings {
            seed: settings.seed + 1000 * number,
            steps: u32::MAX,
            clients: 22,
            keys: Some(Keys {
                update_interval: Duration::from_secs(6),
                overlap: Duration::from_secs(3),
                access_token_validity: Duration::from_secs(1),
            }),
            ..settings
        };
        assert_happens(settings, expected, disturbed);
    }
}

fn disturbed(settings: Settings) -> History {
    let cluster = Cluster::start(&[]);
    let run = Run::on(cluster.database().url(), settings);
    let mut nodes = Nodes::start(&run, &cluster, NODES);
    nodes.get_on(1);
    let end = MonotonicClock.now().plus(LEAST_TIME);
    let mut disturbances = 0;
    while disturbances < DISTURBANCES || nodes.restarts < 2 || nodes.kills < 2 {
        nodes.disturb();
        disturbances += 1;
    }
    while MonotonicClock.now() < end {
        nodes.get_on(1);
    }
    let (kills, restarts) = (nodes.kills, nodes.restarts);
    let processes = nodes.finish();
    run.refresh_all(processes);
    let found = run.finish(processes + 1);
    report(&settings, &found.0, kills, restarts);
    assert_nothing_else_found(&run, &found);
    assert!(keys_in(&found.0).len() > 3, "too few keys were made: {:?}", keys_in(&found.0));
    found.0
}

/// Says what was in a run, for whoever looks at the output.
fn report(settings: &Settings, history: &History, kills: u32, restarts: u32) {
    let calls = history.operations.len();
    let unanswered = history.operations.iter().filter(|one| one.answer.is_none()).count();
    let unavailable = |outcome: &Outcome| matches!(outcome, Outcome::Unavailable { .. });
    let answers = history.operations.iter().filter_map(|one| one.answer.as_ref());
    let unavailable = answers.filter(|answer| unavailable(&answer.outcome)).count();
    println!(
        "seed {}, {:?}: {calls} calls, {kills} nodes killed, {restarts} restarts of the server, \
         {unanswered} calls without an answer, {unavailable} told that the store was away, {} \
         keys, {} lost refreshes repeated",
        settings.seed,
        settings.rotation,
        keys_in(history).len(),
        repeated_in(history),
    );
}

fn keys_in(history: &History) -> BTreeSet<&str> {
    let answers = history.operations.iter().filter_map(|one| one.answer.as_ref());
    let keys = answers.filter_map(|answer| match &answer.outcome {
        Outcome::Keys { keys, .. } => Some(keys),
        _ => None,
    });
    keys.flatten().map(String::as_str).collect()
}

/// The refreshes with a token that somebody had presented without being answered.
fn repeated_in(history: &History) -> usize {
    let mut lost = BTreeSet::new();
    let mut repeated = 0;
    for operation in &history.operations {
        if let Call::Refresh { token, .. } = &operation.call {
            if operation.known().is_none() {
                lost.insert(token);
            } else if lost.contains(token) {
                repeated += 1;
            }
        }
    }
    repeated
}

const ALWAYS: [&str; 7] = [
    "Append unanswered",
    "CompareAndSwap Conflict",
    "Refresh unanswered",
    "Refresh Unavailable",
    "Revoked(\"all_of_user\")",
    "Verify Refused",
    "Verify SessionNotFound",
];

#[test]
fn three_nodes_keep_every_invariant() {
    let expected = [&ALWAYS[..], &["Reissued", "Refresh Ended"]].concat();
    run_disturbed(Settings::of_seed(21), &expected);
}

#[test]
fn three_nodes_keep_them_under_a_session_limit() {
    let settings = Settings {
        limit: Some((6, true)),
        grace: Duration::from_millis(20),
        ..Settings::of_seed(22)
    };
    let expected = [&ALWAYS[..], &["LogIn TooManySessions", "Revoked(\"late_retry\")"]].concat();
    run_disturbed(settings, &expected);
}

#[test]
fn three_nodes_keep_what_on_refresh_promises() {
    let settings = Settings {
        rotation: Rotation::OnRefresh,
        limit: Some((6, false)),
        ..Settings::of_seed(23)
    };
    let expected = [
        &ALWAYS[..],
        &["Revoked(\"evicted\")", "Revoked(\"orphaned_branch\")", "Verify RotatedOut"],
    ]
    .concat();
    run_disturbed(settings, &expected);
}

#[test]
fn three_nodes_keep_what_on_use_promises() {
    let settings = Settings { rotation: Rotation::OnUse, ..Settings::of_seed(24) };
    run_disturbed(settings, &[&ALWAYS[..], &["Refresh TheftReported"]].concat());
}

#[test]
fn three_nodes_keep_every_invariant_when_a_standby_takes_over() {
    let settings = Settings { steps: u32::MAX, clients: 22, ..Settings::of_seed(28) };
    assert_happens(settings, &["Refresh Unavailable", "Refresh unanswered"], taken_over);
}

/// The standby has confirmed whatever was acknowledged.
fn taken_over(settings: Settings) -> History {
    let primary = Cluster::start(&[]);
    let database = primary.database();
    let standby = primary.start_standby();
    let run = Run::on(database.url_at_any_of(&[primary.port(), standby.port()]), settings);
    let mut nodes = Nodes::start(&run, &primary, NODES);
    nodes.get_on(50);
    primary.stop(Shutdown::Immediate);
    nodes.get_on(5);
    standby.promote();
    nodes.get_on(50);
    nodes.kill();
    nodes.get_on(50);
    let processes = nodes.finish();
    run.refresh_all(processes);
    let found = run.finish(processes + 1);
    assert_nothing_else_found(&run, &found);
    found.0
}

#[test]
fn planted_faults_are_found_on_postgres() {
    use Rotation::{Idempotent, OnRefresh, OnUse};

    let limit = Some((3, true));
    for (fault, rotation, limit, invariant) in [
        (Fault::GuardCheckedBeforeTheWrite, Idempotent, None, Invariant::OneLiveGeneration),
        (Fault::GuardCheckedBeforeTheWrite, OnRefresh, None, Invariant::OneLiveGeneration),
        (Fault::ReadFromACache, OnUse, None, Invariant::NoFalseTheft),
        (Fault::ListedBeforeTheRemoval, Idempotent, None, Invariant::RevokeAllSparesNoEarlierLogin),
        (Fault::DataWriteUpserts, Idempotent, None, Invariant::EndedSessionsStayEnded),
        (Fault::ComparedBeforeTheWrite, Idempotent, None, Invariant::DataWritesAreNotLost),
        (Fault::CountedBeforeTheInsert, Idempotent, limit, Invariant::SessionLimitHolds),
        (Fault::FoundBeforeTheRemoval, Idempotent, None, Invariant::TheftEndsOnce),
        (Fault::ListedFromACache, Idempotent, None, Invariant::LoginsAreListed),
        (Fault::ReadFromACache, Idempotent, None, Invariant::AcknowledgedRevocationsHold),
    ] {
        let settings = Settings { fault, rotation, limit, ..Settings::of_seed(25) };
        assert_found(settings, invariant, two_nodes);
    }
}

/// What is found when two nodes have acted until they are done.
fn two_nodes(settings: Settings) -> Vec<Violation> {
    let run = Run::on(Database::new().url(), settings);
    for mut node in [run.start(0), run.start(1)] {
        assert!(node.wait().unwrap().success());
    }
    run.finish(2).1
}

#[test]
fn planted_faults_of_keys_are_found_on_postgres() {
    for (fault, overlap) in [
        // Two nodes that make a key in the same millisecond give it the same name, so there have
        // to be some keys.
        (Fault::KeyAddedWithoutComparison, Duration::from_millis(200)),
        (Fault::KeysSweptTooEarly, Duration::from_secs(1)),
    ] {
        let access_token_validity = Duration::from_secs(1);
        let keys = Keys { update_interval: 2 * overlap, overlap, access_token_validity };
        let settings =
            Settings { fault, keys: Some(keys), steps: u32::MAX, ..Settings::of_seed(26) };
        assert_found(settings, Invariant::KeysRollOver, three_nodes_for_a_while);
    }
}

/// What is found when three nodes have acted for some seconds.
fn three_nodes_for_a_while(settings: Settings) -> Vec<Violation> {
    let cluster = Cluster::shared();
    let run = Run::on(cluster.database().url(), settings);
    let end = MonotonicClock.now().plus(Duration::from_secs(5));
    let nodes = Nodes::start(&run, cluster, NODES);
    while MonotonicClock.now() < end {
        nodes.get_on(1);
    }
    run.finish(nodes.finish()).1
}

#[test]
fn a_rotation_that_is_killed_half_way_is_found_on_postgres() {
    let settings = Settings { fault: Fault::RotatedInTwoSteps, ..Settings::of_seed(27) };
    assert_found(settings, Invariant::LostAnswersAreRecoverable, killed_half_way);
}

fn killed_half_way(settings: Settings) -> Vec<Violation> {
    let run = Run::on(Database::new().url(), settings);
    let mut survivor = run.start(0);
    // Several: a session whose rotation was cut in two may end before anybody can tell.
    for process in 1..=4 {
        run.start_and_kill(process);
    }
    assert!(survivor.wait().unwrap().success());
    run.finish(5).1
}
