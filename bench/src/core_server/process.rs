//! A running `sessile serve`, and what the system tells of it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use sessile_bench::clock;

/// A server that was started. It is ended when this is dropped.
pub(super) struct CoreServer {
    process: Child,
    port: u16,
}

impl CoreServer {
    /// Starts one on that store. It says when it is ready.
    pub(super) fn start(program: &Path, store: &str) -> anyhow::Result<Self> {
        let mut process = Command::new(program)
            .args(["serve", "--port", "0", "--store", store])
            .env("LOG_LEVEL", "WARN")
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = process.stdout.take().context("a server without output")?;
        let read = BufReader::new(output).read_line(&mut line);
        let mut server = Self { process, port: 0 };
        read?;
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(',').next());
        let port = address.and_then(|address| address.rsplit(':').next()?.trim().parse().ok());
        server.port = port.with_context(|| format!("the server did not come up: {line}"))?;
        Ok(server)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The memory that it holds, in bytes.
    pub(super) fn memory(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(kibibytes.context("the system does not tell the memory")? * 1024)
    }

    /// The processor time that its threads have used.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let told = fs::read_to_string(thread?.path().join("schedstat"))?;
            let used = told.split(' ').next().context("the system does not tell the time used")?;
            nanoseconds += used.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Ends it as an operator would, so that its file is closed.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        Command::new("kill").arg(self.process.id().to_string()).status()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for CoreServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The time from the start of a server on that store to its first answer.
pub(super) fn time_to_first_answer(program: &Path, store: &str) -> anyhow::Result<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let start = clock::wall();
    let server = CoreServer::start(program, store)?;
    runtime.block_on(async {
        let mut client = super::client::CoreClient::connect(server.port()).await?;
        client.hello().await
    })?;
    let time = clock::wall() - start;
    server.stop()?;
    Ok(time)
}
