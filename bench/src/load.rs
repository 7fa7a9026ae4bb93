//! A client that sends requests as fast as they are answered, over connections that it keeps.

use std::{thread, time::Duration};

use anyhow::{Context as _, anyhow, bail, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Runtime,
    task::JoinSet,
};

use crate::clock::{self, Place};

/// The client. It shall run on another processor than the server.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    connections: Vec<Connection>,
}

/// A connection, and the requests that it sends in turn.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    requests: Vec<Vec<u8>>,
    next: usize,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects that many times. The cookies are shared out among the connections, so that no
    /// client is on two of them.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn connect(
        port: u16,
        connections: usize,
        method: &str,
        path: &str,
        cookies: &[String],
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let connections = runtime.block_on(async {
            let mut opened = Vec::new();
            for index in 0..connections {
                let stream = TcpStream::connect(("127.0.0.1", port)).await?;
                stream.set_nodelay(true)?;
                let own = cookies.iter().skip(index).step_by(connections);
                let requests: Vec<_> =
                    own.map(|cookie| request(port, method, path, cookie)).collect();
                ensure!(!requests.is_empty(), "there are more connections than clients");
                opened.push(Connection { stream, requests, next: 0, buffer: Vec::new() });
            }
            Ok(opened)
        })?;
        Ok(Self { runtime, connections })
    }

    /// Sends requests on all connections for that long, and gives the number of answers.
    pub(crate) fn load(&mut self, time: Duration) -> anyhow::Result<u64> {
        // In a thread of its own: servers that are started later must not inherit its place.
        let loading = thread::scope(|scope| {
            let client = scope.spawn(|| {
                clock::stay_at(Place::Client)?;
                let end = clock::wall() + time;
                self.runtime.block_on(load(&mut self.connections, end))
            });
            client.join()
        });
        loading.map_err(|_| anyhow!("the client panicked"))?
    }
}

async fn load(connections: &mut Vec<Connection>, end: Duration) -> anyhow::Result<u64> {
    let mut tasks = JoinSet::new();
    for mut connection in connections.drain(..) {
        tasks.spawn(async move {
            let mut answers = 0;
            while clock::wall() < end {
                connection.exchange().await?;
                answers += 1;
            }
            anyhow::Ok((connection, answers))
        });
    }
    let mut total = 0;
    while let Some(finished) = tasks.join_next().await {
        let (connection, answers) = finished??;
        connections.push(connection);
        total += answers;
    }
    Ok(total)
}

/// The request as a browser would send it.
fn request(port: u16, method: &str, path: &str, cookie: &str) -> Vec<u8> {
    let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
    let headers: String = browser_headers(cookie)
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}{length}\r\n").into()
}

/// The headers that a browser sends with such a cookie, but for the host.
pub fn browser_headers(cookie: &str) -> [(&'static str, &str); 6] {
    [
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
        ("Accept", "application/json"),
        ("Accept-Language", "en-US,en;q=0.5"),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Cookie", cookie),
    ]
}

impl Connection {
    /// Sends the next request and waits for all of its answer.
    async fn exchange(&mut self) -> anyhow::Result<()> {
        let request = &self.requests[self.next % self.requests.len()];
        self.next += 1;
        exchange(&mut self.stream, &mut self.buffer, request).await.map(drop)
    }
}

/// Sends a request, waits for all of its answer, and gives the body of that.
///
/// # Errors
/// When the connection fails, or the answer is an error.
pub async fn exchange<'a>(
    stream: &mut TcpStream,
    buffer: &'a mut Vec<u8>,
    request: &[u8],
) -> anyhow::Result<&'a [u8]> {
    stream.write_all(request).await?;
    buffer.clear();
    loop {
        let read = stream.read_buf(buffer).await?;
        ensure!(read > 0, "the server closed the connection");
        if let Some((head, length)) = answer_length(buffer)?
            && buffer.len() >= length
        {
            return Ok(&buffer[head..length]);
        }
    }
}

/// The lengths of the head and of the whole answer that the bytes begin with; `None` while its head
/// is not complete.
fn answer_length(bytes: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes)? else { return Ok(None) };
    if response.code != Some(200) {
        bail!("the server answered {}", String::from_utf8_lossy(bytes));
    }
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .context("an answer without its length")?;
    Ok(Some((head, head + std::str::from_utf8(length.value)?.parse::<usize>()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_an_answer() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        assert_eq!(answer_length(answer).unwrap(), Some((answer.len() - 5, answer.len())));
        assert_eq!(answer_length(&answer[..20]).unwrap(), None);
        assert!(answer_length(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").is_err());
    }
}
