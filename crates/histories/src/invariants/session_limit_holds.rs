use sessile_core::store::{SessionLimit, WhenFull};

use super::Evidence;
use crate::{
    history::{Call, NEVER, Operation, Outcome},
    lifetimes::Lifetime,
};

/// In nanoseconds.
const MILLISECOND: u64 = 1_000_000;

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let Some(limit) = evidence.policy.session_limit else { return Vec::new() };
    let maximum = limit.maximum.get();
    let mut violations = too_many(evidence, maximum);
    for (operation, at, outcome) in evidence.history.known() {
        match (&operation.call, outcome) {
            (_, Outcome::Listed { handles }) if handles.len() > maximum => {
                let number = handles.len();
                violations.push(format!("{} lists {number} sessions", operation.id));
            }
            (Call::LogIn { user }, Outcome::TooManySessions | Outcome::LoggedIn { .. }) => {
                violations.extend(without_need(evidence, limit, operation, user, at));
                violations.extend(not_the_oldest(evidence, operation, user));
            }
            _ => {}
        }
    }
    violations
}

/// Whether there was a moment at which more sessions of a user were there for certain.
fn too_many(evidence: &Evidence<'_>, maximum: usize) -> Vec<String> {
    let mut violations = Vec::new();
    for (user, listed) in &evidence.last.listed {
        let of_user = || evidence.lifetimes.of_user(user).map(|(_, lifetime)| lifetime);
        let alive_at = |moment: u64| {
            of_user().filter(|one| one.created_before <= moment && moment < one.alive_until).count()
        };
        let created = of_user().map(|lifetime| lifetime.created_before);
        let most = created.map(alive_at).chain([listed.len()]).max().unwrap_or_default();
        if most > maximum {
            violations.push(format!("{user} had {most} sessions at once"));
        }
    }
    violations
}

/// Nobody is refused, and no session is ended for another, while there may be room.
fn without_need(
    evidence: &Evidence<'_>,
    limit: SessionLimit,
    operation: &Operation,
    user: &str,
    at: u64,
) -> Option<String> {
    let mut events = evidence.history.events.iter();
    let evicts = events.any(|event| event.operation == operation.id && event.kind.is_eviction());
    let refused = matches!(operation.known(), Some((_, Outcome::TooManySessions)));
    if !evicts && !refused {
        return None;
    }
    if refused && limit.when_full != WhenFull::Refuse {
        return Some(format!("{} was refused, and not the oldest session", operation.id));
    }
    let own = match operation.known() {
        Some((_, Outcome::LoggedIn { handle, .. })) => handle.as_str(),
        _ => "",
    };
    let others = || evidence.lifetimes.of_user(user).filter(|(handle, _)| *handle != own);
    let known: Vec<&Lifetime> = others().map(|(_, lifetime)| lifetime).collect();
    // Sessions of logins that were not answered, and that nobody has heard of.
    let unheard = evidence.history.unknown().filter(|other| {
        matches!(&other.call, Call::LogIn { user: of } if of == user) && other.invoked_at < at
    });
    let unheard = unheard.count();
    let most = most_possible(&known, operation.invoked_at, at) + unheard;
    (most < limit.maximum.get())
        .then(|| format!("{} found {user} full, who had {most} sessions at most", operation.id))
}

/// Who makes room is the oldest. Sessions of one millisecond are of one age.
fn not_the_oldest(evidence: &Evidence<'_>, operation: &Operation, user: &str) -> Option<String> {
    let mut evictions = evidence.history.events.iter().filter(|event| {
        event.operation == operation.id && event.kind.is_eviction() && event.user == user
    });
    evictions.find_map(|event| {
        let evicted = evidence.lifetimes.0.get(&event.handle)?;
        let (older, _) = evidence.lifetimes.of_user(user).find(|(_, other)| {
            other.created_before / MILLISECOND < evicted.created_after / MILLISECOND
                && event.at < other.alive_until
        })?;
        let evicted = &event.handle;
        Some(format!("{} ended the session {evicted}, and {older} was older", operation.id))
    })
}

