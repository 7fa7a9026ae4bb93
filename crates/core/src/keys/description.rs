use super::{Algorithm, KeyRing, SigningKey, key_ring::KeySchedule};
use crate::{clock::Timestamp, policy::SigningKeyKind};

/// What a signing key does at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SigningKeyState {
    /// It is in the key set and signs soon, once everybody can have seen it.
    Published,
    /// It signs and verifies.
    Signing,
    /// It only verifies what it signed before.
    Verifying,
    /// Its tokens are refused. A sweep removes it.
    Retired,
}

impl SigningKeyState {
    /// Its name: `published`, `signing`, `verifying` or `retired`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Signing => "signing",
            Self::Verifying => "verifying",
            Self::Retired => "retired",
        }
    }
}

/// A signing key, as far as an operator is concerned. The key itself is not in it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SigningKeyDescription {
    /// The key id that tokens name.
    pub key_id: String,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// Whether it is replaced in time or stays for good.
    pub kind: SigningKeyKind,
    /// When it was made.
    pub created_at: Timestamp,
    /// The last moment at which it verifies; [`Timestamp::MAX`] for a static key.
    pub retires_at: Timestamp,
    /// What it does now.
    pub state: SigningKeyState,
}

impl SigningKeyDescription {
    /// Every key of the ring, newest first.
    pub(crate) fn all(
        ring: &KeyRing,
        algorithm: Algorithm,
        schedule: KeySchedule,
        now: Timestamp,
    ) -> Vec<Self> {
        let dynamic = ring.signing_key(algorithm, schedule, now).map(|key| key.key_id());
        let fixed = ring.static_key(algorithm).map(|key| key.key_id());
        let newest = ring.newest_of(algorithm).map(|key| key.key_id());
        let describe = |key: &SigningKey| Self {
            key_id: key.key_id().to_owned(),
            algorithm: key.algorithm(),
            kind: if key.is_static() { SigningKeyKind::Static } else { SigningKeyKind::Dynamic },
            created_at: key.created_at(),
            retires_at: KeyRing::retires_at(key, schedule),
            state: if [dynamic, fixed].contains(&Some(key.key_id())) {
                SigningKeyState::Signing
            } else if newest == Some(key.key_id()) {
                SigningKeyState::Published
            } else if KeyRing::is_alive(key, schedule, now) {
                SigningKeyState::Verifying
            } else {
                SigningKeyState::Retired
            },
        };
        ring.keys().iter().map(|key| describe(key)).collect()
    }
}
