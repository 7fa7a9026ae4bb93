//! What SuperTokens' core has not.

use sessile_core::Secret;

use crate::settings::key::{Given, Key, Kind, Problem, server};

pub(super) static KEYS: [Key; 4] = [
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
];

fn path<'a>(given: &Given<'a>) -> Result<&'a str, Problem> {
    if given.text.trim().is_empty() {
        return Err(Problem::new(format!("'{}' must not be empty", given.key.name)));
    }
    Ok(given.text)
}
