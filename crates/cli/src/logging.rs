//! The log, on standard error.

use std::io;

use sessile_server::LogFormat;
use tracing::level_filters::LevelFilter;

/// Begins to log, from that level on.
pub(crate) fn start(level: LevelFilter, format: LogFormat) {
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(level);
    match format {
        LogFormat::Text => log.init(),
        // Fields beside the message and not below it, so that a query needs no path.
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).init(),
    }
}
