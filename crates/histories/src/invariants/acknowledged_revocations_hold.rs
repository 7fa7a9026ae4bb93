use std::collections::BTreeMap;

use super::Evidence;
use crate::{
    history::{Call, Outcome},
    lifetimes::ended,
};

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let mut acknowledged = BTreeMap::new();
    for (operation, at, outcome) in evidence.history.known() {
        for handle in ended(operation, outcome) {
            let first = acknowledged.entry(handle).or_insert((at, operation.id));
            *first = (*first).min((at, operation.id));
        }
    }
    let mut violations = Vec::new();
    for (operation, _, outcome) in evidence.history.known() {
        let (Call::Verify { handle, .. } | Call::Refresh { handle, .. }) = &operation.call else {
            continue;
        };
        let succeeded = matches!(outcome, Outcome::Verified { .. } | Outcome::Refreshed { .. });
        if let Some((at, by)) = acknowledged.get(handle.as_str())
            && succeeded
            && *at < operation.invoked_at
        {
            violations.push(format!(
                "{} was answered {outcome:?} for the session {handle}, which {by} had ended",
                operation.id,
            ));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_written::HandWritten;

    #[test]
    fn a_verification_beside_a_revocation_may_succeed() {
        let mut history = HandWritten::default();
        history.log_in(0..10, "alice", "a");
        history.revoked(20..40, "a");
        history.verified(30..50, "a");
        history.refreshed(35..60, "a", "a0", "a1");
        history.not_found(45..70, "a");
        assert!(history.found_by(check).is_empty());
    }

    #[test]
    fn a_verification_after_a_revocation_must_not_succeed() {
        let mut history = HandWritten::default();
        history.log_in(0..10, "alice", "a");
        history.revoked(20..40, "a");
        history.verified(41..50, "a");
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn nor_must_a_refresh_after_all_were_revoked_or_after_a_theft() {
        let mut history = HandWritten::default();
        history.log_in(0..10, "alice", "a");
        history.log_in(0..10, "alice", "b");
        history.revoked_all(20..40, "alice", &["a"]);
        history.refreshed(41..50, "a", "a0", "a1");
        history.theft(20..40, "b", "b0", "stale_refresh_token");
        history.refreshed(41..50, "b", "b0", "b1");
        assert_eq!(history.found_by(check).len(), 2);
    }
}
