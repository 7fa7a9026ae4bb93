//! The tables of a PostgreSQL database: whether they are there, and whether they are the right ones.

use sessile::postgres::{Content, Elsewhere, Structure};

use super::report::{Finding, LISTED, listed};

pub(super) fn tables(structure: &Structure) -> Finding {
    if let Some(problem) = &structure.unusable {
        return Finding::problem("tables", problem.clone());
    }
    if !structure.has_sessions {
        return match structure.elsewhere.as_slice() {
            [] => Finding::note("tables", "there are none: Sessile makes them at its first start"),
            found => Finding::problem("tables", "there are none of sessions here, but elsewhere")
                .advise(set(found)),
        };
    }
    let missing = structure.missing_tables.iter().chain(&structure.missing_columns);
    let missing: Vec<_> = missing.cloned().collect();
    if missing.is_empty() {
        return Finding::ok("tables", "as a SuperTokens core 12.1 has them");
    }
    let text = format!("of a core before 12.1, without {}", missing.join(", "));
    Finding::note("tables", text)
        .advise("Sessile adds them at its start, which takes no time; older cores do not mind")
}

/// How many sessions there are, and whether those that applications have may be other ones.
pub(super) fn sessions(structure: &Structure, content: &Content) -> Finding {
    let here = counted(content.sessions);
    let Structure { elsewhere, .. } = structure;
    if elsewhere.is_empty() {
        return Finding::ok("sessions", format!("{here} that have not expired"));
    }
    let names: Vec<_> = elsewhere.iter().map(described).collect();
    let text = format!("{here} here; there are more tables of sessions: {}", listed(&names));
    // What cannot be read may have all of them.
    let (used, empty): (Vec<_>, Vec<_>) =
        elsewhere.iter().cloned().partition(|found| found.sessions != Some(0));
    if used.is_empty() {
        Finding::note("sessions", text).advise(format!(
            "if the applications use another of them, {}; else drop those that nobody uses",
            set(&empty)
        ))
    } else if content.sessions == Some(0) {
        Finding::problem("sessions", text).advise(format!(
            "everybody is logged out if the applications use another of them: {}",
            set(&used)
        ))
    } else {
        Finding::note("sessions", text).advise(format!(
            "see that the applications use these here; if they use another of them, {}",
            set(&used)
        ))
    }
}

fn counted(sessions: Option<i64>) -> String {
    sessions.map_or_else(|| "an unknown number".to_owned(), |sessions| sessions.to_string())
}

/// A table and its sessions.
fn described(found: &Elsewhere) -> String {
    format!("{}.{} with {}", found.schema, found.table, counted(found.sessions))
}

/// What to set, so that tables are used which were found elsewhere.
fn set(found: &[Elsewhere]) -> String {
    let settings: Vec<_> = found.iter().take(LISTED).map(settings_for).collect();
    format!("set {}", settings.join("; or set "))
}

/// The settings that name tables which were found elsewhere.
fn settings_for(found: &Elsewhere) -> String {
    let schema = format!("postgresql_table_schema: {}", found.schema);
    match found.prefix() {
        Some("") => format!("{schema}, without a prefix of tables"),
        Some(prefix) => format!("{schema}, postgresql_table_names_prefix: {prefix}"),
        None => format!("{schema}, postgresql_session_info_table_name: {}", found.table),
    }
}
