//! The `sessile` command.

#![forbid(unsafe_code)]

mod administration;
mod demo;
mod logging;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    logging::start(match &command {
        Some(Command::Serve(arguments)) => arguments.log,
        _ => logging::LogArguments::default(),
    });
    let result = match command {
        Some(Command::Demo(arguments)) => demo::run(&arguments),
        Some(Command::Serve(arguments)) => serve::run(&arguments),
        Some(Command::Sessions(arguments)) => administration::manage_sessions(&arguments),
        Some(Command::Keys(arguments)) => administration::manage_keys(&arguments),
        None => demo::run(&demo::DemoArguments::default()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
