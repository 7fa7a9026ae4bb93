//! The outcomes that are no errors: `UNAUTHORISED`, `TRY_REFRESH_TOKEN`, `TOKEN_THEFT_DETECTED`,
//! with SuperTokens' texts.

use serde_json::{Value, json};
use sessile_core::{Error, GeneralError, TheftKind, TryRefreshReason, UnauthorisedReason};

use crate::{
    answer::{Failure, PROTECTED_CLAIM},
    cdi::{Dialect, Surface},
};

/// A session is not there.
pub(crate) const NO_SESSION: &str = "Session does not exist.";

/// `UNAUTHORISED` with a text.
pub(crate) fn unauthorised(message: &str) -> Value {
    json!({ "status": "UNAUTHORISED", "message": message })
}

/// What happens by a session's name, and to it.
pub(crate) fn of_stored(error: Error) -> Result<Value, Failure> {
    match error {
        Error::Unauthorised { .. } => Ok(unauthorised(NO_SESSION)),
        error => Err(error.into()),
    }
}

/// What a verification that failed is answered.
pub(crate) fn of_verification(error: Error, check_database: bool) -> Result<Value, Failure> {
    match error {
        Error::Unauthorised { reason: UnauthorisedReason::RotatedOut } => {
            Ok(unauthorised("rotated-out token branch; refresh required"))
        }
        Error::Unauthorised { .. } if check_database => {
            Ok(unauthorised("Either the session has ended or has been blacklisted"))
        }
        Error::Unauthorised { .. } => Ok(unauthorised("Session missing in db")),
        Error::TryRefreshToken { reason } => Ok(json!({
            "status": "TRY_REFRESH_TOKEN",
            "message": match reason {
                TryRefreshReason::AntiCsrfMismatch => "anti-csrf check failed",
                TryRefreshReason::Expired => "Access token expired",
                TryRefreshReason::Malformed => {
                    "Access token does not contain all the information. Maybe the structure has \
                     changed?"
                }
                _ => "io.supertokens.session.jwt.JWT$JWTException: JWT verification failed",
            },
        })),
        error => Err(error.into()),
    }
}

/// What a refresh that failed is answered.
pub(crate) fn of_refresh(
    dialect: &Dialect,
    refresh_token: &str,
    error: Error,
) -> Result<Value, Failure> {
    let (mut outcome, subtype) = match error {
        Error::Unauthorised { reason } => match reason {
            UnauthorisedReason::AntiCsrfMismatch => {
                (unauthorised("Anti CSRF token missing, or not matching"), None)
            }
            UnauthorisedReason::RefreshTokenInvalid => {
                (unauthorised(unreadable(refresh_token)), None)
            }
            UnauthorisedReason::LateRetry => {
                (unauthorised("refresh token reuse detected"), Some(TheftKind::LateRetry))
            }
            UnauthorisedReason::OrphanedBranch => {
                (unauthorised("refresh token reuse detected"), Some(TheftKind::OrphanedBranch))
            }
            _ => (unauthorised("Session missing in db or has expired"), None),
        },
        Error::TokenTheftDetected { session_handle, user_id, recipe_user_id, kind, .. } => {
            let mut session = json!({ "handle": session_handle.as_str(), "userId": user_id });
            // Here the later versions all tell it, also those that tell it nowhere else.
            if dialect.surface == Surface::Recipe {
                session["recipeUserId"] = recipe_user_id.into();
            }
            (json!({ "status": "TOKEN_THEFT_DETECTED", "session": session }), Some(kind))
        }
        // The payload is older than the version of the new token, so the client cannot help it.
        Error::General(GeneralError::ProtectedClaim { .. }) => {
            (unauthorised(PROTECTED_CLAIM), None)
        }
        error => return Err(error.into()),
    };
    if let Some(kind) = subtype.filter(|_| dialect.reuse_subtype) {
        outcome["recentTokenReuseSubtype"] = match kind {
            TheftKind::LateRetry => "RECENT_PREV",
            TheftKind::OrphanedBranch => "ORPHANED_BRANCH",
            _ => "STALE_LINEAGE",
        }
        .into();
    }
    Ok(outcome)
}

/// Why a refresh token cannot be read.
fn unreadable(token: &str) -> &'static str {
    let mut parts = token.split('.');
    let kind = parts.by_ref().nth(2).map(str::to_ascii_uppercase);
    match kind.as_deref() {
        Some("V1" | "V2") if parts.next().is_none() => "the refresh token cannot be read",
        _ => {
            "io.supertokens.session.refreshToken.RefreshToken$InvalidRefreshTokenFormatException: \
             version of refresh token not recognised"
        }
    }
}
