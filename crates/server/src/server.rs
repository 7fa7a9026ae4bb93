//! A server: from a request to its handler, in the order in which SuperTokens' core looks at it.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use axum::{Router, extract::State, response::Response};
use http::{Method, Request, request};
use sessile_core::{Error, SessionsBuilder, store::TenantStore};
use tokio::{net::TcpListener, time::sleep};
use tracing::Instrument as _;

use crate::{
    access::{self, Admission},
    answer::{Answer, Answered, Failure},
    apps::Apps,
    call::Call,
    config::ServerConfig,
    forward::{Forwarder, recipe_of},
    health::Readiness,
    input::{Body, Query},
    limits::Limits,
    metrics::{CommitStatistics, ConnectionMetrics, MeasuredStore, Metrics},
    observe::{Observation, Seen},
    operations::{self, Asked, Operations},
    path::{locate, normalise_base_path},
    places::Places,
    request_body, routes,
    serving::{self, Handshake, PlainText},
};

/// The most connections of operators at once.
const OPERATORS: usize = 64;

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
    pub(crate) parts: Arc<Parts<MeasuredStore<S>>>,
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
    pub(crate) operations: Operations,
}

impl<S: TenantStore> Server<S> {
    /// Starts a server with its public app. `builder` says which store, clock and wrapping key; its
    /// app and policy are replaced by the server's own.
    ///
    /// # Errors
    /// As [`SessionsBuilder::build`], and
    /// [`GeneralError::Configuration`](sessile_core::GeneralError::Configuration) when
    /// [`ServerConfig::forward`] is no URL of a core.
    pub async fn start(
        mut config: ServerConfig,
        builder: SessionsBuilder<S>,
    ) -> Result<Self, Error> {
        config.base_path = normalise_base_path(&config.base_path);
        let metrics = Metrics::new();
        let forward = config.forward.as_ref();
        let operations = Operations {
            places: Places::new(&config.limits, metrics.requests.clone()),
            readiness: Readiness::default(),
            forwarder: forward.map(|url| Forwarder::new(url, &config.limits)).transpose()?,
            metrics,
        };
        let (events, store) = (operations.metrics.events.clone(), operations.metrics.store.clone());
        let builder = builder
            .on_event(move |event| events.count(event))
            .map_store(|measured| MeasuredStore::new(measured, store));
        let apps = Apps::start(builder, &config).await?;
        Ok(Self { parts: Arc::new(Parts { config, apps, operations }) })
    }

    /// Every route. Where addresses are filtered, requests must carry theirs, as
    /// [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo).
    pub fn router(&self) -> Router {
        Router::new().fallback(serve::<S>).with_state(self.clone())
    }

    /// Serves what `listener` accepts, over what `handshake` makes of each connection, until `stop`
    /// ends; from then on it is not ready, accepts for [`Limits::drain_time`](crate::Limits), and
    /// leaves requests that are under way [`Limits::shutdown_timeout`](crate::Limits).
    pub async fn serve(
        &self,
        listener: TcpListener,
        handshake: impl Handshake,
        stop: impl Future<Output = ()>,
    ) {
        let limits = self.parts.config.limits.clone();
        let stop = async {
            stop.await;
            self.parts.operations.readiness.stop();
            sleep(limits.drain_time).await;
        };
        let metrics = self.parts.operations.metrics.connections.clone();
        serving::serve(listener, handshake, self.router(), limits.clone(), metrics, stop).await;
    }

    /// Serves `/metrics`, `/health/live` and `/health/ready`, and nothing else, until `stop` ends.
    pub async fn serve_operations(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let router = Router::new().fallback(serve_operations::<S>).with_state(self.clone());
        let limits = Limits {
            connections: OPERATORS,
            shutdown_timeout: Duration::ZERO,
            ..self.parts.config.limits.clone()
        };
        let metrics = ConnectionMetrics::default();
        serving::serve(listener, PlainText, router, limits, metrics, stop).await;
    }

    /// Adds what the store says of its commits, whenever it is asked, to the metrics.
    pub fn measure_commits(
        &self,
        statistics: impl Fn() -> CommitStatistics + Send + Sync + 'static,
    ) {
        self.parts.operations.metrics.add_commits(statistics);
    }

