//! Everything of a store, read and put as it was elsewhere.

use std::collections::BTreeSet;

use sessile_core::{
    AppId,
    store::{SessionRecord, StoredSecret, StoredSigningKey},
};

use super::{
    insertion::{self, Insert},
    keys, secrets, tenants,
};
use crate::{
    batch::Patience,
    connection::{Connection, LockClass, Template},
    failure::Failure,
    ownership::Ownership,
    record::{beside_session, column_of, kept_columns, same_session, session},
};

/// Opens the cursor that [`NEXT`] reads. All is sorted once, of a moment that stays.
pub(crate) const OPEN: &str = concat!(
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0;
    SET LOCAL enable_seqscan = on;
    SET LOCAL enable_hashjoin = on;
    SET LOCAL enable_mergejoin = on;
    SET LOCAL cursor_tuple_fraction = 1;
    DECLARE sessile_export NO SCROLL CURSOR FOR SELECT s.app_id, ",
    kept_columns!(),
    ", NULL::text FROM {session_info} s",
    beside_session!(),
    " ORDER BY s.app_id COLLATE \"C\", s.session_handle COLLATE \"C\""
);

static NEXT: Template =
    Template { name: "export_sessions", text: "FETCH FORWARD 1000 FROM sessile_export" };

const NO_APP: Failure = Failure::Value("an app in the database has a name that cannot be one");

pub(crate) async fn next(connection: &Connection) -> Result<Vec<(AppId, SessionRecord)>, Failure> {
    let rows = connection.query_endless(&NEXT, &[]).await?;
    let sessions = rows.iter().map(|row| {
        let app = column_of::<&str>(row, 0)?.parse().map_err(|_| NO_APP)?;
        Ok((app, session(row, 1)?))
    });
    sessions.collect()
}

pub(crate) static APPS: Template =
    Template { name: "apps", text: "SELECT app_id FROM {apps} ORDER BY app_id COLLATE \"C\"" };

pub(crate) async fn apps(connection: &Connection) -> Result<Vec<AppId>, Failure> {
    let rows = connection.query(&APPS, &[]).await?;
    rows.iter().map(|row| column_of::<&str>(row, 0)?.parse().map_err(|_| NO_APP)).collect()
}

pub(crate) static SECRETS: Template = Template {
    name: "secrets",
    text: "SELECT name::text COLLATE \"C\", value FROM {key_value}
        WHERE app_id = $1 AND tenant_id = 'public' AND name = 'refresh_token_key'
            AND value IS NOT NULL
        UNION ALL
        SELECT name COLLATE \"C\", value FROM {sessile_secret} WHERE app_id = $1
        ORDER BY 1",
};

pub(crate) async fn secrets(
    connection: &Connection,
    app: &AppId,
) -> Result<Vec<StoredSecret>, Failure> {
    let rows = connection.query(&SECRETS, &[&app.as_str()]).await?;
    let secrets = rows
        .iter()
        .map(|row| Ok(StoredSecret { name: column_of(row, 0)?, value: column_of(row, 1)? }));
    secrets.collect()
}

pub(crate) static CLEAR: Template = Template {
    name: "clear_sessions",
    text: concat!(
        "DELETE FROM {session_info} s
        USING unnest($1::text[], $2::text[], $3::text[]) AS i (app_id, tenant_id, session_handle)
        WHERE ",
        same_session!("s", "i")
    ),
};

pub(crate) async fn put_sessions(
    connection: &Connection,
    app: &AppId,
    sessions: &[Insert],
    ownership: Ownership,
) -> Result<(), Failure> {
    let batch: Vec<&Insert> = sessions.iter().collect();
    let putting = async {
        connection.endless().await?;
        if ownership == Ownership::Own {
            let tenants: BTreeSet<&str> =
                batch.iter().map(|work| work.key.tenant.as_str()).collect();
            for tenant in tenants {
                tenants::make(connection, app, tenant).await?;
            }
        }
        let parameters = insertion::parameters(&batch);
        let mut parameters = insertion::borrowed(&parameters);
        connection.query(&CLEAR, &parameters[..3]).await?;
        let (class, lock_timeout) = (LockClass::User as i32, Patience::LONG.lock_timeout());
        parameters.push(&class);
        parameters.push(&lock_timeout);
        let put = connection.query(&insertion::INSERT_AS_IS, &parameters).await?;
        if put.len() == batch.len() { Ok(()) } else { Err(insertion::TAKEN) }
    };
    connection.transaction((LockClass::Bulk, app.as_str()), putting).await
}

pub(crate) static CLEAR_DYNAMIC_KEYS: Template = Template {
    name: "clear_dynamic_keys",
    text: "DELETE FROM {session_access_token_signing_keys} WHERE app_id = $1",
};

pub(crate) static CLEAR_STATIC_KEYS: Template = Template {
    name: "clear_static_keys",
    text: "DELETE FROM {jwt_signing_keys} WHERE app_id = $1 AND algorithm = 'RS256'",
};

pub(crate) static CLEAR_OWN_KEYS: Template = Template {
    name: "clear_own_keys",
    text: "DELETE FROM {sessile_signing_key} WHERE app_id = $1",
};

/// The oldest key is put first.
pub(crate) async fn replace_signing_keys(
    connection: &Connection,
    app: &AppId,
    keys: &[StoredSigningKey],
    ownership: Ownership,
) -> Result<(), Failure> {
    let replacing = async {
        for clear in [&CLEAR_DYNAMIC_KEYS, &CLEAR_STATIC_KEYS, &CLEAR_OWN_KEYS] {
            connection.query(clear, &[&app.as_str()]).await?;
        }
        let mut newest = None;
        for key in keys.iter().rev() {
            keys::add_after(connection, app, key, newest, ownership).await?;
            newest = Some(key.key_id.as_str());
        }
        Ok(())
    };
    connection.transaction((LockClass::Keys, app.as_str()), replacing).await
}

pub(crate) static CLEAR_SECRETS: Template = Template {
    name: "clear_secrets",
    text: "WITH of_supertokens AS (
            DELETE FROM {key_value}
            WHERE app_id = $1 AND tenant_id = 'public' AND name = 'refresh_token_key'
        )
        DELETE FROM {sessile_secret} WHERE app_id = $1",
};

pub(crate) async fn replace_secrets(
    connection: &Connection,
    app: &AppId,
    put: &[StoredSecret],
    ownership: Ownership,
) -> Result<(), Failure> {
    let replacing = async {
        connection.query(&CLEAR_SECRETS, &[&app.as_str()]).await?;
        for secret in put {
            secrets::add(connection, app, &secret.name, &secret.value, ownership).await?;
        }
        Ok(())
    };
    connection.transaction((LockClass::Keys, app.as_str()), replacing).await
}
