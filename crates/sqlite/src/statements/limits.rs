//! How many sessions there may be, and how old.

use rusqlite::{Connection, Row, named_params, params};
use sessile_core::{
    AppId, SessionHandle,
    clock::Timestamp,
    store::{LimitedInsertion, Owner, SessionLimit, SessionRecord, WhenFull},
};

use super::sessions;
use crate::failure::Failure;

/// As [`OF_USER`](sessions::OF_USER).
pub(super) const HANDLES_OF_USER: &str = "SELECT handle FROM sessions
    WHERE app_id = :app AND user_id = :user AND +expires_at > :now
    ORDER BY created_at, handle";

/// The writer's transaction keeps everybody else from adding a session between the statements.
pub(crate) fn insert_within(
    connection: &Connection,
    app: &AppId,
    session: &SessionRecord,
    limit: SessionLimit,
    now: Timestamp,
) -> Result<LimitedInsertion, Failure> {
    let mut statement = connection.prepare_cached(HANDLES_OF_USER)?;
    let parameters = named_params! {
        ":app": app.as_str(), ":user": session.user_id, ":now": now.as_millis(),
    };
    let handle = |row: &Row<'_>| Ok(SessionHandle::new(row.get_ref(0)?.as_str()?));
    let mut oldest_first: Vec<SessionHandle> =
        statement.query_map(parameters, handle)?.collect::<Result<_, _>>()?;
    let excess = (oldest_first.len() + 1).saturating_sub(limit.maximum.get());
    if excess > 0 && limit.when_full == WhenFull::Refuse {
        return Ok(LimitedInsertion::Refused);
    }
    sessions::insert(connection, app, session)?;
    oldest_first.truncate(excess);
    sessions::remove(connection, app, &oldest_first)?;
    let owner = Owner::alone(&session.user_id);
    Ok(LimitedInsertion::Inserted { owner, ended: oldest_first })
}

/// Sessions that began before a moment, as many as are asked for. That moment never changes.
pub(crate) fn created_before(
    connection: &Connection,
    app: &AppId,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<SessionHandle>, Failure> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = "SELECT handle FROM sessions WHERE app_id = ? AND created_at < ? LIMIT ?";
    let mut statement = connection.prepare_cached(sql)?;
    let handle = |row: &Row<'_>| Ok(SessionHandle::new(row.get_ref(0)?.as_str()?));
    let rows = statement.query_map(params![app.as_str(), before.as_millis(), limit], handle)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
