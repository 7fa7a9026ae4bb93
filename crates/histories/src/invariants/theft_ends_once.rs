use std::collections::BTreeMap;

use sessile_core::policy::RotationPolicy;

use super::{Evidence, lineage::Lineage};
use crate::{
    history::{Call, Operation, OperationId, Outcome, Told},
    lifetimes::{ended, seen},
};

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let mut violations = ended_twice(evidence);
    violations.extend(told_otherwise(evidence));
    violations.extend(replays_without_end(evidence));
    for (handle, lifetime) in &evidence.lifetimes.0 {
        if !lifetime.end_is_explained {
            violations.push(format!("the session {handle} is gone, and nobody ended it"));
        }
    }
    violations
}

/// Each session is ended by one operation and told by one event.
fn ended_twice(evidence: &Evidence<'_>) -> Vec<String> {
    let mut claims = BTreeMap::<&str, Vec<OperationId>>::new();
    for (operation, _, outcome) in evidence.history.known() {
        for handle in ended(operation, outcome) {
            claims.entry(handle).or_default().push(operation.id);
        }
    }
    let mut told = BTreeMap::<&str, Vec<OperationId>>::new();
    let ends = evidence.history.events.iter().filter(|event| event.kind.is_end(evidence.policy));
    for event in ends {
        told.entry(&event.handle).or_default().push(event.operation);
    }
    let several = claims.into_iter().chain(told).filter(|(_, operations)| operations.len() > 1);
    several
        .map(|(handle, operations)| {
            let names: Vec<_> = operations.iter().map(OperationId::to_string).collect();
            format!("the session {handle} was ended several times, by {}", names.join(" and "))
        })
        .collect()
}

/// Each answer comes with the events of what it says, and no others.
fn told_otherwise(evidence: &Evidence<'_>) -> Vec<String> {
    let mut told = BTreeMap::<OperationId, Vec<(&str, Told)>>::new();
    for event in &evidence.history.events {
        // A login also tells of the sessions that made room for it.
        if !event.kind.is_eviction() {
            let kind = match &event.kind {
                Told::Reissued => Told::Refreshed,
                kind => kind.clone(),
            };
            told.entry(event.operation).or_default().push((&event.handle, kind));
        }
    }
    let mut violations = Vec::new();
    for (operation, _, outcome) in evidence.history.known() {
        let mut told = told.remove(&operation.id).unwrap_or_default();
        let mut expected = events_of(operation, outcome);
        told.sort();
        expected.sort();
        if told != expected {
            violations.push(format!(
                "{} was answered {outcome:?}, and its events are {told:?}",
                operation.id,
            ));
        }
    }
    violations
}

/// The events that belong to an answer, where giving a token again counts as a refresh.
fn events_of<'a>(operation: &'a Operation, outcome: &'a Outcome) -> Vec<(&'a str, Told)> {
    let handle = operation.call.handle();
    let revoked = |reason: &str| Told::Revoked(reason.to_owned());
    match outcome {
        Outcome::LoggedIn { handle, .. } => vec![(handle, Told::Created)],
        Outcome::Refreshed { .. } => {
            handle.into_iter().map(|handle| (handle, Told::Refreshed)).collect()
        }
        Outcome::Ended { theft, kind } => {
            let kind = if *theft { Told::TheftDetected(kind.clone()) } else { revoked(kind) };
            handle.into_iter().map(|handle| (handle, kind.clone())).collect()
        }
        Outcome::TheftReported { kind } => {
            handle.into_iter().map(|handle| (handle, Told::TheftDetected(kind.clone()))).collect()
        }
        Outcome::Revoked { handles } => {
            let reason = match &operation.call {
                Call::RevokeAll { except: None, .. } => "all_of_user",
                Call::RevokeAll { except: Some(_), .. } => "all_others_of_user",
                _ => "requested",
            };
            handles.iter().map(|handle| (handle.as_str(), revoked(reason))).collect()
        }
        _ => Vec::new(),
    }
}

