//! What PostgreSQL's planner has to know before it plans anything.

use std::time::Duration;

use crate::{
    connection::{Connection, Template},
    failure::Failure,
    names::Names,
    record::column_of,
};

static STATE: Template = Template {
    name: "statistics",
    text: "SELECT EXISTS (SELECT FROM pg_catalog.pg_stats
            WHERE schemaname = $1::text AND tablename = $2::text AND attname = 'tenant_id'),
        EXISTS (SELECT FROM {session_info})",
};

/// Of a table that was never analysed, the planner thinks that few rows have the same app and
/// tenant, and would look through all sessions of a tenant to find one. PostgreSQL analyses a table
/// by itself some time after it was filled; until then this makes it known that the opposite is so.
///
/// An empty table tells nothing, so it is analysed with some sessions in it, which nobody sees. Who
/// may not analyse it is only warned.
pub(super) async fn gather(connection: &Connection, names: &Names) -> Result<(), Failure> {
    let rows =
        connection.query(&STATE, &[&names.schema.as_str(), &names.session_info.as_str()]).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let (is_known, has_sessions): (bool, bool) = (column_of(row, 0)?, column_of(row, 1)?);
    if is_known {
        return Ok(());
    }
    let sql = if has_sessions { ANALYSE.to_owned() } else { [FILL, ANALYSE, CLEAR].concat() };
    connection.execute(&names.fill_in(&sql), Duration::MAX).await
}

const FILL: &str = "
    INSERT INTO {session_info} (app_id, tenant_id, session_handle, user_id, refresh_token_hash_2,
        expires_at, created_at_time, use_static_key)
    SELECT 'public', 'public', 'sessile-' || n, 'sessile-' || n, n, n, n, false
    FROM generate_series(1, 20) AS n;
    INSERT INTO {sessile_session} (app_id, tenant_id, session_handle, ends_at)
    SELECT app_id, tenant_id, session_handle, expires_at FROM {session_info}
    WHERE session_handle LIKE 'sessile-%';";

const ANALYSE: &str = "
    ANALYZE {session_info};
    ANALYZE {sessile_session};";

const CLEAR: &str = "
    DELETE FROM {session_info} WHERE app_id = 'public' AND tenant_id = 'public'
        AND session_handle LIKE 'sessile-%' AND user_id = session_handle;";
