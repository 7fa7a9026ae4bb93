//! All sessions of a user, or of everybody.

use std::sync::Arc;

use sessile_core::{
    AppId, SessionHandle, TenantScope,
    clock::Timestamp,
    store::{Accounts, RemovedSession, StoreError},
};
use tokio_postgres::Row;

use super::reading::only;
use crate::{
    connection::{LockClass, Parameters, Template},
    failure::Failure,
    record::{column_of, same_session},
    shared::{Manner, Shared},
};

/// Rows are locked in the order of [`Key`](crate::lane::Key)s. While it waits for one of them, the
/// others are there as before, and no session must be added that it cannot see: so it has the lock
/// of the user.
macro_rules! remove_of_user {
    ($name:literal, $accounts:literal, $user_id:literal) => {
        Template {
            name: $name,
            text: concat!(
                "WITH found AS (
                    SELECT s.app_id, s.tenant_id, s.session_handle FROM ",
                $accounts,
                "{session_info} s
                    WHERE s.app_id = $1 AND s.user_id = ",
                $user_id,
                "       AND ($3::text IS NULL OR s.tenant_id = $3)
                        AND ($4::text IS NULL OR s.session_handle <> $4)
                    ORDER BY s.tenant_id COLLATE \"C\", s.session_handle COLLATE \"C\"
                    FOR UPDATE OF s
                )
                DELETE FROM {session_info} s USING found f
                WHERE ",
                same_session!("s", "f"),
                " RETURNING s.session_handle, {known_user|s.app_id|s.user_id}"
            ),
        }
    };
}

pub(crate) static REMOVE_OF_ACCOUNT: Template = remove_of_user!("remove_of_account", "", "$2");

pub(crate) static REMOVE_OF_USER: Template =
    remove_of_user!("remove_of_user", "{each_account|$1|$2}", "{each_id|$1|$2}");

/// The locks of all accounts, in the order in which insertions take them.
pub(crate) static LOCK_USER: Template = Template {
    name: "lock_user",
    text: "SELECT pg_advisory_xact_lock($1::integer, name) FROM (
            SELECT DISTINCT hashtext($2::text || '/' || id) AS name
            FROM ({accounts|$2|$3::text}) AS accounts (id) ORDER BY name
        ) AS locks",
};

pub(crate) async fn remove_of_user(
    shared: &Arc<Shared>,
    app: &AppId,
    user_id: &str,
    accounts: Accounts,
    tenants: &TenantScope,
    except: Option<&SessionHandle>,
) -> Result<Vec<RemovedSession>, StoreError> {
    let except = except.map(|handle| handle.as_str().to_owned());
    let names = (app.clone(), user_id.to_owned(), tenants.clone(), except);
    let manner = Manner::once("removing the sessions of a user");
    shared
        .write(manner, names, move |connection, names| async move {
            let (app, user_id, tenants, except) = &*names;
            let (app, tenant) = (app.as_str(), only(tenants));
            let parameters: Parameters<'_> = &[&app, user_id, &tenant, except];
            let rows = match accounts {
                Accounts::Linked => {
                    let lock: Parameters<'_> = &[&(LockClass::User as i32), &app, user_id];
                    let lock = (&LOCK_USER, lock);
                    connection.query_after(lock, &REMOVE_OF_USER, parameters).await?
                }
                Accounts::Alone => {
                    let lock = (LockClass::User, &*format!("{app}/{user_id}"));
                    connection.query_locked(lock, &REMOVE_OF_ACCOUNT, parameters).await?
                }
            };
            rows.iter().map(removed).collect()
        })
        .await
}

fn removed(row: &Row) -> Result<RemovedSession, Failure> {
    let handle = SessionHandle::new(column_of(row, 0)?);
    Ok(RemovedSession { handle, user_id: column_of(row, 1)? })
}

/// The first column says how many were found before any was locked: another caller may have removed
/// some of them meanwhile, and there may be more.
pub(crate) static REMOVE_CREATED_BEFORE: Template = Template {
    name: "remove_created_before",
    text: concat!(
        "WITH picked AS (
            SELECT p.app_id, p.tenant_id, p.session_handle FROM {session_info} p
            WHERE p.app_id = $1 AND p.created_at_time < $2 LIMIT $3
        ), ordered AS (
            SELECT * FROM picked ORDER BY tenant_id COLLATE \"C\", session_handle COLLATE \"C\"
        ), found AS (
            SELECT i.* FROM ordered i
            CROSS JOIN LATERAL (
                SELECT FROM {session_info} s
                WHERE ",
        same_session!("s", "i"),
        "       AND s.created_at_time < $2
                FOR UPDATE
            ) locked
        ), removed AS (
            DELETE FROM {session_info} s USING found f
            WHERE ",
        same_session!("s", "f"),
        "   RETURNING s.session_handle, {known_user|s.app_id|s.user_id} AS user_id
        )
        SELECT (SELECT count(*) FROM picked), removed.session_handle, removed.user_id
        FROM (VALUES (1)) AS one LEFT JOIN removed ON true"
    ),
};

pub(crate) async fn remove_created_before(
    shared: &Arc<Shared>,
    app: &AppId,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<RemovedSession>, StoreError> {
    let mut removed = Vec::new();
    loop {
        let left = limit - removed.len();
        let (picked, batch) = remove_some_created_before(shared, app, before, left).await?;
        let others_were_first = batch.len() < picked;
        removed.extend(batch);
        if !others_were_first || removed.len() >= limit {
            return Ok(removed);
        }
    }
}

async fn remove_some_created_before(
    shared: &Arc<Shared>,
    app: &AppId,
    before: Timestamp,
    limit: usize,
) -> Result<(usize, Vec<RemovedSession>), StoreError> {
    let before = before.as_millis();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let manner = Manner::once("removing old sessions");
    shared
        .write(manner, app.clone(), move |connection, app| async move {
            let rows =
                connection.query(&REMOVE_CREATED_BEFORE, &[&app.as_str(), &before, &limit]).await?;
            let mut picked = 0;
            let mut removed = Vec::new();
            for row in &rows {
                picked = usize::try_from(column_of::<i64>(row, 0)?).unwrap_or_default();
                if let Some(handle) = column_of::<Option<&str>>(row, 1)? {
                    let handle = SessionHandle::new(handle);
                    removed.push(RemovedSession { handle, user_id: column_of(row, 2)? });
                }
            }
            Ok((picked, removed))
        })
        .await
}
