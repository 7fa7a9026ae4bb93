//! Measures Sessile beside its limits, and writes tables in Markdown.

#![deny(unsafe_code)]

mod allocations;
mod clients;
mod core_server;
mod data;
mod handler;
mod minting;
mod postgres;
mod raw_sqlite;
mod refreshing;
mod size;
mod upgrade;
mod verification;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use sessile_bench::{race::Effort, server, signer};
use tempfile::TempDir;

use allocations::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Measures Sessile beside its limits.
#[derive(Debug, Parser)]
#[command(name = "sessile-bench", version)]
struct Arguments {
    #[command(flatten)]
    effort: Effort,
    /// Where the databases are made; it must be on a disk, and not in memory [default: the
    /// system's folder for temporary files]
    #[arg(long, global = true)]
    folder: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Access tokens that are new, and such as were seen before
    Verify,
    /// Creating, refreshing and regenerating in memory, beside the signature alone
    Mint,
    /// A handler with a session, beside the same handler without
    Handler,
    /// A handler that changes session data in SQLite
    Data,
    /// Refreshing in SQLite
    Refresh,
    /// The same calls with 10 000 sessions stored, and with a million
    Size {
        /// With a million too; takes a minute or two and a gigabyte of disk
        #[arg(long)]
        million: bool,
    },
    /// `sessile serve` under load, and a call of it beside the engine called directly
    Core(core_server::LoadArguments),
    /// Refreshing in PostgreSQL, and the same calls with 10 000 sessions stored there
    Postgres(postgres::Arguments),
    /// A PostgreSQL database of an older SuperTokens core brought forward while it is used; takes
    /// some minutes and two gigabytes of disk
    Upgrade(upgrade::Arguments),
    /// All of the above with SQLite or in memory, but the core server, with 10 000 sessions
    All,
    /// Is the server of a measurement
    #[command(hide = true)]
    Serve { app: handler::AppName },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(Arguments { effort, folder, command }: &Arguments) -> anyhow::Result<()> {
    let folder = match folder {
        Some(folder) => TempDir::new_in(folder)?,
        None => TempDir::new()?,
    };
    let path = folder.path();
    match command {
        Command::Verify => verification::measure(*effort),
        Command::Mint => minting::measure(*effort),
        Command::Handler => handler::measure(*effort, path),
        Command::Data => data::measure(*effort, path),
        Command::Refresh => refreshing::measure(*effort, path),
        Command::Size { million } => size::measure(*effort, path, *million),
        Command::Core(arguments) => core_server::measure(*effort, path, arguments),
        Command::Postgres(arguments) => postgres::measure(*effort, arguments),
        Command::Upgrade(arguments) => upgrade::measure(arguments),
        Command::All => {
            verification::measure(*effort)?;
            minting::measure(*effort)?;
            handler::measure(*effort, path)?;
            data::measure(*effort, path)?;
            refreshing::measure(*effort, path)?;
            size::measure(*effort, path, false)
        }
        Command::Serve { app } => server::serve(async || app.make(path).await),
    }
}
