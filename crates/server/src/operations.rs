//! What operators ask a server: whether it lives, whether it is ready, and what it counts.

use axum::{body::Body, response::Response};
use http::{HeaderValue, Method, StatusCode, header, request};
use sessile_core::store::TenantStore;

use crate::{
    access,
    answer::{Answered, Failure},
    forward::Forwarder,
    health::{self, Readiness},
    metrics::{self, Metrics},
    observe::Seen,
    places::Places,
    server::Parts,
};

/// Where the metrics are.
const METRICS: &str = "/metrics";

/// What a server has beside its apps.
#[derive(Debug)]
pub(crate) struct Operations {
    pub(crate) metrics: Metrics,
    pub(crate) places: Places,
    pub(crate) readiness: Readiness,
    pub(crate) forwarder: Option<Forwarder>,
}

/// Where an operator asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    /// Where everybody asks, who needs a key for the metrics if there are keys.
    BesideTheRoutes,
    /// At the address that operators alone can reach.
    AtItsOwnAddress,
}

/// The answer to a request of an operator's; nothing if it is not one. These are never refused for
/// want of a place: a server that is busy is not dead.
pub(crate) async fn answer<S: TenantStore>(
    parts: &Parts<S>,
    head: &request::Parts,
    asked: Asked,
    seen: &mut Seen,
) -> Option<Response> {
    let path = head.uri.path();
    let is_apart = asked == Asked::AtItsOwnAddress;
    seen.route = match path {
        health::LIVE => "health_live",
        health::READY => "health_ready",
        METRICS if is_apart || parts.config.metrics_address.is_none() => "metrics",
        _ => return None,
    };
    if path == METRICS
        && !is_apart
        && let Err(failure) = access::admit_operator(parts, head)
    {
        return Some(Answered::from(Err(failure)).0);
    }
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return Some(Answered::from(Err(Failure::MethodNotSupported)).0);
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