    /// The store that all apps are in, as it was handed in.
    pub fn store(&self) -> &S {
        self.parts.apps.session_store().inner()
    }
}

async fn serve<S: TenantStore>(
    State(server): State<Server<S>>,
    request: Request<axum::body::Body>,
) -> Response {
    let parts = server.parts;
    let observation = Observation::begin(&request, &parts.operations.metrics.requests);
    let span = observation.span();
    let serving = async move {
        let mut seen = Seen::default();
        let (head, body) = request.into_parts();
        let asked = Asked::BesideTheRoutes;
        let mut response = match operations::answer(&parts, &head, asked, &mut seen).await {
            Some(response) => response,
            None => Answered::from(answer(parts, head, body, &mut seen).await).0,
        };
        observation.end(seen, response.status().as_u16(), response.headers_mut());
        response
    };
    serving.instrument(span).await
}

async fn serve_operations<S: TenantStore>(
    State(server): State<Server<S>>,
    request: Request<axum::body::Body>,
) -> Response {
    let (head, _) = request.into_parts();
    let asked = Asked::AtItsOwnAddress;
    let answer = operations::answer(&server.parts, &head, asked, &mut Seen::default()).await;
    answer.unwrap_or_else(|| Answered::from(Err(Failure::NotFound)).0)
}

async fn answer<S: TenantStore>(
    parts: Arc<Parts<S>>,
    head: request::Parts,
    body: axum::body::Body,
    seen: &mut Seen,
) -> Result<Answer, Failure> {
    let Operations { places, forwarder, .. } = &parts.operations;
    let path = strip_base_path(head.uri.path(), &parts.config.base_path);
    let location = match (path.and_then(locate), forwarder) {
        (Some(location), Some(_)) if location.route.is_answered_better_elsewhere() => None,
        (location, _) => location,
    };
    let Some(location) = location else {
        let Some(forwarder) = forwarder else {
            access::check_address(&parts.config.app.addresses, &head)?;
            return Err(path.and_then(recipe_of).map_or(Failure::NotFound, Failure::NotServed));
        };
        seen.route = "forwarded";
        let place = places.forward()?;
        access::admit_forward(&parts, path.unwrap_or_default(), &head).await?;
        let request = Request::from_parts(head, body);
        return forwarder.forward(request, place).await.map(Answer::Forwarded);
    };
    seen.route = location.route.name();
    let _place = places.request()?;
    let Admission { app, version } = access::admit(&parts, &location, &head).await?;
    seen.cdi = version.family();
    let mut large_body = None;
    let body = if head.method == Method::GET || location.route.ignores_body() {
        Ok(Body::default())
    } else {
        let (limit, time) = (parts.config.body_limit, parts.config.limits.body_timeout);
        let read = request_body::read(body, &head.headers, limit, time, places).await?;
        large_body = read.place;
        Body::parse(&read.bytes)
    };
    let mut call = Call {
        parts: Arc::clone(&parts),
        name: location.name.clone(),
        app,
        dialect: version.dialect(),
        body,
        query: Query::parse(head.uri.query().unwrap_or_default()),
    };
    let answer = match routes::call(location.route, &head.method, &call).await {
        // Another process may have made it a moment ago. Then it says who is let in.
        Err(Failure::UnknownTenant(_)) if call.parts.apps.look_again().await? => {
            let Admission { app, version } = access::admit(&call.parts, &location, &head).await?;
            (call.app, call.dialect) = (app, version.dialect());
            routes::call(location.route, &head.method, &call).await
        }
        answer => answer,
    };
    drop(large_body);
    answer
}

/// The path below the base path.
fn strip_base_path<'a>(path: &'a str, base_path: &str) -> Option<&'a str> {
    let (base, rest) = path.split_at_checked(base_path.len())?;
    let fits = base.eq_ignore_ascii_case(base_path) && (rest.is_empty() || rest.starts_with('/'));
    (fits && !path.is_empty()).then_some(rest)
}
