//! What must hold of every history, one file each.
//!
//! Each check is a pure function from a history, with the state of the store after it, to a text
//! for each violation.

mod acknowledged_revocations_hold;
mod data_writes_are_not_lost;
mod ended_sessions_stay_ended;
mod logins_are_listed;
mod no_false_theft;
mod one_live_generation;
mod revoke_all_spares_no_earlier_login;
mod session_limit_holds;
mod theft_ends_once;

use std::{fmt, time::Duration};

use sessile_core::{policy::GRACE_PERIOD, store::SessionLimit};

use crate::{final_state::FinalState, history::History, lifetimes::Lifetimes};

/// What was promised of the sessions of a history, under
/// [`RotationPolicy::Idempotent`](sessile_core::policy::RotationPolicy::Idempotent).
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The grace period.
    pub grace: Duration,
    /// How many sessions a user may have.
    pub session_limit: Option<SessionLimit>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { grace: GRACE_PERIOD, session_limit: None }
    }
}

/// Names what must hold.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Invariant {
    /// Once the end of a session is acknowledged, no verification and no refresh that begins later
    /// succeeds.
    AcknowledgedRevocationsHold,
    /// A session has one live generation of refresh tokens: every token has one child, and no token
    /// is good once its child was used.
    OneLiveGeneration,
    /// A client whose token is the newest that was delivered is never called a thief, and no
    /// session is denied that goes on.
    NoFalseTheft,
    /// A replaced token that comes back ends the session. Every session ends once, with one event
    /// that names how.
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
    pub(crate) rules: &'a Rules,
    pub(crate) lifetimes: &'a Lifetimes,
}

pub(crate) type Check = fn(&Evidence<'_>) -> Vec<String>;

const CHECKS: [(Invariant, Check); 9] = [
    (Invariant::AcknowledgedRevocationsHold, acknowledged_revocations_hold::check),
    (Invariant::OneLiveGeneration, one_live_generation::check),
    (Invariant::NoFalseTheft, no_false_theft::check),
    (Invariant::TheftEndsOnce, theft_ends_once::check),
    (Invariant::RevokeAllSparesNoEarlierLogin, revoke_all_spares_no_earlier_login::check),
    (Invariant::LoginsAreListed, logins_are_listed::check),
    (Invariant::EndedSessionsStayEnded, ended_sessions_stay_ended::check),
    (Invariant::DataWritesAreNotLost, data_writes_are_not_lost::check),
    (Invariant::SessionLimitHolds, session_limit_holds::check),
];

/// All violations of all invariants.
pub fn check(history: &History, last: &FinalState, rules: &Rules) -> Vec<Violation> {
    let lifetimes = Lifetimes::of(history, last, rules);
    let evidence = Evidence { history, last, rules, lifetimes: &lifetimes };
    let found = CHECKS.iter().flat_map(|(invariant, check)| {
        let violation = |explanation| Violation { invariant: *invariant, explanation };
        check(&evidence).into_iter().map(violation)
    });
    found.collect()
}
