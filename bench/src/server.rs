//! A server in a process of its own, so that its processor time is its own too.
//!
//! The benchmark starts itself again with the arguments that make it a server. The server writes
//! one line of JSON when it is ready, and after that answers each line that it reads with one that
//! tells its processor time. It ends when its standard input does, as it does when the benchmark
//! is gone.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    path::Path,
    process::{self, Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use axum::{Router, serve::ListenerExt as _};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::{
    clock::{self, Place},
    load::Client,
    race::Round,
};

/// An application, and the cookies of clients that are logged in.
#[derive(Debug)]
pub struct App {
    /// The application.
    pub router: Router,
    /// A `Cookie` header for each client that is logged in.
    pub cookies: Vec<String>,
}

/// What a server says when it is ready.
#[derive(Debug, Deserialize, Serialize)]
struct Ready {
    port: u16,
    cookies: Vec<String>,
}

/// What a server has used.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Usage {
    cpu: Duration,
    memory: u64,
}

/// Serves the application that `make` makes on one thread, until the standard input ends.
///
/// # Errors
/// What `make` reports, and what the system does.
pub fn serve(make: impl AsyncFnOnce() -> anyhow::Result<App>) -> anyhow::Result<()> {
    clock::stay_at(Place::Server)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let App { router, cookies } = make().await?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        ready(listener.local_addr()?.port(), cookies)?;
        let listener = listener.tap_io(|stream| {
            // Without it the system would wait for more to send, which disturbs the measurement.
            let _ = stream.set_nodelay(true);
        });
        Ok(axum::serve(listener, router).await?)
    })
}

/// Tells whoever started this process that it serves at that port, and from then on what it has
/// used. For servers other than [`serve`].
///
/// # Errors
/// When nobody listens.
pub fn ready(port: u16, cookies: Vec<String>) -> io::Result<()> {
    say(&Ready { port, cookies })?;
    thread::spawn(|| {
        // Whatever goes wrong with the pipes, nobody listens any more.
        let _ = tell_usage();
        process::exit(0);
    });
    Ok(())
}

fn tell_usage() -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        line?;
        say(&Usage { cpu: clock::cpu(), memory: resident_memory() })?;
    }
    Ok(())
}

fn say(what: &impl Serialize) -> io::Result<()> {
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, what)?;
    output.write_all(b"\n")?;
    output.flush()
}

/// The memory that this process holds, in bytes; 0 where the system does not tell.
fn resident_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}

/// A server that was started. It is ended when this is dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    port: u16,
    cookies: Vec<String>,
}

impl Server {
    /// Starts this program with the arguments that make it a server.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start<'a>(arguments: impl IntoIterator<Item = &'a str>) -> anyhow::Result<Self> {
        Self::start_program(&std::env::current_exe()?, arguments)
    }

    /// Starts another program as a server: one that answers as [`serve`] does.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_program<'a>(
        program: &Path,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> anyhow::Result<Self> {
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take().context("a server without input")?;
        let output = process.stdout.take().context("a server without output")?;
        let mut output = BufReader::new(output);
        let Ready { port, cookies } = listen(&mut output)?;
        Ok(Self { process, input, output, port, cookies })
    }

    /// Its port on this machine.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A `Cookie` header for each client that is logged in.
    pub fn cookies(&self) -> &[String] {
        &self.cookies
    }

    fn usage(&mut self) -> anyhow::Result<Usage> {
        self.input.write_all(b"\n")?;
        listen(&mut self.output)
    }

    /// The memory that it holds, in bytes.
    ///
    /// # Errors
    /// When it is gone.
    pub fn memory(&mut self) -> anyhow::Result<u64> {
        Ok(self.usage()?.memory)
    }

    /// Loads it for that long, and gives the processor time that the requests took of the
    /// server's.
    ///
    /// # Errors
    /// When a request is not answered as it should be.
    pub fn round(&mut self, client: &mut Client, time: Duration) -> anyhow::Result<Round> {
        let (cpu, wall) = (self.usage()?.cpu, clock::wall());
        let operations = client.load(time)?;
        let wall = clock::wall() - wall;
        Ok(Round { operations, cpu: self.usage()?.cpu - cpu, wall })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn listen<T: for<'a> Deserialize<'a>>(output: &mut BufReader<ChildStdout>) -> anyhow::Result<T> {
    let mut line = String::new();
    output.read_line(&mut line)?;
    serde_json::from_str(&line).context("the server ended; what it wrote is above")
}
