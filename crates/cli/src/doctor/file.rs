//! A SQLite file.

use std::{fs, path::Path};

use sessile::{
    WRAPPING_KEY_VARIABLE, WrappingKey, key_file_of,
    sqlite::{self, Examination},
};

use super::report::{self, Finding, Report};

/// In bytes. A store that has less may fail at any moment.
const LEAST_SPACE: u64 = 64 * 1024 * 1024;

pub(super) fn examine(path: &Path) -> Report {
    let metadata = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata,
        Ok(_) => return missing(path, "is no file"),
        Err(error) => return missing(path, &format!("is not there ({error})")),
    };
    let shown = path.display();
    let mut findings = vec![if metadata.permissions().readonly() {
        Finding::problem("file", format!("{shown} is read-only")).advise("let this user write it")
    } else {
        Finding::ok("file", format!("{shown}, {}", in_words(metadata.len())))
    }];
    let (wrapping_key, finding) = wrapping_key(path, metadata.len());
    findings.push(finding);
    match sqlite::examine(path, wrapping_key.as_ref()) {
        Ok(examination) => findings.extend(judge(&examination)),
        Err(error) => findings.push(Finding::problem("tables", error.to_string())),
    }
    findings.extend(space(path, metadata.len()));
    Report::new(findings)
}

fn missing(path: &Path, problem: &str) -> Report {
    let finding = Finding::problem("file", format!("{} {problem}", path.display()))
        .advise("name another with --store, or let sessile serve make it");
    Report::new(vec![finding])
}

/// The key, as a server finds it; none is made.
fn wrapping_key(database: &Path, size: u64) -> (Option<WrappingKey>, Finding) {
    let file = key_file_of(database);
    let (text, origin) = match std::env::var(WRAPPING_KEY_VARIABLE) {
        Ok(text) if !text.is_empty() => (Ok(text), WRAPPING_KEY_VARIABLE.to_owned()),
        _ => (fs::read_to_string(&file), file.display().to_string()),
    };
    match text {
        Ok(text) => match WrappingKey::from_text(&text) {
            Ok(key) => (Some(key), Finding::ok("wrapping key", format!("in {origin}"))),
            Err(error) => (None, Finding::problem("wrapping key", format!("in {origin}: {error}"))),
        },
        // Where the database is empty, the server makes one.
        Err(_) if size == 0 => (None, Finding::note("wrapping key", "none yet")),
        Err(error) => {
            let finding = Finding::problem("wrapping key", format!("{origin}: {error}"))
                .advise(format!("put it back, or set {WRAPPING_KEY_VARIABLE}"));
            (None, finding)
        }
    }
}

fn judge(examination: &Examination) -> Vec<Finding> {
    let Examination { version, known_version, damage, sessions, usable_keys, .. } = examination;
    let mut findings = vec![match damage {
        Some(damage) => Finding::problem("tables", format!("the file is damaged ({damage})"))
            .advise("restore a backup"),
        None if version == known_version => {
            Finding::ok("tables", format!("version {version}, with {sessions} sessions"))
        }
        None => Finding::note(
            "tables",
            format!("version {version}: brought to {known_version} at the next start"),
        ),
    }];
    if damage.is_some() {
        return findings;
    }
    if examination.is_retired {
        findings.push(report::retired());
    }
    findings.push(if examination.unusable_keys.is_empty() {
        Finding::ok("keys", format!("{usable_keys} signing keys and secrets can be used"))
    } else {
        let keys = examination.unusable_keys.iter();
        let keys: Vec<_> =
            keys.map(|[app, key, problem]| format!("{key} of the app {app}: {problem}")).collect();
        Finding::problem("keys", keys.join("; "))
            .advise("give the wrapping key of this store, or restore a backup")
    });
    findings
}

#[cfg(unix)]
fn space(path: &Path, size: u64) -> Option<Finding> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let system = rustix::fs::statvfs(folder.unwrap_or_else(|| Path::new("."))).ok()?;
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    Some(judge_space(free, size))
}

#[cfg(not(unix))]
fn space(_: &Path, _: u64) -> Option<Finding> {
    None
}

#[cfg(unix)]
fn judge_space(free: u64, size: u64) -> Finding {
    let text = format!("{} free on its disk", in_words(free));
    if free < LEAST_SPACE {
        Finding::problem("space", text).advise("make room")
    } else if free < size {
        Finding::note("space", text).advise("a backup there needs as much as the file has")
    } else {
        Finding::ok("space", text)
    }
}

fn in_words(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1024 * 1024))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::doctor::report::Level;

    #[test]
    fn too_little_space_is_seen() {
        for (free, size, level) in [
            (LEAST_SPACE - 1, 0, Level::Problem),
            (LEAST_SPACE, LEAST_SPACE + 1, Level::Note),
            (LEAST_SPACE, LEAST_SPACE, Level::Ok),
        ] {
            assert_eq!(judge_space(free, size).level, level, "{free} {size}");
        }
    }
}
