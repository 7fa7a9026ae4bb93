//! Which refresh token was exchanged for which, and when each was used.

use std::collections::{BTreeMap, BTreeSet};

use sessile_core::policy::RotationPolicy;

use super::Evidence;
use crate::history::{Call, Operation, OperationId, Outcome, TokenId};

/// The tokens of a session, as the answers show them.
#[derive(Default)]
pub(super) struct Lineage<'a> {
    /// The children of each token.
    pub(super) children: BTreeMap<&'a TokenId, BTreeSet<&'a TokenId>>,
    /// When each token was first known to be current, and by which use of it.
    pub(super) used: BTreeMap<&'a TokenId, (u64, OperationId)>,
    /// All tokens that were given to somebody.
    pub(super) given: BTreeSet<&'a TokenId>,
    /// When each token was first presented, whatever came of it.
    presented: BTreeMap<&'a TokenId, u64>,
}

impl<'a> Lineage<'a> {
    /// Of all sessions.
    pub(super) fn of_all(evidence: &Evidence<'a>) -> BTreeMap<&'a str, Self> {
        let mut lineages = BTreeMap::<_, Self>::new();
        let verification_uses = evidence.policy.rotation == RotationPolicy::OnUse;
        for operation in &evidence.history.operations {
            let (handle, token) = match &operation.call {
                Call::Refresh { handle, token } => (handle, token),
                Call::Verify { handle, token, .. } if verification_uses => (handle, token),
                _ => continue,
            };
            let lineage = lineages.entry(handle.as_str()).or_default();
            let first = lineage.presented.entry(token).or_insert(operation.invoked_at);
            *first = (*first).min(operation.invoked_at);
        }
        for (operation, at, outcome) in evidence.history.known() {
            match (&operation.call, outcome) {
                (_, Outcome::LoggedIn { handle, token }) => {
                    lineages.entry(handle.as_str()).or_default().given.insert(token);
                }
                (Call::Refresh { handle, token }, Outcome::Refreshed { token: child }) => {
                    let lineage = lineages.entry(handle.as_str()).or_default();
                    lineage.given.insert(child);
                    lineage.children.entry(token).or_default().insert(child);
                    lineage.add_use(token, at, operation.id);
                }
                (Call::Verify { handle, token, .. }, Outcome::Verified { replaced: true }) => {
                    lineages.entry(handle.as_str()).or_default().add_use(token, at, operation.id);
                }
                _ => {}
            }
        }
        lineages
    }

    fn add_use(&mut self, token: &'a TokenId, at: u64, by: OperationId) {
        let first = self.used.entry(token).or_insert((at, by));
        *first = (*first).min((at, by));
    }

    /// The tokens that were exchanged for this one.
    pub(super) fn parents(&self, child: &TokenId) -> Vec<&'a TokenId> {
        let parents = self.children.iter().filter(|(_, children)| children.contains(child));
        parents.map(|(parent, _)| *parent).collect()
    }

    /// The token's children, and those that its parent has beside it. Once one of them is current,
    /// the token is neither current nor the one before.
    fn successors(&self, token: &TokenId) -> BTreeSet<&'a TokenId> {
        let families = self.parents(token).into_iter().chain([token]);
        let successors = families.filter_map(|parent| self.children.get(parent)).flatten().copied();
        successors.filter(|other| *other != token).collect()
    }

    /// When a token was known to be current that had taken the place of this one, and by which
    /// operation.
    pub(super) fn superseded(&self, token: &TokenId) -> Option<(u64, OperationId)> {
        let used = |other: &TokenId| self.used.get(other).copied();
        self.successors(token).into_iter().filter_map(used).min()
    }

    /// Whether anybody had presented a token, before a moment, that would take this one's place.
    pub(super) fn may_be_superseded(&self, token: &TokenId, before: u64) -> bool {
        let presented = |other: &TokenId| self.presented.get(other).is_some_and(|at| *at < before);
        self.successors(token).into_iter().any(presented)
    }
}

/// The refreshes that began before a moment, with a token that satisfies `wanted`.
pub(super) fn refreshes<'a>(
    evidence: &Evidence<'a>,
    before: u64,
    wanted: impl Fn(&TokenId) -> bool,
) -> impl Iterator<Item = &'a Operation> {
    evidence.history.operations.iter().filter(move |other| {
        other.invoked_at < before
            && matches!(&other.call, Call::Refresh { token, .. } if wanted(token))
    })
}
