//! Tiny histories, written by hand.

use std::{ops::Range, time::Duration};

use sessile_core::policy::{Policy, RotationPolicy};

use crate::{
    final_state::{FinalSession, FinalState},
    history::{
        Answer, Call, History, Operation, OperationId, Outcome, RecordedEvent, TokenId, Told,
    },
    invariants::Check,
    lifetimes::Lifetimes,
    signature::Signature,
};

pub(crate) const ON_REFRESH: RotationPolicy =
    RotationPolicy::OnRefresh { grace: Duration::from_secs(30) };

/// A history that grows call by call. Every call has the moments of a range, and is named by its
/// number, from 0 on. Handles are short texts, and so are tokens.
#[derive(Default)]
pub(crate) struct HandWritten {
    pub(crate) history: History,
    pub(crate) last: FinalState,
    pub(crate) policy: Policy,
}

impl HandWritten {
    pub(crate) fn call(&mut self, during: Range<u64>, call: Call, outcome: Outcome) {
        let id = self.unanswered(during.start, call);
        let place = id.number as usize;
        self.history.operations[place].answer = Some(Answer { at: during.end, outcome });
    }

    pub(crate) fn unanswered(&mut self, invoked_at: u64, call: Call) -> OperationId {
        let number = u32::try_from(self.history.operations.len()).unwrap();
        let id = OperationId { process: 0, number };
        self.history.operations.push(Operation { id, client: 0, invoked_at, call, answer: None });
        id
    }

    /// An event of the last call.
    pub(crate) fn told(&mut self, at: u64, handle: &str, kind: Told) {
        let operation = self.history.operations.last().unwrap().id;
        let (handle, user) = (handle.to_owned(), "alice".to_owned());
        self.history.events.push(RecordedEvent { operation, at, handle, user, kind });
    }

    /// The first token of the session `a` is `a0`.
    pub(crate) fn log_in(&mut self, during: Range<u64>, user: &str, handle: &str) {
        let token = TokenId::named(&format!("{handle}0"));
        let outcome = Outcome::LoggedIn { handle: handle.to_owned(), token };
        self.call(during, Call::LogIn { user: user.to_owned() }, outcome);
    }

    pub(crate) fn refreshed(&mut self, during: Range<u64>, handle: &str, from: &str, to: &str) {
        let outcome = Outcome::Refreshed { token: TokenId::named(to) };
        self.refresh(during, handle, from, outcome);
    }

    pub(crate) fn theft(&mut self, during: Range<u64>, handle: &str, token: &str, kind: &str) {
        let outcome = Outcome::Ended { theft: true, kind: kind.to_owned() };
        self.refresh(during, handle, token, outcome);
    }

    pub(crate) fn refresh(
        &mut self,
        during: Range<u64>,
        handle: &str,
        token: &str,
        outcome: Outcome,
    ) {
        self.call(during, refresh_of(handle, token), outcome);
    }

    pub(crate) fn verified(&mut self, during: Range<u64>, handle: &str) {
        self.verified_with(during, handle, &format!("{handle}0"));
    }

    pub(crate) fn verified_with(&mut self, during: Range<u64>, handle: &str, token: &str) {
        self.call(during, verify_of(handle, token), Outcome::Verified { replaced: false });
    }

    /// Verified and given another access token, as the first use of a generation is.
    pub(crate) fn replaced(&mut self, during: Range<u64>, handle: &str, token: &str) {
        self.call(during, verify_of(handle, token), Outcome::Verified { replaced: true });
    }

    pub(crate) fn not_found(&mut self, during: Range<u64>, handle: &str) {
        let call = verify_of(handle, &format!("{handle}0"));
        self.call(during, call, Outcome::SessionNotFound);
    }

    pub(crate) fn revoked(&mut self, during: Range<u64>, handle: &str) {
        let outcome = Outcome::Revoked { handles: vec![handle.to_owned()] };
        self.call(during, Call::Revoke { handle: handle.to_owned() }, outcome);
    }

    pub(crate) fn revoked_all(&mut self, during: Range<u64>, user: &str, handles: &[&str]) {
        let call = Call::RevokeAll { user: user.to_owned(), except: None };
        self.call(during, call, Outcome::Revoked { handles: owned(handles) });
    }

    pub(crate) fn listed(&mut self, during: Range<u64>, user: &str, handles: &[&str]) {
        let call = Call::List { user: user.to_owned() };
        self.call(during, call, Outcome::Listed { handles: owned(handles) });
    }

    /// A session that is there when all is quiet, and listed.
    pub(crate) fn left(&mut self, user: &str, handle: &str, current: &str) {
        let session = FinalSession {
            user: user.to_owned(),
            current: TokenId::named(current),
            previous: None,
            writes: Vec::new(),
        };
        self.last.sessions.insert(handle.to_owned(), session);
        self.last.listed.entry(user.to_owned()).or_default().push(handle.to_owned());
    }

    pub(crate) fn lifetimes(&self) -> Lifetimes {
        Lifetimes::of(&self.history, &self.last, &self.policy)
    }

    /// What one check finds.
    pub(crate) fn found_by(&self, check: Check) -> Vec<String> {
        let lifetimes = self.lifetimes();
        let (history, last, policy) = (&self.history, &self.last, &self.policy);
        check(&crate::invariants::Evidence { history, last, policy, lifetimes: &lifetimes })
    }
}

pub(crate) fn refresh_of(handle: &str, token: &str) -> Call {
    Call::Refresh { handle: handle.to_owned(), token: TokenId::named(token) }
}

/// With an access token that never ends, of a key that was always there.
pub(crate) fn verify_of(handle: &str, token: &str) -> Call {
    let signature = Signature { key: "d-0".to_owned(), expires_at: i64::MAX };
    Call::Verify { handle: handle.to_owned(), token: TokenId::named(token), signature }
}

pub(crate) fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
