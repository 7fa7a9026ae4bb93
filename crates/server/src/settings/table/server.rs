//! Where the server listens, what comes before its paths, and what it logs.

use tracing::level_filters::LevelFilter;

use crate::{
    path::normalise_base_path,
    settings::key::{Key, Kind, Problem, server},
};

pub(super) static KEYS: [Key; 5] = [
    server(
        "core_config_version",
        Kind::Integer,
        ("0", ""),
        "What the format of the file is. A file need not say so; if it does, it must be 0.",
        |_, given| match given.integer()? {
            0 => Ok(()),
            -1 => Err(Problem::new(
                "'core_config_version' is not set in the config.yaml file. Please redownload and \
                 install SuperTokens",
            )),
            _ => Err(Problem::new("'core_config_version' must be 0")),
        },
    ),
    server(
        "port",
        Kind::Integer,
        ("3567", ""),
        "The port to listen on; 0 for any free one.",
        |settings, given| {
            settings.port = u16::try_from(given.integer()?)
                .map_err(|_| Problem::new("'port' must be between 0 and 65535"))?;
            Ok(())
        },
    ),
    server(
        "host",
        Kind::Text,
        ("localhost", ""),
        "The name or address to listen on. Of a name that has several addresses, an IPv4 one is \
         taken first.",
        |settings, given| {
            if given.trimmed().is_empty() {
                return Err(Problem::new("'host' must name a host or an address"));
            }
            given.trimmed().clone_into(&mut settings.host);
            Ok(())
        },
    ),
    server(
        "base_path",
        Kind::Text,
        ("none", ""),
        "A path that comes before every other.",
        |settings, given| {
            if given.text.contains(' ') {
                return Err(Problem::new("Invalid characters in base_path config"));
            }
            settings.server.base_path = normalise_base_path(given.text);
            Ok(())
        },
    ),
    server(
        "log_level",
        Kind::Text,
        ("INFO", "`DEBUG`, `INFO`, `WARN`, `ERROR`, `NONE`"),
        "From which level on there are log lines.",
        |settings, given| {
            settings.log_level = match given.trimmed().to_uppercase().as_str() {
                "DEBUG" => LevelFilter::DEBUG,
                "INFO" => LevelFilter::INFO,
                "WARN" => LevelFilter::WARN,
                "ERROR" => LevelFilter::ERROR,
                "NONE" => LevelFilter::OFF,
                _ => {
                    return Err(Problem::new(
                        "'log_level' config must be one of \"NONE\",\"DEBUG\", \"INFO\", \"WARN\" \
                         or \"ERROR\".",
                    ));
                }
            };
            Ok(())
        },
    ),
];
