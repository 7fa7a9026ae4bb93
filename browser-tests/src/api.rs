//! What the scripts of the pages call.

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post, put},
};
use serde::Deserialize;
use serde_json::{Value, json};
use sessile::{
    JsonObject, NewSession,
    axum::{Immediate, Session, SessionRejection, SessionRequest, SessionWith},
};

use crate::TestState;

/// The key of the counter in the session data.
const COUNTER: &str = "counter";

type Answer = Result<Json<Value>, SessionRejection>;

pub(crate) fn routes() -> Router<TestState> {
    Router::new()
        .route("/login", post(login))
        .route("/me", get(me))
        .route("/me/immediate", get(me_immediate))
        .route("/change", post(change))
        .route("/counter", get(counter))
        .route("/payload", put(update_payload))
        .route("/echo", post(echo))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Login {
    user_id: String,
}

async fn login(request: SessionRequest, Json(login): Json<Login>) -> Answer {
    let session = request.create_new_session(NewSession::new(login.user_id)).await?;
    Ok(Json(json!({ "userId": session.get_user_id() })))
}

fn description(session: &Session) -> Json<Value> {
    Json(json!({ "userId": session.get_user_id(), "jwtPayload": session.get_jwt_payload() }))
}

async fn me(session: Session) -> Json<Value> {
    description(&session)
}

/// A revocation holds here at once, and not only when the access token ends.
async fn me_immediate(SessionWith(session, ..): SessionWith<Immediate>) -> Json<Value> {
    description(&session)
}

pub(crate) fn counter_of(data: &JsonObject) -> u64 {
    data.get(COUNTER).and_then(Value::as_u64).unwrap_or_default()
}

/// Takes no body, so that every kind of forged request that reaches it would do its harm.
async fn change(State(state): State<TestState>, session: Session) -> Answer {
    let _alone = state.data.lock().await;
    let mut data = session.get_session_data().await?;
    let counter = counter_of(&data) + 1;
    data.insert(COUNTER.to_owned(), json!(counter));
    session.update_session_data(&data).await?;
    Ok(Json(json!({ "counter": counter })))
}

async fn counter(session: Session) -> Answer {
    let data = session.get_session_data().await?;
    Ok(Json(json!({ "counter": counter_of(&data) })))
}

async fn update_payload(
    mut session: Session,
    Json(payload): Json<JsonObject>,
) -> Result<Json<Value>, SessionRejection> {
    session.update_jwt_payload(&payload).await?;
    Ok(description(&session))
}

/// Gives the body back, so that a page sees whether all of it arrived.
async fn echo(_: Session, body: String) -> String {
    body
}
