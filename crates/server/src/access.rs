//! Who is let in: by address, by API key, and in which version. In this order, as SuperTokens' core
//! looks at it.

use std::{net::SocketAddr, sync::Arc};

use axum::extract::ConnectInfo;
use http::{HeaderMap, header, request};
use sessile_core::store::TenantStore;

use crate::{
    addresses::AddressFilter,
    answer::Failure,
    api_keys::ApiKeys,
    apps::App,
    cdi::{CdiVersion, CdiVersionError, Surface},
    config::AppConfig,
    path::{Location, PUBLIC, Route, TenantName, app_of},
    server::Parts,
};

/// A request that is let in.
pub(crate) struct Admission<S> {
    /// The app of its path; none where there is no such app, which its handler answers.
    pub(crate) app: Option<Arc<App<S>>>,
    pub(crate) version: CdiVersion,
}

/// Lets a request in, which then is for this very app, as it is now.
///
/// # Errors
/// Why it is not let in.
pub(crate) async fn admit<S: TenantStore>(
    parts: &Parts<S>,
    location: &Location,
    head: &request::Parts,
) -> Result<Admission<S>, Failure> {
    let prepared = parts.apps.prepare(&location.name.app).await;
    prepared.map_err(|error| Failure::from(error).of_tenant(&location.name))?;
    let app = parts.apps.app(&location.name).ok();
    let base = &parts.config.app;
    let addresses = app.as_ref().map(|app| app.addresses(&location.name.tenant));
    check_address(addresses.unwrap_or(&base.addresses), head)?;
    // An app that is not there has no keys.
    if let Some(app) = app.as_ref().filter(|_| needs_key(location.route)) {
        let secret = &parts.config.supertokens_saas_secret;
        check_key(&app.config.api_keys, secret, &head.headers)?;
    }
    let config = app.as_ref().map_or(base, |app| &app.config);
    let version = negotiate(location, config, &head.headers)?;
    Ok(Admission { app, version })
}

/// Lets a request in that another core will answer, as one for the app of its path, or for the
/// public app where there is none of that name.
///
/// # Errors
/// Why it is not let in.
pub(crate) async fn admit_forward<S: TenantStore>(
    parts: &Parts<S>,
    path: &str,
    head: &request::Parts,
) -> Result<(), Failure> {
    let name = TenantName { app: app_of(path), tenant: PUBLIC.to_owned() };
    parts.apps.prepare(&name.app).await?;
    let app = parts.apps.app(&name).ok();
    let base = &parts.config.app;
    let addresses = app.as_ref().map(|app| app.addresses(PUBLIC));
    check_address(addresses.unwrap_or(&base.addresses), head)?;
    let config = app.as_ref().map_or(base, |app| &app.config);
    check_key(&config.api_keys, &parts.config.supertokens_saas_secret, &head.headers)
}

/// Lets a request in that is for no app, as one for the public app.
///
/// # Errors
/// Why it is not let in.
pub(crate) fn admit_operator<S>(parts: &Parts<S>, head: &request::Parts) -> Result<(), Failure> {
    let base = &parts.config.app;
    check_address(&base.addresses, head)?;
    check_key(&base.api_keys, &parts.config.supertokens_saas_secret, &head.headers)
}

/// Whether a request may come from where it comes from.
pub(crate) fn check_address(
    addresses: &AddressFilter,
    head: &request::Parts,
) -> Result<(), Failure> {
    let client = head.extensions.get::<ConnectInfo<SocketAddr>>();
    match addresses.admits(client.map(|ConnectInfo(address)| address.ip())) {
        true => Ok(()),
        false => Err(Failure::Forbidden("Forbidden")),
    }
}

fn needs_key(route: Route) -> bool {
    !matches!(route, Route::Root | Route::Hello | Route::Configuration | Route::WellKnownJwks)
}

fn check_key(keys: &ApiKeys, secret: &ApiKeys, headers: &HeaderMap) -> Result<(), Failure> {
    if keys.is_empty() && secret.is_empty() {
        return Ok(());
    }
    let key = presented_key(headers).ok_or(Failure::InvalidApiKey)?;
    // Both, so that the time tells nothing of which.
    match keys.contain(key) | secret.contain(key) {
        true => Ok(()),
        false => Err(Failure::InvalidApiKey),
    }
}

/// The key that a request brings: in `api-key`, or else in `Authorization`, after `Bearer` or alone.
fn presented_key(headers: &HeaderMap) -> Option<&[u8]> {
    const BEARER: &[u8] = b"bearer ";
    if let Some(key) = headers.get("api-key") {
        return Some(key.as_bytes().trim_ascii());
    }
    let value = headers.get(header::AUTHORIZATION)?.as_bytes().trim_ascii();
    let key = match value.split_at_checked(BEARER.len()) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(BEARER) => key,
        _ => value,
    };
    Some(key.trim_ascii())
}

/// The version that a request follows: the one that it names, or else the newest that has its path
/// and is served.
fn negotiate(
    location: &Location,
    config: &AppConfig,
    headers: &HeaderMap,
) -> Result<CdiVersion, Failure> {
    let unversioned =
        matches!(location.route, Route::Hello | Route::ApiVersion | Route::WellKnownJwks);
    let newest_of_path = match location.surface {
        Some(Surface::Legacy) => CdiVersion::newest_legacy(),
        _ => CdiVersion::newest(),
    };
    if unversioned {
        return with_path(location, newest_of_path);
    }
    let newest = config.supertokens_max_cdi_version.unwrap_or_else(CdiVersion::newest);
    let named = headers.get("cdi-version").map(|header| header.to_str().unwrap_or_default().trim());
    let version = match named {
        Some(text) => {
            let not_supported = || Failure::BadInput(format!("cdi-version {text} not supported"));
            let version: CdiVersion = text.parse().map_err(|error| match error {
                CdiVersionError::Invalid => Failure::bad_input(error.to_string()),
                CdiVersionError::NotSupported => not_supported(),
            })?;
            if version > newest {
                return Err(not_supported());
            }
            version
        }
        None => newest_of_path.min(newest),
    };
    match config.supertokens_min_cdi_version {
        Some(oldest) if version < oldest => Err(Failure::BadInput(format!(
            "cdi-version {} is lower than the minimum allowed version {oldest}",
            named.map_or_else(|| version.to_string(), str::to_owned),
        ))),
        _ => with_path(location, version),
    }
}

/// The version, where it has the path.
fn with_path(location: &Location, version: CdiVersion) -> Result<CdiVersion, Failure> {
    let dialect = version.dialect();
    let has_path = location.surface.is_none_or(|surface| surface == dialect.surface);
    let may_name_tenant = dialect.tenants || location.name.is_public_tenant();
    if has_path && may_name_tenant { Ok(version) } else { Err(Failure::NotFound) }
}
