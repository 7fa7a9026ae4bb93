//! A server on a port of its own, and clients that write what they like.

use std::{net::SocketAddr, time::Duration};

use sessile_core::{Sessions, memory::MemoryStore};
use sessile_server::{Limits, PlainText, Server, ServerConfig};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

/// Long enough for whatever must not run out in a test.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Short enough to be waited for.
pub(crate) const SHORT: Duration = Duration::from_millis(100);

/// No limit of time runs out.
pub(crate) fn patient() -> Limits {
    Limits {
        head_timeout: LONG,
        idle_timeout: LONG,
        write_timeout: LONG,
        body_timeout: LONG,
        shutdown_timeout: LONG,
        ..Limits::default()
    }
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(limits: Limits) -> Self {
        Self::with(ServerConfig { limits, ..ServerConfig::default() }).await
    }

    pub(crate) async fn with(config: ServerConfig) -> Self {
        let sessions = Sessions::builder(MemoryStore::new());
        let server = Server::start(config, sessions).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            server.serve(listener, PlainText, async { drop(stopped.await) }).await;
        });
        Self { address, stop: Some(stop), serving }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// What the server answers to these bytes until it closes the connection.
    pub(crate) async fn answer(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.connect().await;
        // A server may close before it has read everything.
        let _ = client.write_all(bytes.as_ref()).await;
        rest(&mut client).await
    }

    /// That a well-behaved client is served again, once a connection that has ended is forgotten.
    pub(crate) async fn serves_again(&self) {
        let request = "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n";
        let mut hello = self.answer(request).await;
        // One that comes too soon is refused, or cut off.
        while hello.is_empty() || hello.starts_with("HTTP/1.1 503 ") {
            hello = self.answer(request).await;
        }
        assert!(hello.ends_with("\r\n\r\nHello\n"), "{hello}");
    }

    /// That a well-behaved client is served.
    #[track_caller]
    pub(crate) fn serves(&self) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let hello = self.answer("GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n").await;
            assert!(hello.ends_with("\r\n\r\nHello\n"), "{caller}: {hello}");
        }
    }

    pub(crate) fn tell_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(mut self) {
        self.tell_to_stop();
        self.serving.await.unwrap();
    }
}

/// All that still comes until the connection ends, be it in order or not.
pub(crate) async fn rest(client: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = client.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

/// One answer with a body of known length, its head and body.
pub(crate) async fn one_answer(client: &mut TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let length = head.split("content-length: ").nth(1).unwrap();
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if bytes.len() >= end + 4 + length {
                let body = String::from_utf8(bytes[end + 4..].to_vec()).unwrap();
                return (head, body);
            }
        }
        assert_ne!(client.read_buf(&mut bytes).await.unwrap(), 0, "the connection ended");
    }
}
