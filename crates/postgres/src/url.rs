//! Reading a connection URL.

use std::{collections::BTreeMap, str};

use percent_encoding::percent_decode_str;

/// A connection URL, or one of its settings, cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the PostgreSQL settings cannot be used: {0}")]
pub struct InvalidSettings(pub(crate) String);

fn invalid(problem: impl Into<String>) -> InvalidSettings {
    InvalidSettings(problem.into())
}

/// The settings that a URL makes, named as in libpq.
pub(crate) type Settings = BTreeMap<String, String>;

/// Reads `postgresql://[user[:password]@][host[:port][,…]][/database][?name=value&…]`.
pub(crate) fn settings_of(url: &str) -> Result<Settings, InvalidSettings> {
    let rest = url
        .strip_prefix("postgresql://")
        .or_else(|| url.strip_prefix("postgres://"))
        .ok_or_else(|| invalid("a URL begins with postgresql://"))?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user_info, hosts) = match authority.rsplit_once('@') {
        Some((user_info, hosts)) => (user_info, hosts),
        None => ("", authority),
    };
    let (user, password) = match user_info.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (user_info, None),
    };

    let mut settings = Settings::new();
    let mut set = |name: &str, text: &str| -> Result<(), InvalidSettings> {
        if !text.is_empty() {
            settings.insert(name.to_owned(), decoded(name, text)?);
        }
        Ok(())
    };
    set("user", user)?;
    set("password", password.unwrap_or_default())?;
    set("dbname", database)?;
    if !hosts.is_empty() {
        let (names, ports) = hosts_and_ports(hosts)?;
        set("host", &names)?;
        set("port", &ports)?;
    }
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter
            .split_once('=')
            .ok_or_else(|| invalid("what follows the '?' must be name=value, joined by '&'"))?;
        set(name, value)?;
    }
    Ok(settings)
}

/// The hosts, and their ports, each joined by commas.
fn hosts_and_ports(text: &str) -> Result<(String, String), InvalidSettings> {
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in text.split(',') {
        let (name, port) = match host.strip_prefix('[') {
            Some(address) => {
                let (address, rest) = address
                    .split_once(']')
                    .ok_or_else(|| invalid("an IPv6 address must end with ']'"))?;
                (address, rest.strip_prefix(':').unwrap_or_default())
            }
            None => host.rsplit_once(':').unwrap_or((host, "")),
        };
        let port = if port.is_empty() { "5432" } else { port };
        if port.parse::<u16>().is_err() {
            return Err(invalid("a port must be a number up to 65535"));
        }
        names.push(if name.is_empty() { "localhost" } else { name });
        ports.push(port);
    }
    Ok((names.join(","), ports.join(",")))
}

fn decoded(name: &str, text: &str) -> Result<String, InvalidSettings> {
    let bytes: Vec<u8> = percent_decode_str(text).collect();
    match str::from_utf8(&bytes) {
        Ok(text) if !text.contains('\0') => Ok(text.to_owned()),
        _ => Err(invalid(format!("the value of '{name}' is not UTF-8 without NUL characters"))),
    }
}

/// The settings in the form that libpq's connection strings have.
pub(crate) fn connection_string(settings: &Settings) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    let settings = settings.iter().map(|(name, value)| format!("{name}='{}'", quoted(value)));
    settings.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn urls_are_read_as_libpq_reads_them() {
        for (url, expected) in [
            ("postgresql://", settings(&[])),
            (
                "postgres://alice@db.example/shop",
                settings(&[
                    ("dbname", "shop"),
                    ("host", "db.example"),
                    ("port", "5432"),
                    ("user", "alice"),
                ]),
            ),
            (
                "postgresql://al%40ice:p%3Aa%2Fs%27s@one:6432,[::1],three:1/d%20b?sslmode=require",
                settings(&[
                    ("dbname", "d b"),
                    ("host", "one,::1,three"),
                    ("password", "p:a/s's"),
                    ("port", "6432,5432,1"),
                    ("sslmode", "require"),
                    ("user", "al@ice"),
                ]),
            ),
            (
                "postgresql:///shop?host=%2Frun%2Fpostgresql&user=bob",
                settings(&[("dbname", "shop"), ("host", "/run/postgresql"), ("user", "bob")]),
            ),
            (
                "postgresql://user:p@ss@host",
                settings(&[
                    ("host", "host"),
                    ("password", "p@ss"),
                    ("port", "5432"),
                    ("user", "user"),
                ]),
            ),
        ] {
            assert_eq!(settings_of(url), Ok(expected), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_its_password() {
        for url in [
            "mysql://root:secret@host/db",
            "postgresql://root:secret@host:port/db",
            "postgresql://root:secret@host:65536/db",
            "postgresql://root:secret@[::1/db",
            "postgresql://root:secret@host/db?sslmode",
            "postgresql://root:secret%00@host/db",
            "postgresql://root:secret%ff@host/db",
        ] {
            let error = settings_of(url).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn values_are_quoted_in_a_connection_string() {
        let text = connection_string(&settings(&[("password", r"it's \ 'x"), ("user", "a b")]));
        assert_eq!(text, r"password='it\'s \\ \'x' user='a b'");
        let config: tokio_postgres::Config = text.parse().unwrap();
        assert_eq!(config.get_password(), Some(br"it's \ 'x".as_slice()));
    }
}
