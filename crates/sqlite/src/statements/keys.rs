use rusqlite::{Connection, OptionalExtension, Row, params};
use sessile_core::{AppId, clock::Timestamp, store::StoredSigningKey};

use crate::failure::Failure;

fn signing_key(row: &Row<'_>) -> rusqlite::Result<StoredSigningKey> {
    Ok(StoredSigningKey {
        key_id: row.get(0)?,
        algorithm: row.get(1)?,
        created_at: Timestamp::from_millis(row.get(2)?),
        material: row.get(3)?,
        is_static: row.get(4)?,
    })
}

pub(crate) fn all(connection: &Connection, app: &AppId) -> Result<Vec<StoredSigningKey>, Failure> {
    let sql = "SELECT key_id, algorithm, created_at, material, is_static FROM signing_keys
        WHERE app_id = ? ORDER BY sequence DESC";
    let mut statement = connection.prepare_cached(sql)?;
    let keys = statement.query_map([app.as_str()], signing_key)?.collect::<Result<_, _>>()?;
    Ok(keys)
}

/// The writer's transaction keeps everybody else from adding a key between the statements.
pub(crate) fn add(
    connection: &Connection,
    app: &AppId,
    key: &StoredSigningKey,
    newest: Option<&str>,
) -> Result<Vec<StoredSigningKey>, Failure> {
    let sql = "SELECT key_id FROM signing_keys WHERE app_id = ? ORDER BY sequence DESC LIMIT 1";
    let found = connection.prepare_cached(sql)?.query_row([app.as_str()], |row| row.get(0));
    let found: Option<String> = found.optional()?;
    if found.as_deref() == newest {
        let sql = "INSERT INTO signing_keys
            (app_id, key_id, algorithm, created_at, material, is_static)
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
        let added = connection.prepare_cached(sql)?.execute(params![
            app.as_str(),
            key.key_id,
            key.algorithm,
            key.created_at.as_millis(),
            key.material,
            key.is_static,
        ])?;
        if added == 0 {
            return Err(Failure::AlreadyExists("a signing key with this id exists already"));
        }
    }
    all(connection, app)
}

pub(crate) fn secret(
    connection: &Connection,
    app: &AppId,
    name: &str,
    candidate: &str,
) -> Result<String, Failure> {
    let sql = "INSERT INTO secrets (app_id, name, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    connection.prepare_cached(sql)?.execute([app.as_str(), name, candidate])?;
    let sql = "SELECT value FROM secrets WHERE app_id = ? AND name = ?";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([app.as_str(), name], |row| row.get(0))?)
}
