//! What SDKs up to CDI 2.20 ask before anything else.

use serde_json::{Value, json};
use sessile_core::store::TenantStore;

use crate::{
    answer::{Answer, Failure},
    call::Call,
    cdi::Handshake,
    session_json::{cookie_domain, extend, signing_keys},
};

/// Signing keys, and what else the version tells.
pub(super) async fn handshake<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    if call.dialect.handshake == Handshake::Gone {
        return Err(Failure::NotFound);
    }
    let (app, _) = call.app_and_tenant()?;
    let mut shown = json!({
        "status": "OK",
        "accessTokenBlacklistingEnabled": app.config.access_token_blacklisting,
    });
    if call.dialect.handshake == Handshake::Cookies {
        call.body()?;
        cookies(call, &mut shown);
    } else {
        let milliseconds =
            |validity: std::time::Duration| u64::try_from(validity.as_millis()).unwrap_or(u64::MAX);
        shown["accessTokenValidity"] = milliseconds(app.config.access_token_validity).into();
        shown["refreshTokenValidity"] = milliseconds(app.config.refresh_token_validity).into();
    }
    extend(&mut shown, signing_keys(call, &app).await?);
    Ok(Answer::Json(shown))
}

fn cookies<S: TenantStore>(call: &Call<S>, shown: &mut Value) {
    let legacy = &call.parts.config.legacy;
    shown["cookieSecure"] = legacy.cookie_secure.into();
    shown["cookieSameSite"] = legacy.cookie_same_site.as_str().into();
    shown["accessTokenPath"] = legacy.access_token_path.as_str().into();
    shown["idRefreshTokenPath"] = legacy.access_token_path.as_str().into();
    shown["refreshTokenPath"] = legacy.refresh_api_path.as_str().into();
    shown["enableAntiCsrf"] = legacy.enable_anti_csrf.into();
    shown["sessionExpiredStatusCode"] = legacy.session_expired_status_code.into();
    if let Some(domain) = cookie_domain(call.dialect, legacy) {
        shown["cookieDomain"] = domain.into();
    }
}
