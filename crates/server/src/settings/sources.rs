//! Where values come from: a file, the environment, the command line.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use serde_saphyr::UserMessageFormatter;

use super::{key::Key, table};

/// Where a value was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Origin {
    File(PathBuf),
    Variable(String),
    Argument,
}

/// The values that count, by the names of their keys.
pub(super) type Values = BTreeMap<&'static str, (String, Origin)>;

/// What a configuration cannot be read for. No text tells a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file is no YAML, or not one of keys and their values.
    #[error("the configuration file {} cannot be understood: {problem}", .path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// What is wrong, and in which line.
        problem: String,
    },
    /// An environment variable is no text.
    #[error("the environment variable {variable} is no valid text")]
    Variable {
        /// Its name.
        variable: String,
    },
    /// The file has a key that is not known, and was to be read strictly.
    #[error("{key} is no key that is known here (in {})", .path.display())]
    UnknownKey {
        /// The key.
        key: String,
        /// The file.
        path: PathBuf,
    },
    /// A value is wrong.
    #[error("{0}")]
    Value(String),
}

/// Reads a file of keys and values. Values are taken as they are written, so that no zero before or
/// after a number is lost; null ones count as not given.
pub(super) fn of_file(
    path: &Path,
    strict: bool,
    warnings: &mut Vec<String>,
) -> Result<Values, ConfigurationError> {
    let text = fs::read_to_string(path)
        .map_err(|source| ConfigurationError::File { path: path.to_owned(), source })?;
    let wrong = |problem| ConfigurationError::Yaml { path: path.to_owned(), problem };
    // A snippet of the file in an error could show a secret.
    let options = serde_saphyr::options! { with_snippet: false };
    let given: Option<BTreeMap<String, Option<String>>> =
        serde_saphyr::from_str_with_options(&text, options)
            .map_err(|error| wrong(error.render_with_formatter(&UserMessageFormatter)))?;
    let mut values = Values::new();
    for (name, value) in given.unwrap_or_default() {
        let Some(key) = table::find(&name) else {
            if strict {
                return Err(ConfigurationError::UnknownKey { key: name, path: path.to_owned() });
            }
            warnings.push(format!("{name} is no key that is known here, and does nothing"));
            continue;
        };
        let Some(value) = value else { continue };
        if values.insert(key.name, (value, Origin::File(path.to_owned()))).is_some() {
            let old = table::ALIASES.iter().find(|(_, today)| *today == key.name);
            let old = old.map_or(key.name, |(old, _)| old);
            return Err(wrong(format!("{} is given twice, also as {old}", key.name)));
        }
    }
    Ok(values)
}

/// Reads the environment variables of all keys. Empty ones count as not given.
pub(super) fn of_environment(
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Values, ConfigurationError> {
    let mut values = Values::new();
    for (key, variable) in table::keys().filter_map(|key| Some((key, key.variable()?))) {
        let Some(text) = environment(&variable) else { continue };
        let Ok(text) = text.into_string() else {
            return Err(ConfigurationError::Variable { variable });
        };
        if !text.is_empty() {
            values.insert(key.name, (unquoted(&text), Origin::Variable(variable)));
        }
    }
    Ok(values)
}

/// The values of a command line.
pub(super) fn of_arguments(arguments: &[(&str, String)]) -> Values {
    let known = |(name, text): &(&str, String)| {
        let key: &'static Key = table::find(name)?;
        Some((key.name, (text.clone(), Origin::Argument)))
    };
    arguments.iter().filter_map(known).collect()
}

/// The text between double quotes, with what is escaped there; any other text as it is.
fn unquoted(text: &str) -> String {
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let Some(quoted) = quoted else { return text.to_owned() };
    let mut plain = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some(escaped @ ('"' | '\'' | '\\')) => plain.push(escaped),
            Some(other) => plain.extend(['\\', other]),
            None => plain.push('\\'),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::unquoted;

    #[test]
    fn quotes_and_escapes_are_undone() {
        for (given, plain) in [
            ("plain", "plain"),
            (r"plain\n", r"plain\n"),
            (r#""quoted""#, "quoted"),
            (r#""a\nb\tc\rd""#, "a\nb\tc\rd"),
            (r#""\"\'\\""#, "\"'\\"),
            (r#""\\n""#, r"\n"),
            (r#""\d+\""#, r"\d+\"),
            (r#""half"#, r#""half"#),
            (r#"half""#, r#"half""#),
            (r#"""#, r#"""#),
            (r#""""#, ""),
            ("'single'", "'single'"),
        ] {
            assert_eq!(unquoted(given), plain, "{given}");
        }
    }
}
