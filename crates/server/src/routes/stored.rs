//! What is kept of a session, by its name.

use serde_json::{Value, json};
use sessile_core::{Error, GeneralError, JsonObject, SessionService, store::TenantStore};

use crate::{
    answer::{Answer, Failure},
    call::Call,
    outcome, session_json,
};

pub(super) async fn information<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let app = call.app()?;
    let handle = call.handle_of_query(&app)?;
    let session = app.sessions.get_session_information(&handle).await?;
    Ok(Answer::Json(session.map_or_else(
        || outcome::unauthorised(outcome::NO_SESSION),
        |session| session_json::information(call.dialect, &session),
    )))
}

pub(super) async fn data<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let app = call.app()?;
    let handle = call.handle_of_query(&app)?;
    read("userDataInDatabase", app.sessions.get_session_data(&handle).await)
}

pub(super) async fn payload<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let app = call.app()?;
    let handle = call.handle_of_query(&app)?;
    read("userDataInJWT", app.sessions.get_jwt_payload(&handle).await)
}

pub(super) async fn replace_data<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let body = call.body()?;
    let handle = body.text("sessionHandle")?;
    let data = body.object("userDataInDatabase")?;
    let app = call.app()?;
    let handle = app.handle(handle)?;
    written(app.sessions.update_session_data(&handle, data).await)
}

pub(super) async fn replace_payload<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let body = call.body()?;
    let handle = body.text("sessionHandle")?;
    let payload = body.object("userDataInJWT")?;
    check_claims(call, &payload)?;
    let app = call.app()?;
    let handle = app.handle(handle)?;
    written(app.sessions.update_jwt_payload(&handle, payload).await)
}

/// The claims of the version's own tokens are refused, whatever tokens the session has.
fn check_claims<S: TenantStore>(call: &Call<S>, payload: &JsonObject) -> Result<(), Failure> {
    let protected = call.dialect.access_token_version.protected_claims();
    match protected.iter().find(|claim| payload.contains_key(**claim)) {
        Some(claim) if call.dialect.refuses_protected_claims => {
            Err(Error::General(GeneralError::ProtectedClaim { claim }).into())
        }
        _ => Ok(()),
    }
}

fn read(name: &str, found: Result<JsonObject, Error>) -> Result<Answer, Failure> {
    match found {
        Ok(found) => {
            let mut shown = json!({ "status": "OK" });
            shown[name] = Value::Object(found);
            Ok(Answer::Json(shown))
        }
        Err(error) => outcome::of_stored(error).map(Answer::Json),
    }
}

fn written(result: Result<(), Error>) -> Result<Answer, Failure> {
    match result {
        Ok(()) => Ok(Answer::Json(json!({ "status": "OK" }))),
        Err(error) => outcome::of_stored(error).map(Answer::Json),
    }
}
