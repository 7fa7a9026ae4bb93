//! What SuperTokens' core has not.

use sessile_core::Secret;

use crate::settings::{
    LogFormat,
    key::{Given, Key, Kind, Problem, server},
};

pub(super) static KEYS: [Key; 7] = [
    server(
        "sessile_store",
        Kind::Text,
        ("sessile.db", "a file, a URL, or `memory`"),
        "The file that keeps the sessions; the URL of a PostgreSQL database that does, \
         `postgresql://…`; or `memory`, which forgets them at the end.",
        |settings, given| {
            settings.store = Some(Secret::new(path(given)?.to_owned()));
            Ok(())
        },
    ),
    server(
        "sessile_tls_certificate_file",
        Kind::Text,
        ("none", "a file"),
        "The certificate of the server and what leads to its root, in PEM. With it and its key, \
         the server speaks https and nothing else.",
        |settings, given| {
            settings.tls_certificate_file = Some(path(given)?.into());
            Ok(())
        },
    ),
    server(
        "sessile_tls_key_file",
        Kind::Text,
        ("none", "a file"),
        "The private key of the certificate, in PEM.",
        |settings, given| {
            settings.tls_key_file = Some(path(given)?.into());
            Ok(())
        },
    ),
    server(
        "sessile_started_folder",
        Kind::Text,
        ("none", "a folder"),
        "A folder in which, as long as the server runs, `.started/<host>-<port>` says its process \
         id and base path. SuperTokens' core does so in its installation; Sessile does not unless \
         it is told where.",
        |settings, given| {
            settings.started_folder = Some(path(given)?.into());
            Ok(())
        },
    ),
    server(
        "sessile_forward",
        Kind::Text,
        ("none", "a URL"),
        "A SuperTokens core that answers what Sessile does not serve: users, roles, dashboard and so \
         on. Such requests go there as they are, and the answers back.",
        |settings, given| {
            let uri = given.text.parse();
            let problem = || Problem::new(format!("'{}' must be a URL", given.key.name));
            settings.server.forward = Some(uri.map_err(|_| problem())?);
            Ok(())
        },
    ),
    server(
        "sessile_metrics_address",
        Kind::Text,
        ("none", "a host and a port"),
        "Where `/metrics` is served, instead of beside the other routes, where it takes an API key.",
        |settings, given| {
            settings.server.metrics_address = Some(path(given)?.to_owned());
            Ok(())
        },
    ),
    server(
        "sessile_log_format",
        Kind::Text,
        ("text", "`text` or `json`"),
        "How the log is written: in lines for people, or with a JSON object on each line.",
        |settings, given| {
            settings.log_format = match given.text {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => {
                    let name = given.key.name;
                    return Err(Problem::new(format!(
                        "'{name}' must be either \"text\" or \"json\"."
                    )));
                }
            };
            Ok(())
        },
    ),
];

fn path<'a>(given: &Given<'a>) -> Result<&'a str, Problem> {
    if given.text.trim().is_empty() {
        return Err(Problem::new(format!("'{}' must not be empty", given.key.name)));
    }
    Ok(given.text)
}
