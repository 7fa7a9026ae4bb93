//! The sessions of a user, and revocation.

use serde_json::json;
use sessile_core::{
    SessionHandle, SessionService, TenantScope, event::RevocationReason, store::TenantStore,
};

use crate::{
    answer::{Answer, Failure},
    apps::App,
    call::Call,
};

const ACROSS_ALL_TENANTS: &str = "revokeAcrossAllTenants";
const LINKED_ACCOUNTS: &str = "revokeSessionsForLinkedAccounts";

pub(super) async fn remove<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let body = call.body()?;
    let user_id = body.optional_text("userId")?;
    let handles = body.optional_texts("sessionHandles")?;
    let across = body.optional_boolean(ACROSS_ALL_TENANTS)?;
    let linked = body.optional_boolean(LINKED_ACCOUNTS)?;
    let revoked = match (user_id, handles) {
        (Some(user_id), None) => {
            let app = call.app()?;
            let tenants = scope(call, &app, across.unwrap_or(true))?;
            match linked.unwrap_or(true) {
                true => app.sessions.revoke_sessions_of_user(user_id, &tenants, None).await?,
                false => app.sessions.revoke_sessions_of_account(user_id, &tenants, None).await?,
            }
        }
        (None, Some(handles)) => {
            for (flag, name) in [(across, ACROSS_ALL_TENANTS), (linked, LINKED_ACCOUNTS)] {
                if flag.is_some() {
                    return Err(Failure::BadInput(format!(
                        "Invalid JSON input - {name} can only be set if userId is set"
                    )));
                }
            }
            let app = call.app()?;
            let handles: Vec<SessionHandle> =
                handles.into_iter().map(|handle| app.handle(handle)).collect::<Result<_, _>>()?;
            let mut revoked =
                app.sessions.revoke_sessions(&handles, RevocationReason::Requested).await?;
            revoked.sort_by_key(|handle| handles.iter().position(|asked| asked == handle));
            revoked
        }
        _ => {
            return Err(Failure::bad_input(
                "Invalid JSON input - use one of userId or sessionHandles array",
            ));
        }
    };
    Ok(Answer::Json(json!({ "status": "OK", "sessionHandlesRevoked": texts(&revoked) })))
}

pub(super) async fn list<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let user_id = call.query.text("userId")?;
    let app = call.app()?;
    let across = call.query.true_by_default("fetchAcrossAllTenants");
    let tenants = scope(call, &app, across)?;
    let sessions = match call.query.true_by_default("fetchSessionsForAllLinkedAccounts") {
        true => app.sessions.get_sessions_of_user(user_id, &tenants).await?,
        false => app.sessions.get_sessions_of_account(user_id, &tenants).await?,
    };
    let handles: Vec<SessionHandle> = sessions.into_iter().map(|session| session.handle).collect();
    Ok(Answer::Json(json!({ "status": "OK", "sessionHandles": texts(&handles) })))
}

/// The tenants that a request about a user means.
fn scope<S: TenantStore>(
    call: &Call<S>,
    app: &App<S>,
    across: bool,
) -> Result<TenantScope, Failure> {
    if across {
        call.require_public_tenant()?;
        Ok(TenantScope::All)
    } else {
        app.tenant(&call.name).map(TenantScope::Only)
    }
}

fn texts(handles: &[SessionHandle]) -> Vec<&str> {
    handles.iter().map(SessionHandle::as_str).collect()
}
