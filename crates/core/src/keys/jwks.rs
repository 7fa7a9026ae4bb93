use std::time::Duration;

use serde_json::{Value, json};

use super::{Algorithm, KeyRing, key_ring::KeySchedule};
use crate::clock::Timestamp;

/// The public keys of an app (RFC 7517), for whoever verifies access tokens elsewhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JsonWebKeySet {
    /// The document: `{"keys": […]}`, dynamic keys first, and of them the newest first.
    pub document: Value,
    /// How long it may be cached: until the next key is published.
    pub max_age: Duration,
}

impl JsonWebKeySet {
    pub(crate) fn of(
        ring: &KeyRing,
        algorithm: Algorithm,
        schedule: KeySchedule,
        now: Timestamp,
    ) -> Self {
        let (fixed, replaced): (Vec<_>, Vec<_>) =
            ring.keys().iter().partition(|key| key.is_static());
        let keys: Vec<&Value> = replaced
            .into_iter()
            .chain(fixed)
            .filter(|key| KeyRing::is_alive(key, schedule, now))
            .map(|key| key.json_web_key())
            .collect();
        let seconds = ring.newest_of(algorithm).map_or(0, |newest| {
            let next = newest.created_at().plus(schedule.update_interval).minus(schedule.overlap);
            (next.as_millis() - now.as_millis()).div_euclid(1000)
        });
        let max_age = Duration::from_secs(u64::try_from(seconds).unwrap_or_default().max(1));
        Self { document: json!({ "keys": keys }), max_age }
    }

    /// The value of the answer's `Cache-Control` header.
    pub fn cache_control(&self) -> String {
        format!("max-age={}, must-revalidate", self.max_age.as_secs())
    }
}
