//! Tenants of an app: created, changed, shown and removed.

use serde_json::{Value, json};
use sessile_core::store::TenantStore;

use crate::{
    answer::{Answer, Failure},
    apps::TenantSettings,
    call::Call,
    input::Body,
    path::{PUBLIC, STOP_WORDS, TenantName, is_identifier},
};

pub(super) async fn put<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let body = call.body()?;
    refuse_recipes(body)?;
    let tenant = match body.optional_text("tenantId")? {
        Some(id) => identifier("tenantId", id)?,
        None => PUBLIC.to_owned(),
    };
    if STOP_WORDS.contains(&tenant.as_str()) {
        return Err(Failure::BadInput(format!("Cannot use '{tenant}' as a tenantId")));
    }
    let change = changed(body)?;
    call.app_and_tenant().map(drop).or_else(|failure| {
        // A tenant may be made from its own path.
        if call.name.tenant == tenant { call.app().map(drop) } else { Err(failure) }
    })?;
    if !call.name.is_public_tenant() && call.name.tenant != tenant {
        return Err(Failure::Forbidden(
            "You must use the public or same tenant to add/update a tenant",
        ));
    }
    let name = TenantName { app: call.name.app.clone(), tenant };
    let created = if !name.is_public_tenant() {
        call.parts.apps.put_tenant(&name, change).await?
    } else if name.is_public_app()
        && body.optional_object("coreConfig")?.is_some_and(|config| !config.is_empty())
    {
        return Err(Failure::bad_input("Cannot modify base config"));
    } else {
        call.parts.apps.put_app(&name.app, change).await?
    };
    Ok(Answer::Json(json!({ "status": "OK", "createdNew": created })))
}

pub(super) fn get<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let app = call.app().ok();
    let settings = app.as_ref().and_then(|app| app.tenants.get(&call.name.tenant));
    Ok(Answer::Json(settings.map_or_else(
        || json!({ "status": "TENANT_NOT_FOUND_ERROR" }),
        |settings| {
            let mut shown = show(&call.name.tenant, settings);
            shown["status"] = "OK".into();
            shown
        },
    )))
}

pub(super) fn list<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let app = call.app()?;
    if !call.name.is_public_tenant() {
        return Err(Failure::Forbidden(
            "Only the public tenantId is allowed to list all tenants associated with this app",
        ));
    }
    let tenants: Vec<Value> = app.tenants.iter().map(|(id, settings)| show(id, settings)).collect();
    Ok(Answer::Json(json!({ "status": "OK", "tenants": tenants })))
}

pub(super) async fn remove<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let tenant = identifier("tenantId", call.body()?.text("tenantId")?)?;
    call.app()?;
    if tenant == PUBLIC {
        return Err(Failure::Forbidden("Cannot delete public tenant, use remove app API instead"));
    }
    if !call.name.is_public_tenant() {
        return Err(Failure::Forbidden("Only the public tenantId is allowed to delete a tenant"));
    }
    let name = TenantName { app: call.name.app.clone(), tenant };
    let existed = call.parts.apps.remove_tenant(&name).await?;
    Ok(Answer::Json(json!({ "status": "OK", "didExist": existed })))
}

fn show(id: &str, settings: &TenantSettings) -> Value {
    let mut shown = json!({
        "tenantId": id,
        "thirdParty": { "providers": [] },
        "coreConfig": settings.core_config.as_object(),
    });
    if let Some(factors) = &settings.first_factors {
        shown["firstFactors"] = factors.as_slice().into();
    }
    if let Some(factors) = &settings.required_secondary_factors {
        shown["requiredSecondaryFactors"] = factors.as_slice().into();
    }
    shown
}

/// The id of an app or a tenant, as it is kept.
pub(super) fn identifier(what: &str, given: &str) -> Result<String, Failure> {
    let id = given.trim().to_lowercase();
    if id.is_empty() {
        Err(Failure::BadInput(format!("{what} should not be an empty String")))
    } else if id.starts_with("appid-") {
        Err(Failure::BadInput(format!("{what} must not start with 'appid-'")))
    } else if !is_identifier(&id) {
        Err(Failure::BadInput(format!("{what} can only contain letters, numbers and hyphens")))
    } else {
        Ok(id)
    }
}

/// What the routes before CDI 5.1 said of recipes is not for these.
pub(super) fn refuse_recipes(body: &Body) -> Result<(), Failure> {
    let recipes = ["emailPasswordEnabled", "thirdPartyEnabled", "passwordlessEnabled"];
    match recipes.iter().find(|name| body.has(name)) {
        Some(name) => Err(Failure::BadInput(format!("{name} is not a valid input for this API"))),
        None => Ok(()),
    }
}

/// What a request changes of a tenant.
pub(super) fn changed(
    body: &Body,
) -> Result<impl FnOnce(TenantSettings) -> TenantSettings + Send + use<>, Failure> {
    let core_config = body.optional_object("coreConfig")?.unwrap_or_default();
    let first = factors(body, "firstFactors")?;
    let second = factors(body, "requiredSecondaryFactors")?;
    Ok(move |settings: TenantSettings| TenantSettings {
        core_config: settings.core_config.changed(&core_config),
        first_factors: first.unwrap_or(settings.first_factors),
        required_secondary_factors: second.unwrap_or(settings.required_secondary_factors),
    })
}

/// Nothing where the request says nothing; nothing inside where it says null.
fn factors(body: &Body, name: &str) -> Result<Option<Option<Vec<String>>>, Failure> {
    if body.is_null(name) {
        return Ok(Some(None));
    }
    let factors = body.optional_texts(name)?;
    Ok(factors.map(|factors| Some(factors.into_iter().map(str::to_owned).collect())))
}
