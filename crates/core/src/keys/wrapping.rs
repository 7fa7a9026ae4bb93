use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{
    error::GeneralError,
    identifier::AppId,
    random::{RandomSource, random_bytes},
    sealed,
};

const PREFIX: &str = "sealed1:";

/// The key under which signing keys and secrets are sealed in the store, so that the database
/// alone gives nobody the means to make a token. It lives outside the database.
#[derive(Clone)]
pub struct WrappingKey(Zeroizing<[u8; 32]>);

/// Keys in the store cannot be unwrapped, or the wrapping key itself is unusable.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WrappingKeyError {
    /// The store's keys are sealed, and no wrapping key was given.
    #[error("the keys in the store are sealed: give the wrapping key they were sealed with")]
    Missing,
    /// The store's keys are sealed under another wrapping key.
    #[error(
        "the keys in the store are sealed under another wrapping key: give the one that belongs \
         to this store"
    )]
    Wrong,
    /// The text is not a wrapping key.
    #[error("a wrapping key is 32 bytes in standard base64 (44 characters)")]
    Malformed,
}

impl WrappingKey {
    /// A new wrapping key.
    ///
    /// # Errors
    /// [`GeneralError::Random`] when no randomness can be had.
    pub fn generate(random: &dyn RandomSource) -> Result<Self, GeneralError> {
        Ok(Self(Zeroizing::new(random_bytes(random)?)))
    }

    /// Reads a key from 32 bytes in standard base64; white space around it is ignored.
    ///
    /// # Errors
    /// [`WrappingKeyError::Malformed`].
    pub fn from_text(text: &str) -> Result<Self, WrappingKeyError> {
        let bytes =
            Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| WrappingKeyError::Malformed)?);
        let bytes: [u8; 32] =
            bytes.as_slice().try_into().map_err(|_| WrappingKeyError::Malformed)?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// The key as [`from_text`](Self::from_text) reads it, for keeping it somewhere safe.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.0.as_slice()))
    }
}

impl fmt::Debug for WrappingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WrappingKey(…)")
    }
}

/// The text that the store keeps for `plain`; `name` binds it to its place.
pub(crate) fn wrap(
    key: Option<&WrappingKey>,
    app: &AppId,
    name: &str,
    plain: &str,
    random: &dyn RandomSource,
) -> Result<String, GeneralError> {
    let Some(key) = key else { return Ok(plain.to_owned()) };
    let context = ["sessile key at rest 1", app.as_str(), name];
    let sealed = sealed::seal(key.0.as_slice(), &context, plain.as_bytes(), random)?;
    Ok(format!("{PREFIX}{}", STANDARD.encode(sealed)))
}

/// Reads what [`wrap`] made; text that was never wrapped is taken as it is.
pub(crate) fn unwrap(
    key: Option<&WrappingKey>,
    app: &AppId,
    name: &str,
    stored: &str,
) -> Result<Zeroizing<String>, GeneralError> {
    let Some(sealed) = stored.strip_prefix(PREFIX) else {
        return Ok(Zeroizing::new(stored.to_owned()));
    };
    let key = key.ok_or(WrappingKeyError::Missing)?;
    let context = ["sessile key at rest 1", app.as_str(), name];
    STANDARD
        .decode(sealed)
        .ok()
        .and_then(|sealed| sealed::open(key.0.as_slice(), &context, &sealed))
        .and_then(|plain| String::from_utf8(plain).ok())
        .map(Zeroizing::new)
        .ok_or_else(|| WrappingKeyError::Wrong.into())
}
