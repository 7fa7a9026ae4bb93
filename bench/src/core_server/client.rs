//! A client of the core server, on one connection, with the session that it made.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use sessile_bench::{apps, load::exchange};
use tokio::net::TcpStream;

/// What is asked of a core.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Operation {
    Create,
    Verify,
    Refresh,
    ReadData,
    ReplaceData,
    Remove,
}

impl Operation {
    pub(super) const ALL: [Self; 6] = [
        Self::Create,
        Self::Verify,
        Self::Refresh,
        Self::ReadData,
        Self::ReplaceData,
        Self::Remove,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Verify => "verify",
            Self::Refresh => "refresh",
            Self::ReadData => "read session",
            Self::ReplaceData => "replace data",
            Self::Remove => "remove",
        }
    }
}

pub(super) struct CoreClient {
    stream: TcpStream,
    port: u16,
    buffer: Vec<u8>,
    handle: String,
    access_token: String,
    refresh_token: String,
}

impl CoreClient {
    pub(super) async fn connect(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let buffer = Vec::with_capacity(16 * 1024);
        let [handle, access_token, refresh_token] = [const { String::new() }; 3];
        Ok(Self { stream, port, buffer, handle, access_token, refresh_token })
    }

    pub(super) async fn hello(&mut self) -> anyhow::Result<()> {
        let request = self.request("GET", "/hello", "");
        exchange(&mut self.stream, &mut self.buffer, &request).await.map(drop)
    }

    /// Asks once, and checks the answer. What needs a session needs one that was created.
    pub(super) async fn call(&mut self, operation: Operation) -> anyhow::Result<()> {
        let handle = &self.handle;
        let (method, path, body) = match operation {
            Operation::Create => (
                "POST",
                "/recipe/session",
                json!({
                    "userId": "user-00000", "userDataInJWT": apps::jwt_payload(),
                    "userDataInDatabase": apps::session_data(), "enableAntiCsrf": false,
                    "useDynamicSigningKey": true,
                }),
            ),
            Operation::Verify => (
                "POST",
                "/recipe/session/verify",
                json!({
                    "accessToken": self.access_token, "doAntiCsrfCheck": false,
                    "enableAntiCsrf": false, "checkDatabase": false,
                }),
            ),
            Operation::Refresh => (
                "POST",
                "/recipe/session/refresh",
                json!({
                    "refreshToken": self.refresh_token, "enableAntiCsrf": false,
                    "useDynamicSigningKey": true,
                }),
            ),
            Operation::ReadData => {
                ("GET", &*format!("/recipe/session?sessionHandle={handle}"), Value::Null)
            }
            Operation::ReplaceData => (
                "PUT",
                "/recipe/session/data",
                json!({
                    "sessionHandle": handle, "userDataInDatabase": apps::session_data(),
                }),
            ),
            Operation::Remove => {
                ("POST", "/recipe/session/remove", json!({ "sessionHandles": [handle] }))
            }
        };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = self.request(method, path, &body);
        let answer = exchange(&mut self.stream, &mut self.buffer, &request).await?;
        let answer: Value = serde_json::from_slice(answer)?;
        ensure!(answer["status"] == "OK", "{} was answered {answer}", operation.name());
        match operation {
            Operation::Create | Operation::Refresh => self.keep(&answer)?,
            Operation::Remove => ensure!(answer["sessionHandlesRevoked"] == json!([self.handle])),
            // The first use of a child comes with a token in its place.
            Operation::Verify if answer["accessToken"].is_object() => {
                self.access_token = text(&answer["accessToken"]["token"])?;
            }
            Operation::Verify | Operation::ReadData | Operation::ReplaceData => {}
        }
        Ok(())
    }

    fn keep(&mut self, answer: &Value) -> anyhow::Result<()> {
        self.handle = text(&answer["session"]["handle"])?;
        self.access_token = text(&answer["accessToken"]["token"])?;
        self.refresh_token = text(&answer["refreshToken"]["token"])?;
        Ok(())
    }

    fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\ncdi-version: 5.4\r\nrid: session\r\n\
             Content-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .into()
    }
}

fn text(value: &Value) -> anyhow::Result<String> {
    value.as_str().map(str::to_owned).context("an answer without a text that it must have")
}
