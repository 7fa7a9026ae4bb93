//! The log, on standard error.

use std::io;

use clap::{Args, ValueEnum};
use tracing::Level;

/// How and how much is logged.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct LogArguments {
    /// How the log is written.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// How much is logged: `warn` has what somebody should look at, thefts of tokens for instance;
    /// `info` also what happens to sessions; `debug` also a line for every request.
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = LogLevel::Warn)]
    log_level: LogLevel,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object on each line.
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

impl Default for LogArguments {
    fn default() -> Self {
        Self { log_format: LogFormat::Text, log_level: LogLevel::Warn }
    }
}

/// Begins to log.
pub(crate) fn start(arguments: LogArguments) {
    let level = match arguments.log_level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
    };
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(level);
    match arguments.log_format {
        LogFormat::Text => log.init(),
        // Fields beside the message and not below it, so that a query needs no path.
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).init(),
    }
}
