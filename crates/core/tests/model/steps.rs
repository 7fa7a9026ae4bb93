//! What can happen to sessions, in any order.

use std::time::Duration;

use proptest::{prelude::*, sample::Index};
use sessile_core::policy::RotationPolicy;

use crate::support::counting_store::Trouble;

// In milliseconds, like everything in the model.
pub(crate) const GRACE: u64 = 30_000;
pub(crate) const VALIDITY: u64 = 60_000;
pub(crate) const IDLE: u64 = 200_000;
pub(crate) const ABSOLUTE: u64 = 350_000;

/// Which of the three policies a call follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rule {
    Idempotent,
    OnRefresh,
    OnUse,
}

impl Rule {
    pub(crate) fn policy(self) -> RotationPolicy {
        let grace = Duration::from_millis(GRACE);
        match self {
            Self::Idempotent => RotationPolicy::Idempotent { grace },
            Self::OnRefresh => RotationPolicy::OnRefresh { grace },
            Self::OnUse => RotationPolicy::OnUse,
        }
    }
}

/// One of several things, which are in the order in which they came.
#[derive(Clone, Debug)]
pub(crate) struct Pick {
    index: Index,
    /// One of the newest so many.
    newest: usize,
    /// Only of sessions that are there, where there is one.
    is_live: bool,
}

impl Pick {
    /// One of those with each of which it is said whether its session is there.
    pub(crate) fn of(&self, all: impl Iterator<Item = bool>) -> usize {
        let (live, dead): (Vec<_>, Vec<_>) = all.enumerate().partition(|(_, is_live)| *is_live);
        let mut candidates = live;
        if !self.is_live || candidates.is_empty() {
            candidates.extend(dead);
            candidates.sort_unstable();
        }
        let count = candidates.len();
        candidates[count - 1 - self.index.index(count.min(self.newest))].0
    }
}

/// Whose end it is: a moment at which the rules turn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Boundary {
    Window,
    AccessToken,
    Session,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    LogIn,
    Refresh(Pick, Mishap, Rule),
    /// And whether the store is asked.
    Verify(Pick, bool, Mishap, Rule),
    ReplacePayload(Index),
    Revoke(Index),
    Sweep,
    Wait(u64),
    /// Until the boundary of a session, give or take a millisecond.
    WaitFor(Pick, Boundary, u64),
}

/// What happens to the calls that a request makes of the store, counted from 1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mishap {
    Nothing,
    Fails(usize),
    LosesItsAnswer(usize),
}

impl Mishap {
    /// How many of that many calls take effect, and whether the answer is heard.
    pub(crate) fn of(self, calls: usize) -> (usize, bool) {
        match self {
            Self::Fails(call) if call <= calls => (call - 1, false),
            Self::LosesItsAnswer(call) if call <= calls => (call, false),
            _ => (calls, true),
        }
    }

    pub(crate) fn troubles(self) -> Vec<Trouble> {
        let (arriving, last) = match self {
            Self::Nothing => return Vec::new(),
            Self::Fails(call) => (call - 1, Trouble::Fails),
            Self::LosesItsAnswer(call) => (call - 1, Trouble::LosesItsAnswer),
        };
        std::iter::repeat_n(Trouble::None, arriving).chain([last]).collect()
    }
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let mishap = prop_oneof![
        8 => Just(Mishap::Nothing),
        1 => (1..=3_usize).prop_map(Mishap::Fails),
        2 => (1..=3_usize).prop_map(Mishap::LosesItsAnswer),
    ];
    let rule = prop_oneof![Just(Rule::Idempotent), Just(Rule::OnRefresh), Just(Rule::OnUse)];
    let pick = (any::<Index>(), prop_oneof![3 => Just(4), 1 => Just(usize::MAX)], 0..8_u8)
        .prop_map(|(index, newest, dead)| Pick { index, newest, is_live: dead != 0 });
    let wait = prop_oneof![Just(0), Just(1), Just(1000), 0..GRACE, 0..IDLE / 4];
    let boundary = prop_oneof![
        6 => Just(Boundary::Window),
        2 => Just(Boundary::AccessToken),
        1 => Just(Boundary::Session),
    ];
    let step = prop_oneof![
        2 => Just(Step::LogIn),
        14 => (pick.clone(), mishap.clone(), rule.clone())
            .prop_map(|(token, mishap, rule)| Step::Refresh(token, mishap, rule)),
        8 => (pick.clone(), any::<bool>(), mishap, rule).prop_map(|(token, immediate, mishap, rule)| {
            Step::Verify(token, immediate, mishap, rule)
        }),
        2 => any::<Index>().prop_map(Step::ReplacePayload),
        1 => any::<Index>().prop_map(Step::Revoke),
        1 => Just(Step::Sweep),
        3 => wait.prop_map(Step::Wait),
        4 => (pick, boundary, 0..=2_u64)
            .prop_map(|(session, boundary, offset)| Step::WaitFor(session, boundary, offset)),
    ];
    prop::collection::vec(step, 1..80)
}
