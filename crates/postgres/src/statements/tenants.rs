//! Apps and tenants, as SuperTokens' core keeps them for the default connection URI domain.

use std::sync::Arc;

use sessile_core::{
    AppId, TenantId,
    clock::Timestamp,
    store::{StoreError, StoredTenant},
};

use crate::{
    connection::{Connection, LockClass, Template},
    failure::Failure,
    ownership::Ownership,
    record::{can_be_kept, column_of},
    shared::{Manner, Shared},
};

/// A tenant needs its app, and what belongs to an app as a whole its public tenant.
pub(crate) static MAKE: Template = Template {
    name: "make_tenant",
    text: "WITH now AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now),
        app AS (
            INSERT INTO {apps} (app_id, created_at_time) SELECT $1, now FROM now
            ON CONFLICT DO NOTHING
        )
        INSERT INTO {tenants} (app_id, tenant_id, created_at_time)
        SELECT $1, tenant_id, coalesce($3, now)
        FROM now, (SELECT 'public' AS tenant_id UNION SELECT $2) AS names
        ORDER BY tenant_id
        ON CONFLICT DO NOTHING",
};

/// Makes a tenant that no configuration names, where it is missing.
pub(crate) async fn make(
    connection: &Connection,
    app: &AppId,
    tenant: &str,
) -> Result<(), Failure> {
    make_at(connection, app, tenant, None).await
}

async fn make_at(
    connection: &Connection,
    app: &AppId,
    tenant: &str,
    created_at: Option<Timestamp>,
) -> Result<(), Failure> {
    let created_at = created_at.map(Timestamp::as_millis);
    connection.query(&MAKE, &[&app.as_str(), &tenant, &created_at]).await.map(drop)
}

/// SuperTokens' tables have factors in no order, so theirs is kept beside them.
pub(crate) static ALL: Template = Template {
    name: "tenants",
    text: "SELECT c.app_id, c.tenant_id, coalesce(c.core_config, '{}'),
            coalesce(c.is_first_factors_null, true),
            ARRAY(SELECT factor_id::text FROM {tenant_first_factors} f
                WHERE f.connection_uri_domain = '' AND f.app_id = c.app_id
                    AND f.tenant_id = c.tenant_id
                ORDER BY array_position(o.first_factors, factor_id::text), factor_id),
            ARRAY(SELECT factor_id::text FROM {tenant_required_secondary_factors} f
                WHERE f.connection_uri_domain = '' AND f.app_id = c.app_id
                    AND f.tenant_id = c.tenant_id
                ORDER BY array_position(o.required_secondary_factors, factor_id::text), factor_id),
            coalesce(t.created_at_time, 0)
        FROM {tenant_configs} c
        LEFT JOIN {tenants} t ON t.app_id = c.app_id AND t.tenant_id = c.tenant_id
        LEFT JOIN {sessile_tenant} o ON o.app_id = c.app_id AND o.tenant_id = c.tenant_id
        WHERE c.connection_uri_domain = ''",
};

pub(crate) async fn all(connection: &Connection) -> Result<Vec<StoredTenant>, Failure> {
    const UNREADABLE: Failure =
        Failure::Value("an app or tenant in the database has a name that cannot be one");
    let rows = connection.query(&ALL, &[]).await?;
    let tenants = rows.iter().map(|row| {
        let first_factors: Vec<String> = column_of(row, 4)?;
        let none_were_given: bool = column_of(row, 3)?;
        let required: Vec<String> = column_of(row, 5)?;
        Ok(StoredTenant {
            app: column_of::<&str>(row, 0)?.parse().map_err(|_| UNREADABLE)?,
            tenant: column_of::<&str>(row, 1)?.parse().map_err(|_| UNREADABLE)?,
            core_config: column_of(row, 2)?,
            first_factors: (!first_factors.is_empty() || !none_were_given).then_some(first_factors),
            required_secondary_factors: (!required.is_empty()).then_some(required),
            created_at: Timestamp::from_millis(column_of(row, 6)?),
        })
    });
    tenants.collect()
}

/// The recipes are on, as they are for a tenant that is made with today's interface of the core.
pub(crate) static PUT_CONFIG: Template = Template {
    name: "put_tenant_config",
    text: "INSERT INTO {tenant_configs} (connection_uri_domain, app_id, tenant_id, core_config,
            email_password_enabled, passwordless_enabled, third_party_enabled,
            is_first_factors_null)
        VALUES ('', $1, $2, $3, true, true, true, $4)
        ON CONFLICT (connection_uri_domain, app_id, tenant_id) DO UPDATE SET
            core_config = excluded.core_config,
            is_first_factors_null = excluded.is_first_factors_null
        RETURNING xmax = 0",
};

pub(crate) static DATE: Template = Template {
    name: "date_tenant",
    text: "UPDATE {tenants} SET created_at_time = $3 WHERE app_id = $1 AND tenant_id = $2",
};

pub(crate) static CLEAR_FACTORS: Template = Template {
    name: "clear_factors",
    text: "WITH first_factors AS (
            DELETE FROM {tenant_first_factors}
            WHERE connection_uri_domain = '' AND app_id = $1 AND tenant_id = $2
        ), required AS (
            DELETE FROM {tenant_required_secondary_factors}
            WHERE connection_uri_domain = '' AND app_id = $1 AND tenant_id = $2
        )
        DELETE FROM {sessile_tenant} WHERE app_id = $1 AND tenant_id = $2",
};

