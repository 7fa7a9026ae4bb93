use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sessile_core::clock::Timestamp;

use super::Evidence;
use crate::{
    history::{Call, NEVER, Operation, Outcome},
    monotonic::timestamp,
    signature::{Signature, made_at},
};

/// A node asks the store again for a key that it does not know, but not more often than this.
const COOLDOWN: Duration = Duration::from_millis(500);

/// Keys may be cached for a second, however soon the next one is due.
const LEAST_MAX_AGE: Duration = Duration::from_secs(1);

const UNKNOWN_KEY: &str = "access_token_key_unknown";
const EXPIRED: &str = "access_token_expired";

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let published = published(evidence);
    let mut violations = made_twice(evidence, &published);
    let caches = caches(evidence);
    for (operation, at, outcome) in evidence.history.known() {
        match &operation.call {
            Call::Verify { signature, .. } => {
                violations.extend(wrongly_judged(
                    evidence, operation, at, outcome, signature, &published,
                ));
                if matches!(outcome, Outcome::Verified { .. }) {
                    violations.extend(unknown_to_a_cache(
                        evidence, operation, signature, &published, &caches,
                    ));
                }
            }
            Call::VerifyForged { key } if !matches!(outcome, Outcome::Refused { reason } if reason == UNKNOWN_KEY) =>
            {
                violations.push(format!(
                    "{} was answered {outcome:?} for a token of {key}, which nobody has made",
                    operation.id,
                ));
            }
            Call::ReadKeys => {
                violations.extend(retired_but_published(evidence, operation, outcome));
            }
            _ => {}
        }
    }
    violations.extend(storms(evidence));
    violations
}

/// When each key was first known to be in the store.
type Published<'a> = BTreeMap<&'a str, Timestamp>;

fn published<'a>(evidence: &Evidence<'a>) -> Published<'a> {
    let mut published = BTreeMap::new();
    for (operation, at, outcome) in evidence.history.known() {
        let keys = match (&operation.call, outcome) {
            (_, Outcome::Keys { keys, .. }) => keys.iter().map(String::as_str).collect(),
            // Somebody was given it before.
            (Call::Verify { signature, .. }, Outcome::Verified { .. }) => {
                vec![signature.key.as_str()]
            }
            _ => continue,
        };
        for key in keys {
            let at = timestamp(at);
            let first = published.entry(key).or_insert(at);
            *first = (*first).min(at);
        }
    }
    published
}

/// However many nodes find at once that a key is due, they make one.
fn made_twice(evidence: &Evidence<'_>, published: &Published<'_>) -> Vec<String> {
    let policy = evidence.policy;
    let between = policy.signing_key_update_interval.saturating_sub(policy.signing_key_overlap);
    let made: BTreeSet<_> =
        published.keys().filter_map(|key| Some((made_at(key)?, *key))).collect();
    let pairs = made.iter().zip(made.iter().skip(1));
    let too_soon = pairs.filter(|((earlier, _), (later, _))| *later < earlier.plus(between));
    too_soon
        .map(|((_, earlier), (_, later))| format!("{later} was made before {earlier} was due"))
        .collect()
}

fn retires_at(evidence: &Evidence<'_>, key: &str) -> Option<Timestamp> {
    let policy = evidence.policy;
    let validity = policy.access_token_validity.saturating_mul(2);
    let lifetime = policy.signing_key_update_interval.saturating_add(validity);
    made_at(key).map(|made| made.plus(lifetime))
}

/// A token is good until its end, and no longer.
fn wrongly_judged(
    evidence: &Evidence<'_>,
    operation: &Operation,
    at: u64,
    outcome: &Outcome,
    signature: &Signature,
    published: &Published<'_>,
) -> Option<String> {
    let (invoked_at, answered_at) = (timestamp(operation.invoked_at), timestamp(at));
    let end = Timestamp::from_millis(signature.expires_at);
    let fault = match outcome {
        Outcome::Verified { .. } if end < invoked_at => "which had ended",
        Outcome::Verified { .. }
            if retires_at(evidence, &signature.key).is_some_and(|end| end < invoked_at) =>
        {
            "whose key had retired"
        }
        Outcome::Refused { reason } if answered_at <= end => {
            let known_at = published.get(signature.key.as_str());
            let is_news = known_at.is_none_or(|known| invoked_at <= known.plus(COOLDOWN));
            if reason == UNKNOWN_KEY && is_news {
                return None;
            }
            "which had not ended"
        }
        // Its key may have retired since.
        Outcome::Refused { reason } if reason != EXPIRED && reason != UNKNOWN_KEY => {
            "which its own key had signed"
        }
        _ => return None,
    };
    let key = &signature.key;
    Some(format!(
        "{} was answered {outcome:?} for a token of {key} that ends at {}, {fault}",
        operation.id,
        end.as_millis(),
    ))
}

