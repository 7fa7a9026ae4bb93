//! Looking at a file without changing it.

use std::{fs, path::Path};

use rusqlite::{Connection, OpenFlags, Row};
use sessile_core::{
    AppId, WrappingKey,
    clock::Timestamp,
    store::{StoreError, StoredSecret, StoredSigningKey},
};

use crate::{
    failure::{Failure, Task},
    retirement, schema,
};

/// What a file is, as [`examine`] finds it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Examination {
    /// The version of its tables; zero for an empty file.
    pub version: usize,
    /// The version that this program knows. An older one is brought forward when the store is
    /// opened.
    pub known_version: usize,
    /// What SQLite finds broken in the file.
    pub damage: Option<String>,
    /// Whether its sessions were moved to another store, so that nobody can write to it.
    pub is_retired: bool,
    /// How many sessions there are.
    pub sessions: i64,
    /// How many signing keys and secrets can be used.
    pub usable_keys: usize,
    /// The signing keys and secrets that cannot be used: the app, the key's id or name, and why.
    pub unusable_keys: Vec<[String; 3]>,
}

/// Looks at a store's file without changing it; servers on it may run. Keys are tried with
/// `wrapping_key`. Blocks for as long as it takes to read the file once.
///
/// # Errors
/// [`Incompatible`](sessile_core::store::StoreErrorKind::Incompatible) for another program's file
/// and for that of a newer version; other kinds when it cannot be read.
pub fn examine(
    path: impl AsRef<Path>,
    wrapping_key: Option<&WrappingKey>,
) -> Result<Examination, StoreError> {
    let path = path.as_ref();
    let report =
        |error: rusqlite::Error| Failure::from(error).report(Task::Read("examining the database"));
    // An absolute path is none of the names that mean something else to SQLite.
    let absolute = fs::canonicalize(path).map_err(|error| {
        let kind = sessile_core::store::StoreErrorKind::Unavailable;
        StoreError::new(kind, format!("'{}' cannot be read", path.display())).with_source(error)
    })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&absolute, flags).map_err(report)?;
    let version = schema::version(&mut connection, path)?;
    let mut examination =
        Examination { version, known_version: schema::known_version(), ..Examination::default() };
    if version > 0 {
        let snapshot = connection.transaction().map_err(report)?;
        look(&snapshot, &mut examination, wrapping_key).map_err(report)?;
    }
    Ok(examination)
}

fn look(
    connection: &Connection,
    examination: &mut Examination,
    wrapping_key: Option<&WrappingKey>,
) -> rusqlite::Result<()> {
    let damage: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if damage != "ok" {
        examination.damage = Some(damage);
        return Ok(());
    }
    examination.is_retired = retirement::is_retired(connection)?;
    examination.sessions =
        connection.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0))?;
    let sql = "SELECT app_id, key_id, algorithm, created_at, material, is_static
        FROM signing_keys ORDER BY app_id, sequence";
    for key in connection.prepare(sql)?.query_map([], signing_key)? {
        let (app, key) = key?;
        examination.count_key(app, &key.key_id, |app| key.check(app, wrapping_key).err());
    }
    let sql = "SELECT app_id, name, value FROM secrets ORDER BY app_id, name";
    for secret in connection.prepare(sql)?.query_map([], secret)? {
        let (app, secret) = secret?;
        examination.count_key(app, &secret.name, |app| secret.check(app, wrapping_key).err());
    }
    Ok(())
}

fn signing_key(row: &Row<'_>) -> rusqlite::Result<(String, StoredSigningKey)> {
    let key = StoredSigningKey {
        key_id: row.get(1)?,
        algorithm: row.get(2)?,
        created_at: Timestamp::from_millis(row.get(3)?),
        material: row.get(4)?,
        is_static: row.get(5)?,
    };
    Ok((row.get(0)?, key))
}

fn secret(row: &Row<'_>) -> rusqlite::Result<(String, StoredSecret)> {
    Ok((row.get(0)?, StoredSecret { name: row.get(1)?, value: row.get(2)? }))
}

impl Examination {
    fn count_key<E: std::fmt::Display>(
        &mut self,
        app: String,
        key: &str,
        problem: impl FnOnce(&AppId) -> Option<E>,
    ) {
        let problem = match app.parse::<AppId>() {
            Ok(app) => problem(&app).map(|problem| problem.to_string()),
            Err(problem) => Some(problem.to_string()),
        };
        match problem {
            None => self.usable_keys += 1,
            Some(problem) => self.unusable_keys.push([app, key.to_owned(), problem]),
        }
    }
}
