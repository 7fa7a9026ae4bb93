//! What PostgreSQL's failures mean to a caller, and what an operator can do about them.

use std::error::Error as StdError;

use sessile_core::store::{StoreError, StoreErrorKind};
use tokio_postgres::error::{DbError, Severity, SqlState};

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
}

/// Why a request, or a whole batch of them, did not happen, or may not have happened.
///
/// No value that is stored is in it: of what PostgreSQL reports, only the code and the first line
/// are kept, because the details quote whole rows.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// A row of that name exists; this says which.
    AlreadyExists(&'static str),
    /// The store was closed before.
    Closed,
    /// The database is not one that can be used, and this says why.
    Incompatible(String),
    /// The task that did it is gone.
    Interrupted,
    /// Another program has locked what it is about; nothing happened.
    Locked,
    /// The connection ended before the answer came; a write may have happened.
    Lost(String),
    /// PostgreSQL refused the statement, and nothing happened.
    Refused { code: SqlState, message: String },
    /// There are no connections for now; nothing happened.
    Suspended,
    /// The answer did not come in time; a write may have happened.
    TimedOut,
    /// No connection could be had; nothing happened.
    Unreachable(String),
    /// A value is one that the database cannot keep, or that this program cannot read.
    Value(&'static str),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::of_statement(&error)
    }
}

impl Failure {
    /// What went wrong while a connection was in use.
    pub(crate) fn of_statement(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(error) if !ends_connection(error) => {
                Self::Refused { code: error.code().clone(), message: error.message().to_owned() }
            }
            _ if is_about_a_value(error) => {
                Self::Value("a value in the database cannot be read; did another program write it?")
            }
            _ => Self::Lost(describe(error)),
        }
    }

    /// What went wrong while connecting.
    pub(crate) fn reason_of(error: &tokio_postgres::Error) -> String {
        describe(error)
    }

    /// Whether the same statement may well succeed when it is repeated.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code, .. }
            if *code == SqlState::T_R_SERIALIZATION_FAILURE
                || *code == SqlState::T_R_DEADLOCK_DETECTED)
    }

    /// Whether a row needs another one that is not there.
    pub(crate) fn is_missing_reference(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == SqlState::FOREIGN_KEY_VIOLATION)
    }

    /// Whether a lock was not to be had in time.
    pub(crate) fn is_lock_timeout(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == SqlState::LOCK_NOT_AVAILABLE)
    }

    /// Whether one request of several may be what it is about: then the others may be done without
    /// it, as nothing was.
    pub(crate) fn may_be_for_one(&self) -> bool {
        matches!(self, Self::Refused { code, .. }
            if *code != SqlState::LOCK_NOT_AVAILABLE && *code != SqlState::QUERY_CANCELED)
    }

    /// Whether the statement may have been done, or was, and only its answer is missing.
    pub(crate) fn may_be_done(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Value(_))
    }

    /// Whether another program made the same table or row at the same time.
    pub(crate) fn is_already_there(&self) -> bool {
        matches!(self, Self::Refused { code, .. }
            if *code == SqlState::DUPLICATE_TABLE
                || *code == SqlState::DUPLICATE_OBJECT
                || *code == SqlState::DUPLICATE_SCHEMA
                || *code == SqlState::UNIQUE_VIOLATION)
    }

    /// Whether the connection is of no more use: it is gone, or in a state that it should not be
    /// in, or leads to a server that does not take writes any more.
    pub(crate) fn spoils_connection(&self) -> bool {
        match self {
            Self::Lost(_) | Self::TimedOut => true,
            Self::Refused { code, .. } => {
                *code == SqlState::READ_ONLY_SQL_TRANSACTION
                    || *code == SqlState::IN_FAILED_SQL_TRANSACTION
                    || *code == SqlState::INVALID_SQL_STATEMENT_NAME
                    || *code == SqlState::FEATURE_NOT_SUPPORTED
            }
            _ => false,
        }
    }

    /// Whether the server takes no writes.
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == SqlState::READ_ONLY_SQL_TRANSACTION)
    }

    /// The report for a caller.
    pub(crate) fn report(&self, task: Task) -> StoreError {
        use StoreErrorKind::{AlreadyExists, Incompatible, Other, Unavailable};

        let (kind, text) = match self {
            Self::AlreadyExists(what) => return StoreError::new(AlreadyExists, *what),
            Self::Closed => (Unavailable, "the store was closed; open it again".to_owned()),
            Self::Incompatible(problem) => (Incompatible, problem.clone()),
            Self::Interrupted => {
                (Unavailable, "the runtime that served the store ended; open it again".to_owned())
            }
            Self::Locked => (Unavailable, LOCKED.to_owned()),
            Self::Lost(reason) => (Unavailable, format!("{}: {reason}", lost(task))),
            Self::Refused { code, message } => {
                let (kind, advice) = assess(code);
                (kind, format!("{advice} (PostgreSQL says {}: {message})", code.code()))
            }
            Self::Suspended => (Unavailable, "the store is suspended".to_owned()),
            Self::TimedOut => (Unavailable, timed_out(task).to_owned()),
            Self::Unreachable(reason) => (Unavailable, format!("cannot connect to {reason}")),
            Self::Value(problem) => (Other, (*problem).to_owned()),
        };
        StoreError::new(kind, format!("{}: {text}", task.name()))
    }
}

