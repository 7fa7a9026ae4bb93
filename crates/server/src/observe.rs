//! What is written down of every request: an id, a line in the log, and its share of the metrics.

use std::{net::SocketAddr, time::Duration};

use axum::extract::ConnectInfo;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;
use tracing::Span;

use crate::metrics::RequestMetrics;

/// The header by which a client names its request, and finds the name in the answer and the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken from a client, in bytes.
const LONGEST_ID: usize = 128;

/// The most of a path that is logged, in bytes.
const LONGEST_PATH: usize = 256;

/// What the handling of a request finds out about it, in words that no client chooses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// The name of its route.
    pub(crate) route: &'static str,
    /// The family of its version of the interface.
    pub(crate) cdi: &'static str,
}

impl Default for Seen {
    fn default() -> Self {
        Self { route: "unknown", cdi: "none" }
    }
}

/// A request that is under way.
#[derive(Debug)]
pub(crate) struct Observation {
    id: HeaderValue,
    method: &'static str,
    path: String,
    client: Option<SocketAddr>,
    began_at: Instant,
    metrics: RequestMetrics,
    _in_flight: InFlight,
}

impl Observation {
    /// A request begins.
    pub(crate) fn begin<B>(request: &Request<B>, metrics: &RequestMetrics) -> Self {
        let client = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let path = if tracing::enabled!(tracing::Level::DEBUG) {
            beginning(request.uri().path()).to_owned()
        } else {
            String::new()
        };
        Self {
            id: request_id(request.headers()),
            method: known_method(request.method()),
            path,
            client: client.map(|ConnectInfo(address)| *address),
            began_at: Instant::now(),
            metrics: metrics.clone(),
            _in_flight: InFlight::begin(&metrics.in_flight),
        }
    }

    /// What all that is logged for the request is in: also thefts, which are warnings.
    pub(crate) fn span(&self) -> Span {
        tracing::error_span!("request", request_id = self.id.to_str().unwrap_or_default())
    }

    /// The request was answered. To be called in its span.
    pub(crate) fn end(self, seen: Seen, status: u16, headers: &mut HeaderMap) {
        let duration = self.began_at.elapsed();
        self.metrics.answered(seen.route, self.method, seen.cdi, status, duration);
        tracing::debug!(
            method = self.method,
            path = self.path,
            route = seen.route,
            cdi = seen.cdi,
            status,
            microseconds = microseconds(duration),
            client = self.client.map(tracing::field::display),
            "request answered"
        );
        headers.entry(REQUEST_ID).or_insert(self.id);
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Counts a request among those under way until it is dropped, as it also is when its client goes.
#[derive(Debug)]
struct InFlight(Gauge);

impl InFlight {
    fn begin(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The client's id if it is one that can be written down as it is, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let sane = |id: &&HeaderValue| {
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
        (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(allowed)
    };
    headers.get(REQUEST_ID).filter(sane).cloned().unwrap_or_else(|| {
        HeaderValue::from_bytes(&new_id()).unwrap_or(HeaderValue::from_static("none"))
    })
}

/// It names requests and protects nothing, so it need not be beyond guessing.
fn new_id() -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut number = fastrand::u128(..);
    let mut id = [0; 32];
    for digit in &mut id {
        *digit = DIGITS[(number % 16) as usize];
        number /= 16;
    }
    id
}

/// The method, if it is one that any route has.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

fn beginning(path: &str) -> &str {
    let mut end = LONGEST_PATH.min(path.len());
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    &path[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_taken_if_they_are_sane_and_made_else() {
        let id_for = |given: &'static [u8]| {
            let value = HeaderValue::from_bytes(given).unwrap();
            request_id(&HeaderMap::from_iter([(REQUEST_ID, value)]))
        };
        for sane in ["a", "7f3e-01", "trace/1:2=3@x+y_z.0"] {
            assert_eq!(id_for(sane.as_bytes()), sane);
        }
        let long: &'static [u8] = &[b'a'; LONGEST_ID + 1];
        for other in [b"".as_slice(), b"a b", b"a\tb", b"\"a\"", b"{a}", "ä".as_bytes(), long] {
            let made = id_for(other);
            assert_eq!(made.len(), 32);
            assert!(made.as_bytes().iter().all(u8::is_ascii_hexdigit));
            assert_ne!(made, id_for(other));
        }
        assert_eq!(request_id(&HeaderMap::new()).len(), 32);
    }

    #[test]
    fn a_long_path_is_logged_in_part() {
        assert_eq!(beginning("/hello"), "/hello");
        let long = "/".to_owned() + &"ä".repeat(LONGEST_PATH);
        assert_eq!(beginning(&long).len(), LONGEST_PATH - 1);
    }
}
