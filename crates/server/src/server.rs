//! A server: from a request to its handler, in the order in which SuperTokens' core looks at it.

use std::{fmt, future::Future, sync::Arc};

use axum::{Router, body::to_bytes, extract::State, response::Response};
use http::{HeaderMap, Method, Request};
use sessile_core::{Error, Sessions, SessionsBuilder, store::TenantStore};
use tokio::net::TcpListener;

use crate::{
    answer::{Answer, Answered, Failure},
    apps::Apps,
    call::Call,
    cdi::{CdiVersion, CdiVersionError, Surface},
    config::ServerConfig,
    input::{Body, Query},
    path::{Location, Route, locate, normalise_base_path},
    routes,
    serving::{self, Handshake},
};

/// A core server: sessions and JWTs for the SDKs of SuperTokens. A clone is the same server.
///
/// ```
/// use sessile_core::{Sessions, memory::MemoryStore};
/// use sessile_server::{PlainText, Server, ServerConfig};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let sessions = Sessions::builder(MemoryStore::new());
/// let server = Server::start(ServerConfig::default(), sessions).await?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3567").await?;
/// let stop = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
/// server.serve(listener, PlainText, stop).await;
/// # Ok(())
/// # }
/// ```
pub struct Server<S> {
    parts: Arc<Parts<S>>,
}

impl<S> Clone for Server<S> {
    fn clone(&self) -> Self {
        Self { parts: Arc::clone(&self.parts) }
    }
}

impl<S> fmt::Debug for Server<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Server").field("config", &self.parts.config).finish_non_exhaustive()
    }
}

/// What every request needs.
#[derive(Debug)]
pub(crate) struct Parts<S> {
    pub(crate) config: ServerConfig,
    pub(crate) apps: Apps<S>,
}

impl<S: TenantStore> Server<S> {
    /// Starts a server with its public app. `builder` says which store, clock and wrapping key; its
    /// app and policy are replaced by the server's own.
    ///
    /// # Errors
    /// As [`SessionsBuilder::build`].
    pub async fn start(
        mut config: ServerConfig,
        builder: SessionsBuilder<S>,
    ) -> Result<Self, Error> {
        config.base_path = normalise_base_path(&config.base_path);
        let apps = Apps::start(builder, &config).await?;
        Ok(Self { parts: Arc::new(Parts { config, apps }) })
    }

    /// Every route.
    pub fn router(&self) -> Router {
        Router::new().fallback(serve::<S>).with_state(self.clone())
    }

    /// Serves what `listener` accepts, over what `handshake` makes of each connection, until `stop`
    /// ends; then requests that are under way may take [`Limits::shutdown_timeout`].
    ///
    /// [`Limits::shutdown_timeout`]: crate::Limits::shutdown_timeout
    pub async fn serve(
        &self,
        listener: TcpListener,
        handshake: impl Handshake,
        stop: impl Future<Output = ()>,
    ) {
        let limits = self.parts.config.limits.clone();
        serving::serve(listener, handshake, self.router(), limits, stop).await;
    }

    /// The sessions of every app.
    ///
    /// # Errors
    /// As [`SessionsBuilder::build`], for an app that nobody has asked for before.
    pub async fn apps(&self) -> Result<Vec<Sessions<S>>, Error> {
        let apps = self.parts.apps.all().await?;
        Ok(apps.iter().map(|app| app.sessions.clone()).collect())
    }

    /// Takes over what other processes on the same store have changed of apps, tenants and signing
    /// keys. Once a minute is plenty: what a request names and is not known is looked for at once.
    ///
    /// # Errors
    /// [`Error::General`] when the store fails.
    pub async fn synchronise(&self) -> Result<(), Error> {
        self.parts.apps.synchronise().await
    }
}

async fn serve<S: TenantStore>(
    State(server): State<Server<S>>,
    request: Request<axum::body::Body>,
) -> Response {
    Answered::from(answer(server.parts, request).await).0
}

async fn answer<S: TenantStore>(
    parts: Arc<Parts<S>>,
    request: Request<axum::body::Body>,
) -> Result<Answer, Failure> {
    let (head, body) = request.into_parts();
    let path = strip_base_path(head.uri.path(), &parts.config.base_path);
    let location = path.and_then(locate).ok_or(Failure::NotFound)?;
    let version = negotiate(&location, &head.headers)?;
    let body = if head.method == Method::GET || location.route.ignores_body() {
        Ok(Body::default())
    } else {
        let limit = parts.config.body_limit;
        let bytes = to_bytes(body, limit).await.map_err(|_| Failure::TooLarge(limit))?;
        Body::parse(&bytes)
    };
    let call = Call {
        parts,
        name: location.name,
        dialect: version.dialect(),
        body,
        query: Query::parse(head.uri.query().unwrap_or_default()),
    };
    match serve_call(location.route, &head.method, &call).await {
        // Another process may have made it a moment ago.
        Err(Failure::UnknownTenant(_)) if call.parts.apps.look_again().await? => {
            serve_call(location.route, &head.method, &call).await
        }
        answer => answer,
    }
}

async fn serve_call<S: TenantStore>(
    route: Route,
    method: &Method,
    call: &Call<S>,
) -> Result<Answer, Failure> {
    call.parts.apps.prepare(&call.name.app).await?;
    routes::call(route, method, call).await
}

/// The path below the base path.
fn strip_base_path<'a>(path: &'a str, base_path: &str) -> Option<&'a str> {
    let (base, rest) = path.split_at_checked(base_path.len())?;
    let fits = base.eq_ignore_ascii_case(base_path) && (rest.is_empty() || rest.starts_with('/'));
    (fits && !path.is_empty()).then_some(rest)
}

/// The version that a request follows: the one that it names, or else the newest that has its path.
fn negotiate(location: &Location, headers: &HeaderMap) -> Result<CdiVersion, Failure> {
    let unversioned =
        matches!(location.route, Route::Hello | Route::ApiVersion | Route::WellKnownJwks);
    let version = match headers.get("cdi-version") {
        Some(header) if !unversioned => {
            let text = header.to_str().unwrap_or_default().trim();
            text.parse().map_err(|error| match error {
                CdiVersionError::Invalid => Failure::bad_input(error.to_string()),
                CdiVersionError::NotSupported => {
                    Failure::BadInput(format!("cdi-version {text} not supported"))
                }
            })?
        }
        _ if location.surface == Some(Surface::Legacy) => CdiVersion::newest_legacy(),
        _ => CdiVersion::newest(),
    };
    let dialect = version.dialect();
    let has_path = location.surface.is_none_or(|surface| surface == dialect.surface);
    let may_name_tenant = dialect.tenants || location.name.is_public_tenant();
    if has_path && may_name_tenant { Ok(version) } else { Err(Failure::NotFound) }
}
