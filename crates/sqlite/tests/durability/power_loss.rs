//! Loss of power at any moment, 1 000 times.

use sessile_sqlite::Durability;

use crate::{
    checker::ProblemKind,
    disk::{MountedDisk, Syncs},
    seed::seeded,
    trial::{Findings, Trial},
};

/// Cuts the power of several disks.
fn cut_power(
    durability: Durability,
    syncs: Syncs,
    disks: usize,
    cuts_of_each: usize,
) -> (Findings, String) {
    let (mut rng, seed) = seeded();
    let trial = Trial::new(durability);
    let mut findings = Findings::default();
    for _ in 0..disks {
        let disk = MountedDisk::with(syncs);
        trial.run(&disk, cuts_of_each, &mut rng, &mut findings);
        assert_eq!(disk.syncs() == 0, matches!(syncs, Syncs::Off));
    }
    assert_eq!(findings.cuts, disks * cuts_of_each);
    assert!(findings.acknowledged > findings.cuts * 50, "there was something to lose");
    (findings, seed)
}

#[test]
fn nothing_acknowledged_is_lost_with_the_power() {
    let (findings, seed) = cut_power(Durability::Full, Syncs::Done, 20, 50);
    assert!(
        findings.problems.is_empty(),
        "{seed}: {}\nthe first is in {}",
        findings.summary(),
        findings.kept_image().display()
    );
}

#[test]
fn with_synchronous_off_the_same_checks_find_losses() {
    let (findings, seed) = cut_power(Durability::Full, Syncs::Off, 2, 25);
    assert!(findings.cuts_with(ProblemKind::Lost) > 10, "{seed}: {}", findings.summary());
}

/// The syncs that matter: the log's, on which each commit rests; and the database's, before the log
/// is written anew.
#[test]
fn without_the_syncs_of_either_file_the_same_checks_find_losses() {
    let is_log = |name: &str| name.ends_with("-wal");
    let is_no_log = |name: &str| !name.ends_with("-wal");
    for syncs in [Syncs::Ignored(is_log), Syncs::Ignored(is_no_log)] {
        let (findings, seed) = cut_power(Durability::Full, syncs, 4, 25);
        assert!(findings.cuts_with(ProblemKind::Lost) > 5, "{seed}: {}", findings.summary());
    }
}

#[test]
fn normal_durability_loses_the_last_commits_and_damages_nothing() {
    let (findings, seed) = cut_power(Durability::Normal, Syncs::Done, 4, 50);
    assert!(findings.cuts_with(ProblemKind::Lost) > 10, "{seed}: {}", findings.summary());
    for kind in [ProblemKind::DoesNotOpen, ProblemKind::Damaged, ProblemKind::Unasked] {
        assert_eq!(findings.cuts_with(kind), 0, "{seed}: {}", findings.summary());
    }
}
