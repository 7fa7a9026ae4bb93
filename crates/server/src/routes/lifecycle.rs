//! Creation, refresh and regeneration.

use serde_json::json;
use sessile_core::{
    AccessTokenVersion, AntiCsrf, Error, GeneralError, JsonObject, NewSession, RefreshRequest,
    RegenerateRequest, SessionService, store::TenantStore,
};

use crate::{
    answer::{Answer, Failure},
    apps::App,
    call::{Call, key_kind},
    cdi::{Decision, KeyKindOnRefresh, Surface, TellsSigningKey},
    outcome,
    session_json::{self, extend, signing_keys},
};

pub(super) async fn create<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let body = call.body()?;
    let new = NewSession::new(body.text("userId")?)
        .jwt_payload(body.object("userDataInJWT")?)
        .session_data(body.object("userDataInDatabase")?);
    let anti_csrf = call.enables_anti_csrf()?;
    let wants_dynamic = match call.dialect.key_kind {
        Decision::Configuration => None,
        Decision::Request => Some(body.optional_boolean("useDynamicSigningKey")?.unwrap_or(true)),
    };
    let (app, tenant) = call.app_and_tenant()?;
    let dynamic = wants_dynamic.unwrap_or(app.config.access_token_signing_key_dynamic);
    let options = call.issue_options(&app, Some(key_kind(dynamic)))?;
    let new = new.tenant(tenant).anti_csrf_token(anti_csrf).issue(options);
    let issued = app.sessions.create_session(new).await?;
    let mut shown = session_json::issued(call, &issued)?;
    if call.dialect.tells_signing_key != TellsSigningKey::Never {
        extend(&mut shown, signing_keys(call, &app).await?);
    }
    Ok(Answer::Json(shown))
}

pub(super) async fn refresh<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let body = call.body()?;
    let refresh_token = body.text("refreshToken")?;
    let given = match call.dialect.surface {
        Surface::Legacy if !call.dialect.refresh_checks_anti_csrf => None,
        _ => body.optional_text("antiCsrfToken")?,
    };
    let enables = call.enables_anti_csrf()?;
    let dynamic = match call.dialect.key_kind_on_refresh {
        KeyKindOnRefresh::Ignored => None,
        KeyKindOnRefresh::Optional => body.optional_boolean("useDynamicSigningKey")?,
        KeyKindOnRefresh::Required => Some(body.boolean("useDynamicSigningKey")?),
    };
    let (app, _) = call.app_and_tenant()?;
    let request = RefreshRequest {
        anti_csrf: if enables && call.dialect.refresh_checks_anti_csrf {
            AntiCsrf::Token(given)
        } else {
            AntiCsrf::Unchecked
        },
        new_anti_csrf_token: enables,
        rotation: Some(call.refresh_rotation(&app)),
        issue: call.issue_options(&app, dynamic.map(key_kind))?,
        ..RefreshRequest::from(refresh_token)
    };
    match app.sessions.refresh(request).await {
        Ok(issued) => session_json::issued(call, &issued).map(Answer::Json),
        Err(error) => {
            // A session is removed with its tenant, so only one that is not there needs the look;
            // opening the token once more would take as long as all else but the signature.
            if let Error::Unauthorised { .. } = error {
                check_tenant_of(&app, refresh_token).await?;
            }
            outcome::of_refresh(call.dialect, refresh_token, error).map(Answer::Json)
        }
    }
}

/// A session of a tenant that there is not is answered as that tenant's path would be.
async fn check_tenant_of<S: TenantStore>(app: &App<S>, refresh_token: &str) -> Result<(), Failure> {
    match app.sessions.describe_refresh_token(refresh_token).await {
        Some(token) => app.check_tenant(&token.handle.tenant()),
        None => Ok(()),
    }
}

/// The engine lets the nested payload of a V1 or V2 token name anything, as SDKs of its time do.
async fn check_old_claims<S: TenantStore>(
    app: &App<S>,
    access_token: &str,
    payload: &JsonObject,
) -> Result<(), Failure> {
    let mut protected = AccessTokenVersion::V2.protected_claims().iter();
    if let Some(claim) = protected.find(|claim| payload.contains_key(**claim))
        && let Some(session) = app.sessions.identify(access_token).await?
        && session.access_token_version() <= AccessTokenVersion::V2
    {
        return Err(Error::from(GeneralError::ProtectedClaim { claim }).into());
    }
    Ok(())
}

pub(super) async fn regenerate<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let body = call.body()?;
    let access_token = body.text("accessToken")?;
    let jwt_payload = body.optional_object("userDataInJWT")?;
    let app = call.app()?;
    if let Some(payload) = jwt_payload.as_ref().filter(|_| call.dialect.refuses_protected_claims) {
        check_old_claims(&app, access_token, payload).await?;
    }
    let request = RegenerateRequest { access_token, jwt_payload };
    let regenerated = match app.sessions.regenerate(request).await {
        Ok(regenerated) => regenerated,
        // Here SuperTokens' core takes any token that it can read: ours must be signed.
        Err(Error::TryRefreshToken { .. }) => {
            let message = "The access token is not one of this app";
            return Ok(Answer::Json(outcome::unauthorised(message)));
        }
        Err(error) => return outcome::of_stored(error).map(Answer::Json),
    };
    app.check_tenant(regenerated.session.tenant())?;
    let session = session_json::session(call.dialect, &regenerated.session);
    let mut shown = json!({ "status": "OK", "session": session });
    if let Some(token) = &regenerated.access_token {
        shown["accessToken"] = session_json::access_token(call, token);
    }
    Ok(Answer::Json(shown))
}
