//! Keeping writers out while the sessions are moved elsewhere, and ever after.

use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use sessile_core::store::StoreError;

use crate::{
    failure::{Failure, Task},
    store::SqliteStore,
    writer,
};

const TABLES: [&str; 4] = ["secrets", "sessions", "signing_keys", "tenants"];
const CHANGES: [&str; 3] = ["INSERT", "UPDATE", "DELETE"];

/// How long to wait until the writers of other processes let the file go.
const PATIENCE: Duration = Duration::from_secs(30);

const TASK: Task = Task::Write("keeping writers out");

/// As long as this lives, nobody writes to the store: writers wait, and fail with
/// [`Unavailable`](sessile_core::store::StoreErrorKind::Unavailable) where that takes longer than
/// their busy timeout. Dropped, it lets them go on.
#[derive(Debug)]
pub struct HeldWriters(Connection);

impl SqliteStore {
    /// Keeps all writers out, those of this store too. Blocks until those that are at it are done.
    ///
    /// # Errors
    /// [`Unavailable`](sessile_core::store::StoreErrorKind::Unavailable) when they do not end.
    pub fn hold_writers(&self) -> Result<HeldWriters, StoreError> {
        self.begin().map(HeldWriters).map_err(|failure| failure.report(TASK))
    }

    /// Lets writers in again after [`HeldWriters::retire`].
    ///
    /// # Errors
    /// As [`hold_writers`](Self::hold_writers).
    pub fn reinstate(&self) -> Result<(), StoreError> {
        let reinstate = || -> Result<(), Failure> {
            let connection = self.begin()?;
            for (name, ..) in triggers() {
                connection.execute_batch(&format!("DROP TRIGGER IF EXISTS {name}"))?;
            }
            Ok(connection.execute_batch("COMMIT")?)
        };
        reinstate().map_err(|failure| failure.report(TASK))
    }

    /// A connection of its own, in a transaction that keeps others from writing.
    fn begin(&self) -> Result<Connection, Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.shared.path, flags)?;
        connection.busy_timeout(Duration::ZERO)?;
        connection.pragma_update(None, "fullfsync", true)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        writer::begin(&connection, PATIENCE)?;
        Ok(connection)
    }
}

impl HeldWriters {
    /// Lets nobody write any more, running processes included: every write fails with
    /// [`NotWritable`](sessile_core::store::StoreErrorKind::NotWritable) until the store is
    /// [reinstated](SqliteStore::reinstate). Reads go on.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be written; then all is as it was.
    pub fn retire(self) -> Result<(), StoreError> {
        let retire = || -> rusqlite::Result<()> {
            for (name, change, table) in triggers() {
                self.0.execute_batch(&format!(
                    "CREATE TRIGGER IF NOT EXISTS {name} BEFORE {change} ON {table} BEGIN
                        SELECT RAISE(ABORT, 'the store is retired');
                    END"
                ))?;
            }
            self.0.execute_batch("COMMIT")
        };
        retire().map_err(|error| Failure::from(error).report(TASK))
    }
}

/// Whether nobody can write to the store.
pub(crate) fn is_retired(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT * FROM sqlite_schema
        WHERE type = 'trigger' AND name = 'retired_sessions_insert')";
    connection.query_row(sql, [], |row| row.get(0))
}

/// Their names, what sets them off, and the tables.
fn triggers() -> impl Iterator<Item = (String, &'static str, &'static str)> {
    TABLES.into_iter().flat_map(|table| {
        CHANGES.into_iter().map(move |change| {
            (format!("retired_{table}_{}", change.to_ascii_lowercase()), change, table)
        })
    })
}
