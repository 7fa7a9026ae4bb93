//! A key of the configuration, and how its values are read.

use std::time::Duration;

use super::Settings;
use crate::config::AppConfig;

/// A key of the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) scope: Scope,
    /// What holds where nothing is said, as a reader of the page is told.
    pub(crate) default: &'static str,
    /// What its number counts, or which texts it may be.
    pub(crate) unit: &'static str,
    /// What it does, or why it does nothing.
    pub(crate) about: &'static str,
    pub(crate) effect: Effect,
}

/// What the values of a key are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Boolean,
    /// A whole number of 32 bits.
    Integer,
    /// A whole number of 64 bits.
    Long,
    Double,
    Text,
}

impl Kind {
    /// The name that SuperTokens' texts have for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "int",
            Self::Long => "long",
            Self::Double => "double",
            Self::Text => "string",
        }
    }
}

/// Who may have a value of their own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scope {
    /// The server alone.
    Server,
    /// Each app, for all its tenants.
    App,
    /// Each tenant.
    Tenant,
}

/// Takes a value over.
type Set<T> = fn(&mut T, &Given<'_>) -> Result<(), Problem>;

/// What a key does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Effect {
    /// It sets something that an app may have of its own.
    App(Set<AppConfig>),
    /// It sets something of the server.
    Server(Set<Settings>),
    /// Nothing; its values are checked all the same. One of `harmless` asks for what is so anyway.
    Nothing { check: fn(&Given<'_>) -> Result<(), Problem>, harmless: &'static [&'static str] },
}

impl Key {
    /// The environment variable that stands for it.
    pub(crate) fn variable(&self) -> Option<String> {
        match self.name {
            "port" | "host" => Some(format!("SUPERTOKENS_{}", self.name.to_uppercase())),
            "core_config_version" | "postgresql_config_version" | "webserver_https_enabled" => None,
            name => Some(name.to_uppercase()),
        }
    }
}

/// A key of the server and of apps.
pub(super) const fn app(
    name: &'static str,
    kind: Kind,
    (default, unit): (&'static str, &'static str),
    about: &'static str,
    set: Set<AppConfig>,
) -> Key {
    Key { name, kind, scope: Scope::App, default, unit, about, effect: Effect::App(set) }
}

/// A key of the server alone.
pub(super) const fn server(
    name: &'static str,
    kind: Kind,
    (default, unit): (&'static str, &'static str),
    about: &'static str,
    set: Set<Settings>,
) -> Key {
    Key { name, kind, scope: Scope::Server, default, unit, about, effect: Effect::Server(set) }
}

/// A value for a key, as a text; sources that have numbers and booleans write them out.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) key: &'static Key,
    pub(crate) text: &'a str,
}

impl Given<'_> {
    /// The text, without spaces around it.
    pub(super) fn trimmed(&self) -> &str {
        self.text.trim()
    }

    /// Whether it is `true`.
    pub(super) fn boolean(&self) -> Result<bool, Problem> {
        match self.trimmed().to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.wrong_type()),
        }
    }

    /// A whole number, also where it is written with a fraction of zero.
    #[expect(clippy::cast_possible_truncation, reason = "a whole number in the range of i64")]
    pub(super) fn integer(&self) -> Result<i64, Problem> {
        let text = self.trimmed();
        let whole = |number: &f64| number.fract() == 0.0 && number.abs() < 9e18;
        let number = text
            .parse()
            .ok()
            .or_else(|| text.parse().ok().filter(whole).map(|number: f64| number as i64));
        let fits = |number: &i64| self.key.kind != Kind::Integer || i32::try_from(*number).is_ok();
        number.filter(fits).ok_or_else(|| self.wrong_type())
    }

    /// A whole number within bounds, or else this problem.
    pub(super) fn within(
        &self,
        bounds: std::ops::RangeInclusive<i64>,
        problem: Problem,
    ) -> Result<u64, Problem> {
        let number = self.integer()?;
        match u64::try_from(number) {
            Ok(positive) if bounds.contains(&number) => Ok(positive),
            _ => Err(problem),
        }
    }

    /// A number that is one, and finite.
    pub(super) fn number(&self) -> Result<f64, Problem> {
        let number = self.trimmed().parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| self.wrong_type())
    }

    /// So many units of so many milliseconds, rounded down to the millisecond, as tests of seconds
    /// written in hours need it.
    pub(super) fn duration(&self, unit_milliseconds: f64) -> Result<Duration, Problem> {
        let milliseconds = (self.number()? * unit_milliseconds).floor();
        match Duration::try_from_secs_f64(milliseconds / 1000.0) {
            Ok(duration) if milliseconds >= 1.0 => {
                // The way over seconds is inexact in the nanoseconds.
                Ok(Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
            }
            _ => Err(Problem::new(format!(
                "'{}' must be greater than 0, and a time that can be counted",
                self.key.name
            ))),
        }
    }

    /// Whether it can be read as what its key wants.
    pub(super) fn check_type(&self) -> Result<(), Problem> {
        match self.key.kind {
            Kind::Boolean => self.boolean().map(drop),
            Kind::Integer | Kind::Long => self.integer().map(drop),
            Kind::Double => self.number().map(drop),
            Kind::Text => Ok(()),
        }
    }

    /// That it is not of the type that its key wants.
    pub(crate) fn wrong_type(&self) -> Problem {
        Problem::wrong_type(self.key)
    }
}

/// What is wrong with a configuration. It never tells a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Problem {
    pub(crate) text: String,
    /// Whether SuperTokens' text goes on to say where the file is.
    pub(crate) tells_file: bool,
}

impl Problem {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), tells_file: false }
    }

    /// One whose text, where a file was read, says where that is.
    pub(crate) fn of_file(text: impl Into<String>) -> Self {
        Self { text: text.into(), tells_file: true }
    }

    pub(crate) fn wrong_type(key: &Key) -> Self {
        Self::new(format!("'{}' must be of type {}", key.name, key.kind.name()))
    }
}
