//! The secrets of an app. SuperTokens' core has one, from which it makes the keys of its refresh
//! tokens.

use std::sync::Arc;

use sessile_core::{AppId, TenantId, store::StoreError};

use super::{keys::SEALED, tenants};
use crate::{
    connection::{Connection, LockClass, Template},
    failure::Failure,
    ownership::Ownership,
    record::{can_be_kept, column_of},
    shared::{Manner, Shared},
};

/// The name of its secret, which it keeps for the public tenant.
const SUPERTOKENS_SECRET: &str = "refresh_token_key";

pub(crate) static FIND: Template = Template {
    name: "secret",
    text: "SELECT value FROM {key_value}
        WHERE app_id = $1 AND tenant_id = 'public' AND name = $2 AND name = 'refresh_token_key'
            AND value IS NOT NULL
        UNION ALL
        SELECT value FROM {sessile_secret} WHERE app_id = $1 AND name = $2",
};

pub(crate) static ADD_SUPERTOKENS: Template = Template {
    name: "add_supertokens_secret",
    text: "INSERT INTO {key_value} (app_id, tenant_id, name, value, created_at_time)
        VALUES ($1, 'public', 'refresh_token_key', $2,
            (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
        ON CONFLICT DO NOTHING",
};

pub(crate) static ADD_OWN: Template = Template {
    name: "add_own_secret",
    text: "INSERT INTO {sessile_secret} (app_id, name, value) VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING",
};

async fn find(connection: &Connection, app: &AppId, name: &str) -> Result<Option<String>, Failure> {
    if !can_be_kept(name) {
        return Ok(None);
    }
    let rows = connection.query(&FIND, &[&app.as_str(), &name]).await?;
    rows.first().map(|row| column_of(row, 0)).transpose()
}

pub(crate) async fn find_or_add(
    shared: &Arc<Shared>,
    app: &AppId,
    name: &str,
    candidate: String,
) -> Result<String, StoreError> {
    let task = "keeping a secret";
    let read = |connection: Arc<_>| async move { find(&connection, app, name).await };
    if let Some(known) = shared.read(task, read).await? {
        return Ok(known);
    }
    let ownership = shared.ownership;
    let arguments = (app.clone(), name.to_owned(), candidate);
    shared
        .write(Manner::repeatable(task), arguments, move |connection, arguments| async move {
            let (app, name, candidate) = &*arguments;
            let adding = add(&connection, app, name, candidate, ownership);
            connection.transaction((LockClass::Keys, app.as_str()), adding).await
        })
        .await
}

/// Whoever has the lock of the app's keys is the only one who adds.
pub(super) async fn add(
    connection: &Connection,
    app: &AppId,
    name: &str,
    candidate: &str,
    ownership: Ownership,
) -> Result<String, Failure> {
    if let Some(known) = find(connection, app, name).await? {
        return Ok(known);
    }
    if ownership == Ownership::Own {
        tenants::make(connection, app, TenantId::default().as_str()).await?;
    }
    let is_sealed = candidate.starts_with(SEALED);
    if name == SUPERTOKENS_SECRET && !is_sealed {
        connection.query(&ADD_SUPERTOKENS, &[&app.as_str(), &candidate]).await?;
    } else if name == SUPERTOKENS_SECRET && ownership == Ownership::Shared {
        return Err(Failure::Incompatible(
            "this database is shared with a SuperTokens core, which cannot read a sealed key of \
             refresh tokens: go without a wrapping key; or, if no such core uses it any more, open \
             it as Sessile's own"
                .into(),
        ));
    } else if can_be_kept(name) && can_be_kept(candidate) {
        connection.query(&ADD_OWN, &[&app.as_str(), &name, &candidate]).await?;
    } else {
        return Err(Failure::Value("PostgreSQL cannot keep a text with a NUL character"));
    }
    // A SuperTokens core may have been first.
    let kept = find(connection, app, name).await?;
    kept.ok_or(Failure::Value("the secret that was kept is not there"))
}
