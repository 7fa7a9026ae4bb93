use std::collections::BTreeMap;

use super::{
    Evidence,
    lineage::Lineage,
    no_false_theft::{goes_on, is_justified},
};
use crate::history::{Call, OperationId, Outcome, TokenId};

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let lineages = Lineage::of_all(evidence);
    // The first refresh with each token whose outcome nobody knows.
    let mut lost = BTreeMap::<&TokenId, (u64, OperationId)>::new();
    for operation in evidence.history.unknown() {
        if let Call::Refresh { token, .. } = &operation.call {
            let first = lost.entry(token).or_insert((operation.invoked_at, operation.id));
            *first = (*first).min((operation.invoked_at, operation.id));
        }
    }
    let mut violations = Vec::new();
    for (operation, at, outcome) in evidence.history.known() {
        let Call::Refresh { handle, token } = &operation.call else { continue };
        let Some((lost_at, lost)) = lost.get(token).filter(|(lost_at, _)| *lost_at < at) else {
            continue;
        };
        let is_denied = match outcome {
            Outcome::Refreshed { .. } => false,
            Outcome::SessionNotFound => goes_on(evidence, operation, handle, at),
            _ => lineages.get(handle.as_str()).is_none_or(|lineage| {
                !is_justified(evidence, lineage, operation, token, at, outcome)
            }),
        };
        if is_denied {
            violations.push(format!(
                "{} was answered {outcome:?} in the session {handle} for {token}, with which {lost} \
                 had begun a refresh at {lost_at} that was not answered",
                operation.id,
            ));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use sessile_core::policy::RotationPolicy;

    use super::*;
    use crate::hand_written::{HandWritten, ON_REFRESH, refresh_of};

    const POLICIES: [RotationPolicy; 3] = [
        RotationPolicy::Idempotent { grace: std::time::Duration::from_secs(30) },
        ON_REFRESH,
        RotationPolicy::OnUse,
    ];

    fn begun(rotation: RotationPolicy) -> HandWritten {
        let mut history = HandWritten::default();
        history.policy.rotation = rotation;
        history.log_in(0..10, "alice", "a");
        history.unanswered(20, refresh_of("a", "a0"));
        history
    }

    #[test]
    fn whoever_repeats_a_lost_refresh_goes_on() {
        for rotation in POLICIES {
            let mut history = begun(rotation);
            history.refreshed(30..40, "a", "a0", "a1");
            history.left("alice", "a", "a1");
            assert_eq!(history.found_by(check), [""; 0]);
            for outcome in [
                Outcome::Ended { theft: true, kind: "stale_refresh_token".to_owned() },
                Outcome::TheftReported { kind: "stale_refresh_token".to_owned() },
                Outcome::SessionNotFound,
            ] {
                let mut history = begun(rotation);
                history.refresh(30..40, "a", "a0", outcome);
                history.left("alice", "a", "a0");
                assert_eq!(history.found_by(check).len(), 1);
            }
        }
    }

    #[test]
    fn unless_somebody_else_had_gone_on() {
        let mut history = begun(RotationPolicy::default());
        history.refreshed(30..40, "a", "a0", "a1");
        history.unanswered(50, refresh_of("a", "a1"));
        history.theft(55..60, "a", "a0", "stale_refresh_token");
        history.refresh(70..80, "a", "a0", Outcome::SessionNotFound);
        assert_eq!(history.found_by(check), [""; 0]);
    }

    #[test]
    fn or_it_was_too_late() {
        for (at, violations) in [(30_000_000_000, 1), (40_000_000_000, 0)] {
            let mut history = begun(ON_REFRESH);
            history.theft(at..at + 10, "a", "a0", "late_retry");
            assert_eq!(history.found_by(check).len(), violations);
        }
    }
}
