//! The handlers, and which verb of which route is whose.

mod apps;
mod handshake;
mod information;
mod jwt;
mod keys;
mod lifecycle;
mod stored;
mod tenants;
mod users;
mod verification;

use http::Method;
use sessile_core::store::TenantStore;

use crate::{
    answer::{Answer, Failure},
    call::Call,
    cdi::Surface,
    path::Route,
};

/// Calls the handler of a route.
pub(crate) async fn call<S: TenantStore>(
    route: Route,
    method: &Method,
    call: &Call<S>,
) -> Result<Answer, Failure> {
    let legacy = call.dialect.surface == Surface::Legacy;
    let answer = match (route, method.as_str()) {
        (Route::Root | Route::Hello, "GET" | "POST" | "PUT" | "DELETE") => {
            information::hello(route, call)
        }
        (Route::ApiVersion, "GET") => information::api_version(call),
        (Route::Configuration, "GET") => information::configuration(call),
        (Route::Telemetry, "GET") => information::telemetry(call),
        (Route::UserId, "GET") => information::user_id(call),
        (Route::License, "GET" | "PUT" | "DELETE") => information::license(method, call),
        (Route::FeatureFlag, "GET") => information::feature_flag(call),
        (Route::Handshake, "POST") => handshake::handshake(call).await,
        (Route::Session, "POST") => lifecycle::create(call).await,
        (Route::Session, "GET") if !legacy => stored::information(call).await,
        (Route::Session, "DELETE") if legacy => Err(Failure::bad_input(
            "/session DELETE is only available in CDI 1.0. Please call /session/remove POST instead",
        )),
        (Route::SessionVerify, "POST") => verification::verify(call).await,
        (Route::SessionRefresh, "POST") => lifecycle::refresh(call).await,
        (Route::SessionRegenerate, "POST") => lifecycle::regenerate(call).await,
        (Route::SessionRemove, "POST") => users::remove(call).await,
        (Route::SessionUser, "GET") => users::list(call).await,
        (Route::SessionData, "GET") => stored::data(call).await,
        (Route::SessionData, "PUT") => stored::replace_data(call).await,
        (Route::JwtData, "GET") => stored::payload(call).await,
        (Route::JwtData, "PUT") => stored::replace_payload(call).await,
        (Route::SignJwt, "POST") => jwt::sign(call).await,
        (Route::Jwks, "GET") => jwt::key_set(call).await,
        (Route::WellKnownJwks, "GET") => jwt::cached_key_set(call).await,
        (Route::App, "PUT") => apps::put(call).await,
        (Route::AppRemove, "POST") => apps::remove(call).await,
        (Route::Tenant, "PUT") => tenants::put(call).await,
        (Route::Tenant, "GET") => tenants::get(call),
        (Route::TenantList, "GET") => tenants::list(call),
        (Route::TenantRemove, "POST") => tenants::remove(call).await,
        (Route::SigningKeys, "GET") => keys::list(call).await,
        (Route::SigningKeysRotate, "POST") => keys::rotate(call).await,
        _ => Err(Failure::MethodNotSupported),
    };
    answer.map_err(|failure| failure.of_tenant(&call.name))
}