/// A token that was certainly replaced before ends the session, if it is not gone already; or it
/// is reported, where that is left to whoever asked.
fn replays_without_end(evidence: &Evidence<'_>) -> Vec<String> {
    let lineages = Lineage::of_all(evidence);
    let mut violations = Vec::new();
    for (operation, at, outcome) in evidence.history.known() {
        let Call::Refresh { handle, token } = &operation.call else { continue };
        let superseded = lineages.get(handle.as_str()).and_then(|of| of.superseded(token));
        if superseded.is_none_or(|(used_at, _)| operation.invoked_at < used_at) {
            continue;
        }
        if evidence.policy.rotation == RotationPolicy::OnUse {
            if !matches!(outcome, Outcome::TheftReported { .. } | Outcome::SessionNotFound) {
                violations.push(format!("{} replayed {token}, and it was not told", operation.id));
            }
            continue;
        }
        let ends = matches!(outcome, Outcome::Ended { .. } | Outcome::SessionNotFound);
        let goes_on = evidence.last.sessions.contains_key(handle)
            || evidence.history.known().any(|(later, _, outcome)| {
                at < later.invoked_at && seen(later, outcome).contains(&handle.as_str())
            });
        if !ends || goes_on {
            violations.push(format!(
                "{} replayed {token}, and the session {handle} went on",
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

    const STALE: &str = "stale_refresh_token";

    /// Two rotations, so that `a0` is stale from 50 on.
    fn begun() -> HandWritten {
        let mut history = HandWritten::default();
        history.log_in(0..10, "alice", "a");
        history.told(5, "a", Told::Created);
        history.refreshed(20..30, "a", "a0", "a1");
        history.told(25, "a", Told::Refreshed);
        history.refreshed(40..50, "a", "a1", "a2");
        history.told(45, "a", Told::Refreshed);
        history
    }

    fn replayed(history: &mut HandWritten) {
        history.theft(60..70, "a", "a0", STALE);
        history.told(65, "a", Told::TheftDetected(STALE.to_owned()));
    }

    #[test]
    fn a_replay_ends_the_session_with_one_event() {
        let mut history = begun();
        replayed(&mut history);
        history.refresh(60..80, "a", "a0", Outcome::SessionNotFound);
        assert_eq!(history.found_by(check), [""; 0]);
    }

    #[test]
    fn it_does_not_end_it_twice() {
        let mut history = begun();
        replayed(&mut history);
        replayed(&mut history);
        // Twice in the answers, and twice in the events.
        assert_eq!(history.found_by(check).len(), 2);
    }

    #[test]
    fn it_is_told_with_its_kind() {
        for kind in [None, Some("late_retry")] {
            let mut history = begun();
            history.theft(60..70, "a", "a0", STALE);
            if let Some(kind) = kind {
                history.told(65, "a", Told::TheftDetected(kind.to_owned()));
            }
            assert_eq!(history.found_by(check).len(), 1);
        }
    }

    #[test]
    fn it_does_not_leave_the_session_alive() {
        let mut history = begun();
        history.refreshed(60..70, "a", "a0", "a1");
        history.told(65, "a", Told::Reissued);
        history.left("alice", "a", "a2");
        assert_eq!(history.found_by(check).len(), 1);

        let mut history = begun();
        replayed(&mut history);
        history.verified(80..90, "a");
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn it_is_reported_each_time_where_the_end_is_left_to_whoever_asked() {
        let mut history = begun();
        history.policy.rotation = RotationPolicy::OnUse;
        for during in [60..70, 61..71] {
            let outcome = Outcome::TheftReported { kind: STALE.to_owned() };
            history.refresh(during, "a", "a0", outcome);
            history.told(65, "a", Told::TheftDetected(STALE.to_owned()));
        }
        history.left("alice", "a", "a1");
        assert_eq!(history.found_by(check), [""; 0]);
        history.refreshed(80..90, "a", "a0", "b1");
        history.told(85, "a", Told::Refreshed);
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn a_session_does_not_end_by_itself() {
        let mut history = begun();
        assert_eq!(history.found_by(check).len(), 1);
        history.unanswered(60, Call::Revoke { handle: "a".to_owned() });
        assert!(history.found_by(check).is_empty());
    }
}
