use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;

use super::{
    Algorithm, JsonWebKeySet, KeyRing, PublicSigningKeys, SigningKey, SigningKeyDescription,
    SigningKeyState, WrappingKey, key_ring::KeySchedule,
};
use crate::{
    clock::Timestamp,
    error::{Error, GeneralError},
    identifier::AppId,
    policy::{Policy, SigningKeyKind},
    random::RandomSource,
    store::{Store, StoredSigningKey},
};

/// An unknown key id asks the store again, but not more often than this: tokens with made-up key
/// ids must not become a load on it.
const RELOAD_COOLDOWN: Duration = Duration::from_millis(500);

/// Holds the keys of one app and replaces them in time.
#[derive(Debug)]
pub(crate) struct KeyManager {
    app: AppId,
    algorithm: Algorithm,
    schedule: KeySchedule,
    wrapping_key: Option<WrappingKey>,
    ring: ArcSwap<KeyRing>,
    /// Whoever replaces the ring holds it. It keeps the time of the last reload.
    renewal: async_lock::Mutex<Timestamp>,
}

impl KeyManager {
    /// Loads the app's keys, and makes the first if there is none.
    pub(crate) async fn load<S: Store>(
        store: &S,
        app: &AppId,
        policy: &Policy,
        wrapping_key: Option<WrappingKey>,
        random: &dyn RandomSource,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let manager = Self {
            app: app.clone(),
            algorithm: policy.algorithm,
            schedule: KeySchedule::from(policy),
            wrapping_key,
            ring: ArcSwap::from_pointee(KeyRing::new(0, Vec::new())),
            renewal: async_lock::Mutex::new(now),
        };
        manager.replace_ring(&store.signing_keys(app).await?)?;
        manager.signing_key(store, policy.signing_key_kind, random, now).await?;
        Ok(manager)
    }

    pub(crate) fn ring(&self) -> arc_swap::Guard<Arc<KeyRing>> {
        self.ring.load()
    }

    pub(crate) fn schedule(&self) -> KeySchedule {
        self.schedule
    }

    pub(crate) fn json_web_key_set(&self, now: Timestamp) -> JsonWebKeySet {
        JsonWebKeySet::of(&self.ring(), self.algorithm, self.schedule, now)
    }

    /// The public halves of the keys of that kind, `signing` being the one that signs now.
    pub(crate) fn public_keys(
        &self,
        signing: &SigningKey,
        kind: SigningKeyKind,
        now: Timestamp,
    ) -> PublicSigningKeys {
        PublicSigningKeys::of(&self.ring(), signing, kind, self.algorithm, self.schedule, now)
    }

    /// All keys, newest first.
    pub(crate) fn descriptions(&self, now: Timestamp) -> Vec<SigningKeyDescription> {
        SigningKeyDescription::all(&self.ring(), self.algorithm, self.schedule, now)
    }

    /// The key of that kind to sign with now. Makes the next key first when that is due, which is
    /// the only time that the store is asked.
    pub(crate) async fn signing_key<S: Store>(
        &self,
        store: &S,
        kind: SigningKeyKind,
        random: &dyn RandomSource,
        now: Timestamp,
    ) -> Result<Arc<SigningKey>, Error> {
        if self.is_due(kind, now) {
            let _one_at_a_time = self.renewal.lock().await;
            if self.is_due(kind, now) {
                self.renew(store, kind, random, now, now).await?;
            }
        }
        let ring = self.ring();
        let key = match kind {
            SigningKeyKind::Dynamic => ring.signing_key(self.algorithm, self.schedule, now),
            SigningKeyKind::Static => ring.static_key(self.algorithm),
        };
        key.cloned().ok_or_else(|| GeneralError::Cryptography("choosing a signing key").into())
    }

    /// Reads the keys again, for a key id that the ring of this generation does not have. Says
    /// whether the keys were read since.
    pub(crate) async fn reload<S: Store>(
        &self,
        store: &S,
        generation: u64,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let mut last_reload = self.renewal.lock().await;
        if self.ring().generation() != generation {
            // Another request was waited for that had the same question.
            return Ok(true);
        }
        // A clock that was set back must not stop reloading for ever.
        if (*last_reload..last_reload.plus(RELOAD_COOLDOWN)).contains(&now) {
            return Ok(false);
        }
        *last_reload = now;
        self.replace_ring(&store.signing_keys(&self.app).await?)?;
        Ok(true)
    }

