use sessile_core::{AppId, SessionHandle, TenantScope, clock::Timestamp, store::SessionRecord};

use crate::{
    connection::{Connection, Template},
    failure::Failure,
    record::{beside_session, columns, same_session, session},
};

pub(crate) static GET: Template = Template {
    name: "get",
    text: concat!(
        "SELECT ",
        columns!(),
        " FROM {session_info} s",
        beside_session!(),
        " WHERE ",
        same_session!("s", "$1", "$2", "$3")
    ),
};

pub(crate) async fn get(
    connection: &Connection,
    app: &AppId,
    handle: &SessionHandle,
) -> Result<Option<SessionRecord>, Failure> {
    let tenant = handle.tenant();
    let rows = connection.query(&GET, &[&app.as_str(), &tenant.as_str(), &handle.as_str()]).await?;
    rows.first().map(|row| session(row, 0)).transpose()
}

pub(crate) static OF_USER: Template = Template {
    name: "of_user",
    text: concat!(
        "SELECT ",
        columns!(),
        " FROM {session_info} s",
        beside_session!(),
        " WHERE s.app_id = $1 AND s.user_id = $2 AND ($3::text IS NULL OR s.tenant_id = $3)
            AND s.expires_at > $4
        ORDER BY s.created_at_time, s.session_handle"
    ),
};

/// The one tenant, or `NULL` for all.
pub(super) fn only(tenants: &TenantScope) -> Option<&str> {
    match tenants {
        TenantScope::All => None,
        TenantScope::Only(tenant) => Some(tenant.as_str()),
    }
}

pub(crate) async fn of_user(
    connection: &Connection,
    app: &AppId,
    user_id: &str,
    tenants: &TenantScope,
    now: Timestamp,
) -> Result<Vec<SessionRecord>, Failure> {
    let (tenant, now) = (only(tenants), now.as_millis());
    let rows = connection.query(&OF_USER, &[&app.as_str(), &user_id, &tenant, &now]).await?;
    rows.iter().map(|row| session(row, 0)).collect()
}
