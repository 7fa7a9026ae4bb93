//! Sessions, tokens and keys as answers show them.

use std::time::Duration;

use serde_json::{Value, json};
use sessile_core::{
    IssuedSession, IssuedToken, JsonObject, PublicSigningKey, SessionInformation, VerifiedSession,
    random::{RandomSource, SystemRandom},
    store::TenantStore,
};

use crate::{
    answer::Failure,
    apps::App,
    call::{Call, key_kind},
    cdi::Dialect,
    config::LegacyConfig,
};

/// How long a static key is said to be good for: ten years.
const STATIC_KEY_VALIDITY: Duration = Duration::from_millis(315_360_000_000);

/// `session` as creation, verification, refresh and regeneration answer it.
pub(crate) fn session(dialect: &Dialect, session: &VerifiedSession) -> Value {
    let mut shown = json!({
        "handle": session.handle().as_str(),
        "userId": session.user_id(),
        "userDataInJWT": session.jwt_payload(),
    });
    if dialect.recipe_user_id {
        shown["recipeUserId"] = session.recipe_user_id().into();
    }
    if dialect.tenants {
        shown["tenantId"] = session.tenant().as_str().into();
    }
    shown
}

/// All that is known of a session.
pub(crate) fn information(dialect: &Dialect, session: &SessionInformation) -> Value {
    let mut shown = json!({
        "status": "OK",
        "sessionHandle": session.handle.as_str(),
        "userId": session.user_id,
        "userDataInDatabase": session.session_data,
        "userDataInJWT": session.jwt_payload,
        "expiry": session.expires_at.as_millis(),
        "timeCreated": session.created_at.as_millis(),
    });
    if dialect.recipe_user_id {
        shown["recipeUserId"] = session.recipe_user_id.as_str().into();
    }
    if dialect.tenants {
        shown["tenantId"] = session.tenant.as_str().into();
    }
    shown
}

/// The answer of creation and refresh.
pub(crate) fn issued<S: TenantStore>(
    call: &Call<S>,
    issued: &IssuedSession,
) -> Result<Value, Failure> {
    let IssuedSession { session: verified, access_token, refresh_token, anti_csrf_token } = issued;
    let legacy = &call.parts.config.legacy;
    let refresh_path = &legacy.refresh_api_path;
    let mut shown = json!({
        "status": "OK",
        "session": session(call.dialect, verified),
        "accessToken": token(call, access_token, &legacy.access_token_path),
        "refreshToken": token(call, refresh_token, refresh_path),
    });
    if call.dialect.id_refresh_token {
        // It tells front ends of that time that there is a session; nobody reads it back.
        let mut shown_id = token(call, refresh_token, &legacy.access_token_path);
        shown_id["token"] = random_uuid()?.into();
        shown["idRefreshToken"] = shown_id;
    }
    if let Some(token) = anti_csrf_token {
        shown["antiCsrfToken"] = token.as_str().into();
    }
    Ok(shown)
}

/// An access token on its own.
pub(crate) fn access_token<S: TenantStore>(call: &Call<S>, issued: &IssuedToken) -> Value {
    token(call, issued, &call.parts.config.legacy.access_token_path)
}

fn token<S>(call: &Call<S>, issued: &IssuedToken, path: &str) -> Value {
    let mut shown = json!({
        "token": issued.token.expose(),
        "expiry": issued.expires_at.as_millis(),
        "createdTime": issued.created_at.as_millis(),
    });
    if call.dialect.cookie_attributes {
        let legacy = &call.parts.config.legacy;
        shown["cookiePath"] = path.into();
        shown["cookieSecure"] = legacy.cookie_secure.into();
        shown["sameSite"] = legacy.cookie_same_site.as_str().into();
        if let Some(domain) = cookie_domain(call.dialect, legacy) {
            shown["domain"] = domain.into();
        }
    }
    shown
}

/// The domain of cookies, where there is anything to say of it.
pub(crate) fn cookie_domain<'a>(dialect: &Dialect, legacy: &'a LegacyConfig) -> Option<&'a str> {
    legacy.cookie_domain.as_deref().or(dialect.default_cookie_domain)
}

fn random_uuid() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    SystemRandom.fill(&mut bytes).map_err(sessile_core::Error::from)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}

/// The public key that signs, and from CDI 2.9 on all that verify, for SDKs that know no JWKS.
pub(crate) async fn signing_keys<S: TenantStore>(
    call: &Call<S>,
    app: &App<S>,
) -> Result<JsonObject, Failure> {
    let dynamic = app.config.access_token_signing_key_dynamic;
    let keys = app.sessions.public_signing_keys(key_kind(dynamic)).await?;
    let (signs, verifies) = if dynamic {
        let interval = app.config.access_token_dynamic_signing_key_update_interval;
        (interval, interval.saturating_add(app.config.access_token_validity.saturating_mul(2)))
    } else {
        (STATIC_KEY_VALIDITY, STATIC_KEY_VALIDITY)
    };
    let expiry = |key: &PublicSigningKey, validity| key.created_at.plus(validity).as_millis();
    let mut shown = JsonObject::new();
    shown.insert("jwtSigningPublicKey".to_owned(), keys.signing.public_key.as_str().into());
    shown.insert("jwtSigningPublicKeyExpiryTime".to_owned(), expiry(&keys.signing, signs).into());
    if call.dialect.tells_all_keys {
        let list: Vec<Value> = keys
            .verifying
            .iter()
            .map(|key| {
                json!({
                    "publicKey": key.public_key,
                    "expiryTime": expiry(key, verifies),
                    "createdAt": key.created_at.as_millis(),
                })
            })
            .collect();
        shown.insert("jwtSigningPublicKeyList".to_owned(), list.into());
    }
    Ok(shown)
}

/// Puts `more` beside what is shown already.
pub(crate) fn extend(shown: &mut Value, more: JsonObject) {
    if let Value::Object(object) = shown {
        object.extend(more);
    }
}
