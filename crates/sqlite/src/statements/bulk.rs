//! Everything of a store, read and put as it was elsewhere.

use rusqlite::{Connection, Row, params, types::Type};
use sessile_core::{
    AppId,
    store::{SessionRecord, StoredSecret, StoredSigningKey},
};

use super::sessions::{columns, insert, session};
use crate::failure::Failure;

/// The most sessions in one answer.
const PORTION: i64 = 1000;

/// The names of app and session after which the next portion begins.
pub(crate) type Place = (String, String);

fn app(row: &Row<'_>, column: usize) -> rusqlite::Result<AppId> {
    row.get_ref(column)?.as_str()?.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

pub(crate) fn sessions_after(
    connection: &Connection,
    after: &Place,
) -> Result<Vec<(AppId, SessionRecord)>, Failure> {
    // The app comes last, so that the others are where they always are.
    let sql = concat!(
        "SELECT ",
        columns!(),
        ", app_id FROM sessions WHERE (app_id, handle) > (?, ?) ORDER BY app_id, handle LIMIT ?"
    );
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement
        .query_map(params![after.0, after.1, PORTION], |row| Ok((app(row, 13)?, session(row)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn apps(connection: &Connection) -> Result<Vec<AppId>, Failure> {
    let sql = "SELECT app_id FROM sessions UNION SELECT app_id FROM signing_keys
        UNION SELECT app_id FROM secrets UNION SELECT app_id FROM tenants ORDER BY 1";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_map([], |row| app(row, 0))?.collect::<Result<_, _>>()?)
}

/// The writer's transaction makes one step of it; where it fails half-way, the request is undone.
pub(crate) fn put_sessions(
    connection: &Connection,
    app: &AppId,
    sessions: &[SessionRecord],
) -> Result<(), Failure> {
    let sql = "DELETE FROM sessions WHERE app_id = ? AND handle = ?";
    let mut remove = connection.prepare_cached(sql)?;
    for session in sessions {
        remove.execute([app.as_str(), session.handle.as_str()])?;
        insert(connection, app, session)?;
    }
    Ok(())
}

/// As [`put_sessions`]. The oldest key is put first.
pub(crate) fn replace_signing_keys(
    connection: &Connection,
    app: &AppId,
    keys: &[StoredSigningKey],
) -> Result<(), Failure> {
    let sql = "DELETE FROM signing_keys WHERE app_id = ?";
    connection.prepare_cached(sql)?.execute([app.as_str()])?;
    let mut newest = None;
    for key in keys.iter().rev() {
        super::keys::add(connection, app, key, newest)?;
        newest = Some(key.key_id.as_str());
    }
    Ok(())
}

pub(crate) fn secrets(connection: &Connection, app: &AppId) -> Result<Vec<StoredSecret>, Failure> {
    let sql = "SELECT name, value FROM secrets WHERE app_id = ? ORDER BY name";
    let mut statement = connection.prepare_cached(sql)?;
    let secrets = statement.query_map([app.as_str()], |row| {
        Ok(StoredSecret { name: row.get(0)?, value: row.get(1)? })
    })?;
    Ok(secrets.collect::<Result<_, _>>()?)
}

/// As [`put_sessions`].
pub(crate) fn replace_secrets(
    connection: &Connection,
    app: &AppId,
    secrets: &[StoredSecret],
) -> Result<(), Failure> {
    let sql = "DELETE FROM secrets WHERE app_id = ?";
    connection.prepare_cached(sql)?.execute([app.as_str()])?;
    for secret in secrets {
        super::keys::secret(connection, app, &secret.name, &secret.value)?;
    }
    Ok(())
}
