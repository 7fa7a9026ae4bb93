use std::collections::BTreeSet;

use super::Evidence;
use crate::{
    history::{Call, NEVER, Operation, Outcome},
    lifetimes::has_moment,
};

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let mut violations = Vec::new();
    for (operation, at, outcome) in evidence.history.known() {
        if let (Call::List { user }, Outcome::Listed { handles }) = (&operation.call, outcome) {
            violations.extend(list_of_no_moment(evidence, operation, at, user, handles));
        }
    }
    for handle in evidence.last.sessions.keys() {
        let lifetime = evidence.lifetimes.0.get(handle);
        if lifetime.is_none_or(|lifetime| lifetime.created_after == NEVER) {
            violations.push(format!("the session {handle} is left, and nobody logged in for it"));
        }
    }
    for (user, listed) in &evidence.last.listed {
        let sessions = evidence.last.sessions.iter();
        let found: BTreeSet<_> = sessions
            .filter(|(_, session)| session.user == *user)
            .map(|(handle, _)| handle)
            .collect();
        if found != listed.iter().collect() || found.len() != listed.len() {
            violations.push(format!(
                "of {user}, {listed:?} are listed when all is quiet, and {found:?} are there"
            ));
        }
    }
    violations
}

/// A list is what was there at one moment during the call.
fn list_of_no_moment(
    evidence: &Evidence<'_>,
    operation: &Operation,
    at: u64,
    user: &str,
    handles: &[String],
) -> Option<String> {
    let listed: BTreeSet<_> = handles.iter().map(String::as_str).collect();
    if listed.len() < handles.len() {
        return Some(format!("{} lists a session twice", operation.id));
    }
    let (mut low, mut high, mut hidden) = (operation.invoked_at, at, Vec::new());
    for (handle, lifetime) in evidence.lifetimes.of_user(user) {
        if listed.contains(handle) {
            low = low.max(lifetime.created_after);
            high = high.min(lifetime.ended_before);
        } else {
            if lifetime.created_before < operation.invoked_at && at < lifetime.alive_until {
                return Some(format!("{} does not list the session {handle}", operation.id));
            }
            hidden.push((lifetime.created_before, lifetime.alive_until));
        }
    }
    if let Some(stranger) = listed.iter().find(|handle| {
        evidence.lifetimes.0.get(**handle).is_none_or(|lifetime| lifetime.user != user)
    }) {
        return Some(format!("{} lists {stranger}, which is not of {user}", operation.id));
    }
    (!has_moment(low, high, hidden))
        .then(|| format!("{} lists sessions that were never there together", operation.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_written::HandWritten;

    fn two_logins() -> HandWritten {
        let mut history = HandWritten::default();
        history.log_in(0..20, "alice", "a");
        history.log_in(10..30, "alice", "b");
        history.log_in(10..30, "bob", "c");
        for (user, handle) in [("alice", "a"), ("alice", "b"), ("bob", "c")] {
            history.left(user, handle, "0");
        }
        history
    }

    #[test]
    fn all_that_is_certain_is_listed() {
        let mut history = two_logins();
        history.listed(31..40, "alice", &["a", "b"]);
        history.listed(25..40, "alice", &["a"]);
        history.listed(15..40, "alice", &["b"]);
        history.listed(5..9, "alice", &[]);
        assert!(history.found_by(check).is_empty());
    }

    #[test]
    fn a_login_is_listed_once_it_is_acknowledged() {
        let mut history = two_logins();
        history.listed(31..40, "alice", &["a"]);
        history.listed(21..40, "alice", &["b"]);
        assert_eq!(history.found_by(check).len(), 2);
    }

    #[test]
    fn a_list_is_of_one_moment() {
        let mut history = two_logins();
        history.log_in(50..60, "alice", "d");
        history.revoked(40..45, "d");
        history.log_in(30..35, "alice", "e");
        history.revoked(36..40, "e");
        history.left("alice", "d", "d0");
        // `e` was gone before `d` was there.
        history.listed(31..70, "alice", &["a", "b", "d", "e"]);
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn a_list_has_no_strangers_and_nothing_twice() {
        let mut history = two_logins();
        history.listed(31..40, "alice", &["a", "b", "c"]);
        history.listed(31..40, "alice", &["a", "b", "b"]);
        history.listed(1..5, "alice", &["b"]);
        assert_eq!(history.found_by(check).len(), 3);
    }

    #[test]
    fn somebody_logged_in_for_each_session() {
        let mut history = two_logins();
        history.listed(31..40, "alice", &["a", "b", "d"]);
        history.left("alice", "e", "e0");
        assert_eq!(history.found_by(check).len(), 2);
        // One that was not answered may have made either.
        history.unanswered(31, Call::LogIn { user: "alice".to_owned() });
        assert!(history.found_by(check).is_empty());
    }

    #[test]
    fn what_is_left_is_listed() {
        let mut history = two_logins();
        history.last.listed.get_mut("alice").unwrap().pop();
        assert_eq!(history.found_by(check).len(), 1);
    }
}
