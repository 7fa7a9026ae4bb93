//! The `sessile` command.

#![forbid(unsafe_code)]

mod administration;
mod demo;
mod doctor;
mod logging;
mod migrate;
mod serve;
mod started;
mod tls;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sessile_server::LogFormat;
use tracing::level_filters::LevelFilter;

/// Session management for web applications.
#[derive(Debug, Parser)]
#[command(name = "sessile", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows sessions at work in a page on this machine. This is what happens without a command.
    Demo(demo::DemoArguments),
    /// Serves sessions to the SDKs of SuperTokens for Node and Python, in place of its core.
    Serve(serve::ServeArguments),
    /// Lists, shows and ends sessions, in a store or on a running server.
    Sessions(administration::SessionsArguments),
    /// Lists and replaces signing keys, in a store or on a running server.
    Keys(administration::KeysArguments),
    /// Says whether a database, file or server is ready for Sessile, and what to do if it is not.
    /// Ends with status 0 if it is. Changes nothing.
    Doctor(doctor::DoctorArguments),
    /// Moves all sessions, keys and tenants from one store to another while the first is served.
    /// Interrupted and run again, it goes on.
    Migrate(migrate::MigrateArguments),
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let command = command.unwrap_or_else(|| Command::Demo(demo::DemoArguments::default()));
    if !matches!(command, Command::Serve(_)) {
        logging::start(LevelFilter::WARN, LogFormat::Text);
    }
    let result = match command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Sessions(arguments) => administration::manage_sessions(&arguments),
        Command::Keys(arguments) => administration::manage_keys(&arguments),
        Command::Migrate(arguments) => migrate::run(&arguments),
        Command::Doctor(arguments) => match doctor::run(&arguments) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => Err(error),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
