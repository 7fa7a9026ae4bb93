//! Pages without script: everything is a link or a form.

use axum::{
    Form, Router,
    extract::State,
    http::header::CACHE_CONTROL,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use sessile::{
    JsonObject, NewSession,
    axum::{Session, SessionRejection, SessionRequest},
};

use crate::{TestState, api::counter_of};

/// The key of the list of texts in the session data.
const TEXTS: &str = "texts";

pub(crate) fn routes() -> Router<TestState> {
    Router::new()
        .route("/plain", get(page).post(add_text))
        .route("/plain/login", post(login))
        .route("/plain/logout", post(logout))
}

fn texts_of(data: &JsonObject) -> Vec<&str> {
    let texts = data.get(TEXTS).and_then(Value::as_array);
    texts.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

async fn page(session: Option<Session>) -> Result<Response, SessionRejection> {
    let body = match session {
        Some(session) => {
            let data = session.get_session_data().await?;
            let user = escaped(session.get_user_id());
            let counter = counter_of(&data);
            let texts: String =
                texts_of(&data).iter().map(|text| format!("<li>{}</li>", escaped(text))).collect();
            format!(
                "<p>user <b id=\"user\">{user}</b>, counter <b id=\"counter\">{counter}</b></p>
                <ul id=\"texts\">{texts}</ul>
                <form id=\"add\" method=\"post\" action=\"/plain\">
                <input name=\"text\"><button>add</button></form>
                <form id=\"logout\" method=\"post\" action=\"/plain/logout\">
                <button>log out</button></form>"
            )
        }
        None => "<form id=\"login\" method=\"post\" action=\"/plain/login\">
                <input name=\"user_id\"><button>log in</button></form>"
            .to_owned(),
    };
    let html = format!("<!doctype html><meta charset=\"utf-8\"><title>plain</title>{body}");
    // Another state of the session is another page.
    Ok(([(CACHE_CONTROL, "no-store")], Html(html)).into_response())
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

async fn add_text(
    State(state): State<TestState>,
    session: Session,
    Form(form): Form<Text>,
) -> Result<Redirect, SessionRejection> {
    let _alone = state.data.lock().await;
    let mut data = session.get_session_data().await?;
    let mut texts = texts_of(&data);
    texts.push(&form.text);
    let texts = json!(texts);
    data.insert(TEXTS.to_owned(), texts);
    session.update_session_data(&data).await?;
    Ok(Redirect::to("/plain"))
}

#[derive(Deserialize)]
struct Login {
    user_id: String,
}

async fn login(
    request: SessionRequest,
    Form(login): Form<Login>,
) -> Result<Redirect, SessionRejection> {
    request.create_new_session(NewSession::new(login.user_id)).await?;
    Ok(Redirect::to("/plain"))
}

async fn logout(mut session: Session) -> Result<Redirect, SessionRejection> {
    session.revoke_session().await?;
    Ok(Redirect::to("/plain"))
}
