//! The visitor as a thief of a refresh token.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header::COOKIE},
};
use serde_json::json;
use sessile::{
    Error, Secret, UnauthorisedReason,
    axum::{Session, SessionRequest},
};

use super::{api::Answer, state::DemoState};

/// Copies the refresh token of the visitor's browser.
pub(super) async fn steal(
    State(state): State<Arc<DemoState>>,
    session: Session,
    headers: HeaderMap,
) -> Answer {
    let cookies = headers.get(COOKIE).and_then(|cookies| cookies.to_str().ok()).unwrap_or_default();
    let token = cookies
        .split(';')
        .find_map(|cookie| cookie.trim().strip_prefix("sRefreshToken="))
        .map(|token| Secret::new(token.to_owned()));
    let stolen = token.is_some();
    if let Some(token) = token {
        state.keep_stolen(session.get_handle().clone(), token);
    }
    Ok(Json(json!({ "stolen": stolen })))
}

/// Uses the copy, and tells what came of it.
pub(super) async fn replay(
    State(state): State<Arc<DemoState>>,
    session: Session,
    request: SessionRequest,
) -> Answer {
    let Some(token) = state.stolen(session.get_handle()) else {
        return Ok(Json(json!({ "outcome": "nothing was stolen yet", "reason": null })));
    };
    let answer = match request.refresh(token.expose().into()).await {
        Ok(_) => json!({ "outcome": "the thief was served", "reason": null }),
        Err(Error::TokenTheftDetected { session_handle, user_id, kind, .. }) => json!({
            "outcome": "token theft detected",
            "reason": kind.code(),
            "sessionHandle": session_handle.as_str(),
            "userId": user_id,
        }),
        Err(Error::Unauthorised { reason }) => json!({
            "outcome": match reason {
                UnauthorisedReason::LateRetry => "the session was ended",
                _ => "unauthorised",
            },
            "reason": reason.code(),
        }),
        Err(error) => return Err(error.into()),
    };
    Ok(Json(answer))
}
