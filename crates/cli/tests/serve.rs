//! `sessile serve` as somebody starts and stops it.

#![expect(clippy::unwrap_used, reason = "in a test, what must not fail may panic")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

/// A running server, which is ended with the test.
struct Server {
    process: Child,
    address: String,
    line: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Server {
    fn start(arguments: &[&str], folder: &Path) -> Self {
        let mut process = command(arguments, folder).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap().split(',').next().unwrap().to_owned();
        Self { process, address, line }
    }

    fn call(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\
             cdi-version: 5.4\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[cfg(unix)]
    fn stop(&mut self, signal: &str) -> ExitStatus {
        let process_id = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &process_id]).status().unwrap();
        assert!(sent.success());
        self.process.wait().unwrap()
    }
}

fn command(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sessile"));
    command.arg("serve").args(arguments).current_dir(folder).env_remove("SESSILE_WRAPPING_KEY");
    command
}

const SESSION: &str = r#"{
    "userId": "alice", "userDataInJWT": {}, "userDataInDatabase": {}, "enableAntiCsrf": false
}"#;

#[test]
#[cfg(unix)]
fn it_says_that_it_is_ready_and_keeps_its_sessions_when_it_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    for (signal, sessions) in [("-TERM", 1), ("-INT", 2)] {
        let mut server = Server::start(&["--port", "0"], folder.path());
        assert!(server.address.starts_with("127.0.0.1:"), "on loopback: {}", server.address);
        assert!(server.line.ends_with("with its sessions in sessile.db\n"), "{}", server.line);
        assert!(server.call("GET", "/hello", "").ends_with("\r\n\r\nHello\n"));
        let created = server.call("POST", "/public/recipe/session", SESSION);
        assert!(created.starts_with("HTTP/1.1 200") && created.contains("\"OK\""), "{created}");
        let listed = server.call("GET", "/recipe/session/user?userId=alice", "");
        let body: &str = listed.split("\r\n\r\n").nth(1).unwrap();
        assert_eq!(body.split(',').filter(|text| text.contains('-')).count(), sessions, "{body}");
        // An idle connection does not hold it up.
        let idle = TcpStream::connect(&server.address).unwrap();
        assert!(server.stop(signal).success());
        drop(idle);
    }
}

#[test]
fn sessions_in_memory_leave_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--port", "0", "--store", "memory", "--test-mode"];
    let server = Server::start(&arguments, folder.path());
    let body = r#"{ "appId": "a", "coreConfig": { "refresh_token_validity": 0.001 } }"#;
    let created = server.call("PUT", "/recipe/multitenancy/app/v2", body);
    assert!(created.contains("\"createdNew\":true"), "{created}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn what_is_over_is_removed_when_it_starts() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Server::start(&["--port", "0", "--test-mode"], folder.path());
    let server = start();
    // A millisecond.
    let body = r#"{ "appId": "a", "coreConfig": { "refresh_token_validity": 0.00002 } }"#;
    server.call("PUT", "/recipe/multitenancy/app/v2", body);
    let created = server.call("POST", "/appid-a/recipe/session", SESSION);
    let token = created.split(r#""accessToken":"#).nth(1).unwrap();
    let token = token.split(r#""token":""#).nth(1).unwrap().split('"').next().unwrap();
    let check = format!(
        r#"{{ "accessToken": "{token}", "doAntiCsrfCheck": false, "enableAntiCsrf": false,
            "checkDatabase": true }}"#
    );
    // Where the store is asked, a row counts as long as it is there.
    let verify = |server: &Server| server.call("POST", "/appid-a/recipe/session/verify", &check);
    assert!(verify(&server).contains(r#""status":"OK""#));
    drop(server);
    let server = start();
    assert!((0..10_000).any(|_| verify(&server).contains("UNAUTHORISED")), "it is still there");
}

#[test]
fn a_start_that_fails_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["--port", "0", "--store", "memory"], folder.path());
    let port = server.address.rsplit(':').next().unwrap();
    for (arguments, what_to_do) in [
        (["--port", port, "--store", "memory"], "choose another with --host or --port"),
        (["--port", "0", "--store", "no/such/folder"], "choose a file with --store"),
        (["--port", "0", "--store", "mysql://a"], "a URL begins with postgresql://"),
    ] {
        let output = command(&arguments, folder.path()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(what_to_do), "{said}");
    }
}
