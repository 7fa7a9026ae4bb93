use super::{Algorithm, KeyRing, SigningKey, key_ring::KeySchedule};
use crate::{clock::Timestamp, policy::SigningKeyKind};

/// The public half of a signing key, for a reader whose tokens name no key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicSigningKey {
    /// The key id.
    pub key_id: String,
    /// SubjectPublicKeyInfo (RFC 5280): DER in base64, without armour or line breaks.
    pub public_key: String,
    /// When the key was made.
    pub created_at: Timestamp,
}

impl From<&SigningKey> for PublicSigningKey {
    fn from(key: &SigningKey) -> Self {
        Self {
            key_id: key.key_id().to_owned(),
            public_key: key.public_key().to_owned(),
            created_at: key.created_at(),
        }
    }
}

/// The keys of one kind and of the policy's algorithm.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicSigningKeys {
    /// The key that signs now.
    pub signing: PublicSigningKey,
    /// Every key that verifies, newest first.
    pub verifying: Vec<PublicSigningKey>,
}

impl PublicSigningKeys {
    pub(crate) fn of(
        ring: &KeyRing,
        signing: &SigningKey,
        kind: SigningKeyKind,
        algorithm: Algorithm,
        schedule: KeySchedule,
        now: Timestamp,
    ) -> Self {
        let is_static = kind == SigningKeyKind::Static;
        let verifying = ring
            .keys()
            .iter()
            .filter(|key| key.is_static() == is_static && key.algorithm() == algorithm)
            .filter(|key| KeyRing::is_alive(key, schedule, now))
            .map(|key| key.as_ref().into())
            .collect();
        Self { signing: signing.into(), verifying }
    }
}
