//! The tables, and how older files get them.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use sessile_core::store::{StoreError, StoreErrorKind};

use crate::failure::{Failure, Task};

/// Marks a file as Sessile's: the letters "Sess".
pub(crate) const APPLICATION_ID: i32 = 0x5365_7373;

/// Each takes the tables from one version to the next, and the number of those that a file has
/// seen is its version. One that was published is never changed.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE sessions (
        app_id TEXT NOT NULL,
        handle TEXT NOT NULL,
        tenant_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        refresh_token_hash BLOB NOT NULL,
        previous_refresh_token_hash BLOB,
        rotated_at INTEGER,
        sealed_child BLOB,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        ends_at INTEGER NOT NULL,
        client_label TEXT,
        use_static_key INTEGER NOT NULL,
        jwt_payload TEXT NOT NULL,
        session_data TEXT NOT NULL,
        PRIMARY KEY (app_id, handle)
    ) STRICT;
    CREATE INDEX sessions_by_user ON sessions (app_id, user_id);
    CREATE INDEX sessions_by_expiry ON sessions (app_id, expires_at);

    -- A later key has a greater sequence, whatever the clock said when it was made.
    CREATE TABLE signing_keys (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        app_id TEXT NOT NULL,
        key_id TEXT NOT NULL,
        algorithm TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        material TEXT NOT NULL,
        is_static INTEGER NOT NULL,
        UNIQUE (app_id, key_id)
    ) STRICT;

    CREATE TABLE secrets (
        app_id TEXT NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (app_id, name)
    ) STRICT, WITHOUT ROWID;
",
    "
    -- Factors are JSON arrays of text.
    CREATE TABLE tenants (
        app_id TEXT NOT NULL,
        tenant_id TEXT NOT NULL,
        core_config TEXT NOT NULL,
        first_factors TEXT,
        required_secondary_factors TEXT,
        created_at INTEGER NOT NULL,
        PRIMARY KEY (app_id, tenant_id)
    ) STRICT, WITHOUT ROWID;
",
];

/// The version that this program makes.
pub(crate) const fn known_version() -> usize {
    MIGRATIONS.len()
}

/// The number of migrations that the file has seen; zero for an empty file. Changes nothing.
///
/// # Errors
/// `Incompatible` for another program's file and for that of a newer version.
pub(crate) fn version(connection: &mut Connection, path: &Path) -> Result<usize, StoreError> {
    let snapshot = connection.transaction().map_err(report_version)?;
    version_in(&snapshot, path)
}

/// The same in a transaction, without which another process could migrate the file while its
/// version is read.
fn version_in(transaction: &Transaction<'_>, path: &Path) -> Result<usize, StoreError> {
    let number = |pragma| transaction.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let numbers = || -> rusqlite::Result<(i32, i32, bool)> {
        let empty = "SELECT NOT EXISTS (SELECT * FROM sqlite_schema)";
        Ok((
            number("application_id")?,
            number("user_version")?,
            transaction.query_row(empty, [], |row| row.get(0))?,
        ))
    };
    let (application_id, version, empty) = numbers().map_err(report_version)?;

    let path = path.display();
    if application_id != APPLICATION_ID && !(application_id == 0 && version == 0 && empty) {
        return Err(StoreError::new(
            StoreErrorKind::Incompatible,
            format!(
                "'{path}' is another program's database (its application id is \
                 {application_id:#x}): give Sessile a file of its own"
            ),
        ));
    }
    let known = MIGRATIONS.len();
    match usize::try_from(version) {
        Ok(version) if version <= known => Ok(version),
        _ => Err(StoreError::new(
            StoreErrorKind::Incompatible,
            format!(
                "'{path}' was written by a newer version of Sessile (its tables have version \
                 {version}, this program knows {known}): use that version, or another file"
            ),
        )),
    }
}

fn report_version(error: rusqlite::Error) -> StoreError {
    // A write, though it only reads: the database is open, and what may be missing is the right to
    // make the files beside it.
    Failure::from(error).report(Task::Write("reading the database's version"))
}

/// Brings the tables to the newest version, whichever other process does the same.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    // A file that needs nothing is opened without waiting for those who write to it.
    if version(connection, path)? == MIGRATIONS.len() {
        return Ok(());
    }
    let report =
        |error| Failure::from(error).report(Task::Write("preparing the database's tables"));
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(report)?;
    let seen = version_in(&transaction, path)?;
    let migrated = || -> rusqlite::Result<()> {
        for migration in &MIGRATIONS[seen..] {
            transaction.execute_batch(migration)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        let newest = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        transaction.pragma_update(None, "user_version", newest)?;
        transaction.commit()
    };
    migrated().map_err(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_any_older_version_keeps_what_is_in_it() {
        for seen in 1..MIGRATIONS.len() {
            let mut connection = Connection::open_in_memory().unwrap();
            for migration in &MIGRATIONS[..seen] {
                connection.execute_batch(migration).unwrap();
            }
            connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
            connection.pragma_update(None, "user_version", i64::try_from(seen).unwrap()).unwrap();
            let secret = "INSERT INTO secrets VALUES ('public', 'name', 'kept')";
            connection.execute(secret, []).unwrap();

            let path = Path::new(":memory:");
            migrate(&mut connection, path).unwrap();
            assert_eq!(version(&mut connection, path).unwrap(), MIGRATIONS.len());
            let kept = connection.query_row("SELECT value FROM secrets", [], |row| row.get(0));
            assert_eq!(kept, Ok("kept".to_owned()), "of version {seen}");
            let tenants =
                connection.query_row("SELECT count(*) FROM tenants", [], |row| row.get(0));
            assert_eq!(tenants, Ok(0), "of version {seen}");
        }
    }
}