/// What somebody has who read the keys.
struct Cache<'a> {
    by: &'a Operation,
    from: u64,
    to: Timestamp,
    keys: &'a [String],
}

fn caches<'a>(evidence: &Evidence<'a>) -> Vec<Cache<'a>> {
    let read = evidence.history.known().filter_map(|(by, from, outcome)| {
        let Outcome::Keys { keys, max_age } = outcome else { return None };
        let to = timestamp(by.invoked_at).plus(Duration::from_millis(*max_age));
        Some(Cache { by, from, to, keys })
    });
    read.collect()
}

/// Whoever has the public keys for as long as they may be cached knows the key of every token that
/// is good, unless the store was away until shortly before it signed.
fn unknown_to_a_cache(
    evidence: &Evidence<'_>,
    operation: &Operation,
    signature: &Signature,
    published: &Published<'_>,
    caches: &[Cache<'_>],
) -> Option<String> {
    let key = signature.key.as_str();
    let signs_at = signs_at(evidence, key, published)?;
    if published.get(key)?.plus(LEAST_MAX_AGE) > signs_at {
        return None;
    }
    let invoked_at = timestamp(operation.invoked_at);
    let mut caches =
        caches.iter().filter(|cache| cache.from <= operation.invoked_at && invoked_at <= cache.to);
    let lacking = caches.find(|cache| cache.keys.iter().all(|other| other != key))?;
    Some(format!(
        "{} verified a token of {key}, which is not among the keys that {} had read",
        operation.id, lacking.by.id,
    ))
}

/// When a key may sign first: an overlap after it was made, or when the key before it may not any
/// more. `None` for a key that has none before it.
fn signs_at(evidence: &Evidence<'_>, key: &str, published: &Published<'_>) -> Option<Timestamp> {
    let policy = evidence.policy;
    let made = made_at(key)?;
    let before = published.keys().filter_map(|other| made_at(other)).filter(|other| *other < made);
    let before = before.max()?;
    let young_until = made.plus(policy.signing_key_overlap);
    Some(young_until.min(before.plus(policy.signing_key_update_interval)))
}

/// Nobody is told of a key that has retired.
fn retired_but_published(
    evidence: &Evidence<'_>,
    operation: &Operation,
    outcome: &Outcome,
) -> Option<String> {
    let Outcome::Keys { keys, .. } = outcome else { return None };
    let invoked_at = timestamp(operation.invoked_at);
    let retired = |key: &&String| retires_at(evidence, key).is_some_and(|end| end < invoked_at);
    let key = keys.iter().find(retired)?;
    Some(format!("{} was given {key}, which had retired", operation.id))
}

/// However many tokens name keys that nobody made, a process asks the store for them no more often
/// than the cool-down allows.
fn storms(evidence: &Evidence<'_>) -> Vec<String> {
    let is_forged = |operation: &&Operation| matches!(operation.call, Call::VerifyForged { .. });
    let mut spans = BTreeMap::<u32, (u64, u64)>::new();
    let mut forged = BTreeSet::new();
    for operation in evidence.history.operations.iter().filter(is_forged) {
        forged.insert(operation.id);
        let (from, to) = (operation.invoked_at, operation.answered_at());
        let to = if to == NEVER { from } else { to };
        let (first, last) = spans.entry(operation.id.process).or_insert((from, to));
        (*first, *last) = ((*first).min(from), (*last).max(to));
    }
    let mut violations = Vec::new();
    for (process, (first, last)) in spans {
        let reads = evidence.history.key_reads.iter();
        let reads = reads.filter(|by| by.process == process && forged.contains(by)).count();
        let periods = Duration::from_nanos(last - first).as_millis() / COOLDOWN.as_millis();
        // One in the period that has begun, and one by a call that had looked at the clock before.
        if reads as u128 > periods + 2 {
            violations.push(format!(
                "process {process} read the keys {reads} times in {periods} periods, for tokens \
                 of keys that nobody made",
            ));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hand_written::HandWritten, history::TokenId};

    const SECOND: u64 = 1_000_000_000;

    /// What the engine's clock shows after so many seconds.
    fn after(seconds: u64) -> Timestamp {
        timestamp(seconds * SECOND)
    }

    /// The key that was made after so many seconds.
    fn key(made_after: u64) -> String {
        format!("d-{}", after(made_after).as_millis())
    }

    /// Each key signs for 100 s, and is published 20 s before; tokens are good for 10 s.
    fn begun() -> HandWritten {
        let mut history = HandWritten::default();
        history.policy.signing_key_update_interval = Duration::from_secs(100);
        history.policy.signing_key_overlap = Duration::from_secs(20);
        history.policy.access_token_validity = Duration::from_secs(10);
        history
    }

    fn read_keys(history: &mut HandWritten, second: u64, made_after: &[u64], max_age: u64) {
        let keys = made_after.iter().map(|made_after| key(*made_after)).collect();
        let outcome = Outcome::Keys { keys, max_age: max_age * 1000 };
        history.call(second * SECOND..second * SECOND + 1, Call::ReadKeys, outcome);
    }

    /// Presents a token of a key that ends after so many seconds.
    fn present(
        history: &mut HandWritten,
        second: u64,
        made_after: u64,
        ends_after: u64,
        outcome: Outcome,
    ) {
        let expires_at = after(ends_after).as_millis();
        let signature = Signature { key: key(made_after), expires_at };
        let call = Call::Verify { handle: "a".to_owned(), token: TokenId::named("a0"), signature };
        history.call(second * SECOND..second * SECOND + 1, call, outcome);
    }

    fn refused(reason: &str) -> Outcome {
        Outcome::Refused { reason: reason.to_owned() }
    }

    const VERIFIED: Outcome = Outcome::Verified { replaced: false };

    #[test]
    fn a_token_is_good_until_its_end() {
        let mut history = begun();
        present(&mut history, 10, 0, 10, VERIFIED);
        present(&mut history, 11, 0, 10, refused(EXPIRED));
        present(&mut history, 200, 0, 10, refused(UNKNOWN_KEY));
        assert_eq!(history.found_by(check), [""; 0]);
        present(&mut history, 11, 0, 10, VERIFIED);
        assert_eq!(history.found_by(check).len(), 1);
        for reason in [EXPIRED, UNKNOWN_KEY, "access_token_signature_invalid"] {
            present(&mut history, 9, 0, 10, refused(reason));
        }
        // That one was published when the first of them was verified, at 10.
        assert_eq!(history.found_by(check).len(), 3);
        present(&mut history, 20, 0, 30, refused(UNKNOWN_KEY));
        assert_eq!(history.found_by(check).len(), 4);
    }

    #[test]
    fn a_key_retires() {
        let mut history = begun();
        present(&mut history, 120, 0, 300, VERIFIED);
        read_keys(&mut history, 120, &[0], 1);
        assert_eq!(history.found_by(check), [""; 0]);
        present(&mut history, 121, 0, 300, VERIFIED);
        read_keys(&mut history, 121, &[0], 1);
        assert_eq!(history.found_by(check).len(), 2);
    }

    #[test]
    fn a_key_is_made_once() {
        let mut history = begun();
        read_keys(&mut history, 81, &[80, 0], 1);
        assert_eq!(history.found_by(check), [""; 0]);
        read_keys(&mut history, 82, &[81, 80, 0], 1);
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn whoever_has_the_keys_knows_each_that_signs() {
        let mut history = begun();
        read_keys(&mut history, 20, &[0], 60);
        read_keys(&mut history, 81, &[80, 0], 80);
        present(&mut history, 101, 80, 111, VERIFIED);
        assert_eq!(history.found_by(check), [""; 0]);
        read_keys(&mut history, 30, &[0], 75);
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn unless_the_store_was_away_when_it_was_due() {
        let mut history = begun();
        read_keys(&mut history, 99, &[0], 1);
        read_keys(&mut history, 100, &[99, 0], 80);
        present(&mut history, 100, 99, 110, VERIFIED);
        assert_eq!(history.found_by(check), [""; 0]);
    }

    #[test]
    fn no_forged_token_is_good() {
        let mut history = begun();
        let forged = || Call::VerifyForged { key: key(5) };
        history.call(0..SECOND, forged(), refused(UNKNOWN_KEY));
        assert_eq!(history.found_by(check), [""; 0]);
        history.call(0..SECOND, forged(), VERIFIED);
        assert_eq!(history.found_by(check).len(), 1);
    }

    #[test]
    fn a_storm_of_forged_tokens_loads_nobody() {
        let mut history = begun();
        for second in 0..10 {
            let during = second * SECOND..second * SECOND + 1;
            history.call(during, Call::VerifyForged { key: key(5) }, refused(UNKNOWN_KEY));
            let id = history.history.operations.last().unwrap().id;
            history.history.key_reads.extend([id, id]);
        }
        assert_eq!(history.found_by(check), [""; 0]);
        let id = history.history.operations[0].id;
        history.history.key_reads.push(id);
        assert_eq!(history.found_by(check).len(), 1);
    }
}