/// The most sessions that may have been there at one moment.
fn most_possible(lifetimes: &[&Lifetime], from: u64, to: u64) -> usize {
    let moments = lifetimes.iter().map(|lifetime| lifetime.created_after).chain([from]);
    let during = moments.filter(|moment| (from..to).contains(moment));
    let possible = during.map(|moment| {
        let alive = |one: &&&Lifetime| {
            one.created_after <= moment && (moment < one.ended_before || one.ended_before == NEVER)
        };
        lifetimes.iter().filter(alive).count()
    });
    possible.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::{hand_written::HandWritten, history::Told};

    fn limited(when_full: WhenFull) -> HandWritten {
        let maximum = NonZeroUsize::new(2).unwrap();
        let mut history = HandWritten::default();
        history.policy.session_limit = Some(SessionLimit { maximum, when_full });
        history.last.listed.insert("alice".to_owned(), Vec::new());
        history.log_in(0..10, "alice", "a");
        history.log_in(5..15, "alice", "b");
        history
    }

    fn refused(history: &mut HandWritten, during: std::ops::Range<u64>) {
        let call = Call::LogIn { user: "alice".to_owned() };
        history.call(during, call, Outcome::TooManySessions);
    }

    #[test]
    fn a_user_never_has_more_than_may_be() {
        let mut history = limited(WhenFull::Refuse);
        history.revoked(20..30, "a");
        history.log_in(25..35, "alice", "c");
        history.verified(31..32, "b");
        assert!(history.found_by(check).is_empty());
        // All three were there at 40.
        history.verified(40..50, "a");
        history.verified(40..50, "b");
        history.verified(40..50, "c");
        assert_eq!(history.found_by(check).len(), 1);
        history.listed(40..50, "alice", &["a", "b", "c"]);
        assert_eq!(history.found_by(check).len(), 2);
    }

    #[test]
    fn nobody_is_refused_while_there_is_room() {
        let mut history = limited(WhenFull::Refuse);
        refused(&mut history, 16..19);
        history.revoked(20..30, "a");
        refused(&mut history, 25..35);
        assert!(history.found_by(check).is_empty());
        refused(&mut history, 31..40);
        assert_eq!(history.found_by(check).len(), 1);
        history.unanswered(12, Call::LogIn { user: "alice".to_owned() });
        assert!(history.found_by(check).is_empty());
    }

    #[test]
    fn nobody_is_signed_out_while_there_is_room() {
        for (revoked, violations) in [(false, 0), (true, 1)] {
            let mut history = limited(WhenFull::EndOldest);
            if revoked {
                history.revoked(20..25, "b");
            }
            history.log_in(30..40, "alice", "c");
            history.told(35, "a", Told::Revoked("evicted".to_owned()));
            assert_eq!(history.found_by(check).len(), violations);
            refused(&mut history, 30..40);
            assert_eq!(history.found_by(check).len(), violations + 1);
        }
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut history = limited(WhenFull::EndOldest);
        history.revoked(20..25, "b");
        history.log_in(2_000_000..2_000_010, "alice", "c");
        history.log_in(3_000_000..3_000_010, "alice", "d");
        history.told(3_000_005, "a", Told::Revoked("evicted".to_owned()));
        assert!(history.found_by(check).is_empty());
        history.log_in(4_000_000..4_000_010, "alice", "e");
        history.told(4_000_005, "d", Told::Revoked("evicted".to_owned()));
        history.verified(4_000_020..4_000_030, "c");
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn no_more_are_left_than_may_be() {
        let mut history = limited(WhenFull::Refuse);
        for handle in ["a", "b", "c"] {
            history.left("alice", handle, "0");
        }
        assert_eq!(history.found_by(check).len(), 1);
    }
}
