//! What operators ask a server: whether it lives, whether it is ready, and what it counts.

use axum::{body::Body, response::Response};
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use sessile_core::store::TenantStore;

use crate::{
    access,
    admission::Admission,
    answer::{Answered, Failure},
    forward::Forwarder,
    health::{self, Readiness},
    metrics::{self, Metrics},
    observe::Seen,
    server::Parts,
};

/// Where the metrics are.
const METRICS: &str = "/metrics";

/// What a server has beside its apps.
#[derive(Debug)]
pub(crate) struct Operations {
    pub(crate) metrics: Metrics,
    pub(crate) admission: Admission,
    pub(crate) readiness: Readiness,
    pub(crate) forwarder: Option<Forwarder>,
}

/// Where a request came in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Door {
    /// Where SDKs come in too, and metrics want a key.
    Everybody,
    /// The address that is for operators alone.
    Operators,
}

/// A request without its body, which may not be shared between threads.
pub(crate) struct Asked<'a> {
    method: &'a Method,
    path: &'a str,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    door: Door,
}

impl<'a> Asked<'a> {
    pub(crate) fn of(request: &'a Request<Body>, door: Door) -> Self {
        Self {
            method: request.method(),
            path: request.uri().path(),
            headers: request.headers(),
            extensions: request.extensions(),
            door,
        }
    }
}

/// The answer to a request of an operator's; nothing if it is not one. These are never refused for
/// want of a place: a server that is busy is not dead.
pub(crate) async fn answer<S: TenantStore>(
    parts: &Parts<S>,
    asked: Asked<'_>,
    seen: &mut Seen,
) -> Option<Response> {
    let Asked { method, path, headers, extensions, door } = asked;
    let has_metrics = door == Door::Operators || parts.config.metrics_address.is_none();
    let route = match path {
        health::LIVE => "health_live",
        health::READY => "health_ready",
        METRICS if has_metrics => "metrics",
        _ => return None,
    };
    seen.route = route;
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Some(Answered::from(Err(Failure::MethodNotSupported)).0);
    }
    if path == METRICS
        && door == Door::Everybody
        && let Err(failure) = access::admit_operator(parts, headers, extensions)
    {
        return Some(Answered::from(Err(failure)).0);
    }
    Some(match path {
        health::LIVE => health::live(),
        health::READY => {
            let time = parts.config.limits.readiness_timeout;
            parts.operations.readiness.answer(parts.apps.session_store(), time).await
        }
        _ => exposition(&parts.operations.metrics),
    })
}

fn exposition(metrics: &Metrics) -> Response {
    let mut response = Response::new(Body::from(metrics.exposition()));
    *response.status_mut() = StatusCode::OK;
    let content_type = HeaderValue::from_static(metrics::CONTENT_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
