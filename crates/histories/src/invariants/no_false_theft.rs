use std::time::Duration;

use sessile_core::policy::RotationPolicy;

use super::{
    Evidence,
    lineage::{Lineage, refreshes},
};
use crate::{
    history::{Call, Operation, Outcome, TokenId},
    monotonic::timestamp,
};

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let lineages = Lineage::of_all(evidence);
    let mut violations = Vec::new();
    for (operation, at, outcome) in evidence.history.known() {
        let (handle, token) = match &operation.call {
            Call::Refresh { handle, token } | Call::Verify { handle, token, .. } => {
                (handle.as_str(), Some(token))
            }
            call => match call.handle() {
                Some(handle) => (handle, None),
                None => continue,
            },
        };
        if *outcome == Outcome::SessionNotFound {
            if goes_on(evidence, operation, handle, at) {
                violations.push(format!(
                    "{} did not find the session {handle}, which went on",
                    operation.id,
                ));
            }
        } else if let (Some(token), Some(lineage)) = (token, lineages.get(handle))
            && !is_justified(evidence, lineage, operation, token, at, outcome)
        {
            violations.push(format!(
                "{} was answered {outcome:?} for {token} in the session {handle}, and nobody had \
                 used a token in its place",
                operation.id,
            ));
        }
    }
    violations
}

/// Whether the session was there before a call and after it.
pub(super) fn goes_on(
    evidence: &Evidence<'_>,
    operation: &Operation,
    handle: &str,
    at: u64,
) -> bool {
    evidence.lifetimes.0.get(handle).is_some_and(|lifetime| {
        lifetime.created_before < operation.invoked_at && at < lifetime.alive_until
    })
}

/// Whether what was answered for a token may be right; anything that says nothing against it is.
pub(super) fn is_justified(
    evidence: &Evidence<'_>,
    lineage: &Lineage<'_>,
    operation: &Operation,
    token: &TokenId,
    at: u64,
    outcome: &Outcome,
) -> bool {
    let is_displaced = || may_be_displaced(evidence, lineage, token, at);
    match outcome {
        Outcome::Ended { kind, .. } | Outcome::TheftReported { kind } => match kind.as_str() {
            "stale_refresh_token" => lineage.may_be_superseded(token, at),
            "late_retry" => may_be_late(evidence, operation, token, at),
            "orphaned_branch" => is_displaced(),
            _ => false,
        },
        Outcome::RotatedOut => lineage.may_be_superseded(token, at) || is_displaced(),
        _ => true,
    }
}

/// Whether another refresh with the token's parent may have been given another child. No child is
/// displaced where every retry is given the same one.
fn may_be_displaced(
    evidence: &Evidence<'_>,
    lineage: &Lineage<'_>,
    token: &TokenId,
    at: u64,
) -> bool {
    let rotates_anew = matches!(evidence.policy.rotation, RotationPolicy::OnRefresh { .. });
    let parents = lineage.parents(token);
    let gave_it = |other: &Operation| matches!(other.known(), Some((_, Outcome::Refreshed { token: child })) if child == token);
    let mut siblings = refreshes(evidence, at, |other| parents.contains(&other));
    rotates_anew && siblings.any(|other| !gave_it(other))
}

/// Whether the grace period of the token may have been over: another refresh with it had begun
/// longer ago.
pub(super) fn may_be_late(
    evidence: &Evidence<'_>,
    late: &Operation,
    token: &TokenId,
    at: u64,
) -> bool {
    let grace = match evidence.policy.rotation {
        RotationPolicy::Idempotent { grace } | RotationPolicy::OnRefresh { grace } => grace,
        _ => Duration::MAX,
    };
    let mut others = refreshes(evidence, at, |other| other == token);
    others.any(|other| {
        let over = timestamp(other.invoked_at).plus(grace) < timestamp(at);
        other.id != late.id && over
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_written::{HandWritten, ON_REFRESH, refresh_of, verify_of};

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
        history.policy.rotation = RotationPolicy::Idempotent { grace: Duration::from_millis(3) };
        history.theft(2_000_000..4_000_000, "a", "a0", LATE);
        assert!(history.found_by(check).is_empty());
        history.theft(2_000_000..3_999_999, "a", "a0", LATE);
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn nobody_is_an_orphan_whose_parent_has_no_other_child() {
        for rotation in [RotationPolicy::default(), ON_REFRESH] {
            let mut history = begun();
            history.policy.rotation = rotation;
            history.theft(50..60, "a", "a1", "orphaned_branch");
            assert_eq!(history.found_by(check).len(), 1);
            history.unanswered(40, refresh_of("a", "a0"));
            assert_eq!(history.found_by(check).len(), usize::from(rotation != ON_REFRESH));
        }
    }

    #[test]
    fn an_access_token_is_rotated_out_once_its_generation_was_replaced() {
        let mut history = begun();
        history.policy.rotation = ON_REFRESH;
        history.call(31..40, verify_of("a", "a0"), Outcome::RotatedOut);
        assert_eq!(history.found_by(check).len(), 1, "it belongs to the token before the current");
        history.unanswered(41, refresh_of("a", "a1"));
        history.call(50..60, verify_of("a", "a0"), Outcome::RotatedOut);
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn under_on_use_a_verification_takes_the_place_of_the_token_before() {
        let mut history = begun();
        history.policy.rotation = RotationPolicy::OnUse;
        let reported = || Outcome::TheftReported { kind: STALE.to_owned() };
        history.refresh(31..40, "a", "a0", reported());
        assert_eq!(history.found_by(check).len(), 1);
        history.unanswered(41, verify_of("a", "a1"));
        history.refresh(50..60, "a", "a0", reported());
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
