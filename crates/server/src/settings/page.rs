//! The keys, as the page on configuration tells them.

use std::fmt::Write as _;

use super::{
    key::{Effect, Key, Kind, Scope},
    table,
};

/// Every key of the configuration, as Markdown: a table for each subject, the one that
/// `docs/configuration.md` has.
pub fn describe_keys() -> String {
    let mut page = String::new();
    for (subject, keys) in &table::SUBJECTS {
        // Writing to a text does not fail.
        let _ = write!(page, "### {subject}\n\n| key | value | default | of | effect |\n");
        page.push_str("|---|---|---|---|---|\n");
        for key in *keys {
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {} | {} |",
                key.name,
                value(key),
                key.default,
                scope(key),
                key.about
            );
        }
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn value(key: &Key) -> String {
    let kind = match key.kind {
        Kind::Boolean => "`true` or `false`",
        Kind::Integer | Kind::Long => "whole number",
        Kind::Double => "number",
        Kind::Text => "text",
    };
    match (key.kind, key.unit) {
        (_, "") => kind.to_owned(),
        (Kind::Text, one_of) => one_of.to_owned(),
        (_, unit) => format!("{kind}, {unit}"),
    }
}

fn scope(key: &Key) -> &'static str {
    match (key.scope, key.effect) {
        (_, Effect::Nothing { .. }) => "–",
        (Scope::Server, _) => "server",
        (Scope::App, _) => "app",
        (Scope::Tenant, _) => "tenant",
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;
    use crate::settings::{Given, Settings};

    #[test]
    fn the_page_tells_every_key_as_it_is() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let page = fs::read_to_string(path).unwrap();
        let (_, rest) = page.split_once("<!-- keys -->\n").unwrap();
        let (told, _) = rest.split_once("<!-- end of keys -->\n").unwrap();
        assert!(
            told.trim() == describe_keys().trim(),
            "between its two marks the page must have what `sessile serve --list-keys` prints"
        );
    }

    #[test]
    fn a_name_has_one_key() {
        let mut seen = BTreeSet::new();
        for key in table::keys() {
            assert!(seen.insert(key.name), "{}", key.name);
            assert_eq!(table::find(key.name).unwrap().name, key.name);
        }
        for (old, today) in table::ALIASES {
            assert!(!seen.contains(old));
            assert_eq!(table::find(old).unwrap().name, today);
        }
        assert!(table::find("nonsense").is_none());
    }

    #[test]
    fn what_is_told_as_default_changes_nothing() {
        let mut told = 0;
        for key in table::keys() {
            let mut settings = Settings::default();
            let is_told = match key.kind {
                Kind::Text => key.unit.starts_with('`') || key.name == "host",
                _ => key.default.chars().all(|letter| letter.is_ascii_alphanumeric()),
            };
            if !is_told || key.default == "none" {
                continue;
            }
            settings.set(key, key.default).unwrap();
            settings.warnings.clear();
            settings.postgres.port = None;
            assert_eq!(settings, Settings::default(), "{}", key.name);
            told += 1;
        }
        assert!(told > 40, "{told}");
    }

    /// A value of each type is wrong for the others, and no problem tells it.
    #[test]
    fn every_key_refuses_values_of_other_types() {
        for key in table::keys().filter(|key| key.kind != Kind::Text) {
            for text in ["secret", "", "[1]", "1.5.0", "0x10"] {
                let problem = Settings::default().set(key, text).unwrap_err().text;
                let expected = format!("'{}' must be of type {}", key.name, key.kind.name());
                assert_eq!(problem, expected);
            }
        }
        let whole =
            |name: &str, text: &str| Given { key: table::find(name).unwrap(), text }.integer().ok();
        assert_eq!(whole("port", "5.0"), Some(5));
        assert_eq!(whole("port", " 5 "), Some(5));
        assert_eq!(whole("port", "5.5"), None);
        assert_eq!(whole("port", "2147483648"), None);
        assert_eq!(whole("access_token_validity", "2147483648"), Some(2_147_483_648));
        assert_eq!(whole("access_token_validity", "9007199254740993"), Some(9_007_199_254_740_993));
    }
}
