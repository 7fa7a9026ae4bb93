//! What was found, for people and for programs.

use serde::Serialize;

use crate::administration::{print_json, readable};

/// The most names of one kind that are listed.
pub(super) const LISTED: usize = 10;

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    /// Somebody should know it.
    Note,
    /// Sessile cannot be used so, or not without harm.
    Problem,
}

/// The outcome of a check.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) level: Level,
    pub(super) text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, text: text.into(), advice: None }
    }

    pub(super) fn note(check: &'static str, text: impl Into<String>) -> Self {
        Self { level: Level::Note, ..Self::ok(check, text) }
    }

    pub(super) fn problem(check: &'static str, text: impl Into<String>) -> Self {
        Self { level: Level::Problem, ..Self::ok(check, text) }
    }

    /// The same with what to do about it.
    pub(super) fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
}

/// That the sessions were moved away.
pub(super) fn retired() -> Finding {
    Finding::problem(
        "writes",
        "the sessions were moved to another store, and nobody can write here",
    )
    .advise("use that store, or give this one to sessile migrate --reinstate")
}

/// Names behind each other, as far as people read them.
pub(super) fn listed(names: &[String]) -> String {
    let shown = names.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(LISTED) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

/// All that was found.
#[derive(Debug)]
pub(super) struct Report {
    findings: Vec<Finding>,
    /// How to do without Sessile again, a line each.
    way_back: Vec<String>,
}

impl Report {
    pub(super) fn new(findings: Vec<Finding>) -> Self {
        Self { findings, way_back: Vec::new() }
    }

    pub(super) fn with_way_back(self, way_back: Vec<String>) -> Self {
        Self { way_back, ..self }
    }

    fn problems(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.level == Level::Problem)
    }

    /// Whether nothing stands in the way.
    pub(super) fn is_ready(&self) -> bool {
        self.problems().next().is_none()
    }

    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            return print_json(&serde_json::json!({
                "ready": self.is_ready(),
                "findings": self.findings,
                "wayBack": self.way_back,
            }));
        }
        let width = self.findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
        for Finding { check, level, text, advice } in &self.findings {
            let level = match level {
                Level::Ok => "ok",
                Level::Note => "note",
                Level::Problem => "problem",
            };
            let advice = advice.as_ref().map(|advice| format!(": {advice}")).unwrap_or_default();
            println!("{level:<7}  {check:<width$}  {}", readable(&format!("{text}{advice}")));
        }
        if self.is_ready() {
            println!("ready");
        } else {
            let checks: Vec<_> = self.problems().map(|finding| finding.check).collect();
            println!("not ready: {}", checks.join(", "));
        }
        if !self.way_back.is_empty() {
            println!("\nThe way back:");
        }
        for line in &self.way_back {
            println!("- {}", readable(line));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<_> = (0..12).map(|number| number.to_string()).collect();
        assert_eq!(listed(&names), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more");
        assert_eq!(listed(&names[..10]), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9");
    }
}
