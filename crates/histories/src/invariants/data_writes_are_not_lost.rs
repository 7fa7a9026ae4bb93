use std::collections::BTreeMap;

use super::Evidence;
use crate::history::{Call, NEVER, Operation, Outcome};

/// The data of a session, as it was at some moment during a call.
struct Observation<'a> {
    by: String,
    from: u64,
    to: u64,
    writes: &'a [String],
}

/// A write, and what is known of it.
struct Write<'a> {
    operation: &'a Operation,
    /// It happened before this.
    before: u64,
    refused: bool,
}

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let mut observed = BTreeMap::<&str, Vec<Observation<'_>>>::new();
    for (operation, at, outcome) in evidence.history.known() {
        if let (Some(handle), Outcome::Data { writes }) = (operation.call.handle(), outcome) {
            let by = operation.id.to_string();
            let observation = Observation { by, from: operation.invoked_at, to: at, writes };
            observed.entry(handle).or_default().push(observation);
        }
    }
    for (handle, session) in &evidence.last.sessions {
        let by = "the end".to_owned();
        let observation = Observation { by, from: NEVER - 1, to: NEVER, writes: &session.writes };
        observed.entry(handle).or_default().push(observation);
    }
    let writes = evidence.history.operations.iter().filter_map(|operation| {
        let is_write = matches!(
            operation.call,
            Call::LogIn { .. }
                | Call::Overwrite { .. }
                | Call::Append { .. }
                | Call::CompareAndSwap { .. }
        );
        let refused = matches!(
            operation.known(),
            Some((_, Outcome::Conflict | Outcome::SessionNotFound | Outcome::TooManySessions))
        );
        let write = Write { operation, before: operation.answered_at(), refused };
        is_write.then(|| (operation.id.to_string(), write))
    });
    let writes: BTreeMap<_, _> = writes.collect();

    let mut violations = Vec::new();
    for (handle, observations) in &observed {
        let unexplained = observations.iter().filter_map(|one| unexplained(handle, one, &writes));
        violations.extend(unexplained);
        let pairs = observations.iter().flat_map(|one| {
            observations.iter().filter_map(|other| disagreement(handle, one, other))
        });
        violations.extend(pairs.take(10));
        violations.extend(overwrites_undone(handle, observations, &writes));
    }
    violations
}

/// Every value is made of writes to this session that had begun and were not refused.
fn unexplained(
    handle: &str,
    seen: &Observation<'_>,
    writes: &BTreeMap<String, Write<'_>>,
) -> Option<String> {
    for (place, name) in seen.writes.iter().enumerate() {
        let is_possible = writes.get(name).is_some_and(|write| {
            let begins_a_list = match &write.operation.call {
                Call::LogIn { .. } => !made_another(write.operation, handle),
                Call::Overwrite { handle: of } if of == handle => true,
                Call::Append { handle: of } | Call::CompareAndSwap { handle: of, .. }
                    if of == handle =>
                {
                    false
                }
                _ => return false,
            };
            begins_a_list == (place == 0) && !write.refused && write.operation.invoked_at <= seen.to
        });
        if !is_possible || seen.writes[..place].contains(name) {
            return Some(format!(
                "in the session {handle}, {} saw the write {name}, which cannot be",
                seen.by,
            ));
        }
    }
    seen.writes.is_empty().then(|| format!("{} saw the session {handle} without data", seen.by))
}

/// Whether a login is known to have created another session.
fn made_another(login: &Operation, handle: &str) -> bool {
    matches!(login.known(), Some((_, Outcome::LoggedIn { handle: of, .. })) if of != handle)
}

/// Two values that one overwrite began: the later one has all that the earlier one has.
fn disagreement(handle: &str, one: &Observation<'_>, other: &Observation<'_>) -> Option<String> {
    if one.writes.first() != other.writes.first() || one.by >= other.by {
        return None;
    }
    let (shorter, longer) =
        if one.writes.len() < other.writes.len() { (one, other) } else { (other, one) };
    let fault = if !longer.writes.starts_with(shorter.writes) {
        "one of them lost a write of the other's"
    } else if shorter.writes.len() < longer.writes.len() && longer.to < shorter.from {
        "the later one lost a write"
    } else {
        return None;
    };
    let (seen, also) = (&one.writes, &other.writes);
    Some(format!(
        "in the session {handle}, {} saw {seen:?} and {} saw {also:?}: {fault}",
        one.by, other.by,
    ))
}

