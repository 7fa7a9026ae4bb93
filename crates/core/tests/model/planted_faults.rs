//! Mistakes that are made on purpose, in the policy or in what the store keeps of a refresh: the
//! lives of sessions must find each.

use std::time::Duration;

use sessile_core::{
    policy::{LateRetry, Policy, RotationPolicy},
    store::SessionRecord,
};

use crate::steps::{GRACE, Rule};

/// A mistake.
#[derive(Debug)]
pub(crate) struct Plant {
    pub(crate) name: &'static str,
    /// Under which it is one.
    pub(crate) rules: &'static [Rule],
    /// What the engine follows instead.
    pub(crate) policy: fn(&mut Policy),
    /// What the store has instead, by the row before a refresh and the one after it.
    kept: fn(&SessionRecord, SessionRecord) -> SessionRecord,
    loses_removals: bool,
}

impl Plant {
    pub(crate) fn row(
        &self,
        before: Option<&SessionRecord>,
        after: Option<SessionRecord>,
    ) -> Option<SessionRecord> {
        match (before, after) {
            (Some(before), Some(after)) => Some((self.kept)(before, after)),
            (Some(before), None) if self.loses_removals => Some(before.clone()),
            (_, after) => after,
        }
    }
}

const ROTATING: &[Rule] = &[Rule::Idempotent, Rule::OnRefresh];
const ALL: &[Rule] = &[Rule::Idempotent, Rule::OnRefresh, Rule::OnUse];

const NOTHING: Plant = Plant {
    name: "nothing",
    rules: ALL,
    policy: |_| {},
    kept: |_, after| after,
    loses_removals: false,
};

fn set_grace(policy: &mut Policy, milliseconds: u64) {
    let new = Duration::from_millis(milliseconds);
    if let RotationPolicy::Idempotent { grace } | RotationPolicy::OnRefresh { grace } =
        &mut policy.rotation
    {
        *grace = new;
    }
}

pub(crate) static PLANTS: [Plant; 15] = [
    Plant {
        name: "the window is a millisecond too short",
        rules: ROTATING,
        policy: |policy| set_grace(policy, GRACE - 1),
        ..NOTHING
    },
    Plant {
        name: "the window is a millisecond too long",
        rules: ROTATING,
        policy: |policy| set_grace(policy, GRACE + 1),
        ..NOTHING
    },
    Plant {
        name: "a late retry is called the other thing",
        rules: ROTATING,
        policy: |policy| {
            policy.late_retry = match policy.late_retry {
                LateRetry::Unauthorised => LateRetry::TokenTheft,
                LateRetry::TokenTheft => LateRetry::Unauthorised,
            };
        },
        ..NOTHING
    },
    Plant {
        name: "each retry gets another child",
        rules: &[Rule::Idempotent],
        policy: |policy| policy.rotation = Rule::OnRefresh.policy(),
        ..NOTHING
    },
    Plant {
        name: "each retry gets the same child",
        rules: &[Rule::OnRefresh],
        policy: |policy| policy.rotation = Rule::Idempotent.policy(),
        ..NOTHING
    },
    Plant {
        name: "a refresh changes nothing",
        rules: ROTATING,
        policy: |policy| policy.rotation = Rule::OnUse.policy(),
        ..NOTHING
    },
    Plant {
        name: "a refresh rotates",
        rules: &[Rule::OnUse],
        policy: |policy| policy.rotation = Rule::Idempotent.policy(),
        ..NOTHING
    },
    Plant {
        name: "a session lives a millisecond too long",
        policy: |policy| policy.refresh_token_validity += Duration::from_millis(1),
        ..NOTHING
    },
    Plant {
        name: "a session has no absolute end",
        policy: |policy| policy.absolute_lifetime = None,
        ..NOTHING
    },
    Plant {
        name: "the sealed child is not kept",
        rules: &[Rule::Idempotent],
        kept: |_, after| SessionRecord { sealed_child: None, ..after },
        ..NOTHING
    },
    Plant {
        name: "the previous token is not kept",
        kept: |before, after| SessionRecord {
            previous_refresh_token_hash: before.previous_refresh_token_hash,
            ..after
        },
        ..NOTHING
    },
    Plant {
        name: "the rotation's time is not kept",
        kept: |before, after| SessionRecord { rotated_at: before.rotated_at, ..after },
        ..NOTHING
    },
    Plant {
        name: "the expiry is not kept",
        kept: |before, after| SessionRecord { expires_at: before.expires_at, ..after },
        ..NOTHING
    },
    Plant {
        name: "the new token is not kept",
        kept: |before, after| SessionRecord {
            refresh_token_hash: before.refresh_token_hash,
            ..after
        },
        ..NOTHING
    },
    Plant {
        name: "a session that ended is still there",
        rules: ROTATING,
        loses_removals: true,
        ..NOTHING
    },
];
