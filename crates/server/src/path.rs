//! Which route a path names, for which app and tenant.

use std::fmt;

use crate::cdi::Surface;

/// Everything that can be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Route {
    Root,
    Hello,
    ApiVersion,
    Configuration,
    Telemetry,
    UserId,
    Handshake,
    Session,
    SessionVerify,
    SessionRefresh,
    SessionRegenerate,
    SessionRemove,
    SessionUser,
    SessionData,
    JwtData,
    SignJwt,
    Jwks,
    WellKnownJwks,
    License,
    FeatureFlag,
    App,
    AppRemove,
    Tenant,
    TenantList,
    TenantRemove,
    SigningKeys,
    SigningKeysRotate,
}

impl Route {
    /// Whether its body is not even read.
    pub(crate) fn ignores_body(self) -> bool {
        matches!(self, Self::Root | Self::Hello)
    }

    /// Whether it is answered here only for want of another core that knows better.
    pub(crate) fn is_answered_better_elsewhere(self) -> bool {
        matches!(self, Self::Telemetry | Self::UserId | Self::License | Self::FeatureFlag)
    }

    /// Its name in metrics and logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Hello => "hello",
            Self::ApiVersion => "api_version",
            Self::Configuration => "config",
            Self::Telemetry => "telemetry",
            Self::UserId => "user_id",
            Self::Handshake => "handshake",
            Self::Session => "session",
            Self::SessionVerify => "session_verify",
            Self::SessionRefresh => "session_refresh",
            Self::SessionRegenerate => "session_regenerate",
            Self::SessionRemove => "session_remove",
            Self::SessionUser => "session_user",
            Self::SessionData => "session_data",
            Self::JwtData => "jwt_data",
            Self::SignJwt => "jwt",
            Self::Jwks => "jwks",
            Self::WellKnownJwks => "well_known_jwks",
            Self::License => "license",
            Self::FeatureFlag => "feature_flag",
            Self::App => "app",
            Self::AppRemove => "app_remove",
            Self::Tenant => "tenant",
            Self::TenantList => "tenant_list",
            Self::TenantRemove => "tenant_remove",
            Self::SigningKeys => "signing_keys",
            Self::SigningKeysRotate => "signing_keys_rotate",
        }
    }
}

/// Every path, the versions that have it (none: all), and its route.
const ROUTES: [(&str, Option<Surface>, Route); 36] = [
    ("", None, Route::Root),
    ("/hello", None, Route::Hello),
    ("/apiversion", None, Route::ApiVersion),
    ("/config", None, Route::Configuration),
    ("/telemetry", Some(Surface::Recipe), Route::Telemetry),
    ("/user/id", Some(Surface::Recipe), Route::UserId),
    ("/handshake", Some(Surface::Legacy), Route::Handshake),
    ("/session", Some(Surface::Legacy), Route::Session),
    ("/session/verify", Some(Surface::Legacy), Route::SessionVerify),
    ("/session/refresh", Some(Surface::Legacy), Route::SessionRefresh),
    ("/session/regenerate", Some(Surface::Legacy), Route::SessionRegenerate),
    ("/session/remove", Some(Surface::Legacy), Route::SessionRemove),
    ("/session/user", Some(Surface::Legacy), Route::SessionUser),
    ("/session/data", Some(Surface::Legacy), Route::SessionData),
    ("/jwt/data", Some(Surface::Legacy), Route::JwtData),
    ("/recipe/handshake", Some(Surface::Recipe), Route::Handshake),
    ("/recipe/session", Some(Surface::Recipe), Route::Session),
    ("/recipe/session/verify", Some(Surface::Recipe), Route::SessionVerify),
    ("/recipe/session/refresh", Some(Surface::Recipe), Route::SessionRefresh),
    ("/recipe/session/regenerate", Some(Surface::Recipe), Route::SessionRegenerate),
    ("/recipe/session/remove", Some(Surface::Recipe), Route::SessionRemove),
    ("/recipe/session/user", Some(Surface::Recipe), Route::SessionUser),
    ("/recipe/session/data", Some(Surface::Recipe), Route::SessionData),
    ("/recipe/jwt/data", Some(Surface::Recipe), Route::JwtData),
    ("/recipe/jwt", Some(Surface::Recipe), Route::SignJwt),
    ("/recipe/jwt/jwks", Some(Surface::Recipe), Route::Jwks),
    ("/.well-known/jwks.json", None, Route::WellKnownJwks),
    ("/ee/license", None, Route::License),
    ("/ee/featureflag", None, Route::FeatureFlag),
    ("/recipe/multitenancy/app/v2", Some(Surface::Recipe), Route::App),
    ("/recipe/multitenancy/app/remove", Some(Surface::Recipe), Route::AppRemove),
    ("/recipe/multitenancy/tenant/v2", Some(Surface::Recipe), Route::Tenant),
    ("/recipe/multitenancy/tenant/list/v2", Some(Surface::Recipe), Route::TenantList),
    ("/recipe/multitenancy/tenant/remove", Some(Surface::Recipe), Route::TenantRemove),
    ("/sessile/keys", None, Route::SigningKeys),
    ("/sessile/keys/rotate", None, Route::SigningKeysRotate),
];

/// First segments that never name a tenant.
pub(crate) const STOP_WORDS: [&str; 4] = ["recipe", "config", "users", "hello"];

/// The id of the default app and of the default tenant.
pub(crate) const PUBLIC: &str = "public";

