//! How to return from Sessile to SuperTokens' core on the same database.

use sessile::postgres::{Examination, Ownership};

/// A line each.
pub(super) fn lines(examination: &Examination) -> Vec<String> {
    let (structure, content) = (&examination.structure, &examination.content);
    if !structure.has_sessions {
        return Vec::new();
    }
    let mut lines = Vec::new();
    if structure.own_tables.is_empty() {
        lines.push(
            "Sessile has changed nothing here yet. It will add tables whose names begin with \
             sessile_, and the columns and the index that a core 12.1 adds too."
                .to_owned(),
        );
    }
    lines.push(
        "Stop Sessile and start SuperTokens' core on this database: its sessions, keys and refresh \
         tokens are in the core's own tables. What Sessile has added may stay."
            .to_owned(),
    );
    if !content.own_keys.is_empty() {
        lines.push(format!(
            "The core cannot use these keys, because their algorithm, sealing or name is Sessile's \
             own: {}. Access tokens that they signed are refused there until they are refreshed; \
             where the secret of refresh tokens is among them, everybody logs in again.",
            content.own_keys.join(", ")
        ));
    } else if structure.ownership == Some(Ownership::Own) {
        lines.push(
            "The tables are Sessile's own, and so far a core can use all that is in them.".into(),
        );
    }
    if !structure.own_tables.is_empty() {
        lines.push(format!(
            "To remove it once no Sessile runs: DROP TABLE {};",
            structure.own_tables.join(", ")
        ));
    }
    lines
}
