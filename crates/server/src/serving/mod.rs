//! The loop that accepts connections and serves them within [`Limits`], until it is told to stop.

mod handshake;
mod stream;

use std::{
    convert::Infallible, future::Future, net::SocketAddr, pin::pin, sync::Arc, time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::TokioIo,
    server::graceful::{GracefulShutdown, Watcher},
};
use prometheus_client::metrics::gauge::Gauge;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tower_service::Service as _;

pub use handshake::{Handshake, PlainText};
use stream::{Activity, TimedStream, Times, UntilSent};

use crate::{limits::Limits, metrics::ConnectionMetrics};

/// Connections beyond the limit that are still told so; any more are closed without a word.
const REFUSALS: usize = 64;

/// How long to wait when no connection can be accepted, for want of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The largest buffer of a connection, in bytes. What a client sends beyond it waits in the
/// client's system.
const BUFFER_BYTES: usize = 64 * 1024;

/// When the system first asks a silent client whether it is still there, and how often then.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Serves what `listener` accepts with `router`, over what `handshake` makes of each connection,
/// until `stop` ends: then it accepts no more, and requests that are under way may take
/// [`Limits::shutdown_timeout`]. Requests carry the address of their client as
/// [`ConnectInfo<SocketAddr>`].
pub(crate) async fn serve<H: Handshake>(
    listener: TcpListener,
    handshake: H,
    router: Router,
    limits: Limits,
    metrics: ConnectionMetrics,
    stop: impl Future<Output = ()>,
) {
    let (stopping, is_stopping) = watch::channel(());
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(limits.connections));
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let shutdown_timeout = limits.shutdown_timeout;
    let served = Arc::new(Served { handshake, router, limits });
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let (stream, address) = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener) => accepted,
            _ = connections.join_next(), if !connections.is_empty() => continue,
        };
        metrics.accepted.inc();
        let (place, refused) = match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => (place, false),
            Err(_) => match Arc::clone(&refusals).try_acquire_owned() {
                Ok(place) => {
                    metrics.refused.inc();
                    (place, true)
                }
                Err(_) => {
                    metrics.refused.inc();
                    continue;
                }
            },
        };
        let open = Open::begin(&metrics);
        let connection = Connection { address, refused, _place: place, _open: open };
        let (watcher, served) = (graceful.watcher(), Arc::clone(&served));
        let mut is_stopping = is_stopping.clone();
        connections.spawn(async move {
            let stream = tokio::select! {
                stream = served.secure(stream) => stream,
                _ = is_stopping.changed() => None,
            };
            if let Some(stream) = stream {
                served.serve_connection(stream, connection, watcher).await;
            }
        });
    }
    drop((listener, stopping));
    if timeout(shutdown_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests that were under way for too long are given up");
    }
}

/// The next connection.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client went away, which concerns nobody else.
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionAborted | ConnectionRefused | ConnectionReset
                ) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection beside its stream.
struct Connection {
    address: SocketAddr,
    /// Whether there are too many, so that it is told so and closed.
    refused: bool,
    _place: OwnedSemaphorePermit,
    _open: Open,
}

/// Counts a connection among the open ones until it is dropped.
struct Open(Gauge);

impl Open {
    fn begin(metrics: &ConnectionMetrics) -> Self {
        metrics.open.inc();
        Self(metrics.open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What serves every connection.
struct Served<H> {
    handshake: H,
    router: Router,
    limits: Limits,
}

impl<H: Handshake> Served<H> {
    /// What HTTP is spoken over; nothing if the client does not do its part in time.
    async fn secure(&self, stream: TcpStream) -> Option<H::Stream> {
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
        let set = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        if let Err(error) = set.and_then(|()| stream.set_nodelay(true)) {
            tracing::debug!(%error, "a connection cannot be set up");
        }
        match timeout(self.limits.head_timeout, self.handshake.secure(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a handshake failed");
                None
            }
            Err(_) => None,
        }
    }

    async fn serve_connection(&self, stream: H::Stream, connection: Connection, watcher: Watcher) {
        let Limits { head_bytes, head_timeout, idle_timeout, write_timeout, .. } = self.limits;
        let times = Times { head: head_timeout, idle: idle_timeout, write: write_timeout };
        let Connection { address, refused, .. } = connection;
        let activity = Arc::new(Activity::new());
        let stream = TimedStream::new(stream, Arc::clone(&activity), times);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let under_way = activity.begin();
            let mut router = self.router.clone();
            async move {
                let response = if refused {
                    too_many_connections()
                } else {
                    request.extensions_mut().insert(ConnectInfo(address));
                    router.call(request.map(Body::new)).await?
                };
                Ok::<_, Infallible>(response.map(|body| UntilSent::new(body, under_way)))
            }
        });
        let served = http1::Builder::new()
            // The stream has limits of time of its own.
            .header_read_timeout(None)
            .max_header_size(head_bytes)
            .max_buf_size(BUFFER_BYTES)
            .keep_alive(!refused)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(served).await {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

fn too_many_connections() -> Response<Body> {
    let text = "There are too many connections; try again later\n";
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, crate::answer::TEXT);
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
