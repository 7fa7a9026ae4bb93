use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use quick_cache::{Equivalent, Weighter, sync::Cache};
use zeroize::Zeroizing;

use crate::{clock::Timestamp, session::SignedToken};

/// Access tokens that were verified before, so that the next request with one costs a look-up.
///
/// Only successes are remembered, each by all its bytes and the generation of the keys that it was
/// verified with, and only until its key retires. Expiry, revocation and anti-CSRF are checked
/// each time all the same.
pub(crate) struct VerifiedCache(Option<Cache<Key, Verified, Weight>>);

#[derive(Clone)]
struct Verified {
    token: Arc<SignedToken>,
    key_retires_at: Timestamp,
}

/// The text is a copy, right behind the entry: a look-up meets its memory cold, and every pointer on
/// the way costs as much as all the rest.
struct Key {
    generation: u64,
    text: Zeroizing<Box<str>>,
}

#[derive(Clone, Copy)]
struct KeyReference<'a> {
    generation: u64,
    text: &'a str,
}

#[derive(Clone)]
struct Weight;

/// Bytes that an entry takes beside its token: the claims' own structure, roughly.
const ENTRY_OVERHEAD: usize = 512;

/// Bytes of a token's end, which are of its signature, that its hash is made from.
const SIGNATURE_END: usize = 32;

impl Weighter<Key, Verified> for Weight {
    fn weight(&self, key: &Key, _: &Verified) -> u64 {
        // The parsed claims take about twice what they take as text.
        (key.text.len() * 4 + ENTRY_OVERHEAD) as u64
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        KeyReference { generation: self.generation, text: &self.text }.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.generation == other.generation && *self.text == *other.text
    }
}

impl Eq for Key {}

impl Hash for KeyReference<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // All that is remembered has a good signature, so nobody can choose many tokens with one
        // end; the comparison is by all bytes.
        let text = self.text.as_bytes();
        let end = &text[text.len().saturating_sub(SIGNATURE_END)..];
        state.write_u64(self.generation);
        state.write(end);
    }
}

impl Equivalent<Key> for KeyReference<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.generation == key.generation && self.text == &**key.text
    }
}

impl VerifiedCache {
    /// A cache that takes about `memory` bytes; none at 0.
    pub(crate) fn new(memory: usize) -> Self {
        let entries = memory / (1024 * 4);
        Self((entries > 0).then(|| Cache::with_weighter(entries, memory as u64, Weight)))
    }

    pub(crate) fn get(
        &self,
        generation: u64,
        text: &str,
        now: Timestamp,
    ) -> Option<Arc<SignedToken>> {
        let known = self.0.as_ref()?.get(&KeyReference { generation, text })?;
        (now <= known.key_retires_at).then_some(known.token)
    }

    pub(crate) fn insert(
        &self,
        generation: u64,
        token: Arc<SignedToken>,
        key_retires_at: Timestamp,
    ) {
        if let Some(cache) = &self.0 {
            let text = Zeroizing::new(Box::from(token.text.expose()));
            let key = Key { generation, text };
            cache.insert(key, Verified { token, key_retires_at });
        }
    }
}

impl fmt::Debug for VerifiedCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("VerifiedCache(…)")
    }
}
