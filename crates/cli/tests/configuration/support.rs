//! A server process with settings, and its log.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

/// A running server, which is ended with the test.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: String,
    pub(crate) line: String,
    log: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Server {
    /// Starts it on a free port, with its sessions in memory unless the variables say otherwise.
    #[track_caller]
    pub(crate) fn start(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let log = folder.join("log");
        let mut process = command(folder, arguments, &[("SESSILE_STORE", "memory")])
            .args(["--port", "0"])
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some((_, address)) = line.split_once("://") else {
            panic!("it does not start: {}", fs::read_to_string(log).unwrap())
        };
        let address = address.split(',').next().unwrap().to_owned();
        Self { process, address, line, log }
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The answer to a request with these lines in its head, from its status on.
    pub(crate) fn call(&self, method: &str, path: &str, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\
             {head}\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.strip_prefix("HTTP/1.1 ").unwrap().to_owned()
    }

    pub(crate) fn get(&self, path: &str, head: &str) -> String {
        self.call("GET", path, head, "")
    }

    #[cfg(unix)]
    pub(crate) fn stop(&mut self) -> ExitStatus {
        let process_id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &process_id]).status().unwrap();
        assert!(sent.success());
        self.process.wait().unwrap()
    }
}

/// The command, in an environment that has nothing but `variables`.
pub(crate) fn command(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sessile"));
    command.arg("serve").args(arguments).current_dir(folder).env_clear();
    command.envs(variables.iter().copied());
    command
}

/// What a start that fails says.
#[track_caller]
pub(crate) fn failure(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = command(folder, arguments, variables).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}
