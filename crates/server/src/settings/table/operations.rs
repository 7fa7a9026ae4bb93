//! What operators set: what is behind the server, where it is measured, how it logs, and its limits.

use std::time::Duration;

use http::Uri;

use crate::{
    forward,
    settings::{
        LogFormat,
        key::{Given, Key, Kind, Problem, server},
    },
};

pub(super) static KEYS: [Key; 7] = [
    server(
        "sessile_forward",
        Kind::Text,
        ("none", "a URL, http or https"),
        "A SuperTokens core that answers what Sessile does not serve.",
        |settings, given| {
            let url: Uri = given.trimmed().parse().map_err(|_| not_a_url(given))?;
            forward::check_url(&url).map_err(|problem| about(given, problem))?;
            settings.server.forward = Some(url);
            Ok(())
        },
    ),
    server(
        "sessile_metrics_address",
        Kind::Text,
        ("none", "`host:port`"),
        "Where `/metrics` is served, without an API key, instead of beside the other routes.",
        |settings, given| {
            let has_port = given
                .trimmed()
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
            if !has_port {
                return Err(about(given, "must be a host and a port, such as 127.0.0.1:9464"));
            }
            settings.server.metrics_address = Some(given.trimmed().to_owned());
            Ok(())
        },
    ),
    server(
        "sessile_log_format",
        Kind::Text,
        ("text", "`text`, `json`"),
        "How log lines are written: for people, or as a JSON object each.",
        |settings, given| {
            settings.log_format = match given.trimmed().to_lowercase().as_str() {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return Err(about(given, "must be text or json")),
            };
            Ok(())
        },
    ),
    server(
        "sessile_max_connections",
        Kind::Integer,
        ("4096", "connections"),
        "The most connections that are open at once.",
        |settings, given| {
            settings.server.limits.connections = at_least_one(given)?;
            Ok(())
        },
    ),
    server(
        "sessile_max_requests",
        Kind::Integer,
        ("1024", "requests"),
        "The most requests that are under way at once.",
        |settings, given| {
            settings.server.limits.requests = at_least_one(given)?;
            Ok(())
        },
    ),
    server(
        "sessile_max_body_size",
        Kind::Integer,
        ("1048576", "bytes"),
        "The largest body that is read.",
        |settings, given| {
            settings.server.body_limit = at_least_one(given)?;
            Ok(())
        },
    ),
    server(
        "sessile_drain_time",
        Kind::Long,
        ("0", "seconds"),
        "How long the server goes on serving after it was told to stop, and says that it is not \
         ready.",
        |settings, given| {
            let seconds = given.within(0..=3600, about(given, "must be between 0 and 3600"))?;
            settings.server.limits.drain_time = Duration::from_secs(seconds);
            Ok(())
        },
    ),
];

fn at_least_one(given: &Given<'_>) -> Result<usize, Problem> {
    let problem = || about(given, "must be at least 1, and a number that can be counted to");
    let number = given.within(1..=i64::from(i32::MAX), problem())?;
    usize::try_from(number).map_err(|_| problem())
}

fn not_a_url(given: &Given<'_>) -> Problem {
    about(given, "must be a URL with a host, such as http://core:3567")
}

fn about(given: &Given<'_>, problem: &str) -> Problem {
    Problem::new(format!("'{}' {problem}", given.key.name))
}
