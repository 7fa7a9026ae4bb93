//! Hands requests that this server does not serve on to a SuperTokens core, and its answers back.

mod headers;
mod timed_body;
mod unserved;

use std::{io, time::Duration};

use axum::{body::Body, response::Response};
use http::{
    Request, Uri, Version,
    uri::{Authority, PathAndQuery, Scheme},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use sessile_core::GeneralError;
use tokio::time::timeout;

pub(crate) use unserved::recipe_of;

use crate::{answer::Failure, limits::Limits, places::Place};
use timed_body::{BodyTimedOut, TimedBody};

/// How long a connection to the other core may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection to the other core is kept for the next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The most connections that are kept so.
const IDLE_CONNECTIONS: usize = 64;

/// A SuperTokens core, and the connections to it.
#[derive(Debug)]
pub(crate) struct Forwarder {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    scheme: Scheme,
    authority: Authority,
    /// The path of its URL, without a slash at its end.
    path: String,
    body_timeout: Duration,
    timeout: Duration,
}

impl Forwarder {
    /// A core at that URL.
    ///
    /// # Errors
    /// When the URL names no host, or something that a URL of a core cannot have.
    pub(crate) fn new(url: &Uri, limits: &Limits) -> Result<Self, GeneralError> {
        let (scheme, authority) = check_url(url)
            .map_err(|problem| GeneralError::Configuration(format!("forward {problem}").into()))?;
        let connector = connector(scheme).map_err(|error| {
            let problem = format!("the certificates that {url} is checked by: {error}");
            GeneralError::Configuration(problem.into())
        })?;
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self {
            client,
            scheme: scheme.clone(),
            authority: authority.clone(),
            path: url.path().trim_end_matches('/').to_owned(),
            body_timeout: limits.body_timeout,
            timeout: limits.forward_timeout,
        })
    }

    /// The other core's answer to a request. `place` is held until its body has been sent.
    pub(crate) async fn forward(
        &self,
        request: Request<Body>,
        place: Place,
    ) -> Result<Response, Failure> {
        let (mut head, body) = request.into_parts();
        head.uri = self.uri_of(&head.uri)?;
        head.version = Version::HTTP_11;
        headers::keep_end_to_end(&mut head.headers);
        headers::go_to_another_host(&mut head.headers);
        head.extensions.clear();
        let body = Body::new(TimedBody::new(body, self.body_timeout, ()));
        let answer = self.client.request(Request::from_parts(head, body));
        let answer = match timeout(self.timeout, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if BodyTimedOut::caused(&error) => {
                return Err(Failure::BodyTimedOut(self.body_timeout));
            }
            Ok(Err(error)) => {
                let reason = error.to_string();
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(reason, cause, "a request cannot be forwarded");
                return Err(Failure::UpstreamUnreachable);
            }
            Err(_) => return Err(Failure::UpstreamTimedOut(self.timeout)),
        };
        let (mut head, body) = answer.into_parts();
        headers::keep_end_to_end(&mut head.headers);
        head.extensions.clear();
        let body = Body::new(TimedBody::new(body, self.timeout, place));
        Ok(Response::from_parts(head, body))
    }

    fn uri_of(&self, asked: &Uri) -> Result<Uri, Failure> {
        let asked = asked.path_and_query().map_or("/", PathAndQuery::as_str);
        let path = format!("{}{asked}", self.path);
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .map_err(|_| Failure::NotFound)
    }
}

/// The scheme and the host of a URL that a core can have, or else what is wrong with it.
pub(crate) fn check_url(url: &Uri) -> Result<(&Scheme, &Authority), &'static str> {
    let (Some(scheme), Some(authority)) = (url.scheme(), url.authority()) else {
        return Err("must be a URL with a host, such as http://core:3567");
    };
    if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
        return Err("must be a URL that begins with http:// or https://");
    }
    if authority.as_str().contains('@') {
        return Err("must be a URL without a user and password");
    }
    if url.query().is_some() {
        return Err("must be a URL without a query");
    }
    Ok((scheme, authority))
}

fn connector(scheme: &Scheme) -> io::Result<HttpsConnector<HttpConnector>> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_keepalive(Some(IDLE_TIMEOUT));
    let builder = HttpsConnectorBuilder::new();
    Ok(if *scheme == Scheme::HTTPS {
        builder.with_native_roots()?.https_only().enable_http1().wrap_connector(http)
    } else {
        // A machine without certificates can still forward to a core without TLS.
        let no_roots = rustls::RootCertStore::empty();
        let config =
            rustls::ClientConfig::builder().with_root_certificates(no_roots).with_no_client_auth();
        builder.with_tls_config(config).https_or_http().enable_http1().wrap_connector(http)
    })
}