/// What was overwritten for certain does not come back.
fn overwrites_undone(
    handle: &str,
    observations: &[Observation<'_>],
    writes: &BTreeMap<String, Write<'_>>,
) -> Vec<String> {
    // Between which moments each overwrite happened. Whoever sees it shows that it has.
    let mut overwrites = BTreeMap::new();
    for (name, write) in writes {
        let overwrites_this = matches!(
            &write.operation.call,
            Call::Overwrite { handle: of } if of == handle && !write.refused
        );
        if overwrites_this {
            overwrites.insert(name, (write.operation.invoked_at, write.before));
        }
    }
    for seen in observations {
        let Some(first) = seen.writes.first() else { continue };
        let from = writes.get(first).map_or(0, |write| write.operation.invoked_at);
        let span = overwrites.entry(first).or_insert((from, NEVER));
        span.1 = span.1.min(seen.to);
    }
    // A login came before everything else.
    for (name, span) in &mut overwrites {
        if let Some(write) = writes.get(*name)
            && matches!(write.operation.call, Call::LogIn { .. })
        {
            span.1 = span.1.min(write.before);
        }
    }
    let mut violations = Vec::new();
    for seen in observations {
        let Some(first) = seen.writes.first() else { continue };
        let Some((_, before)) = overwrites.get(first) else { continue };
        let later =
            overwrites.iter().find(|(_, (after, done))| before < after && *done < seen.from);
        if let Some((name, _)) = later {
            violations.push(format!(
                "in the session {handle}, {} saw the data that {first} began, though {name} had \
                 overwritten it",
                seen.by,
            ));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::hand_written::{HandWritten, owned};

    /// Operation `0-0` is the login.
    fn begun() -> HandWritten {
        let mut history = HandWritten::default();
        history.log_in(0..10, "alice", "a");
        history
    }

    fn handle() -> String {
        "a".to_owned()
    }

    fn data(writes: &[&str]) -> Outcome {
        Outcome::Data { writes: owned(writes) }
    }

    fn read(history: &mut HandWritten, during: Range<u64>, writes: &[&str]) {
        history.call(during, Call::ReadData { handle: handle() }, data(writes));
    }

    fn append(history: &mut HandWritten, during: Range<u64>, writes: &[&str]) {
        history.call(during, Call::Append { handle: handle() }, data(writes));
    }

    fn swap(history: &mut HandWritten, during: Range<u64>, base: &[&str], outcome: Outcome) {
        let call = Call::CompareAndSwap { handle: handle(), base: owned(base) };
        history.call(during, call, outcome);
    }

    fn overwrite(history: &mut HandWritten, during: Range<u64>) {
        history.call(during, Call::Overwrite { handle: handle() }, Outcome::Overwritten);
    }

    #[test]
    fn writes_follow_each_other() {
        let mut history = begun();
        append(&mut history, 20..40, &["0-0", "0-1"]);
        swap(&mut history, 20..60, &["0-0", "0-1"], data(&["0-0", "0-1", "0-2"]));
        swap(&mut history, 20..60, &["0-0"], Outcome::Conflict);
        read(&mut history, 30..35, &["0-0"]);
        read(&mut history, 30..35, &["0-0", "0-1"]);
        overwrite(&mut history, 70..80);
        read(&mut history, 75..90, &["0-0", "0-1", "0-2"]);
        read(&mut history, 81..90, &["0-6"]);
        assert_eq!(history.found_by(check), [""; 0]);
    }

    #[test]
    fn two_writes_on_one_base_are_a_lost_update() {
        let mut history = begun();
        append(&mut history, 20..40, &["0-0", "0-1"]);
        swap(&mut history, 20..60, &["0-0"], data(&["0-0", "0-2"]));
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn an_acknowledged_write_is_visible() {
        let mut history = begun();
        append(&mut history, 20..40, &["0-0", "0-1"]);
        read(&mut history, 41..50, &["0-0"]);
        assert_eq!(history.found_by(check).len(), 1);
        history.left("alice", "a", "a0");
        history.last.sessions.get_mut("a").unwrap().writes = owned(&["0-0"]);
        assert_eq!(history.found_by(check).len(), 2);
    }

    #[test]
    fn a_refused_write_is_not() {
        let mut history = begun();
        swap(&mut history, 20..40, &["0-0"], Outcome::Conflict);
        read(&mut history, 30..50, &["0-0", "0-1"]);
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn a_session_has_the_data_that_was_given_to_it() {
        let mut history = begun();
        history.log_in(0..10, "alice", "b");
        read(&mut history, 20..30, &["0-1"]);
        read(&mut history, 20..30, &[]);
        assert_eq!(history.found_by(check).len(), 2);
    }

    #[test]
    fn an_unanswered_write_may_be() {
        let mut history = begun();
        history.unanswered(20, Call::Append { handle: handle() });
        history.unanswered(20, Call::Overwrite { handle: handle() });
        read(&mut history, 30..50, &["0-0", "0-1"]);
        read(&mut history, 51..60, &["0-2"]);
        read(&mut history, 21..60, &["0-0", "0-1"]);
        assert_eq!(history.found_by(check), [""; 0]);
        // It happened once, and was seen before.
        read(&mut history, 61..70, &["0-0", "0-1"]);
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn what_was_overwritten_does_not_come_back() {
        let mut history = begun();
        overwrite(&mut history, 20..40);
        read(&mut history, 30..50, &["0-0"]);
        read(&mut history, 41..50, &["0-0"]);
        assert_eq!(history.found_by(check).len(), 1);
        overwrite(&mut history, 42..60);
        overwrite(&mut history, 55..70);
        read(&mut history, 71..80, &["0-4"]);
        assert_eq!(history.found_by(check).len(), 1, "which of the two was last is not known");
        read(&mut history, 71..80, &["0-1"]);
        assert_eq!(history.found_by(check).len(), 2);
    }
}
