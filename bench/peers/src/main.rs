//! Measures Sessile beside its peers, and writes tables in Markdown.

#![forbid(unsafe_code)]

mod apps;
mod contest;
mod handlers;
mod sdks;
mod sqlite;
mod tokens;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use sessile_bench::race::Effort;
use tempfile::TempDir;

/// Measures Sessile beside its peers.
#[derive(Debug, Parser)]
#[command(name = "sessile-peers", version)]
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
    /// Handlers with sessions in memory: tower-sessions, axum_session, session-guard, actix-session
    Handlers,
    /// Handlers with sessions in SQLite, durably: tower-sessions
    Sqlite,
    /// Verifying access tokens: jsonwebtoken
    Tokens,
    /// Verifying access tokens: the SDKs of SuperTokens for Python and Node
    Sdks,
    /// All of the above
    All,
    /// Is the server of a measurement
    #[command(hide = true)]
    Serve { app: apps::AppName },
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
    if let Command::Serve { app } = command {
        return app.serve(folder.as_deref());
    }
    let folder = match folder {
        Some(folder) => TempDir::new_in(folder)?,
        None => TempDir::new()?,
    };
    let path = folder.path();
    match command {
        Command::Handlers => handlers::measure(*effort, path),
        Command::Sqlite => sqlite::measure(*effort, path),
        Command::Tokens => tokens::measure(*effort),
        Command::Sdks => sdks::measure(*effort),
        Command::All | Command::Serve { .. } => {
            handlers::measure(*effort, path)?;
            sqlite::measure(*effort, path)?;
            tokens::measure(*effort)?;
            sdks::measure(*effort)
        }
    }
}
