use std::sync::Arc;

use sessile_core::{
    SessionHandle,
    clock::Timestamp,
    store::{LimitedInsertion, SessionLimit, StoreError, WhenFull},
};
use tokio_postgres::types::ToSql;

use super::insertion::{
    Insert, TAKEN, borrowed, insert_new, make_tenants, new_sessions, parameters,
};
use crate::{
    connection::{Connection, LockClass, Template},
    failure::Failure,
    record::{column_of, owner, same_session},
    shared::{Manner, Shared},
};

/// Whoever has the lock of the user is the only one who counts and adds. Nothing is removed unless
/// the new session was added.
pub(crate) static INSERT_WITHIN: Template = Template {
    name: "insert_within",
    text: concat!(
        "WITH candidate AS (SELECT *, {account|i.app_id|i.user_id} AS account FROM ",
        new_sessions!(),
        "), live AS (
            SELECT s.app_id, s.tenant_id, s.session_handle,
                row_number() OVER (ORDER BY s.created_at_time, s.session_handle) AS age,
                count(*) OVER () AS number
            FROM {session_info} s
            WHERE s.app_id = ($1::text[])[1] AND s.user_id = {account|($1::text[])[1]|($4::text[])[1]}
                AND s.expires_at > $17
        ), new AS (
            SELECT * FROM candidate WHERE $19 OR (SELECT count(*) FROM live) < $18
        ), ",
        insert_new!(),
        ", excess AS (
            SELECT * FROM live WHERE age <= number + 1 - $18 AND EXISTS (SELECT FROM inserted)
            ORDER BY tenant_id COLLATE \"C\", session_handle COLLATE \"C\"
        ), ending AS (
            SELECT i.* FROM excess i
            CROSS JOIN LATERAL (
                SELECT FROM {session_info} s WHERE ",
        same_session!("s", "i"),
        "       FOR UPDATE
            ) locked
        ), ended AS (
            DELETE FROM {session_info} s USING ending f WHERE ",
        same_session!("s", "f"),
        "   RETURNING f.age, s.session_handle
        )
        SELECT EXISTS (SELECT FROM new), EXISTS (SELECT FROM inserted),
            ARRAY(SELECT session_handle::text FROM ended ORDER BY age), account,
            {primary_user|candidate.app_id|candidate.account}
        FROM candidate"
    ),
};

/// The lock of the account that a session is to have.
pub(crate) static LOCK_ACCOUNT: Template = Template {
    name: "lock_account",
    text: "SELECT pg_advisory_xact_lock($1::integer,
        hashtext($2::text || '/' || {account|$2|$3::text}))",
};

pub(crate) async fn insert_within(
    shared: &Arc<Shared>,
    insert: Insert,
    limit: SessionLimit,
    now: Timestamp,
) -> Result<LimitedInsertion, StoreError> {
    let ownership = shared.ownership;
    shared
        .write(Manner::once("inserting a session"), insert, move |connection, insert| async move {
            let mut attempt = 1;
            loop {
                match insert_alone(&connection, &insert, limit, now).await {
                    Err(failure) => {
                        make_tenants(failure, attempt, &[&insert], &connection, ownership).await?;
                    }
                    outcome => return outcome,
                }
                attempt += 1;
            }
        })
        .await
}

async fn insert_alone(
    connection: &Connection,
    insert: &Insert,
    limit: SessionLimit,
    now: Timestamp,
) -> Result<LimitedInsertion, Failure> {
    let maximum = i64::try_from(limit.maximum.get()).unwrap_or(i64::MAX);
    let makes_room = limit.when_full == WhenFull::EndOldest;
    let now = now.as_millis();
    let session = parameters(&[insert]);
    let mut parameters = borrowed(&session);
    let others: [&(dyn ToSql + Sync); 3] = [&now, &maximum, &makes_room];
    parameters.extend(others);
    let (class, app) = (LockClass::User as i32, insert.key.app.as_str());
    let lock: [&(dyn ToSql + Sync); 3] = [&class, &app, &insert.session.user_id];
    let rows = connection.query_after((&LOCK_ACCOUNT, &lock), &INSERT_WITHIN, &parameters).await?;
    let Some(row) = rows.first() else { return Ok(LimitedInsertion::Refused) };
    match (column_of(row, 0)?, column_of(row, 1)?) {
        (false, _) => Ok(LimitedInsertion::Refused),
        (true, false) => Err(TAKEN),
        (true, true) => {
            let ended: Vec<&str> = column_of(row, 2)?;
            let ended = ended.into_iter().map(SessionHandle::new).collect();
            Ok(LimitedInsertion::Inserted { owner: owner(row, 3, 4)?, ended })
        }
    }
}
