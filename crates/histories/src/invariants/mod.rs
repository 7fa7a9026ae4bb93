//! What must hold of every history, one file each.
//!
//! Each check is a pure function from a history, with the state of the store after it, to a text
//! for each violation.

mod acknowledged_revocations_hold;
mod data_writes_are_not_lost;
mod ended_sessions_stay_ended;
mod keys_roll_over;
mod lineage;
mod logins_are_listed;
mod lost_answers_are_recoverable;
mod no_false_theft;
mod one_live_generation;
mod revoke_all_spares_no_earlier_login;
mod session_limit_holds;
mod theft_ends_once;

use std::fmt;

use sessile_core::policy::Policy;

use crate::{final_state::FinalState, history::History, lifetimes::Lifetimes};

/// Names what must hold.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Invariant {
    /// Once the end of a session is acknowledged, no verification and no refresh that begins later
    /// succeeds.
    AcknowledgedRevocationsHold,
    /// A session has one live generation of refresh tokens: no token is good once its child, or
    /// another child of its parent, was used. Under `Idempotent` every token has one child, and
    /// under `OnRefresh` the newest child alone is good.
    OneLiveGeneration,
    /// A client whose token is the newest that was delivered is never called a thief, and no
    /// session is denied that goes on. Where each retry is given another child, the newest is the
    /// one that no retry has displaced.
    NoFalseTheft,
    /// A replaced token that comes back ends the session, or is reported where `OnUse` leaves the
    /// end to whoever asked. Every session ends once, with one event that names how.
    TheftEndsOnce,
    /// Ending all sessions of a user takes one moment: no login from before it survives, and each
    /// from after it does.
    RevokeAllSparesNoEarlierLogin,
    /// Every session is listed from its creation to its end, however many were created at once.
    LoginsAreListed,
    /// Nothing brings back a session that has ended.
    EndedSessionsStayEnded,
    /// An acknowledged change of data is visible until it is overwritten, and one that was refused
    /// never is.
    DataWritesAreNotLost,
    /// A user never has more sessions than may be, and nobody is refused or signed out without
    /// need.
    SessionLimitHolds,
    /// Signing keys follow each other one by one. No access token is refused before its end or
    /// accepted after it, by whatever node, or by whoever has the public keys for as long as they
    /// may be cached. No key is good that nobody made, and whoever names such keys loads nobody.
    KeysRollOver,
    /// Whatever happened to a refresh that nobody was answered, whoever repeats it within the
    /// grace period goes on.
    LostAnswersAreRecoverable,
}

impl fmt::Display for Invariant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// What no order of the calls can explain.
#[derive(Clone, Debug)]
pub struct Violation {
    /// What does not hold.
    pub invariant: Invariant,
    /// Which operations and sessions show it.
    pub explanation: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.invariant, self.explanation)
    }
}

/// What a check looks at.
pub(crate) struct Evidence<'a> {
    pub(crate) history: &'a History,
    pub(crate) last: &'a FinalState,
    pub(crate) policy: &'a Policy,
    pub(crate) lifetimes: &'a Lifetimes,
}

pub(crate) type Check = fn(&Evidence<'_>) -> Vec<String>;

const CHECKS: [(Invariant, Check); 11] = [
    (Invariant::AcknowledgedRevocationsHold, acknowledged_revocations_hold::check),
    (Invariant::OneLiveGeneration, one_live_generation::check),
    (Invariant::NoFalseTheft, no_false_theft::check),
    (Invariant::TheftEndsOnce, theft_ends_once::check),
    (Invariant::RevokeAllSparesNoEarlierLogin, revoke_all_spares_no_earlier_login::check),
    (Invariant::LoginsAreListed, logins_are_listed::check),
    (Invariant::EndedSessionsStayEnded, ended_sessions_stay_ended::check),
    (Invariant::DataWritesAreNotLost, data_writes_are_not_lost::check),
    (Invariant::SessionLimitHolds, session_limit_holds::check),
    (Invariant::KeysRollOver, keys_roll_over::check),
    (Invariant::LostAnswersAreRecoverable, lost_answers_are_recoverable::check),
];

/// All violations of what `policy` promises of its sessions.
pub fn check(history: &History, last: &FinalState, policy: &Policy) -> Vec<Violation> {
    let lifetimes = Lifetimes::of(history, last, policy);
    let evidence = Evidence { history, last, policy, lifetimes: &lifetimes };
    let found = CHECKS.iter().flat_map(|(invariant, check)| {
        let violation = |explanation| Violation { invariant: *invariant, explanation };
        check(&evidence).into_iter().map(violation)
    });
    found.collect()
}
