//! Session management for web applications: short-lived signed access tokens, rotating refresh
//! tokens with theft detection, anti-CSRF, instant revocation, and data kept with each session.
//! One crate, and nothing else to run.
//!
//! ```
//! # #[cfg(all(feature = "axum", feature = "sqlite"))]
//! # mod example {
//! use axum::{Router, routing::{get, post}};
//! use sessile::axum::{Session, SessionLayer, SessionRejection, SessionRequest, routes};
//! use sessile::{NewSession, WebConfig, WebSessions};
//!
//! async fn login(request: SessionRequest) -> Result<&'static str, SessionRejection> {
//!     // Check who it is first; then:
//!     request.create_new_session(NewSession::new("alice")).await?;
//!     Ok("welcome")
//! }
//!
//! async fn me(session: Session) -> String {
//!     session.get_user_id().to_owned()
//! }
//!
//! pub async fn app() -> Result<Router, sessile::Error> {
//!     let sessions = sessile::embedded("sessile.db")?.build().await?;
//!     let web = WebSessions::new(sessions, WebConfig::default())?;
//!     Ok(Router::new()
//!         .route("/login", post(login))
//!         .route("/me", get(me))
//!         .merge(routes(&web))
//!         .layer(SessionLayer::new(web)))
//! }
//! # }
//! ```
//!
//! What a handler does with a [`Session`](web::Session) is in `docs/session-object.md`; what
//! happens to a refresh token that is used twice is in `docs/rotation.md`; which attacks are
//! answered how is in `docs/security.md`.
//!
//! # Features
//!
//! - `sqlite` (default): [`embedded`], the store that is one file.
//! - `postgres`: [`in_postgres`], a database that several processes share, in the tables of
//!   SuperTokens' core.
//! - `axum`: extractors, a layer and routes for axum.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(feature = "sqlite")]
mod embedded;
#[cfg(feature = "postgres")]
mod in_postgres;

#[cfg(feature = "sqlite")]
pub use embedded::{embedded, key_file_of, wrapping_key_of};
#[cfg(feature = "postgres")]
pub use in_postgres::{in_postgres, wrapping_key_from_environment};
#[cfg(feature = "axum")]
pub use sessile_axum as axum;
#[cfg(feature = "postgres")]
pub use sessile_postgres as postgres;
#[cfg(feature = "sqlite")]
pub use sessile_sqlite as sqlite;
pub use sessile_web as web;
pub use sessile_web::{AntiCsrfMode, SameSite, Transfer, WebConfig, WebError, WebSessions};

pub use sessile_core::{
    Algorithm, AntiCsrf, AppId, DataUpdate, Error, GeneralError, IssuedSession, IssuedToken,
    JsonObject, JsonWebKeySet, NewSession, RefreshRequest, RefreshTokenDescription,
    RegenerateRequest, Regenerated, Secret, SessionHandle, SessionInformation, SessionService,
    Sessions, SessionsBuilder, TenantId, TenantScope, TheftKind, TryRefreshReason,
    UnauthorisedReason, VerifiedSession, VerifyRequest, VersionedData, WrappingKey,
    WrappingKeyError, clock, event, memory, policy, random, rotation, store, to_json_object,
};

/// The environment variable that holds the wrapping key: instead of a key file beside an embedded
/// store, and for keys in PostgreSQL.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub const WRAPPING_KEY_VARIABLE: &str = "SESSILE_WRAPPING_KEY";

/// The examples of the documents, compiled.
#[cfg(all(doctest, feature = "axum", feature = "sqlite"))]
mod documents {
    #[doc = include_str!("../../../README.md")]
    pub mod readme {}
    #[doc = include_str!("../../../docs/session-object.md")]
    pub mod session_object {}
}
