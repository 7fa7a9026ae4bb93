//! `coreConfig`: the settings that an app has of its own, as SDKs send them.

use std::{fmt, time::Duration};

use serde_json::Value;
use sessile_core::JsonObject;

use crate::{answer::Failure, config::AppConfig, input};

/// Settings, of which nulls fall back to the server's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CoreConfig(JsonObject);

impl CoreConfig {
    pub(crate) fn as_object(&self) -> &JsonObject {
        &self.0
    }

    /// What [`Display`](fmt::Display) has written, or another program in its place.
    pub(crate) fn from_stored(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// The same with `changes` on top; null takes a setting away.
    pub(crate) fn changed(&self, changes: &JsonObject) -> Self {
        let mut settings = self.0.clone();
        for (name, value) in changes {
            if value.is_null() {
                settings.remove(name);
            } else {
                settings.insert(name.clone(), value.clone());
            }
        }
        Self(settings)
    }

    /// The settings of an app that inherits from `base`.
    ///
    /// # Errors
    /// An input error that names the first setting that is unknown or cannot be so.
    pub(crate) fn over(&self, base: &AppConfig, test_mode: bool) -> Result<AppConfig, Failure> {
        let mut config = base.clone();
        for (name, value) in &self.0 {
            set(&mut config, name, value, test_mode).map_err(|problem| invalid(&problem))?;
        }
        let short = config.refresh_token_validity <= config.access_token_validity;
        if short && !test_mode {
            let problem =
                "'refresh_token_validity' must be strictly greater than 'access_token_validity'.";
            return Err(invalid(problem));
        }
        Ok(config)
    }

    /// The same for settings that may be another program's, or were allowed before: what cannot be
    /// followed is left out, and said.
    pub(crate) fn over_where_possible(&self, base: &AppConfig, test_mode: bool) -> AppConfig {
        let mut config = base.clone();
        for (name, value) in &self.0 {
            if let Err(problem) = set(&mut config, name, value, test_mode) {
                tracing::warn!(%problem, "a setting of an app in the store has no effect");
            }
        }
        config
    }
}

impl fmt::Display for CoreConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&serde_json::to_string(&self.0).map_err(|_| fmt::Error)?)
    }
}

fn invalid(problem: &str) -> Failure {
    Failure::BadInput(format!("Invalid core config: {problem}"))
}

fn set(config: &mut AppConfig, name: &str, value: &Value, test_mode: bool) -> Result<(), String> {
    match name {
        "access_token_validity" => {
            let seconds = whole(name, value)?;
            if !(1..=86_400_000).contains(&seconds) {
                return Err(format!("'{name}' must be between 1 and 86400000 seconds inclusive."));
            }
            config.access_token_validity = Duration::from_secs(seconds.unsigned_abs());
        }
        "refresh_token_validity" => {
            config.refresh_token_validity = duration(name, number(name, value)?, 60_000.0)?;
        }
        "access_token_blacklisting" => config.access_token_blacklisting = boolean(name, value)?,
        "access_token_signing_key_dynamic" => {
            config.access_token_signing_key_dynamic = boolean(name, value)?;
        }
        "access_token_dynamic_signing_key_update_interval"
        | "access_token_signing_key_update_interval" => {
            let hours = number(name, value)?;
            if hours < 1.0 && !test_mode {
                return Err(format!("'{name}' must be greater than, equal to 1 hour."));
            }
            config.access_token_dynamic_signing_key_update_interval =
                duration(name, hours, 3_600_000.0)?;
        }
        "refresh_token_rotation_grace_period" => {
            let seconds = whole(name, value)?;
            if !(0..=300).contains(&seconds) {
                return Err(format!("'{name}' must be between 0 and 300 seconds inclusive."));
            }
            config.refresh_token_rotation_grace_period =
                Duration::from_secs(seconds.unsigned_abs());
        }
        "access_token_validity_jitter" => {
            let share = number(name, value)?;
            if !(0.0..=0.25).contains(&share) {
                return Err(format!("'{name}' must be between 0 and 0.25 inclusive."));
            }
            config.access_token_validity_jitter = share;
        }
        "recent_token_reuse_behaviour" => {
            return Err(format!("{name} can only be set via the core's base config setting"));
        }
        _ => return Err(format!("Invalid config key: {name}")),
    }
    Ok(())
}

/// SDKs send numbers as text too.
fn whole(name: &str, value: &Value) -> Result<i64, String> {
    let read = match value {
        Value::String(text) => text.parse().ok(),
        value => input::integer(value),
    };
    read.ok_or_else(|| format!("'{name}' must be of type long"))
}

fn number(name: &str, value: &Value) -> Result<f64, String> {
    let read = match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_f64(),
    };
    read.ok_or_else(|| format!("'{name}' must be of type double"))
}

fn boolean(name: &str, value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(value) => Ok(*value),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        _ => Err(format!("'{name}' must be of type boolean")),
    }
}

/// So many units of so many milliseconds, rounded down to the millisecond, as tests of seconds
/// written in hours need it.
fn duration(name: &str, units: f64, unit_milliseconds: f64) -> Result<Duration, String> {
    let milliseconds = (units * unit_milliseconds).floor();
    let seconds = milliseconds / 1000.0;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if milliseconds >= 1.0 => {
            // The way over seconds is inexact in the nanoseconds.
            Ok(Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
        }
        _ => Err(format!("'{name}' must be greater than 0, and a time that can be counted")),
    }
}
