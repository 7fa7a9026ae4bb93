use super::Evidence;
use crate::lifetimes::seen;

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let mut violations = Vec::new();
    for (operation, _, outcome) in evidence.history.known() {
        for handle in seen(operation, outcome) {
            let Some(lifetime) = evidence.lifetimes.0.get(handle) else { continue };
            if lifetime.ended_before < operation.invoked_at {
                violations.push(format!(
                    "{} found the session {handle} ({:?}), which had ended",
                    operation.id, operation.call,
                ));
            }
        }
    }
    for (handle, lifetime) in &evidence.lifetimes.0 {
        // What is left in the store does not say by itself when a session ended.
        if evidence.last.sessions.contains_key(handle) && lifetime.ended_before < u64::MAX {
            violations.push(format!("the session {handle} is left, and had ended"));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        hand_written::{HandWritten, owned},
        history::{Call, Outcome, Told},
    };

    fn read(history: &mut HandWritten, during: std::ops::Range<u64>) {
        let call = Call::ReadData { handle: "a".to_owned() };
        history.call(during, call, Outcome::Data { writes: owned(&["0-0"]) });
    }

    #[test]
    fn a_write_beside_an_end_may_succeed() {
        let mut history = HandWritten::default();
        history.log_in(0..10, "alice", "a");
        history.revoked(20..40, "a");
        history.call(30..60, Call::Overwrite { handle: "a".to_owned() }, Outcome::Overwritten);
        history.listed(35..70, "alice", &["a"]);
        read(&mut history, 39..70);
        assert!(history.found_by(check).is_empty());
    }

    #[test]
    fn nobody_finds_a_session_after_its_end() {
        let mut history = HandWritten::default();
        history.log_in(0..10, "alice", "a");
        history.revoked(20..40, "a");
        read(&mut history, 41..50);
        history.listed(41..50, "alice", &["a"]);
        assert_eq!(history.found_by(check).len(), 2);
    }

    #[test]
    fn nor_after_somebody_found_it_gone_or_its_end_was_told() {
        for told in [false, true] {
            let mut history = HandWritten::default();
            history.log_in(0..10, "alice", "a");
            history.unanswered(11, Call::Revoke { handle: "a".to_owned() });
            if told {
                history.told(30, "a", Told::Revoked("requested".to_owned()));
            } else {
                history.not_found(20..30, "a");
            }
            read(&mut history, 31..40);
            assert_eq!(history.found_by(check).len(), 1);
        }
    }

    #[test]
    fn nothing_that_ended_is_left() {
        let mut history = HandWritten::default();
        history.log_in(0..10, "alice", "a");
        history.left("alice", "a", "a0");
        assert!(history.found_by(check).is_empty());
        history.revoked(20..40, "a");
        assert_eq!(history.found_by(check).len(), 1);
    }
}
