//! How the sessions of a run live, and what its clients do.

use std::{env, num::NonZeroUsize, time::Duration};

use serde::{Deserialize, Serialize};
use sessile_core::{
    policy::{LateRetry, Policy, RotationPolicy},
    store::{SessionLimit, WhenFull},
};
use sessile_histories::workload::Workload;

use crate::faults::Fault;

/// What becomes of a refresh token that was exchanged.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Rotation {
    Idempotent,
    OnRefresh,
    OnUse,
}

/// How signing keys follow each other, and how long the access tokens are good that they sign.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Keys {
    pub(crate) update_interval: Duration,
    pub(crate) overlap: Duration,
    pub(crate) access_token_validity: Duration,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) steps: u32,
    pub(crate) clients: u32,
    pub(crate) rotation: Rotation,
    pub(crate) grace: Duration,
    pub(crate) late_retry_is_theft: bool,
    /// How many sessions a user may have, and whether one more is refused.
    pub(crate) limit: Option<(usize, bool)>,
    /// `None` for keys that outlast every run.
    pub(crate) keys: Option<Keys>,
    pub(crate) fault: Fault,
}

impl Settings {
    /// The variable `SESSILE_HISTORIES_SEED` adds to the seed, for other histories than the last.
    pub(crate) fn of_seed(seed: u64) -> Self {
        Self {
            seed: seed + number_in("SESSILE_HISTORIES_SEED").unwrap_or_default(),
            steps: 250,
            clients: 8,
            rotation: Rotation::Idempotent,
            grace: Duration::from_secs(30),
            late_retry_is_theft: false,
            limit: None,
            keys: None,
            fault: Fault::None,
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        let grace = self.grace;
        let rotation = match self.rotation {
            Rotation::Idempotent => RotationPolicy::Idempotent { grace },
            Rotation::OnRefresh => RotationPolicy::OnRefresh { grace },
            Rotation::OnUse => RotationPolicy::OnUse,
        };
        let late_retry = match self.late_retry_is_theft {
            true => LateRetry::TokenTheft,
            false => LateRetry::Unauthorised,
        };
        let session_limit = self.limit.map(|(maximum, refuse)| SessionLimit {
            maximum: NonZeroUsize::new(maximum).unwrap(),
            when_full: if refuse { WhenFull::Refuse } else { WhenFull::EndOldest },
        });
        let policy = Policy { rotation, late_retry, session_limit, ..Policy::default() };
        match self.keys {
            None => policy,
            Some(Keys { update_interval, overlap, access_token_validity }) => Policy {
                signing_key_update_interval: update_interval,
                signing_key_overlap: overlap,
                access_token_validity,
                ..policy
            },
        }
    }

    pub(crate) fn workload(&self, process: u32) -> Workload {
        let seed = self.seed * 1000 + u64::from(process);
        let (steps, clients) = (self.steps, self.clients);
        let workload = Workload { seed, steps, clients, ..Workload::default() };
        match self.limit {
            // Clients who keep logging in would be refused most of the time.
            Some((maximum, _)) => Workload { sessions: 2 * maximum, ..workload },
            None => workload,
        }
    }
}

/// What a variable says, if it is there.
pub(crate) fn number_in(variable: &str) -> Option<u64> {
    Some(env::var(variable).ok()?.parse().unwrap())
}
