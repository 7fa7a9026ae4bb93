//! Parsers that stand behind a signature or a seal, for programs that fuzz them: the making of
//! both would take a hundred times as long as the parser. Nobody else needs them.

use crate::{
    access_token::{AccessTokenVersion, parse_claims},
    policy::RefreshTokenFormat,
    refresh_token,
};

/// Reads the claims of an access token, as after its signature was found good, and writes them
/// again; `None` where the engine would call the token malformed.
///
/// ```
/// use sessile_core::{AccessTokenVersion, fuzzing::rewrite_claims};
///
/// let claims = br#"{ "exp": 2, "iat": 1, "sub": "alice", "sessionHandle": "h", "role": "editor",
///     "refreshTokenHash1": "r", "parentRefreshTokenHash1": null, "antiCsrfToken": null }"#;
/// let written = rewrite_claims(AccessTokenVersion::V3, claims).unwrap();
/// assert_eq!(rewrite_claims(AccessTokenVersion::V3, &written), Some(written));
/// assert_eq!(rewrite_claims(AccessTokenVersion::V5, claims), None, "tId and rsub are missing");
/// ```
pub fn rewrite_claims(version: AccessTokenVersion, claims: &[u8]) -> Option<Vec<u8>> {
    parse_claims(version, claims)?.claims_text().ok()
}

/// Reads what is sealed in a refresh token of that format, as after it was opened, and writes it
/// again; `None` where the engine would call the token unreadable.
///
/// ```
/// use sessile_core::{fuzzing::rewrite_refresh_token, policy::RefreshTokenFormat};
///
/// let content = br#"{"sessionHandle":"h","userId":"alice","nonce":"n"}"#;
/// let written = rewrite_refresh_token(RefreshTokenFormat::SuperTokens, content);
/// assert_eq!(written.as_deref(), Some(content.as_slice()));
/// ```
pub fn rewrite_refresh_token(format: RefreshTokenFormat, content: &[u8]) -> Option<Vec<u8>> {
    refresh_token::rewrite_content(format, content)
}
