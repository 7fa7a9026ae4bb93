//! Files that cannot be written: from the beginning, and all of a sudden.

use rusqlite::ffi;
use sessile_core::store::StoreErrorKind;
use sessile_sqlite::SqliteStore;

use crate::{
    disk::{MountedDisk, Operation},
    served::Served,
};

const READ_ONLY: &str = "the database cannot be written: give this user the right to write";
const FAILED: &str = "look into the system's log";
const FULL: &str = "make room";

#[test]
fn a_store_that_cannot_be_written_says_so_and_goes_on_when_it_can() {
    use StoreErrorKind::{NotWritable, Unavailable};

    let mut served = Served::new();
    for (operation, code, kind, advice) in [
        (Operation::Write, ffi::SQLITE_READONLY, NotWritable, READ_ONLY),
        (Operation::Write, ffi::SQLITE_FULL, NotWritable, FULL),
        // A file system that became read-only, a quota, a broken disk.
        (Operation::Write, ffi::SQLITE_IOERR_WRITE, Unavailable, FAILED),
        (Operation::Sync, ffi::SQLITE_IOERR_FSYNC, Unavailable, FAILED),
        (Operation::Sync, ffi::SQLITE_FULL, NotWritable, FULL),
        (Operation::Sync, ffi::SQLITE_READONLY, NotWritable, READ_ONLY),
    ] {
        served.work();
        served.disk.refuse(&[(operation, code)]);
        served.work_until(|before, now| {
            now.refused + now.unknown >= before.refused + before.unknown + 30
        });
        served.assert_refused(kind, advice);
        served.assert_reads();
        served.disk.refuse(&[]);
        served.work();
        served.assert_reads();
    }
    served.close_and_check();
}

/// The one who waits for the answer is not kept waiting by what is done on the side.
#[test]
fn a_log_that_cannot_be_moved_into_the_database_is_kept_until_it_can() {
    let mut served = Served::new();
    served.work();
    served.disk.refuse(&[(Operation::WriteDatabase, ffi::SQLITE_IOERR_WRITE)]);
    // More than once as much as the log is long at most.
    served.work_until(|before, now| now.acknowledged >= before.acknowledged + 4_000);
    assert_eq!(served.ledger().refused + served.ledger().unknown, 0);
    let log = served.disk.size_of("sessions.db-wal");
    assert!(log > 8_000_000, "{log} bytes are twice as many as usual");
    served.disk.refuse(&[]);
    served.work();
    served.work_until(|before, now| now.acknowledged >= before.acknowledged + 1_000);
    let grown = served.disk.size_of("sessions.db-wal") - log;
    assert!(grown < log / 10, "from {log} bytes by {grown}, though it is written anew");
    served.close_and_check();
}

#[test]
fn a_store_that_cannot_be_written_does_not_open_and_says_so() {
    let served = Served::new();
    let disk = &served.disk;
    let assert_refused = |advice: &str| {
        let error = SqliteStore::open(disk.file()).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::NotWritable, "{error}");
        assert!(error.to_string().contains(advice), "{error}");
    };
    disk.set_read_only(true);
    assert_refused("is read-only: give this user the right to write to it");
    disk.set_read_only(false);
    for (operation, code, advice) in [
        (Operation::OpenDatabase, ffi::SQLITE_CANTOPEN, READ_ONLY),
        (Operation::OpenDatabase, ffi::SQLITE_PERM, READ_ONLY),
        (Operation::OpenLog, ffi::SQLITE_CANTOPEN, READ_ONLY),
        (Operation::OpenLog, ffi::SQLITE_READONLY_DIRECTORY, READ_ONLY),
        (Operation::OpenLog, ffi::SQLITE_FULL, FULL),
    ] {
        disk.refuse(&[(operation, code)]);
        assert_refused(advice);
        disk.refuse(&[]);
        SqliteStore::open(disk.file()).unwrap();
    }
    served.close_and_check();
}

/// SQLite makes the index of the log anew, which fails where the folder has become read-only or
/// full.
#[test]
fn a_store_whose_index_cannot_be_made_does_not_open_and_says_so() {
    for (code, advice) in [
        (ffi::SQLITE_IOERR_SHMSIZE, FULL),
        (ffi::SQLITE_READONLY_CANTINIT, READ_ONLY),
        (ffi::SQLITE_CANTOPEN, READ_ONLY),
    ] {
        let disk = MountedDisk::new();
        disk.refuse(&[(Operation::GrowIndex, code)]);
        let error = SqliteStore::open(disk.file()).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::NotWritable, "{error}");
        assert!(error.to_string().contains(advice), "{error}");
        disk.refuse(&[]);
        SqliteStore::open(disk.file()).unwrap();
    }
}
