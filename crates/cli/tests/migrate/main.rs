//! `sessile migrate` between real stores, with servers on them.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "in a test, what must not fail may panic"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

mod interruption;
mod paused;
mod refusals;
mod removed;
mod repetition;
mod traffic;

fn sessile(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sessile"));
    command.current_dir(folder).env_remove("SESSILE_WRAPPING_KEY");
    command
}

/// What a run of `sessile migrate` said, and whether it was done.
struct Run {
    done: bool,
    told: String,
    progress: String,
}

fn migrate(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
    let mut command = sessile(folder);
    command.arg("migrate").args(arguments).envs(environment.iter().copied());
    let output = command.output().unwrap();
    Run {
        done: output.status.success(),
        told: String::from_utf8(output.stdout).unwrap(),
        progress: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A running server, which is ended with the test.
struct Server {
    process: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Server {
    fn start(folder: &Path, store: &str) -> Self {
        let mut process = sessile(folder)
            .args(["serve", "--port", "0", "--log-level", "error", "--store", store])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).expect("a server that has started");
        Self { process, address: address.split(',').next().unwrap().to_owned() }
    }

    /// The status of the answer, and its body.
    fn try_call(address: &str, path: &str, body: &Value) -> (String, Value) {
        let mut stream = TcpStream::connect(address).unwrap();
        let body = body.to_string();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\
             cdi-version: 5.6\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn log_in(&self, user: &str) -> Value {
        let body = json!({
            "userId": user, "userDataInJWT": { "role": "editor" },
            "userDataInDatabase": { "cart": [1] }, "enableAntiCsrf": false,
        });
        let (status, answer) = Self::try_call(&self.address, "/recipe/session", &body);
        assert_eq!(status, "200", "{answer}");
        answer
    }

    fn refresh(address: &str, token: &str) -> (String, Value) {
        let body = json!({
            "refreshToken": token, "enableAntiCsrf": false, "useDynamicSigningKey": true,
        });
        Self::try_call(address, "/recipe/session/refresh", &body)
    }

    fn verify(&self, access_token: &str) -> Value {
        let body = json!({
            "accessToken": access_token, "doAntiCsrfCheck": false, "enableAntiCsrf": false,
            "checkDatabase": true,
        });
        Self::try_call(&self.address, "/recipe/session/verify", &body).1
    }
}

fn refresh_token(answer: &Value) -> String {
    answer["refreshToken"]["token"].as_str().expect("a refresh token").to_owned()
}
