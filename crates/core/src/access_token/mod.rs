//! Access tokens: SuperTokens' format V5, a JWT (RFC 7519) whose claims are the session's and, at
//! the top level beside them, the payload's.

mod claims;
mod read;
mod verified_cache;

pub(crate) use claims::{AccessToken, check_payload};
pub(crate) use read::{MAXIMUM_LENGTH, ReadError, read};
pub(crate) use verified_cache::VerifiedCache;

/// The name of the cookie that carries an access token.
pub const ACCESS_TOKEN_COOKIE: &str = "sAccessToken";

/// Browsers drop a cookie whose name and value together are longer than this (RFC 6265bis).
pub const COOKIE_LIMIT_BYTES: usize = 4096;
