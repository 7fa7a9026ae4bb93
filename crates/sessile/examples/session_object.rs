//! The Session Object, function by function, over HTTP.
//!
//! `PORT` (3000 unless set, 0 for any free one) and `STORE` (`sessile.db` unless set: a file, or
//! `memory`) come from the environment. Try it:
//!
//! ```sh
//! cargo run -p sessile --example session_object --all-features
//! curl -c jar -H 'content-type: application/json' -d '{"userId":"alice"}' localhost:3000/login
//! curl -b jar -X POST localhost:3000/test
//! ```

use std::env;

use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use sessile::{
    Error, GeneralError, JsonObject, NewSession, Sessions, WebConfig, WebSessions,
    axum::{Session, SessionLayer, SessionRejection, SessionRequest, routes},
    memory::MemoryStore,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Login {
    user_id: String,
    #[serde(default)]
    jwt_payload: JsonObject,
    #[serde(default)]
    session_data: JsonObject,
}

async fn login(
    request: SessionRequest,
    Json(login): Json<Login>,
) -> Result<Json<Value>, SessionRejection> {
    let new = NewSession::new(login.user_id)
        .jwt_payload(login.jwt_payload)
        .session_data(login.session_data);
    let session = request.create_new_session(new).await?;
    Ok(Json(json!({ "status": "ok", "userId": session.get_user_id() })))
}

async fn test_info(mut session: Session) -> Result<Json<Value>, SessionRejection> {
    let _user_id = session.get_user_id();

    // update session info
    let mut session_data = session.get_session_data().await?;
    session_data.insert("newKey".to_owned(), json!("newVal"));
    session.update_session_data(&session_data).await?;

    // update jwt payload
    let mut payload = session.get_jwt_payload().clone();
    payload.insert("newKey".to_owned(), json!("newVal"));
    session.update_jwt_payload(&payload).await?;

    // revoking session
    session.revoke_session().await?;

    Ok(Json(json!({ "status": "ok" })))
}

async fn info(session: Session) -> Result<Json<Value>, SessionRejection> {
    Ok(Json(json!({
        "userId": session.get_user_id(),
        "sessionHandle": session.get_handle().as_str(),
        "jwtPayload": session.get_jwt_payload(),
        "sessionData": session.get_session_data().await?,
    })))
}

async fn logout(mut session: Session) -> Result<Json<Value>, SessionRejection> {
    session.revoke_session().await?;
    Ok(Json(json!({ "status": "ok" })))
}

/// What the caller can mend is told to it; what only we can is not.
async fn general_error(error: std::sync::Arc<sessile::WebError>) -> Response {
    let mendable = match &*error {
        sessile::WebError::Session(Error::General(
            general @ (GeneralError::PayloadTooLarge { .. }
            | GeneralError::ProtectedClaim { .. }
            | GeneralError::UserId(_)),
        )) => Some(general.to_string()),
        _ => None,
    };
    match mendable {
        Some(message) => {
            let body = json!({ "message": message, "reason": error.reason_code() });
            (StatusCode::BAD_REQUEST, Json(body)).into_response()
        }
        None => (error.status(&WebConfig::default()), Json(error.body())).into_response(),
    }
}

async fn sessions(store: &str) -> anyhow::Result<WebSessions> {
    let config = WebConfig::default();
    Ok(match store {
        "memory" => WebSessions::new(Sessions::builder(MemoryStore::new()).build().await?, config)?,
        file => WebSessions::new(sessile::embedded(file)?.build().await?, config)?,
    })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let store = env::var("STORE").unwrap_or_else(|_| "sessile.db".to_owned());
    let port: u16 = env::var("PORT").unwrap_or_else(|_| "3000".to_owned()).parse()?;

    let web = sessions(&store).await?;
    let app = Router::new()
        .route("/login", post(login))
        .route("/test", post(test_info))
        .route("/info", get(info))
        .route("/logout", post(logout))
        .merge(routes(&web))
        .layer(SessionLayer::new(web).on_general_error(general_error));

    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let stop = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    Ok(axum::serve(listener, app).with_graceful_shutdown(stop).await?)
}
