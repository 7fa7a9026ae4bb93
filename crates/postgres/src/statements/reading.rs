use sessile_core::{
    AppId, SessionHandle, TenantScope,
    clock::Timestamp,
    store::{Accounts, SessionRecord},
};

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

macro_rules! of_user {
    ($name:literal, $accounts:literal, $user_id:literal) => {
        Template {
            name: $name,
            text: concat!(
                "SELECT ",
                columns!(),
                " FROM ",
                $accounts,
                "{session_info} s",
                beside_session!(),
                " WHERE s.app_id = $1 AND s.user_id = ",
                $user_id,
                " AND ($3::text IS NULL OR s.tenant_id = $3) AND s.expires_at > $4
                ORDER BY s.created_at_time, s.session_handle"
            ),
        }
    };
}

pub(crate) static OF_ACCOUNT: Template = of_user!("of_account", "", "$2");

pub(crate) static OF_USER: Template =
    of_user!("of_user", "{each_account|$1|$2}", "{each_id|$1|$2}");

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
    accounts: Accounts,
    tenants: &TenantScope,
    now: Timestamp,
) -> Result<Vec<SessionRecord>, Failure> {
    let (tenant, now) = (only(tenants), now.as_millis());
    let template = match accounts {
        Accounts::Linked => &OF_USER,
        Accounts::Alone => &OF_ACCOUNT,
    };
    let rows = connection.query(template, &[&app.as_str(), &user_id, &tenant, &now]).await?;
    rows.iter().map(|row| session(row, 0)).collect()
}
