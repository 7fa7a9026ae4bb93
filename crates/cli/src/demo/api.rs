//! Login, the session object, and its updates.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use sessile::{
    Error, GeneralError, NewSession, WebConfig, WebError,
    axum::{Session, SessionRejection, SessionRequest},
    clock::{Clock, SystemClock, Timestamp},
};

use super::{counting_store::store_calls, state::DemoState};

pub(super) type Answer = Result<Json<Value>, SessionRejection>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Login {
    user_id: String,
    device: String,
}

pub(super) async fn login(
    State(state): State<Arc<DemoState>>,
    request: SessionRequest,
    Json(login): Json<Login>,
) -> Answer {
    let new = NewSession::new(login.user_id)
        .jwt_payload(json!({ "role": "visitor" }))
        .session_data(json!({ "cart": [] }))
        .client_label(&login.device);
    let session = request.create_new_session(new).await?;
    view(&state, &session, Some(store_calls())).await
}

pub(super) async fn session(State(state): State<Arc<DemoState>>, session: Session) -> Answer {
    view(&state, &session, None).await
}

pub(super) async fn update_payload(
    State(state): State<Arc<DemoState>>,
    mut session: Session,
    Json(payload): Json<Value>,
) -> Answer {
    session.update_jwt_payload(&payload).await?;
    view(&state, &session, Some(store_calls())).await
}

pub(super) async fn update_data(
    State(state): State<Arc<DemoState>>,
    session: Session,
    Json(data): Json<Value>,
) -> Answer {
    session.update_session_data(&data).await?;
    view(&state, &session, Some(store_calls())).await
}

/// Everything that the page shows of the session. `calls` are the store calls of what was done;
/// those for showing it are counted only where nothing else was done.
async fn view(state: &DemoState, session: &Session, calls: Option<u64>) -> Answer {
    let information = session.get_session_information().await?;
    let forever = Timestamp::default().plus(Duration::from_secs(u64::from(u32::MAX)));
    Ok(Json(json!({
        "userId": session.get_user_id(),
        "handle": session.get_handle().as_str(),
        "device": information.client_label,
        "jwtPayload": session.get_jwt_payload(),
        "sessionData": information.session_data,
        "createdAt": information.created_at.as_millis(),
        "accessTokenExpiresAt": session.get_access_token_expiry().as_millis(),
        "expiresAt": information.expires_at.as_millis(),
        "endsAt": information.ends_at.min(forever).as_millis(),
        "generation": state.generation(session.get_handle()),
        "now": SystemClock.now().as_millis(),
        "storeCalls": calls.unwrap_or_else(store_calls),
    })))
}

/// Tells the visitor what is wrong with a payload; of a fault of the server it says no more than
/// that there is one.
pub(super) async fn general_error(error: Arc<WebError>) -> Response {
    let message = match &*error {
        WebError::Session(Error::General(
            general @ (GeneralError::NotAnObject { .. }
            | GeneralError::PayloadTooLarge { .. }
            | GeneralError::ProtectedClaim { .. }
            | GeneralError::UserId(_)),
        )) => general.to_string(),
        error => {
            return (error.status(&WebConfig::default()), Json(error.body())).into_response();
        }
    };
    let body = json!({ "message": message, "reason": error.reason_code() });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}
