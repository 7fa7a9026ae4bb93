//! Between which moments a session was there for certain, and between which it may have been.

use std::collections::BTreeMap;

use sessile_core::policy::{Policy, RotationPolicy};

use crate::{
    final_state::FinalState,
    history::{Call, History, NEVER, Operation, OperationId, Outcome},
};

/// What is known of when a session was there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Lifetime {
    pub(crate) user: String,
    /// It was not there before this.
    pub(crate) created_after: u64,
    /// It was there at this moment, unless it had ended already.
    pub(crate) created_before: u64,
    /// The last moment after which somebody saw it.
    pub(crate) last_seen: u64,
    /// It was still there at this moment.
    pub(crate) alive_until: u64,
    /// It was not there any more at this moment.
    pub(crate) ended_before: u64,
    /// The operation that says it ended it.
    pub(crate) ended_by: Option<OperationId>,
    /// Whether somebody may have ended it: an operation that says so, or one that was not answered.
    pub(crate) end_is_explained: bool,
}

/// The lifetimes of all sessions that were ever heard of.
#[derive(Debug)]
pub(crate) struct Lifetimes(pub(crate) BTreeMap<String, Lifetime>);

/// The sessions that an answer shows to have been there at some moment during the call.
pub(crate) fn seen<'a>(operation: &'a Operation, outcome: &'a Outcome) -> Vec<&'a str> {
    match outcome {
        Outcome::Listed { handles } => handles.iter().map(String::as_str).collect(),
        Outcome::Verified { .. }
        | Outcome::RotatedOut
        | Outcome::Refreshed { .. }
        | Outcome::TheftReported { .. }
        | Outcome::Data { .. }
        | Outcome::Overwritten
        | Outcome::Conflict => operation.call.handle().into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The sessions that an operation says it ended.
pub(crate) fn ended<'a>(operation: &'a Operation, outcome: &'a Outcome) -> Vec<&'a str> {
    match outcome {
        Outcome::Revoked { handles } => handles.iter().map(String::as_str).collect(),
        Outcome::Ended { .. } => operation.call.handle().into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Whether the operation would end the session if it took effect.
fn may_end(operation: &Operation, handle: &str, user: &str, policy: &Policy) -> bool {
    match &operation.call {
        Call::Revoke { handle: other } => other == handle,
        Call::Refresh { handle: other, .. } => {
            other == handle && policy.rotation != RotationPolicy::OnUse
        }
        Call::RevokeAll { user: other, except } => {
            other == user && except.as_deref() != Some(handle)
        }
        Call::LogIn { user: other } => other == user && policy.session_limit.is_some(),
        _ => false,
    }
}

impl Lifetimes {
    pub(crate) fn of(history: &History, last: &FinalState, policy: &Policy) -> Self {
        let mut lifetimes = Self(BTreeMap::new());
        lifetimes.add_logins(history);
        lifetimes.add_sightings(history, last);
        lifetimes.add_ends(history, last, policy);
        lifetimes
    }

    /// The sessions of a user, by their handles.
    pub(crate) fn of_user<'a>(
        &'a self,
        user: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Lifetime)> {
        let all = self.0.iter().map(|(handle, lifetime)| (handle.as_str(), lifetime));
        all.filter(move |(_, lifetime)| lifetime.user == user)
    }

    fn add_logins(&mut self, history: &History) {
        let invoked: BTreeMap<_, _> = history
            .operations
            .iter()
            .map(|operation| (operation.id, operation.invoked_at))
            .collect();
        let created = history.events.iter().filter(|event| event.kind.is_created());
        for event in created {
            let after = invoked.get(&event.operation).copied().unwrap_or_default();
            self.create(&event.handle, &event.user, after, event.at);
        }
        for (operation, at, outcome) in history.known() {
            if let (Call::LogIn { user }, Outcome::LoggedIn { handle, .. }) =
                (&operation.call, outcome)
            {
                self.create(handle, user, operation.invoked_at, at);
            }
        }
    }

    fn create(&mut self, handle: &str, user: &str, after: u64, before: u64) {
        self.0.entry(handle.to_owned()).or_insert_with(|| Lifetime {
            user: user.to_owned(),
            created_after: after,
            created_before: before,
            last_seen: 0,
            alive_until: 0,
            ended_before: NEVER,
            ended_by: None,
            end_is_explained: false,
        });
    }

    /// A session may be seen though nobody was told that it was created; but somebody must have
    /// asked for it, or it was never created.
    fn add_sightings(&mut self, history: &History, last: &FinalState) {
        let first_unknown = |user: &str| {
            let mut logins = history.unknown().filter_map(|operation| match &operation.call {
                Call::LogIn { user: other } if other == user => Some(operation.invoked_at),
                _ => None,
            });
            logins.next().unwrap_or(NEVER)
        };
        for (operation, at, outcome) in history.known() {
            if let Call::List { user } | Call::RevokeAll { user, .. } = &operation.call {
                for handle in seen(operation, outcome).into_iter().chain(ended(operation, outcome))
                {
                    self.create(handle, user, first_unknown(user), at);
                }
            }
            for handle in seen(operation, outcome) {
                if let Some(lifetime) = self.0.get_mut(handle) {
                    lifetime.last_seen = lifetime.last_seen.max(operation.invoked_at);
                    lifetime.created_before = lifetime.created_before.min(at);
                }
            }
        }
        for (handle, session) in &last.sessions {
            self.create(handle, &session.user, first_unknown(&session.user), NEVER);
        }
    }

    fn add_ends(&mut self, history: &History, last: &FinalState, policy: &Policy) {
        for event in history.events.iter().filter(|event| event.kind.is_end(policy)) {
            self.end(&event.handle, event.at, Some(event.operation));
        }
        for (operation, at, outcome) in history.known() {
            for handle in ended(operation, outcome) {
                self.end(handle, at, Some(operation.id));
            }
            // Not found after it was created is found to have ended.
            if let (Outcome::SessionNotFound, Some(handle)) = (outcome, operation.call.handle())
                && self
                    .0
                    .get(handle)
                    .is_some_and(|known| known.created_before < operation.invoked_at)
            {
                self.end(handle, at, None);
            }
            // A revocation that found nothing to end says the same.
            if let (Call::Revoke { handle }, Outcome::Revoked { handles }) =
                (&operation.call, outcome)
                && handles.is_empty()
                && self
                    .0
                    .get(handle)
                    .is_some_and(|known| known.created_before < operation.invoked_at)
            {
                self.end(handle, at, None);
            }
        }
        let invoked: BTreeMap<_, _> = history
            .operations
            .iter()
            .map(|operation| (operation.id, operation.invoked_at))
            .collect();
        for (handle, lifetime) in &mut self.0 {
            if last.sessions.contains_key(handle) {
                lifetime.alive_until = NEVER;
                lifetime.end_is_explained = true;
                continue;
            }
            // It is gone when all is quiet, which is after everything else.
            lifetime.ended_before = lifetime.ended_before.min(NEVER - 1);
            let end = match lifetime.ended_by {
                Some(operation) => invoked.get(&operation).copied(),
                None => {
                    let mut unknown = history.unknown();
                    unknown
                        .find(|other| may_end(other, handle, &lifetime.user, policy))
                        .map(|other| other.invoked_at)
                }
            };
            lifetime.end_is_explained = end.is_some();
            lifetime.alive_until = lifetime.last_seen.max(end.unwrap_or_default());
        }
    }

    fn end(&mut self, handle: &str, before: u64, by: Option<OperationId>) {
        if let Some(lifetime) = self.0.get_mut(handle) {
            lifetime.ended_before = lifetime.ended_before.min(before);
            lifetime.ended_by = lifetime.ended_by.or(by);
        }
    }
}

/// Whether there is a moment from `low` to `high` that is in none of the open intervals.
pub(crate) fn has_moment(low: u64, high: u64, mut intervals: Vec<(u64, u64)>) -> bool {
    intervals.sort_unstable();
    let mut moment = low;
    for (start, end) in intervals {
        if start < moment && moment < end {
            moment = end;
        }
    }
    moment <= high
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_written::HandWritten;

    #[test]
    fn a_moment_is_found_between_intervals() {
        assert!(has_moment(5, 5, vec![]));
        assert!(has_moment(5, 9, vec![(3, 7), (7, 12)]));
        assert!(has_moment(5, 9, vec![(6, 20), (1, 5)]));
        assert!(!has_moment(5, 9, vec![(1, 20)]));
        assert!(!has_moment(5, 9, vec![(6, 12), (4, 7)]));
        assert!(!has_moment(9, 5, vec![]));
    }

    #[test]
    fn a_session_is_there_between_what_is_known() {
        let mut history = HandWritten::default();
        history.log_in(10..20, "alice", "a");
        history.verified(30..40, "a");
        history.revoked(50..60, "a");
        let lifetime = &history.lifetimes().0["a"];
        assert_eq!((lifetime.created_after, lifetime.created_before), (10, 20));
        assert_eq!((lifetime.alive_until, lifetime.ended_before), (50, 60));
    }

    #[test]
    fn an_unanswered_revocation_may_have_ended_a_session() {
        let mut history = HandWritten::default();
        history.log_in(10..20, "alice", "a");
        history.unanswered(25, Call::Revoke { handle: "a".to_owned() });
        history.verified(30..40, "a");
        let lifetime = &history.lifetimes().0["a"];
        assert_eq!((lifetime.alive_until, lifetime.ended_before), (30, NEVER - 1));
        assert!(lifetime.end_is_explained && lifetime.ended_by.is_none());
    }

    #[test]
    fn a_session_that_is_left_was_there_all_the_time() {
        let mut history = HandWritten::default();
        history.log_in(10..20, "alice", "a");
        history.left("alice", "a", "a1");
        let lifetime = &history.lifetimes().0["a"];
        assert_eq!((lifetime.alive_until, lifetime.ended_before), (NEVER, NEVER));
    }

    #[test]
    fn a_session_of_an_unanswered_login_is_known_once_it_is_listed() {
        let mut history = HandWritten::default();
        history.unanswered(5, Call::LogIn { user: "alice".to_owned() });
        history.listed(10..20, "alice", &["a"]);
        let lifetime = &history.lifetimes().0["a"];
        assert_eq!((lifetime.created_after, lifetime.created_before), (5, 20));
    }
}
