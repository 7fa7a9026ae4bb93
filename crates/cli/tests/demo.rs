//! `sessile demo` as somebody starts it.

#![expect(clippy::unwrap_used, reason = "in a test, what must not fail may panic")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

/// A running demo, which is ended with the test.
struct Demo {
    process: Child,
    address: String,
    /// Open until the end: the demo prints more than the first line.
    _output: BufReader<ChildStdout>,
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn command(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sessile"));
    command.args(arguments).current_dir(folder).env_remove("SESSILE_WRAPPING_KEY");
    command
}

fn start(arguments: &[&str], folder: &Path) -> Demo {
    let mut process = command(arguments, folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("Sessile demo: http://").unwrap().to_owned();
    Demo { process, address, _output: output }
}

fn fail(arguments: &[&str], folder: &Path) -> String {
    let Output { status, stderr, .. } = command(arguments, folder).output().unwrap();
    assert_eq!(status.code(), Some(1));
    String::from_utf8(stderr).unwrap()
}

fn get(demo: &Demo, path: &str) -> String {
    let mut stream = TcpStream::connect(&demo.address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", demo.address)
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_prints_its_address_and_serves_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let demo = start(&["demo", "--port", "0"], folder.path());
    assert!(demo.address.starts_with("127.0.0.1:"), "on loopback: {}", demo.address);
    let page = get(&demo, "/");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("<title>"), "{page}");
    assert!(page.contains("content-security-policy: default-src 'none'"));
    for path in ["/page.css", "/page.js", "/sessile.js"] {
        assert!(get(&demo, path).starts_with("HTTP/1.1 200"), "{path}");
    }
    assert!(get(&demo, "/api/session").starts_with("HTTP/1.1 401"));
    assert!(folder.path().join("sessile.db").is_file());
}

#[test]
fn a_second_start_is_told_where_the_first_is() {
    let folder = tempfile::tempdir().unwrap();
    let demo = start(&["demo", "--port", "0"], folder.path());
    let port = demo.address.rsplit(':').next().unwrap();
    let message = fail(&["demo", "--port", port, "--store", "other.db"], folder.path());
    assert!(message.contains(&format!("open http://127.0.0.1:{port}")), "{message}");
    assert!(message.contains("--port"), "{message}");
    assert!(!folder.path().join("other.db").exists(), "nothing is made before the port is had");
    // On another port it shares the file of the first.
    let second = start(&["demo", "--port", "0"], folder.path());
    assert_ne!(second.address, demo.address);
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("missing").join("sessile.db");
    let message = fail(&["demo", "--port", "0", "--store", file.to_str().unwrap()], folder.path());
    assert!(message.contains("missing") && message.contains("--store"), "{message}");
    std::fs::create_dir(folder.path().join("folder.db")).unwrap();
    let message = fail(&["demo", "--port", "0", "--store", "folder.db"], folder.path());
    assert!(message.contains("folder.db") && message.contains("--store"), "{message}");
}
