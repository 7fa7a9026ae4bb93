use std::sync::Arc;

use sessile_core::{
    AppId,
    store::{StoreError, Sweep, Swept},
};

use crate::{
    connection::Template,
    failure::Failure,
    record::{column_of, same_session},
    shared::{Manner, Shared},
};

/// A session that somebody changes at this moment is left for the next time.
pub(crate) static SWEEP: Template = Template {
    name: "sweep",
    text: concat!(
        "WITH expired AS (
            SELECT s.app_id, s.tenant_id, s.session_handle FROM {session_info} s
            WHERE s.app_id = $1 AND s.expires_at < $2
            ORDER BY s.expires_at LIMIT $4
            FOR UPDATE SKIP LOCKED
        ), sessions AS (
            DELETE FROM {session_info} s USING expired f
            WHERE ",
        same_session!("s", "f"),
        "   RETURNING 1
        ), supertokens_keys AS (
            DELETE FROM {session_access_token_signing_keys}
            WHERE app_id = $1 AND created_at_time < $3 RETURNING 1
        ), own_keys AS (
            DELETE FROM {sessile_signing_key}
            WHERE app_id = $1 AND created_at_time < $3 AND NOT is_static RETURNING 1
        )
        SELECT (SELECT count(*) FROM sessions),
            (SELECT count(*) FROM supertokens_keys) + (SELECT count(*) FROM own_keys)"
    ),
};

pub(crate) async fn sweep(
    shared: &Arc<Shared>,
    app: &AppId,
    sweep: Sweep,
) -> Result<Swept, StoreError> {
    shared
        .write(Manner::once("sweeping"), (app.clone(), sweep), |connection, arguments| async move {
            let (app, sweep) = &*arguments;
            let sessions = sweep.sessions_expired_before.as_millis();
            let keys = sweep.keys_created_before.as_millis();
            let limit = i64::try_from(sweep.limit).unwrap_or(i64::MAX);
            let rows = connection.query(&SWEEP, &[&app.as_str(), &sessions, &keys, &limit]).await?;
            let Some(row) = rows.first() else { return Ok(Swept::default()) };
            let number = |column| {
                Ok::<_, Failure>(usize::try_from(column_of::<i64>(row, column)?).unwrap_or(0))
            };
            Ok(Swept { sessions: number(0)?, keys: number(1)? })
        })
        .await
}
