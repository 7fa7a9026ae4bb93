use axum::{
    Json, Router,
    response::IntoResponse,
    routing::{get, post},
};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};
use sessile_web::{BROWSER_SCRIPT, WebSessions};

use crate::{SessionRejection, SessionRequest};

/// The ready-made routes, below the configured `api_base_path`:
///
/// - `POST /session/refresh` exchanges the refresh token and answers `{}`;
/// - `POST /signout` ends the session and answers `{"status": "OK"}`;
/// - `GET /jwt/jwks.json` gives the public keys, to every origin;
/// - `GET /sessile.js` gives the script for pages without a front-end SDK.
///
/// Add them before the [`SessionLayer`](crate::SessionLayer).
pub fn routes<S: Clone + Send + Sync + 'static>(web: &WebSessions) -> Router<S> {
    let config = web.config();
    Router::new()
        .route(&config.refresh_path(), post(refresh))
        .route(&config.sign_out_path(), post(sign_out))
        .route(&config.json_web_key_set_path(), get(json_web_key_set))
        .route(&config.browser_script_path(), get(browser_script))
}

async fn refresh(request: SessionRequest) -> Result<Json<Value>, SessionRejection> {
    request.refresh_session().await?;
    Ok(Json(json!({})))
}

async fn sign_out(request: SessionRequest) -> Result<Json<Value>, SessionRejection> {
    request.sign_out().await?;
    Ok(Json(json!({ "status": "OK" })))
}

async fn json_web_key_set(request: SessionRequest) -> Result<impl IntoResponse, SessionRejection> {
    let keys = request.get_json_web_key_set().await?;
    let headers =
        [(CACHE_CONTROL, keys.cache_control()), (ACCESS_CONTROL_ALLOW_ORIGIN, "*".to_owned())];
    Ok((headers, Json(keys.document)))
}

async fn browser_script() -> impl IntoResponse {
    let headers =
        [(CONTENT_TYPE, "text/javascript; charset=utf-8"), (CACHE_CONTROL, "public, max-age=3600")];
    (headers, BROWSER_SCRIPT)
}
