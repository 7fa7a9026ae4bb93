//! The configuration of a server, from all its sources.

mod key;
mod page;
mod postgres;
mod sources;
pub(crate) mod table;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use sessile_core::Secret;
use tracing::level_filters::LevelFilter;

pub(crate) use self::key::{Effect, Given, Problem, Scope};
use self::{
    key::Key,
    sources::{Origin, Values},
};
pub use self::{page::describe_keys, postgres::PostgresConfig, sources::ConfigurationError};
use crate::config::ServerConfig;

/// All that a server is configured with: what it answers, and what runs it needs to know.
/// [`Settings::default`] has every default.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// What the server answers.
    pub server: ServerConfig,
    /// The name or address to listen on: `localhost`.
    pub host: String,
    /// The port to listen on, 0 for any free one: 3567.
    pub port: u16,
    /// From which level on there are log lines: [`LevelFilter::INFO`].
    pub log_level: LevelFilter,
    /// How log lines are written: [`LogFormat::Text`].
    pub log_format: LogFormat,
    /// What keeps the sessions, as `sessile serve --store` takes it: nothing is said. It may be a
    /// URL with a password.
    pub store: Option<Secret>,
    /// The certificate of the server, and what leads to its root, in PEM: none, and there is no
    /// TLS. It is there if the key is.
    pub tls_certificate_file: Option<PathBuf>,
    /// The private key of the certificate, in PEM: none.
    pub tls_key_file: Option<PathBuf>,
    /// The folder that is told of a server that runs: none.
    pub started_folder: Option<PathBuf>,
    /// The PostgreSQL database: none is meant.
    pub postgres: PostgresConfig,
    /// What whoever runs the server should know, a line each: what has no effect, for instance.
    pub warnings: Vec<String>,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object each.
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server: ServerConfig::default(),
            host: "localhost".to_owned(),
            port: 3567,
            log_level: LevelFilter::INFO,
            log_format: LogFormat::Text,
            store: None,
            tls_certificate_file: None,
            tls_key_file: None,
            started_folder: None,
            postgres: PostgresConfig::default(),
            warnings: Vec::new(),
        }
    }
}

/// Where a configuration comes from. What a later one says counts: file, environment, arguments.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// A file in the format of SuperTokens' `config.yaml`.
    pub file: Option<&'a Path>,
    /// Looks an environment variable up.
    pub environment: &'a dyn Fn(&str) -> Option<OsString>,
    /// Names of keys, and values, of a command line. What is no key is left out.
    pub arguments: &'a [(&'a str, String)],
    /// Whether a key of the file that is not known is an error.
    pub strict: bool,
    /// Whether lifetimes and intervals may be as short as tests want them.
    pub test_mode: bool,
}

impl std::fmt::Debug for Sources<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sources").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`ConfigurationError`], naming the first key whose value is wrong, and where it was found;
    /// or that a source cannot be read.
    ///
    /// ```
    /// use sessile_server::{Settings, Sources};
    ///
    /// let settings = Settings::load(Sources {
    ///     file: None,
    ///     environment: &|name| (name == "SUPERTOKENS_PORT").then(|| "3568".into()),
    ///     arguments: &[("host", "0.0.0.0".to_owned())],
    ///     strict: false,
    ///     test_mode: false,
    /// })?;
    /// assert_eq!((settings.host.as_str(), settings.port), ("0.0.0.0", 3568));
    /// # Ok::<_, sessile_server::ConfigurationError>(())
    /// ```
    pub fn load(sources: Sources<'_>) -> Result<Self, ConfigurationError> {
        let mut settings = Self::default();
        let file = match sources.file {
            Some(path) => Some(
                std::path::absolute(path)
                    .map_err(|source| ConfigurationError::File { path: path.to_owned(), source })?,
            ),
            None => None,
        };
        let mut values = Values::new();
        if let Some(file) = &file {
            values = sources::of_file(file, sources.strict, &mut settings.warnings)?;
        }
        values.extend(sources::of_environment(sources.environment)?);
        values.extend(sources::of_arguments(sources.arguments));
        for (key, text, origin) in table::keys().filter_map(|key| {
            let (text, origin) = values.get(key.name)?;
            Some((key, text, origin))
        }) {
            settings
                .set(key, text)
                .map_err(|problem| ConfigurationError::Value(located(problem, key, origin)))?;
        }
        settings.server.test_mode = sources.test_mode;
        settings.check().map_err(|problem| {
            let file = file.as_deref().filter(|_| problem.tells_file);
            ConfigurationError::Value(problem.text + &file.map(told).unwrap_or_default())
        })?;
        settings.server.config_path = file;
        Ok(settings)
    }

    fn set(&mut self, key: &'static Key, text: &str) -> Result<(), Problem> {
        let given = Given { key, text };
        match key.effect {
            Effect::App(set) => set(&mut self.server.app, &given),
            Effect::Server(set) => set(self, &given),
            Effect::Nothing { check, harmless } => {
                check(&given)?;
                if !harmless.contains(&text) {
                    self.warnings.push(format!("{} has no effect: {}", key.name, key.about));
                }
                Ok(())
            }
        }
    }

    /// Whether values that are right for themselves are so together.
    fn check(&self) -> Result<(), Problem> {
        self.server.app.check(self.server.test_mode)?;
        let legacy = &self.server.legacy;
        if legacy.cookie_same_site == "none" && !legacy.enable_anti_csrf {
            return Err(Problem::new(
                "please set 'enable_anti_csrf' to true if 'cookie_same_site' is set to 'none'",
            ));
        }
        let has_secret = !self.server.supertokens_saas_secret.is_empty();
        if has_secret && self.server.app.api_keys.is_empty() {
            return Err(Problem::new(
                "supertokens_saas_secret can only be used when api_key is also defined",
            ));
        }
        match (&self.tls_certificate_file, &self.tls_key_file) {
            (Some(_), None) => Err(Problem::new(
                "'sessile_tls_key_file' must be set too if 'sessile_tls_certificate_file' is",
            )),
            (None, Some(_)) => Err(Problem::new(
                "'sessile_tls_certificate_file' must be set too if 'sessile_tls_key_file' is",
            )),
            _ => Ok(()),
        }
    }
}

/// The text of a problem, with where its value was found.
fn located(problem: Problem, key: &Key, origin: &Origin) -> String {
    problem.text
        + &match origin {
            Origin::File(path) if problem.tells_file => told(path),
            Origin::File(path) => format!(" (in {})", path.display()),
            Origin::Variable(variable) => format!(" (in the environment variable {variable})"),
            Origin::Argument => format!(" (on the command line, for {})", key.name),
        }
}

/// SuperTokens' way of saying where the file is.
fn told(file: &Path) -> String {
    format!(" The config file can be found here: {}", file.display())
}
