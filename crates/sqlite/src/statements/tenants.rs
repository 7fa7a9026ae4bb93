//! Which apps and tenants there are.

use rusqlite::{Connection, Row, named_params, params, types::Type};
use sessile_core::{AppId, TenantId, clock::Timestamp, store::StoredTenant};

use crate::failure::Failure;

/// Reads what was written as text, such as a name or a list of names.
fn parsed<T, E>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> rusqlite::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    parse(row.get_ref(column)?.as_str()?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

fn factors(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Vec<String>>> {
    match row.get_ref(column)?.as_str_or_null()? {
        Some(_) => parsed(row, column, |text| serde_json::from_str(text)).map(Some),
        None => Ok(None),
    }
}

fn tenant(row: &Row<'_>) -> rusqlite::Result<StoredTenant> {
    Ok(StoredTenant {
        app: parsed(row, 0, str::parse)?,
        tenant: parsed(row, 1, str::parse)?,
        core_config: row.get(2)?,
        first_factors: factors(row, 3)?,
        required_secondary_factors: factors(row, 4)?,
        created_at: Timestamp::from_millis(row.get(5)?),
    })
}

pub(crate) fn all(connection: &Connection) -> Result<Vec<StoredTenant>, Failure> {
    let sql = "SELECT app_id, tenant_id, core_config, first_factors, required_secondary_factors,
        created_at FROM tenants";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_map([], tenant)?.collect::<Result<_, _>>()?)
}

/// The writer's transaction keeps everybody else from adding it between the statements.
pub(crate) fn put(connection: &Connection, tenant: &StoredTenant) -> Result<bool, Failure> {
    let list = |factors: &Option<Vec<String>>| factors.as_ref().map(|names| json(names));
    let parameters = named_params! {
        ":app": tenant.app.as_str(),
        ":tenant": tenant.tenant.as_str(),
        ":core_config": tenant.core_config,
        ":first_factors": list(&tenant.first_factors),
        ":required_secondary_factors": list(&tenant.required_secondary_factors),
        ":created_at": tenant.created_at.as_millis(),
    };
    let sql = "INSERT INTO tenants VALUES (:app, :tenant, :core_config, :first_factors,
        :required_secondary_factors, :created_at) ON CONFLICT DO NOTHING";
    if connection.prepare_cached(sql)?.execute(parameters)? == 1 {
        return Ok(true);
    }
    let sql = "UPDATE tenants SET core_config = ?, first_factors = ?,
        required_secondary_factors = ? WHERE app_id = ? AND tenant_id = ?";
    connection.prepare_cached(sql)?.execute(params![
        tenant.core_config,
        list(&tenant.first_factors),
        list(&tenant.required_secondary_factors),
        tenant.app.as_str(),
        tenant.tenant.as_str(),
    ])?;
    Ok(false)
}

fn json(names: &[String]) -> String {
    serde_json::Value::from(names).to_string()
}

pub(crate) fn remove(
    connection: &Connection,
    app: &AppId,
    tenant: &TenantId,
) -> Result<bool, Failure> {
    let names = [app.as_str(), tenant.as_str()];
    let sql = "DELETE FROM sessions WHERE app_id = ? AND tenant_id = ?";
    connection.prepare_cached(sql)?.execute(names)?;
    let sql = "DELETE FROM tenants WHERE app_id = ? AND tenant_id = ?";
    Ok(connection.prepare_cached(sql)?.execute(names)? == 1)
}

pub(crate) fn remove_app(connection: &Connection, app: &AppId) -> Result<bool, Failure> {
    for sql in [
        "DELETE FROM sessions WHERE app_id = ?",
        "DELETE FROM signing_keys WHERE app_id = ?",
        "DELETE FROM secrets WHERE app_id = ?",
    ] {
        connection.prepare_cached(sql)?.execute([app.as_str()])?;
    }
    let sql = "DELETE FROM tenants WHERE app_id = ?";
    Ok(connection.prepare_cached(sql)?.execute([app.as_str()])? > 0)
}
