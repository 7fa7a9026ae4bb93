//! How much of a server its clients may use.

use std::time::Duration;

/// Bounds on what clients may use of a server, so that none of them uses it up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The most connections that are open at once: 4096. A few more are answered 503, and others
    /// are closed.
    pub connections: usize,
    /// The largest head of a request, its first line and headers, in bytes: 16 KiB. A larger one
    /// is answered 431, as one with more than 100 headers is.
    pub head_bytes: usize,
    /// How long a client may take for the head of a request, and first for a TLS handshake: 10 s.
    /// Then the connection is closed.
    pub head_timeout: Duration,
    /// How long a connection is kept for the next request: 75 s, more than the usual 60 s of load
    /// balancers, so that they and not the server end it.
    pub idle_timeout: Duration,
    /// How long a client may take for taking more of an answer: 30 s. Then the connection is
    /// closed.
    pub write_timeout: Duration,
    /// The most requests that are under way at once: 1024. Others are answered 503.
    pub requests: usize,
    /// The most requests that are under way to the other core at once, beside those: 256. Others
    /// are answered 503.
    pub forwards: usize,
    /// The most requests with a body of more than 64 KiB that are under way at once: 16. Others
    /// wait for a second, and are then answered 503.
    pub large_bodies: usize,
    /// How long a client may take for the body of a request: 30 s. Then it is answered 408. A body
    /// for the other core may take so long for each part of it.
    pub body_timeout: Duration,
    /// How long the other core may take to begin its answer, and for each part of it: 60 s. Then
    /// the client is answered 504, or the answer ends early.
    pub forward_timeout: Duration,
    /// How long the store may take to show that the server is ready: 2 s.
    pub readiness_timeout: Duration,
    /// How long the server goes on serving after it was told to stop, and says that it is not
    /// ready, so that load balancers can notice: not at all.
    pub drain_time: Duration,
    /// How long requests that are under way when the server stops may take: 5 s.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            head_bytes: 16 * 1024,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            requests: 1024,
            forwards: 256,
            large_bodies: 16,
            body_timeout: Duration::from_secs(30),
            forward_timeout: Duration::from_secs(60),
            readiness_timeout: Duration::from_secs(2),
            drain_time: Duration::ZERO,
            shutdown_timeout: Duration::from_secs(5),
        }
    }
}