    /// Reads the keys again, whether or not anything asks for it.
    pub(crate) async fn read<S: Store>(&self, store: &S) -> Result<(), Error> {
        let _one_at_a_time = self.renewal.lock().await;
        self.replace_ring(&store.signing_keys(&self.app).await?)
    }

    /// Makes the next dynamic key, due or not, unless it is published already; says whether it did.
    pub(crate) async fn rotate<S: Store>(
        &self,
        store: &S,
        random: &dyn RandomSource,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let _one_at_a_time = self.renewal.lock().await;
        self.replace_ring(&store.signing_keys(&self.app).await?)?;
        let keys = self.descriptions(now);
        // One more key would make that one sign before everybody can have seen it.
        let is_published = keys.iter().any(|key| key.state == SigningKeyState::Published);
        if !is_published {
            self.add(store, SigningKeyKind::Dynamic, random, now).await?;
        }
        Ok(!is_published)
    }

    /// Makes the next dynamic key if it is due by `ahead` from now, before anything has to be signed;
    /// says whether it did. The store is asked only then.
    pub(crate) async fn make_due<S: Store>(
        &self,
        store: &S,
        random: &dyn RandomSource,
        now: Timestamp,
        ahead: Duration,
    ) -> Result<bool, Error> {
        const KIND: SigningKeyKind = SigningKeyKind::Dynamic;
        let due_at = now.plus(self.schedule.ahead(ahead));
        // The first one is made by whoever wants one.
        let is_due =
            || self.ring().newest_of(self.algorithm).is_some() && self.is_due(KIND, due_at);
        if !is_due() {
            return Ok(false);
        }
        let _one_at_a_time = self.renewal.lock().await;
        if is_due() { self.renew(store, KIND, random, now, due_at).await } else { Ok(false) }
    }

    fn is_due(&self, kind: SigningKeyKind, now: Timestamp) -> bool {
        match kind {
            SigningKeyKind::Dynamic => self.ring().is_due(self.algorithm, self.schedule, now),
            SigningKeyKind::Static => self.ring().static_key(self.algorithm).is_none(),
        }
    }

    /// Makes the key that is due at `due_at`; says whether it did.
    async fn renew<S: Store>(
        &self,
        store: &S,
        kind: SigningKeyKind,
        random: &dyn RandomSource,
        now: Timestamp,
        due_at: Timestamp,
    ) -> Result<bool, Error> {
        // Another process may have made the new key already.
        self.replace_ring(&store.signing_keys(&self.app).await?)?;
        let is_due = self.is_due(kind, due_at);
        if is_due {
            self.add(store, kind, random, now).await?;
        }
        Ok(is_due)
    }

    /// Makes the next key after the newest one of the ring. Where another process does the same,
    /// the key of one of them is added.
    async fn add<S: Store>(
        &self,
        store: &S,
        kind: SigningKeyKind,
        random: &dyn RandomSource,
        now: Timestamp,
    ) -> Result<(), Error> {
        let newest = self.ring().newest().cloned();
        // The time of creation is the key's id, so no two keys may share it.
        let created_at = newest
            .as_ref()
            .map_or(now, |newest| now.max(newest.created_at().plus(Duration::from_millis(1))));
        let key = SigningKey::generate(
            self.algorithm,
            kind,
            &self.app,
            self.wrapping_key.as_ref(),
            created_at,
            random,
        )?;
        let newest = newest.as_ref().map(|newest| newest.key_id());
        tracing::info!(app = %self.app, key_id = key.key_id, "new signing key");
        self.replace_ring(&store.add_signing_key(&self.app, key, newest).await?)
    }

    fn replace_ring(&self, stored: &[StoredSigningKey]) -> Result<(), Error> {
        let old = self.ring();
        let unchanged = old.keys().len() == stored.len()
            && old.keys().iter().zip(stored).all(|(key, row)| key.key_id() == row.key_id);
        if unchanged {
            return Ok(());
        }
        let keys = stored
            .iter()
            .map(|row| match old.by_key_id(&row.key_id) {
                Some(known) => Ok(Arc::clone(known)),
                None => SigningKey::load(row, &self.app, self.wrapping_key.as_ref()).map(Arc::new),
            })
            .collect::<Result<_, GeneralError>>()?;
        self.ring.store(Arc::new(KeyRing::new(old.generation() + 1, keys)));
        Ok(())
    }
}
