use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use sessile_core::{
    AppId, SessionHandle, TenantScope,
    clock::Timestamp,
    rotation::{Rotation, TokenHash},
    store::{DataReplacement, DataVersion, RemovedSession, SessionRecord},
};

use crate::failure::Failure;

/// The columns of a [`SessionRecord`], in the order in which [`session`] reads them.
macro_rules! columns {
    () => {
        "handle, user_id, refresh_token_hash, previous_refresh_token_hash, rotated_at, \
         sealed_child, jwt_payload, session_data, created_at, expires_at, ends_at, client_label, \
         use_static_key"
    };
}

pub(super) use columns;

pub(super) fn session(row: &Row<'_>) -> rusqlite::Result<SessionRecord> {
    Ok(SessionRecord {
        handle: handle(row)?,
        user_id: row.get(1)?,
        primary_user_id: None,
        refresh_token_hash: TokenHash::from_bytes(row.get(2)?),
        previous_refresh_token_hash: row.get::<_, Option<_>>(3)?.map(TokenHash::from_bytes),
        rotated_at: row.get::<_, Option<_>>(4)?.map(Timestamp::from_millis),
        sealed_child: row.get(5)?,
        jwt_payload: row.get(6)?,
        session_data: row.get(7)?,
        created_at: Timestamp::from_millis(row.get(8)?),
        expires_at: Timestamp::from_millis(row.get(9)?),
        ends_at: Timestamp::from_millis(row.get(10)?),
        client_label: row.get(11)?,
        use_static_key: row.get(12)?,
    })
}

fn handle(row: &Row<'_>) -> rusqlite::Result<SessionHandle> {
    Ok(SessionHandle::new(row.get_ref(0)?.as_str()?))
}

/// The one tenant, or `NULL` for all.
fn only(tenants: &TenantScope) -> Option<&str> {
    match tenants {
        TenantScope::All => None,
        TenantScope::Only(tenant) => Some(tenant.as_str()),
    }
}

pub(crate) fn insert(
    connection: &Connection,
    app: &AppId,
    session: &SessionRecord,
) -> Result<(), Failure> {
    let sql = concat!(
        "INSERT INTO sessions (app_id, tenant_id, ",
        columns!(),
        ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
    );
    let inserted = connection.prepare_cached(sql)?.execute(params![
        app.as_str(),
        session.handle.tenant().as_str(),
        session.handle.as_str(),
        session.user_id,
        session.refresh_token_hash.as_bytes(),
        session.previous_refresh_token_hash.as_ref().map(TokenHash::as_bytes),
        session.rotated_at.map(Timestamp::as_millis),
        session.sealed_child,
        session.jwt_payload,
        session.session_data,
        session.created_at.as_millis(),
        session.expires_at.as_millis(),
        session.ends_at.as_millis(),
        session.client_label,
        session.use_static_key,
    ])?;
    match inserted {
        0 => Err(Failure::AlreadyExists("a session with this handle exists already")),
        _ => Ok(()),
    }
}

pub(crate) fn get(
    connection: &Connection,
    app: &AppId,
    handle: &SessionHandle,
) -> Result<Option<SessionRecord>, Failure> {
    let sql = concat!("SELECT ", columns!(), " FROM sessions WHERE app_id = ? AND handle = ?");
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([app.as_str(), handle.as_str()], session).optional()?)
}

/// `RotationGuard::holds` and `RotationChange::apply` in SQL. A comparison with `NULL` does not
/// hold, and `min` of `NULL` is `NULL`.
pub(crate) fn rotate(
    connection: &Connection,
    app: &AppId,
    handle: &SessionHandle,
    Rotation { guard, change }: &Rotation,
) -> Result<Option<SessionRecord>, Failure> {
    let sql = concat!(
        "UPDATE sessions SET
            refresh_token_hash = :new_current,
            sealed_child = :new_child,
            previous_refresh_token_hash = coalesce(:new_previous, previous_refresh_token_hash),
            rotated_at = coalesce(:new_rotated_at, rotated_at),
            expires_at = coalesce(min(:new_expires_at, ends_at), expires_at),
            use_static_key = coalesce(:new_use_static_key, use_static_key)
        WHERE app_id = :app AND handle = :handle
            AND refresh_token_hash IN (:current, :or_current)
            AND (:previous IS NULL OR previous_refresh_token_hash = :previous)
            AND expires_at >= :alive_at
        RETURNING ",
        columns!()
    );
    let advance = change.advance.as_ref();
    let parameters = named_params! {
        ":app": app.as_str(),
        ":handle": handle.as_str(),
        ":current": guard.current.as_bytes(),
        ":or_current": guard.or_current.as_ref().map(TokenHash::as_bytes),
        ":previous": guard.previous.as_ref().map(TokenHash::as_bytes),
        ":alive_at": guard.alive_at.as_millis(),
        ":new_current": change.current.as_bytes(),
        ":new_use_static_key": change.use_static_key,
        ":new_child": change.sealed_child,
        ":new_previous": advance.map(|advance| advance.previous.as_bytes()),
        ":new_rotated_at": advance.map(|advance| advance.rotated_at.as_millis()),
        ":new_expires_at": advance.map(|advance| advance.expires_at.as_millis()),
    };
    Ok(connection.prepare_cached(sql)?.query_row(parameters, session).optional()?)
}

