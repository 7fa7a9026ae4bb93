use std::collections::BTreeSet;

use super::Evidence;
use crate::{
    history::{Call, Operation, Outcome},
    lifetimes::has_moment,
};

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let mut violations = Vec::new();
    for (operation, at, outcome) in evidence.history.known() {
        if let (Call::RevokeAll { user, except }, Outcome::Revoked { handles }) =
            (&operation.call, outcome)
        {
            let except = except.as_deref();
            violations.extend(survivor(evidence, operation, at, user, except, handles));
        }
    }
    violations
}

/// What is there at one moment during the call is ended, and nothing else.
fn survivor(
    evidence: &Evidence<'_>,
    operation: &Operation,
    at: u64,
    user: &str,
    except: Option<&str>,
    handles: &[String],
) -> Option<String> {
    let ended: BTreeSet<_> = handles.iter().map(String::as_str).collect();
    if let Some(spared) = except.filter(|spared| ended.contains(spared)) {
        return Some(format!("{} ended the session {spared} that it spares", operation.id));
    }
    let told = evidence.history.events.iter().filter(|event| event.operation == operation.id);
    let told_at = told.map(|event| event.at).min().unwrap_or(at);
    let (mut low, high, mut spared) = (operation.invoked_at, told_at.min(at), Vec::new());
    for (handle, lifetime) in evidence.lifetimes.of_user(user) {
        if ended.contains(handle) {
            low = low.max(lifetime.created_after).max(lifetime.last_seen);
        } else if Some(handle) != except && lifetime.ended_by != Some(operation.id) {
            if lifetime.created_before < operation.invoked_at && at < lifetime.alive_until {
                return Some(format!(
                    "the session {handle} was there before {} ended all of {user}, and after it",
                    operation.id,
                ));
            }
            spared.push((lifetime.created_before, lifetime.alive_until));
        }
    }
    (!has_moment(low, high, spared)).then(|| {
        format!(
            "{} ended sessions of {user} that were seen after others had begun, and spared those",
            operation.id,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_written::HandWritten;

    fn begun() -> HandWritten {
        let mut history = HandWritten::default();
        history.log_in(0..10, "alice", "a");
        history
    }

    #[test]
    fn a_login_beside_it_survives_or_does_not() {
        for survives in [false, true] {
            let mut history = begun();
            history.log_in(20..40, "alice", "b");
            if survives {
                history.revoked_all(30..50, "alice", &["a"]);
                history.left("alice", "b", "b0");
            } else {
                history.revoked_all(30..50, "alice", &["a", "b"]);
            }
            assert!(history.found_by(check).is_empty());
        }
    }

    #[test]
    fn a_login_before_it_does_not_survive() {
        let mut history = begun();
        history.log_in(0..10, "alice", "b");
        history.log_in(0..10, "bob", "c");
        history.revoked_all(11..20, "alice", &["a"]);
        history.verified(15..25, "b");
        history.verified(21..25, "c");
        assert_eq!(history.found_by(check), [""; 0], "nothing is certain yet");
        history.verified(21..25, "b");
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn all_ends_are_of_one_moment() {
        let mut history = begun();
        history.log_in(20..30, "alice", "b");
        history.left("alice", "b", "b0");
        history.verified(15..50, "a");
        history.revoked_all(11..60, "alice", &["a"]);
        assert!(history.found_by(check).is_empty());
        // `a` was there when `b` was, and only one of them is ended.
        history.verified(31..50, "a");
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn the_one_that_it_spares_is_spared() {
        let call = Call::RevokeAll { user: "alice".to_owned(), except: Some("a".to_owned()) };
        let mut history = begun();
        history.call(11..20, call.clone(), Outcome::Revoked { handles: vec![] });
        history.verified(21..25, "a");
        assert!(history.found_by(check).is_empty());
        history.call(30..40, call, Outcome::Revoked { handles: vec!["a".to_owned()] });
        assert_eq!(history.found_by(check).len(), 1);
    }
}
