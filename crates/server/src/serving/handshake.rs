use std::{future::Future, io};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// What comes before HTTP on an accepted connection: nothing, or a TLS handshake.
pub trait Handshake: Send + Sync + 'static {
    /// What HTTP is then spoken over.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Makes a stream of a connection. It runs beside those of other connections, and is given up
    /// after [`Limits::head_timeout`](crate::Limits::head_timeout).
    ///
    /// # Errors
    /// When the client does not do its part; the connection is then closed.
    fn secure(
        &self,
        connection: TcpStream,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// HTTP over the connection as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainText;

impl Handshake for PlainText {
    type Stream = TcpStream;

    async fn secure(&self, connection: TcpStream) -> io::Result<TcpStream> {
        Ok(connection)
    }
}
