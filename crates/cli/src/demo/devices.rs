//! The user's other sessions.

use axum::{Json, extract::Path};
use serde_json::json;
use sessile::{
    NewSession, SessionHandle,
    axum::{Session, SessionRejection, SessionRequest},
};

use super::{api::Answer, counting_store::store_calls};

/// What the devices are called that the page adds, one after the other.
const DEVICES: [&str; 4] =
    ["Safari on an iPhone", "Firefox on a laptop", "Edge at work", "Chrome on a tablet"];

pub(super) async fn list(session: Session) -> Answer {
    others(&session, None).await
}

/// Logs the user in once more, as another device would: this browser never sees the tokens.
pub(super) async fn add(session: Session, request: SessionRequest) -> Answer {
    let known = request.get_all_session_handles_for_user(session.get_user_id()).await?.len();
    let device = DEVICES[(known - 1) % DEVICES.len()];
    let new = NewSession::new(session.get_user_id()).client_label(device);
    let before = store_calls();
    let _tokens_of_the_other_device = request.create_session(new).await?;
    others(&session, Some(store_calls() - before)).await
}

pub(super) async fn end(
    session: Session,
    request: SessionRequest,
    Path(handle): Path<String>,
) -> Answer {
    let handle = SessionHandle::new(&handle);
    // One's own sessions alone: handles are no secrets.
    let own = request.get_all_session_handles_for_user(session.get_user_id()).await?;
    let before = store_calls();
    if own.contains(&handle) {
        request.revoke_session(&handle).await?;
    }
    others(&session, Some(store_calls() - before)).await
}

pub(super) async fn end_all(session: Session) -> Answer {
    session.revoke_other_sessions().await?;
    others(&session, Some(store_calls())).await
}

async fn others(
    session: &Session,
    calls: Option<u64>,
) -> Result<Json<serde_json::Value>, SessionRejection> {
    let devices: Vec<_> = session
        .get_sessions_of_user()
        .await?
        .into_iter()
        .filter(|other| other.handle != *session.get_handle())
        .map(|other| {
            json!({
                "handle": other.handle.as_str(),
                "device": other.client_label,
                "createdAt": other.created_at.as_millis(),
                "lastRefreshedAt": other.last_refreshed_at.map(|at| at.as_millis()),
                "expiresAt": other.expires_at.as_millis(),
            })
        })
        .collect();
    Ok(Json(json!({ "devices": devices, "storeCalls": calls.unwrap_or_else(store_calls) })))
}
