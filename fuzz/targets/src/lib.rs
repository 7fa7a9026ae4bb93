//! Every parser of Sessile as a target for fuzzers, and what must hold of it whatever it is given.
//!
//! Two programs drive them: `tests/mutations.rs` on any stable toolchain for a given time, and
//! the targets of cargo-fuzz in the folder above, guided by coverage. A target that finds
//! something panics.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here was found"
)]

mod access_token;
mod access_token_claims;
mod access_token_header;
mod fixture;
mod identifier;
mod origin;
mod payload;
mod refresh_token;
mod refresh_token_content;
mod request;
mod script;
mod sealed_child;
mod stored_object;
mod stored_signing_key;
mod wrapped_key;

pub use access_token::AccessTokens;
pub use access_token_claims::AccessTokenClaims;
pub use access_token_header::AccessTokenHeaders;
pub use identifier::Identifiers;
pub use origin::Origins;
pub use payload::Payloads;
pub use refresh_token::RefreshTokens;
pub use refresh_token_content::RefreshTokenContents;
pub use request::Requests;
pub use sealed_child::SealedChildren;
pub use stored_object::StoredObjects;
pub use stored_signing_key::StoredSigningKeys;
pub use wrapped_key::WrappedKeys;

/// A parser, and what must hold of it.
pub trait Target: Send + Sync {
    /// What it is called, here and by cargo-fuzz.
    fn name(&self) -> &'static str;

    /// Sound inputs, and some that are nearly so: what mutations begin with.
    fn samples(&self) -> &[Vec<u8>];

    /// Gives the parser this input.
    ///
    /// # Panics
    /// Where something does not hold.
    fn check(&self, input: &[u8]);

    /// Gives the parser what a fuzzer's bytes stand for: the number of a sample and changes to
    /// it, or, behind the byte 255, the input itself.
    ///
    /// # Panics
    /// As [`check`](Self::check).
    fn run(&self, script: &[u8]) {
        self.check(&script::apply(script, self.samples()));
    }
}

/// All of them.
pub fn all() -> Vec<Box<dyn Target>> {
    vec![
        Box::new(AccessTokens::new()),
        Box::new(AccessTokenHeaders::new()),
        Box::new(AccessTokenClaims::new()),
        Box::new(RefreshTokens::new()),
        Box::new(RefreshTokenContents::new()),
        Box::new(SealedChildren::new()),
        Box::new(StoredSigningKeys::new()),
        Box::new(WrappedKeys::new()),
        Box::new(Requests::new()),
        Box::new(Payloads::new()),
        Box::new(StoredObjects::new()),
        Box::new(Identifiers::new()),
        Box::new(Origins::new()),
    ]
}

/// Scripts for an empty corpus: each sample as it is, and each as a literal where a fuzzer can do
/// something with it.
pub fn corpus(target: &dyn Target) -> Vec<Vec<u8>> {
    (0..target.samples().len())
        .map(|index| vec![index as u8])
        .chain(
            target.samples().iter().map(|sample| [&[script::LITERAL], sample.as_slice()].concat()),
        )
        .collect()
}

/// Implements `Default` by `new`, and an opaque `Debug`: targets hold tokens and keys.
macro_rules! plain_target {
    ($target:ident) => {
        impl Default for $target {
            fn default() -> Self {
                Self::new()
            }
        }

        impl std::fmt::Debug for $target {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(concat!(stringify!($target), "(…)"))
            }
        }
    };
}
pub(crate) use plain_target;
