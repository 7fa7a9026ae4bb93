//! What a server says of itself.

use http::Method;
use serde_json::json;
use sessile_core::store::TenantStore;

use crate::{
    answer::{Answer, Failure},
    call::Call,
    cdi::CdiVersion,
    path::Route,
};

/// `Hello`, for an app, and at the root also for a tenant, that exists.
pub(super) fn hello<S: TenantStore>(route: Route, call: &Call<S>) -> Result<Answer, Failure> {
    let app = call.app()?;
    match app.tenant(&call.name) {
        Err(_) if route == Route::Root => Err(Failure::NotFound),
        _ => Ok(Answer::Text("Hello")),
    }
}

/// The versions, of which an SDK takes the newest that it knows too.
pub(super) fn api_version<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    call.require_public_tenant()?;
    let newest = call.app()?.config.supertokens_max_cdi_version;
    let versions: Vec<String> = CdiVersion::all()
        .filter(|version| newest.is_none_or(|newest| *version <= newest))
        .map(|version| version.to_string())
        .collect();
    Ok(Answer::Json(json!({ "versions": versions })))
}

/// The path of the configuration, for who knows the id of this process.
pub(super) fn configuration<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    if !call.name.is_public_app() || !call.name.is_public_tenant() {
        return Err(Failure::Forbidden(
            "you can call this only from the base connection uri domain, public app and tenant",
        ));
    }
    let is_ours = call.query.text("pid")? == std::process::id().to_string();
    Ok(Answer::Json(match &call.parts.config.config_path {
        Some(path) if is_ours => json!({ "status": "OK", "path": path.to_string_lossy() }),
        _ => json!({ "status": call.dialect.not_allowed }),
    }))
}

/// There is no telemetry.
pub(super) fn telemetry<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    call.require_public_tenant()?;
    call.app()?;
    Ok(Answer::Json(json!({ "exists": false })))
}

/// There are no users, only sessions of theirs; SDKs go on with the id that they have.
pub(super) fn user_id<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    call.app()?;
    call.query.text("userId")?;
    Ok(Answer::Json(json!({ "status": "UNKNOWN_USER_ID_ERROR" })))
}

/// No licence is needed, so none is kept.
pub(super) fn license<S: TenantStore>(method: &Method, call: &Call<S>) -> Result<Answer, Failure> {
    call.app()?;
    let status = match *method {
        Method::GET => "NO_LICENSE_KEY_FOUND_ERROR",
        Method::PUT => {
            call.body()?.optional_text("licenseKey")?;
            "OK"
        }
        _ => "OK",
    };
    Ok(Answer::Json(json!({ "status": status })))
}

/// Of what SuperTokens licenses, apps and tenants are here.
pub(super) fn feature_flag<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    call.app()?;
    let features = ["multi_tenancy"];
    Ok(Answer::Json(json!({ "status": "OK", "features": features, "usageStats": {} })))
}
