use super::{Evidence, one_live_generation::Lineage};
use crate::history::{Call, NEVER, Operation, Outcome, TokenId};

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let lineages = Lineage::of_all(evidence);
    let mut violations = Vec::new();
    for (operation, at, outcome) in evidence.history.known() {
        match (&operation.call, outcome) {
            (Call::Refresh { handle, token }, Outcome::Ended { kind, .. }) => {
                let is_justified = match kind.as_str() {
                    "stale_refresh_token" => lineages.get(handle.as_str()).is_some_and(|lineage| {
                        let mut children = lineage.children.get(token).into_iter().flatten();
                        children.any(|child| was_presented(evidence, handle, child, at))
                    }),
                    "late_retry" => may_be_late(evidence, operation, token, at),
                    // No child is displaced where every retry is given the same one.
                    _ => false,
                };
                if !is_justified {
                    violations.push(format!(
                        "{} was answered {kind} for {token} in the session {handle}, and nobody \
                         had used a token that was made from it",
                        operation.id,
                    ));
                }
            }
            (call, Outcome::SessionNotFound) => {
                if let Some(handle) = call.handle()
                    && let Some(lifetime) = evidence.lifetimes.0.get(handle)
                    && lifetime.created_before < operation.invoked_at
                    && at < lifetime.alive_until
                {
                    violations.push(format!(
                        "{} did not find the session {handle}, which went on",
                        operation.id,
                    ));
                }
            }
            _ => {}
        }
    }
    violations
}

/// Whether a refresh with the token began before a moment.
fn was_presented(evidence: &Evidence<'_>, handle: &str, token: &TokenId, before: u64) -> bool {
    evidence.history.operations.iter().take_while(|other| other.invoked_at < before).any(|other| {
        matches!(&other.call, Call::Refresh { handle: of, token: presented }
            if of == handle && presented == token)
    })
}

/// Whether the grace period of the token may have been over: another refresh with it had begun
/// longer ago. The engine's clock shows whole milliseconds.
fn may_be_late(evidence: &Evidence<'_>, late: &Operation, token: &TokenId, at: u64) -> bool {
    let grace = u64::try_from(evidence.rules.grace.as_millis()).unwrap_or(NEVER);
    evidence.history.operations.iter().any(|other| {
        let same = matches!(&other.call, Call::Refresh { token: presented, .. }
            if presented == token);
        let rotated_at = other.invoked_at / 1_000_000;
        same && other.id != late.id && at / 1_000_000 > rotated_at.saturating_add(grace)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::hand_written::{HandWritten, refresh_of};

    const STALE: &str = "stale_refresh_token";
    const LATE: &str = "late_retry";

    fn begun() -> HandWritten {
        let mut history = HandWritten::default();
        history.log_in(0..10, "alice", "a");
        history.refreshed(20..30, "a", "a0", "a1");
        history
    }

    #[test]
    fn a_token_whose_child_was_used_is_stale() {
        let mut history = begun();
        history.unanswered(40, refresh_of("a", "a1"));
        history.theft(50..60, "a", "a0", STALE);
        assert!(history.found_by(check).is_empty());
    }

    #[test]
    fn a_token_whose_child_nobody_used_is_not() {
        for newest in ["a0", "a1"] {
            let mut history = begun();
            history.theft(50..60, "a", newest, STALE);
            history.refreshed(61..70, "a", "a1", "a2");
            assert_eq!(history.found_by(check).len(), 1, "{newest}");
        }
    }

    #[test]
    fn a_retry_is_late_after_the_grace_period_alone() {
        let mut history = begun();
        history.rules.grace = Duration::from_millis(3);
        history.theft(2_000_000..4_000_000, "a", "a0", LATE);
        assert!(history.found_by(check).is_empty());
        history.theft(2_000_000..3_999_999, "a", "a0", LATE);
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn nobody_is_an_orphan() {
        let mut history = begun();
        history.theft(50..60, "a", "a0", "orphaned_branch");
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn a_session_is_found_until_it_ends() {
        let mut history = begun();
        history.revoked(40..50, "a");
        history.not_found(35..41, "a");
        assert!(history.found_by(check).is_empty());
        history.not_found(35..39, "a");
        assert_eq!(history.found_by(check).len(), 1);
    }
}
