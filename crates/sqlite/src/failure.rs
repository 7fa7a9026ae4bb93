//! What SQLite's failures mean to a caller, and what an operator can do about them.

use std::sync::Arc;

use rusqlite::{ErrorCode, ffi};
use sessile_core::store::{StoreError, StoreErrorKind};

/// What a request does, for the report of its failure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    /// It reads, and this is what.
    Read(&'static str),
    /// It writes, and this is what.
    Write(&'static str),
}

impl Task {
    fn name(self) -> &'static str {
        match self {
            Self::Read(name) | Self::Write(name) => name,
        }
    }

    /// The report that the store was closed before.
    pub(crate) fn closed(self) -> StoreError {
        let text = format!("{}: the store was closed; open it again", self.name());
        StoreError::new(StoreErrorKind::Unavailable, text)
    }

    /// The report that the thread which serves such requests is gone, or dropped this one.
    pub(crate) fn interrupted(self) -> StoreError {
        let outcome = match self {
            Self::Read(_) => "the database thread stopped; restart the program",
            Self::Write(_) => {
                "the database thread stopped, and the outcome is unknown; restart the program if \
                 this goes on"
            }
        };
        StoreError::new(StoreErrorKind::Unavailable, format!("{}: {outcome}", self.name()))
    }
}

/// Why a request, or a whole batch of them, did not happen.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// A row of that name exists; this says which.
    AlreadyExists(&'static str),
    /// A new file cannot be made.
    CannotCreate,
    /// The sessions were moved to another store.
    Retired,
    /// SQLite failed. Shared, because all requests of a batch are told.
    Sqlite(Arc<rusqlite::Error>),
}

impl Failure {
    /// Whether another connection has the file locked.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite(error)
            if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy))
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

impl Failure {
    /// The report for a caller. No value that was to be stored is in it: SQLite's messages name
    /// tables and columns only.
    pub(crate) fn report(&self, task: Task) -> StoreError {
        match self {
            Self::AlreadyExists(what) => StoreError::new(StoreErrorKind::AlreadyExists, *what),
            Self::CannotCreate => {
                let text = format!(
                    "{}: the file is there already or cannot be made; name a new one in a folder \
                     that can be written to",
                    task.name()
                );
                StoreError::new(StoreErrorKind::NotWritable, text)
            }
            Self::Retired => {
                StoreError::new(StoreErrorKind::NotWritable, format!("{}: {RETIRED}", task.name()))
            }
            Self::Sqlite(error) => {
                let (kind, advice) = assess(error, task);
                StoreError::new(kind, format!("{}: {advice}", task.name()))
                    .with_source(Arc::clone(error))
            }
        }
    }
}

const READ_ONLY: &str = "the database cannot be written: give this user the right to write to \
                         the file and to its folder, where SQLite keeps files beside it";

const FULL: &str = "the disk is full, or the database as large as it may be: make room";

const RETIRED: &str =
    "the sessions were moved to another store: use that one, or reinstate this one";

/// The kind of a failure, and what to do about it.
fn assess(error: &rusqlite::Error, task: Task) -> (StoreErrorKind, &'static str) {
    use StoreErrorKind::{Incompatible, NotWritable, Other, Unavailable};

    let Some(code) = error.sqlite_error_code() else {
        return (Other, "a value in the database cannot be read; did another program write it?");
    };
    match (code, task) {
        (ErrorCode::DiskFull, _) => (NotWritable, FULL),
        // SQLite says so where the index of its log, a file that all connections share, cannot be
        // made as large as it has to be.
        _ if error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_SHMSIZE) => {
            (NotWritable, FULL)
        }
        // There are no others than those of a store that is retired.
        _ if error.sqlite_extended_error_code() == Some(ffi::SQLITE_CONSTRAINT_TRIGGER) => {
            (NotWritable, RETIRED)
        }
        (ErrorCode::ReadOnly, _)
        | (ErrorCode::PermissionDenied | ErrorCode::CannotOpen, Task::Write(_)) => {
            (NotWritable, READ_ONLY)
        }
        (ErrorCode::PermissionDenied | ErrorCode::CannotOpen, Task::Read(_)) => {
            (Unavailable, "the file cannot be opened: see that it is there and can be read")
        }
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => (
            Unavailable,
            "another connection kept the database locked for longer than the busy timeout: end \
             the program that holds it, or raise the timeout",
        ),
        (ErrorCode::SystemIoFailure | ErrorCode::FileLockingProtocolFailed, _) => (
            Unavailable,
            "the disk or file system failed, or takes no more writes: look into the system's log, \
             and whether a quota is used up or the file system has become read-only",
        ),
        (ErrorCode::OutOfMemory, _) => (Unavailable, "the memory is used up"),
        (ErrorCode::NotADatabase, _) => {
            (Incompatible, "the file is not a SQLite database: give Sessile a file of its own")
        }
        (ErrorCode::DatabaseCorrupt, _) => {
            (Other, "the database is damaged: restore it from a backup")
        }
        (ErrorCode::TooBig, _) => (Other, "a value is larger than SQLite can keep"),
        _ => (Other, "SQLite failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_the_kind_that_callers_act_on() {
        let (read, write) = (Task::Read("reading"), Task::Write("writing"));
        for (code, task, kind) in [
            (ffi::SQLITE_FULL, write, StoreErrorKind::NotWritable),
            (ffi::SQLITE_READONLY, write, StoreErrorKind::NotWritable),
            (ffi::SQLITE_READONLY_DIRECTORY, write, StoreErrorKind::NotWritable),
            (ffi::SQLITE_CONSTRAINT_TRIGGER, write, StoreErrorKind::NotWritable),
            (ffi::SQLITE_CANTOPEN, write, StoreErrorKind::NotWritable),
            (ffi::SQLITE_CANTOPEN, read, StoreErrorKind::Unavailable),
            (ffi::SQLITE_PERM, write, StoreErrorKind::NotWritable),
            (ffi::SQLITE_BUSY, write, StoreErrorKind::Unavailable),
            (ffi::SQLITE_BUSY_SNAPSHOT, write, StoreErrorKind::Unavailable),
            (ffi::SQLITE_LOCKED, read, StoreErrorKind::Unavailable),
            (ffi::SQLITE_IOERR, write, StoreErrorKind::Unavailable),
            (ffi::SQLITE_IOERR_FSYNC, write, StoreErrorKind::Unavailable),
            (ffi::SQLITE_IOERR_SHMSIZE, read, StoreErrorKind::NotWritable),
            (ffi::SQLITE_NOTADB, read, StoreErrorKind::Incompatible),
            (ffi::SQLITE_CORRUPT, read, StoreErrorKind::Other),
            (ffi::SQLITE_ERROR, read, StoreErrorKind::Other),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(Failure::from(error).report(task).kind(), kind, "code {code}");
        }
    }
}
