//! Access tokens in SuperTokens' formats V1 to V5: a JWT (RFC 7519) from V3 on, whose claims are
//! the session's and, at the top level beside them, the payload's; V1 and V2 are older and have
//! their own encoding.

mod claims;
mod legacy;
mod plain_jwt;
mod read;
mod verified_cache;
mod version;

pub(crate) use claims::{AccessToken, check_payload};
pub(crate) use plain_jwt::sign_claims;
#[cfg(feature = "fuzzing")]
pub(crate) use read::parse_claims;
pub(crate) use read::{MAXIMUM_LENGTH, ReadError, read};
pub(crate) use verified_cache::VerifiedCache;
pub use version::AccessTokenVersion;

/// The name of the cookie that carries an access token.
pub const ACCESS_TOKEN_COOKIE: &str = "sAccessToken";

/// Browsers drop a cookie whose name and value together are longer than this (RFC 6265bis).
pub const COOKIE_LIMIT_BYTES: usize = 4096;