pub(crate) static PUT_FACTORS: Template = Template {
    name: "put_factors",
    text: "WITH first_factors AS (
            INSERT INTO {tenant_first_factors}
                (connection_uri_domain, app_id, tenant_id, factor_id)
            SELECT DISTINCT '', $1, $2, factor FROM unnest($3::text[]) AS factor
        ), required AS (
            INSERT INTO {tenant_required_secondary_factors}
                (connection_uri_domain, app_id, tenant_id, factor_id)
            SELECT DISTINCT '', $1, $2, factor FROM unnest($4::text[]) AS factor
        )
        INSERT INTO {sessile_tenant}
            (app_id, tenant_id, first_factors, required_secondary_factors)
        VALUES ($1, $2, $3, $4)",
};

pub(crate) async fn put(shared: &Arc<Shared>, tenant: StoredTenant) -> Result<bool, StoreError> {
    let ownership = shared.ownership;
    let task = "putting a tenant";
    shared
        .write(Manner::once(task), tenant, move |connection, tenant| async move {
            let app = tenant.app.as_str();
            let putting = put_in(&connection, &tenant, ownership);
            connection.transaction((LockClass::Tenants, app), putting).await
        })
        .await
}

/// Whoever has the lock of the app's tenants is the only one who changes them.
async fn put_in(
    connection: &Connection,
    stored: &StoredTenant,
    ownership: Ownership,
) -> Result<bool, Failure> {
    let first_factors = stored.first_factors.as_deref().unwrap_or_default();
    let required = stored.required_secondary_factors.as_deref().unwrap_or_default();
    let mut texts = first_factors.iter().chain(required).chain([&stored.core_config]);
    if !texts.all(|text| can_be_kept(text)) {
        return Err(Failure::Value("PostgreSQL cannot keep a text with a NUL character"));
    }
    let (app, tenant) = (stored.app.as_str(), stored.tenant.as_str());
    make_at(connection, &stored.app, tenant, Some(stored.created_at)).await?;
    let none_are_given = stored.first_factors.is_none();
    let rows = connection
        .query(&PUT_CONFIG, &[&app, &tenant, &stored.core_config, &none_are_given])
        .await?;
    let is_new = rows.first().map_or(Ok(false), |row| column_of(row, 0))?;
    // A session may have made it before.
    if is_new && ownership == Ownership::Own {
        connection.query(&DATE, &[&app, &tenant, &stored.created_at.as_millis()]).await?;
    }
    connection.query(&CLEAR_FACTORS, &[&app, &tenant]).await?;
    if !first_factors.is_empty() || !required.is_empty() {
        connection.query(&PUT_FACTORS, &[&app, &tenant, &first_factors, &required]).await?;
    }
    Ok(is_new)
}

pub(crate) static REMOVE_CONFIG: Template = Template {
    name: "remove_tenant_config",
    text: "WITH factors AS (
            DELETE FROM {sessile_tenant} WHERE app_id = $1 AND tenant_id = $2
        )
        DELETE FROM {tenant_configs}
        WHERE connection_uri_domain = '' AND app_id = $1 AND tenant_id = $2 RETURNING 1",
};

/// What belongs to an app as a whole hangs on its public tenant, which stays.
pub(crate) static REMOVE_PUBLIC_SESSIONS: Template = Template {
    name: "remove_public_sessions",
    text: "DELETE FROM {session_info} WHERE app_id = $1 AND tenant_id = 'public'",
};

pub(crate) static REMOVE: Template = Template {
    name: "remove_tenant",
    text: "DELETE FROM {tenants} WHERE app_id = $1 AND tenant_id = $2",
};

pub(crate) async fn remove(
    shared: &Arc<Shared>,
    app: &AppId,
    tenant: &TenantId,
) -> Result<bool, StoreError> {
    let names = (app.clone(), tenant.clone());
    let manner = Manner::endless("removing a tenant");
    shared
        .write(manner, names, |connection, names| async move {
            let (app, tenant) = (names.0.as_str(), names.1.as_str());
            let removing = async {
                connection.endless().await?;
                let removed = connection.query(&REMOVE_CONFIG, &[&app, &tenant]).await?;
                if names.1 == TenantId::default() {
                    connection.query_endless(&REMOVE_PUBLIC_SESSIONS, &[&app]).await?;
                } else {
                    connection.query_endless(&REMOVE, &[&app, &tenant]).await?;
                }
                Ok(!removed.is_empty())
            };
            connection.transaction((LockClass::Tenants, app), removing).await
        })
        .await
}

pub(crate) static REMOVE_CONFIGS: Template = Template {
    name: "remove_tenant_configs",
    text: "WITH factors AS (DELETE FROM {sessile_tenant} WHERE app_id = $1)
        DELETE FROM {tenant_configs} WHERE connection_uri_domain = '' AND app_id = $1
        RETURNING 1",
};

pub(crate) static REMOVE_APP: Template =
    Template { name: "remove_app", text: "DELETE FROM {apps} WHERE app_id = $1" };

pub(crate) async fn remove_app(shared: &Arc<Shared>, app: &AppId) -> Result<bool, StoreError> {
    let manner = Manner::endless("removing an app");
    shared
        .write(manner, app.clone(), |connection, app| async move {
            let removing = async {
                connection.endless().await?;
                let removed = connection.query(&REMOVE_CONFIGS, &[&app.as_str()]).await?;
                connection.query_endless(&REMOVE_APP, &[&app.as_str()]).await?;
                Ok(!removed.is_empty())
            };
            connection.transaction((LockClass::Tenants, app.as_str()), removing).await
        })
        .await
}
