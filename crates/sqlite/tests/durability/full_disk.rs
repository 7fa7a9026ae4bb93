//! A disk without room: for the log, for the database, and when the power fails too.

use serde_json::json;
use sessile_core::{NewSession, SessionService, store::StoreErrorKind};
use sessile_sqlite::{Durability, SqliteStore};

use crate::{
    disk::MountedDisk,
    seed::seeded,
    served::Served,
    trial::{Findings, Trial},
};

const ADVICE: &str = "the disk is full, or the database as large as it may be: make room";

/// SQLite moves the log into the database when it has this many bytes, more or less.
const LOG_SIZE: u64 = 1000 * 4096;

/// Bytes of data of a session that is large.
const FILLING: usize = 3_000;

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    for _ in 0..6 {
        let mut served = Served::new();
        served.work();
        // In the midst of a page, of a log that has to grow.
        let room = served.rng.u64(..100_000);
        served.disk.set_room(Some(room));
        served.work_until(|before, now| now.refused >= before.refused + 30);
        served.assert_reads();
        served.disk.set_room(None);
        served.work();
        served.assert_reads();
        assert_eq!(served.ledger().unknown, 0, "everybody knew what had happened");
        served.close_and_check();
    }
}

#[test]
fn a_full_disk_says_what_to_do() {
    let mut served = Served::new();
    served.work();
    served.disk.set_room(Some(0));
    served.assert_refused(StoreErrorKind::NotWritable, ADVICE);
    served.disk.set_room(None);
    served.close_and_check();
}

#[test]
fn a_database_that_cannot_grow_leaves_everything_in_its_log() {
    let mut served = Served::new();
    served.work_until(|_, now| now.acknowledged >= 20);
    served.disk.set_room(Some(LOG_SIZE + 200_000));
    let create = || {
        let new = NewSession::new("bob").session_data(json!({ "filling": "x".repeat(FILLING) }));
        served.runtime.block_on(served.sessions.create_session(new))
    };
    let mut created = Vec::new();
    let refused = loop {
        match create() {
            Ok(issued) if created.len() < 10_000 => created.push(issued),
            Ok(_) => panic!("the disk is never full"),
            Err(error) => break error,
        }
    };
    assert!(refused.to_string().contains(ADVICE), "{refused}");
    let sizes = |served: &Served| {
        (served.disk.size_of("sessions.db"), served.disk.size_of("sessions.db-wal"))
    };
    let (database, log) = sizes(&served);
    assert!(log > LOG_SIZE && database < log / 4, "{database} and {log} bytes");
    served.assert_reads();

    served.disk.set_room(None);
    // A commit moves as much of the log as nobody reads at that moment, and the next one the rest.
    let filling = (created.len() * FILLING) as u64;
    let is_moved = |served: &Served| served.disk.size_of("sessions.db") > filling;
    assert!(!is_moved(&served), "{database} bytes before, for {filling} that were created");
    let mut rounds = 0;
    while rounds < 100 && !is_moved(&served) {
        served.work();
        rounds += 1;
    }
    assert!(is_moved(&served), "the log was moved into it: {:?}", sizes(&served));
    for issued in &created {
        let token = issued.refresh_token.token.expose();
        assert!(served.runtime.block_on(served.sessions.refresh(token.into())).is_ok());
    }
    served.close_and_check();
}

#[test]
fn a_backup_without_room_leaves_nothing_behind() {
    let mut served = Served::new();
    served.work();
    let copy = served.disk.folder().join("copy.db");
    let back_up = || served.runtime.block_on(served.sessions.store().back_up(&copy));
    for room in [0, 5_000, 20_000] {
        served.disk.set_room(Some(room));
        let refused = back_up().unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::NotWritable);
        assert!(refused.to_string().contains(ADVICE), "{refused}");
        assert!(!copy.exists());
    }
    served.assert_reads();
    served.disk.set_room(None);
    back_up().unwrap();
    served.close_and_check();
}

#[test]
fn a_store_on_a_full_disk_does_not_open_and_says_so() {
    let disk = MountedDisk::new();
    for room in (0..60_000).step_by(3_000) {
        disk.set_room(Some(room));
        if let Err(error) = SqliteStore::open(disk.file()) {
            assert_eq!(error.kind(), StoreErrorKind::NotWritable, "{error}");
            assert!(error.to_string().contains(ADVICE), "{error}");
        }
        disk.set_room(None);
        SqliteStore::open(disk.file()).unwrap();
    }
}

#[test]
fn nothing_acknowledged_is_lost_with_the_power_of_a_full_disk() {
    let (mut rng, seed) = seeded();
    let trial = Trial::new(Durability::Full).with_full_disks();
    let mut findings = Findings::default();
    for _ in 0..4 {
        trial.run(&MountedDisk::new(), 50, &mut rng, &mut findings);
    }
    assert!(findings.refused > 100, "the disks were full");
    assert!(
        findings.problems.is_empty(),
        "{seed}: {}\nthe first is in {}",
        findings.summary(),
        findings.kept_image().display()
    );
}
