//! `sessile doctor` on real databases, files and servers.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test, what must not fail may panic"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

mod databases;
mod files;
mod problems;
mod servers;

fn sessile(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sessile"));
    command.current_dir(folder).env_remove("SESSILE_WRAPPING_KEY").env_remove("SESSILE_API_KEY");
    command
}

/// What `sessile doctor` said.
struct Diagnosis(Value);

impl Diagnosis {
    /// Runs it with these arguments, and checks that its status is what its report says.
    fn of(arguments: &[&str], environment: &[(&str, &str)], folder: &Path) -> Self {
        let output = sessile(folder)
            .args(["doctor", "--json"])
            .args(arguments)
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let problem = String::from_utf8_lossy(&output.stderr);
        let report: Value = serde_json::from_slice(&output.stdout).expect(&problem);
        assert_eq!(output.status.success(), report["ready"] == true, "{report}");
        Self(report)
    }

    fn finding(&self, check: &str) -> &Value {
        let findings = self.0["findings"].as_array().unwrap();
        let found = findings.iter().find(|finding| finding["check"] == check);
        found.unwrap_or_else(|| panic!("no {check} in {}", self.0))
    }

    fn has(&self, check: &str) -> bool {
        self.0["findings"].as_array().unwrap().iter().any(|finding| finding["check"] == check)
    }

    /// The checks that came out so.
    fn checks(&self, level: &str) -> Vec<&str> {
        let findings = self.0["findings"].as_array().unwrap().iter();
        let found = findings.filter(|finding| finding["level"] == level);
        found.map(|finding| finding["check"].as_str().unwrap()).collect()
    }

    /// That the one problem is that, and is told in these words.
    fn assert_problem(&self, check: &str, words: &[&str]) {
        assert_eq!(self.checks("problem"), [check], "{}", self.0);
        self.assert_words(check, words);
    }

    fn assert_words(&self, check: &str, words: &[&str]) {
        let told = self.finding(check).to_string();
        for word in words {
            assert!(told.contains(&word.replace('"', "\\\"")), "no {word} in {told}");
        }
    }
}

/// A running server, which is ended with the test.
struct Server {
    process: Child,
    address: String,
    folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Server {
    fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = sessile(folder.path())
            .args(["serve", "--port", "0"])
            .args(arguments)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap().split(',').next().unwrap().to_owned();
        Self { process, address, folder }
    }

    /// Logs somebody in, so that there are keys and a session.
    fn log_in(&self) {
        let body = r#"{"userId":"alice","userDataInJWT":{},"userDataInDatabase":{},
            "enableAntiCsrf":false}"#;
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "POST /recipe/session HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Length: {}\r\ncdi-version: 5.0\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}