pub(crate) fn replace_session_data(
    connection: &Connection,
    app: &AppId,
    handle: &SessionHandle,
    session_data: &str,
    expected: Option<DataVersion>,
    now: Timestamp,
) -> Result<DataReplacement, Failure> {
    if let Some(expected) = expected {
        // The writer's transaction keeps everybody else from changing the text in between.
        let sql = "SELECT session_data FROM sessions
            WHERE app_id = ? AND handle = ? AND expires_at > ?";
        let mut statement = connection.prepare_cached(sql)?;
        let row = params![app.as_str(), handle.as_str(), now.as_millis()];
        let version = |row: &Row<'_>| Ok(DataVersion::of(row.get_ref(0)?.as_str()?));
        match statement.query_row(row, version).optional()? {
            None => return Ok(DataReplacement::NoSession),
            Some(version) if version != expected => return Ok(DataReplacement::Conflict),
            Some(_) => {}
        }
    }
    let sql = "UPDATE sessions SET session_data = ?
        WHERE app_id = ? AND handle = ? AND expires_at > ?";
    let replaced = connection.prepare_cached(sql)?.execute(params![
        session_data,
        app.as_str(),
        handle.as_str(),
        now.as_millis(),
    ])?;
    Ok(match replaced {
        0 => DataReplacement::NoSession,
        _ => DataReplacement::Replaced,
    })
}

pub(crate) fn replace_jwt_payload(
    connection: &Connection,
    app: &AppId,
    handle: &SessionHandle,
    jwt_payload: &str,
    now: Timestamp,
) -> Result<Option<SessionRecord>, Failure> {
    let sql = concat!(
        "UPDATE sessions SET jwt_payload = ?
        WHERE app_id = ? AND handle = ? AND expires_at > ?
        RETURNING ",
        columns!()
    );
    let parameters = params![jwt_payload, app.as_str(), handle.as_str(), now.as_millis()];
    Ok(connection.prepare_cached(sql)?.query_row(parameters, session).optional()?)
}

pub(crate) fn remove(
    connection: &Connection,
    app: &AppId,
    handles: &[SessionHandle],
) -> Result<Vec<RemovedSession>, Failure> {
    let sql = "DELETE FROM sessions WHERE app_id = ? AND handle = ? RETURNING user_id";
    let mut statement = connection.prepare_cached(sql)?;
    let mut removed = Vec::new();
    for handle in handles {
        let user_id = statement.query_row([app.as_str(), handle.as_str()], |row| row.get(0));
        if let Some(user_id) = user_id.optional()? {
            removed.push(RemovedSession { handle: handle.clone(), user_id });
        }
    }
    Ok(removed)
}

pub(crate) fn remove_of_user(
    connection: &Connection,
    app: &AppId,
    user_id: &str,
    tenants: &TenantScope,
    except: Option<&SessionHandle>,
) -> Result<Vec<RemovedSession>, Failure> {
    let sql = "DELETE FROM sessions
        WHERE app_id = :app AND user_id = :user
            AND (:tenant IS NULL OR tenant_id = :tenant)
            AND (:except IS NULL OR handle <> :except)
        RETURNING handle";
    let parameters = named_params! {
        ":app": app.as_str(),
        ":user": user_id,
        ":tenant": only(tenants),
        ":except": except.map(SessionHandle::as_str),
    };
    let mut statement = connection.prepare_cached(sql)?;
    let removed =
        |row: &Row<'_>| Ok(RemovedSession { handle: handle(row)?, user_id: user_id.to_owned() });
    let removed = statement.query_map(parameters, removed)?.collect::<Result<_, _>>()?;
    Ok(removed)
}

/// The plus keeps SQLite, which does not know how few sessions a user has, from looking through all
/// that have not expired.
pub(super) const OF_USER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM sessions
    WHERE app_id = :app AND user_id = :user AND +expires_at > :now
        AND (:tenant IS NULL OR tenant_id = :tenant)
    ORDER BY created_at, handle"
);

pub(crate) fn of_user(
    connection: &Connection,
    app: &AppId,
    user_id: &str,
    tenants: &TenantScope,
    now: Timestamp,
) -> Result<Vec<SessionRecord>, Failure> {
    let parameters = named_params! {
        ":app": app.as_str(),
        ":user": user_id,
        ":now": now.as_millis(),
        ":tenant": only(tenants),
    };
    let mut statement = connection.prepare_cached(OF_USER)?;
    let sessions = statement.query_map(parameters, session)?.collect::<Result<_, _>>()?;
    Ok(sessions)
}