/// A tenant of an app, as a path names it. There need not be one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TenantName {
    pub(crate) app: String,
    pub(crate) tenant: String,
}

impl TenantName {
    pub(crate) fn is_public_tenant(&self) -> bool {
        self.tenant == PUBLIC
    }

    pub(crate) fn is_public_app(&self) -> bool {
        self.app == PUBLIC
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.app, self.tenant)
    }
}

/// What a path names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Location {
    pub(crate) name: TenantName,
    pub(crate) route: Route,
    /// Which versions have the path; `None` for all.
    pub(crate) surface: Option<Surface>,
}

/// Reads a path: `[/appid-<app>][/<tenant>]<route>[/]`, in letters of any case.
pub(crate) fn locate(path: &str) -> Option<Location> {
    let (app, tenant, (surface, route)) = find_below_tenant(path, find)?;
    Some(Location { name: TenantName { app, tenant }, route, surface })
}

/// The app that a path names, whatever comes after it.
pub(crate) fn app_of(path: &str) -> String {
    let path = path.to_ascii_lowercase();
    let named = first_segment(&path).and_then(|(segment, _)| segment.strip_prefix("appid-"));
    named.filter(|app| is_identifier(app)).unwrap_or(PUBLIC).to_owned()
}

/// The app and the tenant of a path, and what `find` makes of the rest of it.
pub(crate) fn find_below_tenant<T>(
    path: &str,
    find: impl Fn(&str) -> Option<T>,
) -> Option<(String, String, T)> {
    let path = path.to_ascii_lowercase();
    let path = path.strip_suffix('/').unwrap_or(&path);
    let found = |app: &str, tenant: &str, found| (app.to_owned(), tenant.to_owned(), found);
    if let Some(route) = find(path) {
        return Some(found(PUBLIC, PUBLIC, route));
    }
    let (app, rest) = match first_segment(path) {
        Some((segment, rest)) => match segment.strip_prefix("appid-") {
            Some("") => (PUBLIC, rest),
            Some(app) if is_identifier(app) => (app, rest),
            _ => (PUBLIC, path),
        },
        None => return None,
    };
    if let Some(route) = find(rest) {
        return Some(found(app, PUBLIC, route));
    }
    let (tenant, rest) = first_segment(rest)?;
    if !is_identifier(tenant) || STOP_WORDS.contains(&tenant) {
        return None;
    }
    find(rest).map(|route| found(app, tenant, route))
}

fn find(path: &str) -> Option<(Option<Surface>, Route)> {
    let found = ROUTES.iter().find(|(known, _, _)| *known == path)?;
    Some((found.1, found.2))
}

/// The first segment of a path, and the rest.
fn first_segment(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('/')?;
    Some(path.find('/').map_or((path, ""), |end| path.split_at(end)))
}

/// Whether a text can be the id of an app or a tenant.
pub(crate) fn is_identifier(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(allowed)
}

/// A path that comes before every route, as it is configured: with a slash before it, none after
/// it, and none doubled; empty for none.
pub(crate) fn normalise_base_path(path: &str) -> String {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .fold(String::new(), |path, segment| path + "/" + segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(path: &str) -> Option<(String, String, Route)> {
        locate(path).map(|found| (found.name.app, found.name.tenant, found.route))
    }

    #[test]
    fn paths_name_app_tenant_and_route() {
        let session = Route::Session;
        for (path, app, tenant, route) in [
            ("/", "public", "public", Route::Root),
            ("/hello", "public", "public", Route::Hello),
            ("/HELLO/", "public", "public", Route::Hello),
            ("/appid-a", "a", "public", Route::Root),
            ("/appid-a/", "a", "public", Route::Root),
            ("/t1", "public", "t1", Route::Root),
            ("/appid-a/t1", "a", "t1", Route::Root),
            ("/appid-public/public/hello", "public", "public", Route::Hello),
            ("/appid-/hello", "public", "public", Route::Hello),
            ("/recipe/session", "public", "public", session),
            ("/t1/recipe/session/", "public", "t1", session),
            ("/public/recipe/session", "public", "public", session),
            ("/APPID-X/T1/recipe/Session", "x", "t1", session),
            ("/appid-a/recipe/session", "a", "public", session),
            ("/appid-a/.well-known/jwks.json", "a", "public", Route::WellKnownJwks),
            ("/session/session", "public", "session", session),
            ("/apiversion/hello", "public", "apiversion", Route::Hello),
            ("/recipe/multitenancy/tenant/list/v2", "public", "public", Route::TenantList),
        ] {
            assert_eq!(located(path), Some((app.into(), tenant.into(), route)), "{path}");
        }
        for path in [
            "",
            "/recipe",
            "/recipe/hello",
            "/config/hello",
            "/t1/t2/hello",
            "/test/t1/t2",
            "/a_b/hello",
            "/appid-a/appid_b/hello",
            "/hello//",
            "//hello",
            "/recipe/session/verify/x",
        ] {
            let root = (PUBLIC.to_owned(), PUBLIC.to_owned(), Route::Root);
            let found = located(path).filter(|found| !path.is_empty() || *found != root);
            assert_eq!(found, None, "{path}");
        }
    }

    #[test]
    fn base_paths_are_normalised() {
        for (given, normal) in
            [("", ""), ("/", ""), ("a", "/a"), ("/a/", "/a"), ("//a//b/", "/a/b")]
        {
            assert_eq!(normalise_base_path(given), normal);
        }
    }
}
