//! Apps: created, changed and removed.

use serde_json::json;
use sessile_core::store::TenantStore;

use super::tenants::{changed, identifier, refuse_recipes};
use crate::{
    answer::{Answer, Failure},
    call::Call,
    path::PUBLIC,
};

pub(super) async fn put<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let body = call.body()?;
    refuse_recipes(body)?;
    let id = match body.optional_text("appId")? {
        Some(id) => identifier("appId", id)?,
        None => PUBLIC.to_owned(),
    };
    let change = changed(body)?;
    call.app()?;
    if !call.name.is_public_tenant() || !(call.name.is_public_app() || call.name.app == id) {
        return Err(Failure::Forbidden("You must use the public or same app to add/update an app"));
    }
    if id == PUBLIC && body.optional_object("coreConfig")?.is_some_and(|config| !config.is_empty())
    {
        return Err(Failure::bad_input("Cannot modify base config"));
    }
    let created = call.parts.apps.put_app(&id, change).await?;
    Ok(Answer::Json(json!({ "status": "OK", "createdNew": created })))
}

pub(super) async fn remove<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let id = identifier("appId", call.body()?.text("appId")?)?;
    call.app()?;
    if !call.name.is_public_app() || !call.name.is_public_tenant() {
        return Err(Failure::Forbidden(
            "Only the public tenantId and public appId is allowed to delete an app",
        ));
    }
    if id == PUBLIC {
        return Err(Failure::Forbidden(
            "Cannot delete the public app, use remove connection uri domain API instead",
        ));
    }
    let existed = call.parts.apps.remove_app(&id).await?;
    Ok(Answer::Json(json!({ "status": "OK", "didExist": existed })))
}
