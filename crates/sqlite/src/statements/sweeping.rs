use rusqlite::{Connection, params};
use sessile_core::{
    AppId,
    store::{Sweep, Swept},
};

use crate::failure::Failure;

pub(crate) fn sweep(connection: &Connection, app: &AppId, sweep: &Sweep) -> Result<Swept, Failure> {
    let limit = i64::try_from(sweep.limit).unwrap_or(i64::MAX);
    let sql = "DELETE FROM sessions WHERE rowid IN (
            SELECT rowid FROM sessions WHERE app_id = ? AND expires_at < ?
            ORDER BY expires_at LIMIT ?
        )";
    let before = sweep.sessions_expired_before.as_millis();
    let sessions = connection.prepare_cached(sql)?.execute(params![app.as_str(), before, limit])?;
    let sql = "DELETE FROM signing_keys WHERE app_id = ? AND created_at < ? AND NOT is_static";
    let before = sweep.keys_created_before.as_millis();
    let keys = connection.prepare_cached(sql)?.execute(params![app.as_str(), before])?;
    Ok(Swept { sessions, keys })
}
