//! Verification.

use serde_json::json;
use sessile_core::{
    AntiCsrf, SessionService, VerifyRequest, policy::Revocation, store::TenantStore,
};

use crate::{
    answer::{Answer, Failure},
    call::Call,
    cdi::{Decision, TellsSigningKey},
    outcome,
    session_json::{self, extend, signing_keys},
};

pub(super) async fn verify<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let body = call.body()?;
    let access_token = body.text("accessToken")?;
    let given = body.optional_text("antiCsrfToken")?;
    let checks_anti_csrf = body.boolean("doAntiCsrfCheck")? && call.enables_anti_csrf()?;
    let wants_database = match call.dialect.check_database {
        Decision::Configuration => None,
        Decision::Request => Some(body.boolean("checkDatabase")?),
    };
    if call.dialect.verify_needs_public_tenant {
        call.require_public_tenant()?;
    }
    let app = call.app()?;
    let check_database = wants_database.unwrap_or(app.config.access_token_blacklisting);
    let request = VerifyRequest {
        anti_csrf: if checks_anti_csrf { AntiCsrf::Token(given) } else { AntiCsrf::Unchecked },
        revocation: Some(match check_database {
            true => Revocation::Immediate,
            false => Revocation::AtExpiry,
        }),
        rotation: Some(call.rotation(&app)),
        ..VerifyRequest::new(access_token)
    };
    let session = match app.sessions.verify(request).await {
        Ok(session) => session,
        Err(error) => {
            let mut shown = outcome::of_verification(error, check_database)?;
            let tells = call.dialect.tells_signing_key == TellsSigningKey::AlsoOnTryRefresh;
            if tells && shown["status"] == "TRY_REFRESH_TOKEN" {
                extend(&mut shown, signing_keys(call, &app).await?);
            }
            return Ok(Answer::Json(shown));
        }
    };
    app.check_tenant(session.tenant())?;
    let mut shown =
        json!({ "status": "OK", "session": session_json::session(call.dialect, &session) });
    if let Some(token) = session.new_access_token() {
        shown["accessToken"] = session_json::access_token(call, token);
    }
    if let Some(available) = session.payload_update_available() {
        shown["payloadUpdateAvailable"] = available.into();
    }
    if call.dialect.tells_signing_key != TellsSigningKey::Never {
        extend(&mut shown, signing_keys(call, &app).await?);
    }
    Ok(Answer::Json(shown))
}
