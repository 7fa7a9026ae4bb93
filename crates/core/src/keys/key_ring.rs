use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{Algorithm, SigningKey};
use crate::{access_token::AccessTokenVersion, clock::Timestamp, policy::Policy};

/// All signing keys of an app at one time; never changed, only replaced by a newer ring.
#[derive(Debug)]
pub(crate) struct KeyRing {
    generation: u64,
    newest_first: Vec<Arc<SigningKey>>,
    by_header: HashMap<Box<str>, (Arc<SigningKey>, AccessTokenVersion)>,
}

/// How long keys sign, verify and overlap, from the policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeySchedule {
    pub(crate) update_interval: Duration,
    pub(crate) overlap: Duration,
    pub(crate) lifetime: Duration,
}

impl From<&Policy> for KeySchedule {
    fn from(policy: &Policy) -> Self {
        let update_interval = policy.signing_key_update_interval;
        Self {
            update_interval,
            overlap: policy.signing_key_overlap,
            // A key signs for one interval; what it signed last may live on, twice over in case
            // the lifetime was shortened meanwhile.
            lifetime: update_interval
                .saturating_add(policy.access_token_validity.saturating_mul(2)),
        }
    }
}

impl KeySchedule {
    /// How long before it is due a key may be made, of what is asked for: not while the one before
    /// it is not signing yet, nor so early that it signs before others must have read the keys
    /// again.
    pub(crate) fn ahead(self, wanted: Duration) -> Duration {
        let spare = self.update_interval.saturating_sub(self.overlap.saturating_mul(2));
        wanted.min(self.overlap / 2).min(spare)
    }
}

impl KeyRing {
    pub(crate) fn new(generation: u64, newest_first: Vec<Arc<SigningKey>>) -> Self {
        let by_header = newest_first
            .iter()
            .flat_map(|key| {
                AccessTokenVersion::WITH_KEY_ID.map(|version| {
                    (Box::from(key.encoded_header(version)), (Arc::clone(key), version))
                })
            })
            .collect();
        Self { generation, newest_first, by_header }
    }

    /// Distinguishes this ring from every other of the same engine.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn newest(&self) -> Option<&Arc<SigningKey>> {
        self.newest_first.first()
    }

    pub(crate) fn keys(&self) -> &[Arc<SigningKey>] {
        &self.newest_first
    }

    /// The key whose tokens of this version have exactly this encoded header.
    pub(crate) fn by_header(
        &self,
        encoded_header: &str,
    ) -> Option<(&Arc<SigningKey>, AccessTokenVersion)> {
        self.by_header.get(encoded_header).map(|(key, version)| (key, *version))
    }

    pub(crate) fn by_key_id(&self, key_id: &str) -> Option<&Arc<SigningKey>> {
        self.newest_first.iter().find(|key| key.key_id() == key_id)
    }

    /// The newest key of this algorithm.
    pub(crate) fn newest_of(&self, algorithm: Algorithm) -> Option<&Arc<SigningKey>> {
        self.of_algorithm(algorithm).next()
    }

    fn of_algorithm(&self, algorithm: Algorithm) -> impl Iterator<Item = &Arc<SigningKey>> {
        self.newest_first.iter().filter(move |key| key.algorithm() == algorithm && !key.is_static())
    }

    /// The static key of this algorithm; the newest where there are several.
    pub(crate) fn static_key(&self, algorithm: Algorithm) -> Option<&Arc<SigningKey>> {
        self.newest_first.iter().find(|key| key.is_static() && key.algorithm() == algorithm)
    }

    /// Whether a new key should be made now: an overlap before the newest stops signing.
    pub(crate) fn is_due(
        &self,
        algorithm: Algorithm,
        schedule: KeySchedule,
        now: Timestamp,
    ) -> bool {
        self.newest_of(algorithm).is_none_or(|newest| {
            now.plus(schedule.overlap) > newest.created_at().plus(schedule.update_interval)
        })
    }

    /// The key that signs now: the newest, unless it was published less than an overlap ago and
    /// the one before it may still sign.
    pub(crate) fn signing_key(
        &self,
        algorithm: Algorithm,
        schedule: KeySchedule,
        now: Timestamp,
    ) -> Option<&Arc<SigningKey>> {
        let mut newest_first = self.of_algorithm(algorithm);
        let newest = newest_first.next()?;
        let is_young = now < newest.created_at().plus(schedule.overlap);
        match newest_first.next() {
            Some(second)
                if is_young && now < second.created_at().plus(schedule.update_interval) =>
            {
                Some(second)
            }
            _ => Some(newest),
        }
    }

    /// The last moment at which `key` verifies.
    pub(crate) fn retires_at(key: &SigningKey, schedule: KeySchedule) -> Timestamp {
        if key.is_static() { Timestamp::MAX } else { key.created_at().plus(schedule.lifetime) }
    }

    /// Whether `key` still verifies.
    pub(crate) fn is_alive(key: &SigningKey, schedule: KeySchedule, now: Timestamp) -> bool {
        now <= Self::retires_at(key, schedule)
    }
}
