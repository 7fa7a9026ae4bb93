//! Signing keys: how they are made, kept, chosen, published and retired.

mod algorithm;
mod jwks;
mod key_manager;
mod key_ring;
mod signing_key;
pub(crate) mod wrapping;
#[cfg(test)]
mod wycheproof_tests;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use jwks::JsonWebKeySet;
pub(crate) use key_manager::KeyManager;
pub(crate) use key_ring::{KeyRing, KeySchedule};
pub(crate) use signing_key::SigningKey;
pub use wrapping::{WrappingKey, WrappingKeyError};
