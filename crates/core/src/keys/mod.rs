//! Signing keys: how they are made, kept, chosen, published and retired.

mod algorithm;
mod description;
mod jwks;
mod key_manager;
mod key_ring;
mod public_keys;
mod signing_key;
pub(crate) mod wrapping;
#[cfg(test)]
mod wycheproof_tests;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use description::{SigningKeyDescription, SigningKeyState};
pub use jwks::JsonWebKeySet;
pub(crate) use key_manager::KeyManager;
pub(crate) use key_ring::{KeyRing, KeySchedule};
pub use public_keys::{PublicSigningKey, PublicSigningKeys};
pub(crate) use signing_key::SigningKey;
pub use wrapping::{WrappingKey, WrappingKeyError};
