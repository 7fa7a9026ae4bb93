//! Randomness, handed in.

use std::fmt;

/// The source of random bytes failed; nothing was made from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the source of randomness failed")]
pub struct RandomError;

/// Gives random bytes fit for secrets.
pub trait RandomSource: fmt::Debug + Send + Sync + 'static {
    /// Fills `destination` with random bytes.
    ///
    /// # Errors
    /// [`RandomError`] when no randomness can be had; `destination` must then not be used.
    fn fill(&self, destination: &mut [u8]) -> Result<(), RandomError>;
}

/// The cryptographic generator of aws-lc, seeded by the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl RandomSource for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "the one place that draws randomness")]
    fn fill(&self, destination: &mut [u8]) -> Result<(), RandomError> {
        aws_lc_rs::rand::fill(destination).map_err(|_| RandomError)
    }
}

/// `N` random bytes.
pub(crate) fn random_bytes<const N: usize>(
    source: &dyn RandomSource,
) -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    source.fill(&mut bytes)?;
    Ok(bytes)
}
