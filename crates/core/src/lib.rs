//! The rules of Sessile, with no HTTP, no SQL and no framework in them.
//!
//! A session is a row in a [`Store`](store::Store) and two tokens in a client's hands: a signed *access token* that
//! is verified without the store, and a *refresh token* that is exchanged for the next pair and
//! whose replay is found out. [`Sessions`] is the engine that makes, verifies, refreshes and
//! revokes them; [`SessionService`] is what every back end can do, an engine in this process or a
//! remote one.
//!
//! ```
//! use sessile_core::{NewSession, SessionService, Sessions, VerifyRequest, memory::MemoryStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), sessile_core::Error> {
//! let sessions = Sessions::builder(MemoryStore::new()).build().await?;
//! let issued = sessions.create_session(NewSession::new("alice")).await?;
//!
//! let session = sessions.verify(VerifyRequest::new(issued.access_token.token.expose())).await?;
//! assert_eq!(session.user_id(), "alice");
//!
//! let next = sessions.refresh(issued.refresh_token.token.expose().into()).await?;
//! assert_eq!(next.session.handle(), session.handle());
//! # Ok(())
//! # }
//! ```
//!
//! The decisions about refresh tokens are pure functions in [`rotation`]; the table of their
//! outcomes is `docs/rotation.md`, which the tests read.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod access_token;
mod bulk_store;
mod engine;
mod error;
mod identifier;
mod json;
mod keys;
mod moves;
mod refresh_token;
mod sealed;
mod secret;
mod service;
mod session;
mod stored_keys;
mod stored_session;
mod tenant_store;

pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod event;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod memory;
pub mod policy;
pub mod random;
pub mod rotation;
pub mod store;

pub use access_token::{ACCESS_TOKEN_COOKIE, AccessTokenVersion, COOKIE_LIMIT_BYTES};
pub use engine::{DataUpdate, Sessions, SessionsBuilder, VersionedData};
pub use error::{Error, GeneralError, TheftKind, TryRefreshReason, UnauthorisedReason};
pub use identifier::{AppId, InvalidIdentifier, SessionHandle, TenantId, TenantScope};
pub use json::{JsonObject, to_json_object};
pub use keys::{
    Algorithm, JsonWebKeySet, PublicSigningKey, PublicSigningKeys, SigningKeyDescription,
    SigningKeyState, UnknownAlgorithm, WrappingKey, WrappingKeyError,
};
pub use secret::Secret;
pub use service::{
    AntiCsrf, IssueOptions, NewSession, RefreshRequest, RegenerateRequest, SessionService,
    VerifyRequest,
};
pub use session::{
    IssuedSession, IssuedToken, RefreshTokenDescription, Regenerated, SessionInformation,
    VerifiedSession,
};
