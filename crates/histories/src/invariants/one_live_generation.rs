use std::collections::{BTreeMap, BTreeSet};

use super::Evidence;
use crate::{
    final_state::FinalSession,
    history::{Call, OperationId, Outcome, TokenId},
};

/// The tokens of a session, as the answers show them.
#[derive(Default)]
pub(super) struct Lineage<'a> {
    /// The children of each token.
    pub(super) children: BTreeMap<&'a TokenId, BTreeSet<&'a TokenId>>,
    /// When a refresh with the token first was known to have rotated it, and which it was.
    pub(super) rotated: BTreeMap<&'a TokenId, (u64, OperationId)>,
    /// All tokens that were given to somebody.
    given: BTreeSet<&'a TokenId>,
}

impl<'a> Lineage<'a> {
    /// Of all sessions.
    pub(super) fn of_all(evidence: &Evidence<'a>) -> BTreeMap<&'a str, Self> {
        let mut lineages = BTreeMap::<_, Self>::new();
        for (operation, at, outcome) in evidence.history.known() {
            match (&operation.call, outcome) {
                (_, Outcome::LoggedIn { handle, token }) => {
                    lineages.entry(handle.as_str()).or_default().given.insert(token);
                }
                (Call::Refresh { handle, token }, Outcome::Refreshed { token: child }) => {
                    let lineage = lineages.entry(handle.as_str()).or_default();
                    lineage.given.insert(child);
                    lineage.children.entry(token).or_default().insert(child);
                    let first = lineage.rotated.entry(token).or_insert((at, operation.id));
                    *first = (*first).min((at, operation.id));
                }
                _ => {}
            }
        }
        lineages
    }

    fn parents(&self, child: &TokenId) -> Vec<&'a TokenId> {
        let parents = self.children.iter().filter(|(_, children)| children.contains(child));
        parents.map(|(parent, _)| *parent).collect()
    }

    /// When a child of the token was known to be used, and by which operation.
    pub(super) fn superseded(&self, token: &TokenId) -> Option<(u64, OperationId)> {
        let children = self.children.get(token)?;
        children.iter().filter_map(|child| self.rotated.get(child).copied()).min()
    }
}

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let mut violations = Vec::new();
    let lineages = Lineage::of_all(evidence);
    for (handle, lineage) in &lineages {
        for (token, children) in &lineage.children {
            if children.len() > 1 {
                violations.push(format!(
                    "the token {token} of the session {handle} was exchanged for {} tokens",
                    children.len(),
                ));
            }
        }
        for child in &lineage.given {
            if lineage.parents(child).len() > 1 {
                violations.push(format!(
                    "the token {child} of the session {handle} was given for several tokens",
                ));
            }
        }
        if let Some(session) = evidence.last.sessions.get(*handle) {
            violations.extend(not_reachable(evidence, handle, lineage, session));
        }
    }
    for (operation, _, outcome) in evidence.history.known() {
        if let (Call::Refresh { handle, token }, Outcome::Refreshed { .. }) =
            (&operation.call, outcome)
            && let Some((at, by)) =
                lineages.get(handle.as_str()).and_then(|of| of.superseded(token))
            && at < operation.invoked_at
        {
            violations.push(format!(
                "{} refreshed the session {handle} with {token}, whose child {by} had used",
                operation.id,
            ));
        }
    }
    violations
}

/// The row of a session that is left must go on from the newest token that was given.
fn not_reachable(
    evidence: &Evidence<'_>,
    handle: &str,
    lineage: &Lineage<'_>,
    session: &FinalSession,
) -> Option<String> {
    let FinalSession { current, previous, .. } = session;
    let has_child = |token| lineage.children.contains_key(token);
    let may_have_rotated = |wanted: &TokenId| {
        evidence.history.unknown().any(|operation| {
            matches!(&operation.call, Call::Refresh { handle: other, token }
                if other == handle && token == wanted)
        })
    };
    let fault = if lineage.given.contains(current) {
        if has_child(current) {
            format!("the current token {current} was exchanged before")
        } else if !lineage.parents(current).iter().all(|parent| previous.as_ref() == Some(*parent))
        {
            format!("the token before {current} is not the one that was exchanged for it")
        } else {
            return None;
        }
    } else {
        // Its answer was lost.
        match previous {
            Some(previous) if !has_child(previous) && may_have_rotated(previous) => return None,
            _ => format!("nobody was given the current token {current}"),
        }
    };
    Some(format!("in the session {handle}, {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_written::{HandWritten, refresh_of};

    fn begun() -> HandWritten {
        let mut history = HandWritten::default();
        history.log_in(0..10, "alice", "a");
        history.refreshed(20..30, "a", "a0", "a1");
        history
    }

    fn left(history: &mut HandWritten, current: &str, previous: &str) {
        history.left("alice", "a", current);
        let session = history.last.sessions.get_mut("a").unwrap();
        session.previous = Some(TokenId::named(previous));
    }

    #[test]
    fn a_repeated_refresh_is_given_the_same_child() {
        let mut history = begun();
        history.refreshed(25..50, "a", "a0", "a1");
        history.refreshed(51..60, "a", "a1", "a2");
        left(&mut history, "a2", "a1");
        assert!(history.found_by(check).is_empty());
    }

    #[test]
    fn a_token_has_one_child_and_one_parent() {
        let mut history = begun();
        history.refreshed(20..30, "a", "a0", "b1");
        assert_eq!(history.found_by(check).len(), 1);
        history.refreshed(20..30, "a", "c0", "b1");
        assert_eq!(history.found_by(check).len(), 2);
    }

    #[test]
    fn a_token_is_not_good_once_its_child_was_used() {
        let mut history = begun();
        history.refreshed(40..50, "a", "a1", "a2");
        history.refreshed(45..60, "a", "a0", "a1");
        assert!(history.found_by(check).is_empty());
        history.refreshed(51..60, "a", "a0", "a1");
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn the_row_goes_on_from_the_newest_token() {
        let mut history = begun();
        left(&mut history, "a0", "a0");
        assert_eq!(history.found_by(check).len(), 1);
        left(&mut history, "a1", "b0");
        assert_eq!(history.found_by(check).len(), 1);
        left(&mut history, "a2", "a1");
        assert_eq!(history.found_by(check).len(), 1);
        history.unanswered(40, refresh_of("a", "a1"));
        assert!(history.found_by(check).is_empty());
    }
}
