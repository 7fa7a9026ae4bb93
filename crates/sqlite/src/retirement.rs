//! Keeping writers out while the sessions are moved elsewhere, and ever after.

use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use sessile_core::store::{Moves, StoreError};

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

/// It is made for the first note, so that a file of whose sessions none was ever moved is as it was.
const MOVES: &str = "CREATE TABLE IF NOT EXISTS moves (
    kind TEXT PRIMARY KEY CHECK (kind IN ('arrival', 'departure')),
    note TEXT NOT NULL
) STRICT, WITHOUT ROWID";

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

    /// What is known of moves to this store and from it.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub async fn moves(&self) -> Result<Moves, StoreError> {
        self.shared
            .readers
            .submit("reading what was moved", |connection| Ok(moves(connection)?))
            .await
    }

    /// Keeps a note of sessions that are moved here, in place of an earlier one.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be written.
    pub async fn note_arrival(&self, note: &str) -> Result<(), StoreError> {
        let text = note.to_owned();
        let work = move |connection: &_| Ok(note_down(connection, "arrival", &text)?);
        self.shared.writer.submit("noting what is moved", work).await
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
            connection.execute_batch(MOVES)?;
            connection.execute("DELETE FROM moves WHERE kind = 'departure'", [])?;
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
    /// [reinstated](SqliteStore::reinstate). Reads go on. `note` says where the sessions are, and is
    /// kept until then.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be written, or may not have been.
    pub fn retire(self, note: &str) -> Result<(), StoreError> {
        let retire = || -> rusqlite::Result<()> {
            note_down(&self.0, "departure", note)?;
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

fn note_down(connection: &Connection, kind: &str, note: &str) -> rusqlite::Result<()> {
    connection.execute_batch(MOVES)?;
    let sql =
        "INSERT INTO moves VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET note = excluded.note";
    connection.execute(sql, [kind, note]).map(drop)
}

fn moves(connection: &Connection) -> rusqlite::Result<Moves> {
    let mut moves = Moves { is_retired: is_retired(connection)?, ..Moves::default() };
    let sql = "SELECT EXISTS (SELECT * FROM sqlite_schema WHERE type = 'table' AND name = 'moves')";
    if connection.query_row(sql, [], |row| row.get(0))? {
        let note = |kind: &str| {
            let sql = "SELECT note FROM moves WHERE kind = ?";
            connection.query_row(sql, [kind], |row| row.get(0)).optional()
        };
        moves.arrival = note("arrival")?;
        moves.departure = note("departure")?;
    }
    Ok(moves)
}

/// Whether the store was retired, as far as it is known. The triggers refuse what changes a row; this,
/// also what would have changed one elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Retirement {
    /// It grows with each trigger that is made or dropped.
    schema_version: Option<i64>,
    is_retired: bool,
}

impl Retirement {
    /// # Errors
    /// Where it is, at the moment of the connection's transaction.
    pub(crate) fn check(&mut self, connection: &Connection) -> Result<(), Failure> {
        let version = connection
            .prepare_cached("PRAGMA schema_version")?
            .query_row([], |row| row.get(0))
            .map(Some)?;
        if self.schema_version != version {
            self.is_retired = is_retired(connection)?;
            self.schema_version = version;
        }
        if self.is_retired { Err(Failure::Retired) } else { Ok(()) }
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
