//! Verifying the same access token with Sessile, with jsonwebtoken, and with the SDKs of
//! SuperTokens for Python and Node.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use axum::{Json, Router, routing::get};
use serde::Deserialize;
use serde_json::{Value, json};
use sessile::{Algorithm, SessionService as _};
use sessile_bench::{
    race::{Effort, Figure, Measured, Round, round, rounds},
    table::{self, Table},
};
use tokio::{net::TcpListener, runtime::Runtime};

use crate::tokens::{access_tokens, decode_all, decoding_key, sessions, verify};

/// The folder with the scripts, and with what they need, once it is installed.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sdks");

pub(crate) fn measure(effort: Effort) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let [forgetting, remembering] = runtime.block_on(sessions(Algorithm::Rs256))?;
    let tokens = runtime.block_on(access_tokens(&forgetting, 1))?;
    let key = runtime.block_on(decoding_key(&forgetting, jsonwebtoken::Algorithm::RS256))?;
    let document = runtime.block_on(forgetting.get_json_web_key_set())?.document;
    let core = format!("http://{}", serve_keys(document)?);
    let mut python = Sdk::start(&mut python()?, &core, &tokens[0])?;
    let mut node = Sdk::start(&mut node()?, &core, &tokens[0])?;

    let time = effort.round_time();
    let mut figures = [const { Figure::new() }; 5];
    for measured in rounds(effort) {
        let round = [
            repeat(time, |count| runtime.block_on(verify(&forgetting, &tokens, count)))?,
            repeat(time, |count| runtime.block_on(verify(&remembering, &tokens, count)))?,
            repeat(time, |count| decode_all(&key, &tokens, count))?,
            python.round(time)?,
            node.round(time)?,
        ];
        if measured == Measured::Yes {
            for (figure, round) in figures.iter_mut().zip(round) {
                figure.push(round);
            }
        }
    }
    let mut table = Table::new(
        "The same access token, RS256, again and again in one process: processor time",
        ["verified by", "time", "in a second", "times Sessile's, not seen before"],
    );
    let names = [
        "Sessile, not seen before",
        "Sessile, seen before",
        "jsonwebtoken",
        "supertokens-python",
        "supertokens-node",
    ];
    for (name, figure) in names.into_iter().zip(&figures) {
        let sessile = &figures[0];
        table.row([
            name.to_owned(),
            table::cpu(figure),
            table::rate(figure.per_cpu_second()),
            table::ratio_with_range(figure.ratio(sessile), figure.ratio_range(sessile)),
        ]);
    }
    table.print();
    Ok(())
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Works for that long, in batches.
fn repeat(
    time: Duration,
    mut work: impl FnMut(u64) -> anyhow::Result<()>,
) -> anyhow::Result<Round> {
    const BATCH: u64 = 50;
    let mut sum = Round::default();
    while sum.wall < time {
        sum += round(BATCH, || work(BATCH))?;
    }
    Ok(sum)
}

/// Serves what the SDKs ask a core for, as long as this process lives: its versions and its keys.
fn serve_keys(document: Value) -> anyhow::Result<SocketAddr> {
    let runtime = runtime()?;
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/apiversion", get(async || Json(json!({ "versions": ["5.3", "5.4"] }))))
        .route("/.well-known/jwks.json", get(async move || Json(document.clone())));
    thread::spawn(move || runtime.block_on(axum::serve(listener, router).into_future()));
    Ok(address)
}

/// A process that verifies an access token with an SDK.
struct Sdk {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What such a process answers; times in nanoseconds.
#[derive(Deserialize)]
struct SdkRound {
    operations: u64,
    cpu: u64,
    wall: u64,
}

impl Sdk {
    /// Starts one, and sees that it verifies.
    fn start(command: &mut Command, core: &str, access_token: &str) -> anyhow::Result<Self> {
        let command = command.args([core, access_token]).stdin(Stdio::piped());
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let input = process.stdin.take().context("a process without input")?;
        let output = process.stdout.take().context("a process without output")?;
        let mut sdk = Self { process, input, output: BufReader::new(output) };
        let verified: Value = sdk.listen()?;
        ensure!(verified["user"] == "user-00000", "the SDK does not find the user");
        Ok(sdk)
    }

    fn round(&mut self, time: Duration) -> anyhow::Result<Round> {
        writeln!(self.input, "{}", time.as_secs_f64())?;
        let SdkRound { operations, cpu, wall } = self.listen()?;
        let (cpu, wall) = (Duration::from_nanos(cpu), Duration::from_nanos(wall));
        Ok(Round { operations, cpu, wall })
    }

    fn listen<T: for<'a> Deserialize<'a>>(&mut self) -> anyhow::Result<T> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).context("the SDK's process ended; what it wrote is above")
    }
}

impl Drop for Sdk {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Python with its script, for which it installs what is missing.
fn python() -> anyhow::Result<Command> {
    let folder = Path::new(FOLDER);
    let environment = folder.join(".venv");
    let program = environment.join("bin/python");
    if !program.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    let requirements = folder.join("requirements.txt");
    let installed = environment.join("requirements.txt");
    if fs::read(&installed).ok() != Some(fs::read(&requirements)?) {
        let install = ["-m", "pip", "install", "--quiet", "--requirement"];
        run(Command::new(&program).args(install).arg(&requirements))?;
        fs::copy(&requirements, &installed)?;
    }
    let mut command = Command::new(program);
    command.arg(folder.join("verify.py"));
    Ok(command)
}

/// Node with its script, for which it installs what is missing.
fn node() -> anyhow::Result<Command> {
    let install = ["install", "--no-audit", "--no-fund", "--loglevel=error"];
    run(Command::new("npm").args(install).current_dir(FOLDER))?;
    let mut command = Command::new("node");
    command.arg(Path::new(FOLDER).join("verify.js"));
    Ok(command)
}

/// Runs it to its end. What it says goes where errors go, because tables go to the output.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.stdout(std::io::stderr()).status();
    let status = status.with_context(|| format!("{command:?} cannot be started"))?;
    ensure!(status.success(), "{command:?} failed; the reason is above");
    Ok(())
}
