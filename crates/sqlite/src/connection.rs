//! Connections, and what is set on each.

use std::{thread, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use sessile_core::store::{StoreError, StoreErrorKind};

use crate::{
    failure::{Failure, Task},
    file::DatabaseFile,
    options::{Durability, SqliteOptions},
    schema,
};

/// More than there are statements in this crate: none is ever parsed twice.
const CACHED_STATEMENTS: usize = 64;

/// Opens the connection that writes, and leaves the file ready for those that read. Nothing is
/// written before the file is known to be empty or ours.
pub(crate) fn open_writer(
    file: &DatabaseFile,
    options: &SqliteOptions,
) -> Result<Connection, StoreError> {
    let task = Task::Write("opening the database");
    let report = |error| Failure::from(error).report(task);
    let mut connection = open(file, options).map_err(report)?;
    schema::version(&mut connection, file.path())?;
    // Without the right to write, SQLite opens the file for reading and says nothing.
    if connection.is_readonly("main").map_err(report)? {
        let message = format!(
            "'{}' is read-only: give this user the right to write to it",
            file.path().display()
        );
        return Err(StoreError::new(StoreErrorKind::NotWritable, message));
    }
    file.make_private()?;
    let mode = write_ahead(&connection, options.busy_timeout).map_err(report)?;
    if mode != "wal" {
        let message = format!(
            "'{}' is where SQLite cannot keep a write-ahead log (its journal mode stays '{mode}'): \
             choose a folder on a local disk",
            file.path().display()
        );
        return Err(StoreError::new(StoreErrorKind::Incompatible, message));
    }
    let set = || -> rusqlite::Result<()> {
        // In KiB. Pages that are written again and again stay in memory until they are committed.
        connection.pragma_update(None, "cache_size", -16_384)?;
        // In bytes: the log is cut back to this after a burst of writes made it grow.
        let log_size = 64 * 1024 * 1024;
        connection.pragma_update_and_check(None, "journal_size_limit", log_size, |_| Ok(()))
    };
    set().map_err(report)?;
    schema::migrate(&mut connection, file.path())?;
    Ok(connection)
}

/// Opens a connection that reads.
pub(crate) fn open_reader(
    file: &DatabaseFile,
    options: &SqliteOptions,
) -> Result<Connection, StoreError> {
    let opened = || -> rusqlite::Result<Connection> {
        let connection = open(file, options)?;
        // Rather than a read-only connection: the last one to close must be able to clear the
        // write-ahead log away.
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "cache_size", -8_192)?;
        Ok(connection)
    };
    opened().map_err(|error| Failure::from(error).report(Task::Read("opening the database")))
}

fn open(file: &DatabaseFile, options: &SqliteOptions) -> rusqlite::Result<Connection> {
    // Without `SQLITE_OPEN_CREATE`, which would create a file that others can read.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file.path(), flags)?;
    connection.busy_timeout(options.busy_timeout)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // A large request would need a temporary file otherwise, in a folder that may be full or
    // read-only, and that was never said to hold sessions.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    let synchronous = match options.durability {
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
    };
    // Those that read, too: the last connection to close moves the log into the database, and
    // removes the log. On macOS, only `fullfsync` makes the disk write what it keeps in its own
    // cache; it comes first, because the second may have to undo what a loss of power left.
    connection.pragma_update(None, "fullfsync", options.durability == Durability::Full)?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    Ok(connection)
}

/// Switches the file to a write-ahead log, and gives the journal mode that it has then.
fn write_ahead(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<String> {
    const PAUSE: Duration = Duration::from_millis(10);

    // SQLite does not wait here if another connection switches the same file at this moment.
    let mut waited = Duration::ZERO;
    loop {
        let switched =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0));
        match switched {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && waited < busy_timeout =>
            {
                thread::sleep(PAUSE);
                waited += PAUSE;
            }
            outcome => return outcome,
        }
    }
}