/// Whether PostgreSQL ends the connection when it reports this, whatever came of the statement: one
/// that was to be committed may have been when the disk of the log was found to be full.
fn ends_connection(error: &DbError) -> bool {
    let code = error.code();
    matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
        || *code == SqlState::ADMIN_SHUTDOWN
        || *code == SqlState::CRASH_SHUTDOWN
        || *code == SqlState::CANNOT_CONNECT_NOW
        || code.code() == "57P05"
        || code.code().starts_with("08")
}

/// Whether a column has not the form that this program reads.
fn is_about_a_value(error: &tokio_postgres::Error) -> bool {
    let text = error.to_string();
    text.starts_with("error deserializing") || text.starts_with("invalid column")
}

/// The error and its causes, of PostgreSQL's only the first line.
fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return error.message().to_owned();
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn lost(task: Task) -> &'static str {
    match task {
        Task::Read(_) => "the connection to PostgreSQL was lost",
        Task::Write(_) => "the connection to PostgreSQL was lost, and the outcome is unknown",
    }
}

fn timed_out(task: Task) -> &'static str {
    match task {
        Task::Read(_) => "PostgreSQL did not answer in time",
        Task::Write(_) => "PostgreSQL did not answer in time, and the outcome is unknown",
    }
}

const LOCKED: &str = "another program has locked the session in the database, and nothing was \
                      done: see pg_locks for who it is";

/// The kind of a failure, and what to do about it.
fn assess(code: &SqlState) -> (StoreErrorKind, &'static str) {
    use StoreErrorKind::{
        AlreadyExists, Incompatible, NotWritable, Other, Unavailable, UnknownTenant,
    };

    let is = |codes: &[SqlState]| codes.contains(code);
    if is(&[SqlState::READ_ONLY_SQL_TRANSACTION]) {
        (NotWritable, "the database takes no writes: connect to the primary server")
    } else if is(&[SqlState::DISK_FULL]) {
        (NotWritable, "the disk of the database is full: make room")
    } else if is(&[SqlState::INSUFFICIENT_PRIVILEGE]) {
        (NotWritable, "the user has not the right to do this: grant it the rights on the tables")
    } else if is(&[SqlState::FOREIGN_KEY_VIOLATION]) {
        (
            UnknownTenant,
            "the app or tenant is not in this database, which is shared with a SuperTokens core: \
             create it first",
        )
    } else if is(&[SqlState::UNIQUE_VIOLATION]) {
        (AlreadyExists, "there is one already")
    } else if is(&[
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_COLUMN,
        SqlState::UNDEFINED_FUNCTION,
        SqlState::UNDEFINED_OBJECT,
        SqlState::INVALID_SCHEMA_NAME,
        SqlState::DATATYPE_MISMATCH,
        SqlState::NOT_NULL_VIOLATION,
    ]) {
        (Incompatible, "the tables are not those that this version of Sessile knows")
    } else if is(&[SqlState::QUERY_CANCELED, SqlState::LOCK_NOT_AVAILABLE]) {
        (Unavailable, "the statement took too long: see what holds its locks")
    } else if is(&[SqlState::TOO_MANY_CONNECTIONS, SqlState::OUT_OF_MEMORY]) || retries(code) {
        (Unavailable, "the database has too much to do")
    } else if is(&[SqlState::INVALID_SQL_STATEMENT_NAME]) {
        (
            Unavailable,
            "a prepared statement is gone: where PgBouncer stands before the database, let it \
             pool sessions",
        )
    } else {
        (Other, "PostgreSQL failed")
    }
}

fn retries(code: &SqlState) -> bool {
    *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_the_kind_that_callers_act_on() {
        let write = Task::Write("writing");
        for (code, kind) in [
            ("25006", StoreErrorKind::NotWritable),
            ("53100", StoreErrorKind::NotWritable),
            ("42501", StoreErrorKind::NotWritable),
            ("42P01", StoreErrorKind::Incompatible),
            ("42703", StoreErrorKind::Incompatible),
            ("57014", StoreErrorKind::Unavailable),
            ("53300", StoreErrorKind::Unavailable),
            ("40P01", StoreErrorKind::Unavailable),
            ("23505", StoreErrorKind::AlreadyExists),
            ("23503", StoreErrorKind::UnknownTenant),
            ("XX000", StoreErrorKind::Other),
        ] {
            let failure =
                Failure::Refused { code: SqlState::from_code(code), message: "why".into() };
            assert_eq!(failure.report(write).kind(), kind, "{code}");
        }
        for failure in [Failure::Lost("why".into()), Failure::TimedOut, Failure::Closed] {
            assert_eq!(failure.report(write).kind(), StoreErrorKind::Unavailable, "{failure:?}");
        }
    }
}
