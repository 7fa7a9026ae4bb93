use std::collections::BTreeMap;

use sessile_core::policy::RotationPolicy;

use super::{Evidence, lineage::Lineage};
use crate::{
    final_state::FinalSession,
    history::{Call, OperationId, Outcome, TokenId},
};

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let mut violations = Vec::new();
    let lineages = Lineage::of_all(evidence);
    let one_child = matches!(evidence.policy.rotation, RotationPolicy::Idempotent { .. });
    for (handle, lineage) in &lineages {
        for (token, children) in &lineage.children {
            if one_child && children.len() > 1 {
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
    let displaced = displaced(evidence);
    for (operation, _, outcome) in evidence.history.known() {
        let (handle, token) = match (&operation.call, outcome) {
            (Call::Refresh { handle, token }, Outcome::Refreshed { .. }) => (handle, token),
            // Elsewhere an access token outlives its generation.
            (Call::Verify { handle, token, .. }, Outcome::Verified { .. })
                if matches!(evidence.policy.rotation, RotationPolicy::OnRefresh { .. }) =>
            {
                (handle, token)
            }
            _ => continue,
        };
        let superseded = lineages.get(handle.as_str()).and_then(|of| of.superseded(token));
        let is_refresh = matches!(operation.call, Call::Refresh { .. });
        if let Some((at, by)) = superseded
            && at < operation.invoked_at
        {
            violations.push(format!(
                "{} was answered {outcome:?} in the session {handle} for {token}, in whose place \
                 {by} had used another",
                operation.id,
            ));
        } else if let Some((at, by)) = displaced.get(token)
            && (is_refresh || *at < operation.invoked_at)
        {
            violations.push(format!(
                "{} was answered {outcome:?} in the session {handle} for {token}, which {by} had \
                 displaced",
                operation.id,
            ));
        }
    }
    violations
}

/// Where the newest child alone is good: the children that a later refresh with their parent has
/// displaced, when that was known, and which refresh it was. No refresh with such a child can have
/// succeeded at any time: before the later one, it would have made that impossible.
fn displaced<'a>(evidence: &Evidence<'a>) -> BTreeMap<&'a TokenId, (u64, OperationId)> {
    let mut displaced = BTreeMap::new();
    if !matches!(evidence.policy.rotation, RotationPolicy::OnRefresh { .. }) {
        return displaced;
    }
    let mut by_parent = BTreeMap::<&TokenId, Vec<(u64, u64, OperationId, &TokenId)>>::new();
    for (operation, at, outcome) in evidence.history.known() {
        if let (Call::Refresh { token, .. }, Outcome::Refreshed { token: child }) =
            (&operation.call, outcome)
        {
            let exchange = (operation.invoked_at, at, operation.id, child);
            by_parent.entry(token).or_default().push(exchange);
        }
    }
    for exchanges in by_parent.values() {
        for (_, given_at, _, child) in exchanges {
            let later = exchanges.iter().filter(|(invoked, ..)| given_at < invoked);
            if let Some(first) = later.map(|(_, at, by, _)| (*at, *by)).min() {
                displaced.insert(*child, first);
            }
        }
    }
    displaced
}

/// The row of a session that is left must go on from the newest token that was given.
fn not_reachable(
    evidence: &Evidence<'_>,
    handle: &str,
    lineage: &Lineage<'_>,
    session: &FinalSession,
) -> Option<String> {
    let FinalSession { current, previous, .. } = session;
    let rotates = evidence.policy.rotation != RotationPolicy::OnUse;
    let has_child = |token| rotates && lineage.children.contains_key(token);
    let may_have_rotated = |wanted: &TokenId| {
        evidence.history.unknown().any(|operation| {
            matches!(&operation.call, Call::Refresh { handle: other, token }
                if other == handle && token == wanted)
        })
    };
    let fault = if lineage.given.contains(current) {
        if has_child(current) || lineage.superseded(current).is_some() {
            format!("the current token {current} was exchanged before")
        } else if !lineage.parents(current).iter().all(|parent| previous.as_ref() == Some(*parent))
        {
            format!("the token before {current} is not the one that was exchanged for it")
        } else {
            return None;
        }
    } else {
        // Its answer was lost. Where each retry is given another child, others may have come.
        let displaces = matches!(evidence.policy.rotation, RotationPolicy::OnRefresh { .. });
        match previous {
            Some(previous)
                if rotates
                    && (displaces || !has_child(previous))
                    && lineage.superseded(previous).is_none()
                    && may_have_rotated(previous) =>
            {
                return None;
            }
            _ => format!("nobody was given the current token {current}"),
        }
    };
    Some(format!("in the session {handle}, {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_written::{HandWritten, ON_REFRESH, refresh_of};

    fn begun() -> HandWritten {
        let mut history = HandWritten::default();
        history.log_in(0..10, "alice", "a");
        history.refreshed(20..30, "a", "a0", "a1");
        history
    }

    fn begun_under(rotation: RotationPolicy) -> HandWritten {
        let mut history = begun();
        history.policy.rotation = rotation;
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
        for rotation in [RotationPolicy::default(), RotationPolicy::OnUse] {
            let mut history = begun_under(rotation);
            history.refreshed(40..50, "a", "a1", "a2");
            history.refreshed(45..60, "a", "a0", "a1");
            assert!(history.found_by(check).is_empty());
            history.refreshed(51..60, "a", "a0", "a1");
            assert_eq!(history.found_by(check).len(), 1);
        }
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

    #[test]
    fn a_later_child_displaces_an_earlier_one() {
        let mut history = begun_under(ON_REFRESH);
        history.refreshed(25..50, "a", "a0", "b1");
        history.refreshed(51..60, "a", "a1", "a2");
        assert!(history.found_by(check).is_empty(), "which of the two was later is not known");
        history.refreshed(31..45, "a", "a0", "c1");
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn an_access_token_goes_with_its_generation() {
        let mut history = begun_under(ON_REFRESH);
        history.refreshed(31..40, "a", "a0", "b1");
        history.verified_with(39..60, "a", "a1");
        history.verified_with(41..60, "a", "a0");
        history.verified_with(41..60, "a", "b1");
        assert!(history.found_by(check).is_empty());
        history.verified_with(41..60, "a", "a1");
        assert_eq!(history.found_by(check).len(), 1);
        history.refreshed(70..80, "a", "b1", "b2");
        history.verified_with(81..90, "a", "a0");
        assert_eq!(history.found_by(check).len(), 2);
    }

    #[test]
    fn a_lost_child_may_have_displaced_another() {
        let mut history = begun_under(ON_REFRESH);
        left(&mut history, "lost", "a0");
        assert_eq!(history.found_by(check).len(), 1);
        history.unanswered(40, refresh_of("a", "a0"));
        assert!(history.found_by(check).is_empty());
    }

    #[test]
    fn what_was_handed_out_is_current_once_it_is_used() {
        let mut history = begun_under(RotationPolicy::OnUse);
        history.refreshed(31..40, "a", "a0", "b1");
        left(&mut history, "a0", "none");
        assert!(history.found_by(check).is_empty());
        history.replaced(50..60, "a", "b1");
        assert_eq!(history.found_by(check).len(), 1, "the first token is current");
        left(&mut history, "b1", "a0");
        assert!(history.found_by(check).is_empty());
        history.refreshed(55..70, "a", "a1", "a2");
        assert_eq!(history.found_by(check).len(), 1, "both children cannot be current");
        history.refreshed(61..70, "a", "a0", "c1");
        history.refreshed(61..70, "a", "a1", "a2");
        assert_eq!(history.found_by(check).len(), 3);
    }
}
