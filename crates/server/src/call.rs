//! One request, as its handler sees it.

use std::{sync::Arc, time::Duration};

use sessile_core::{
    IssueOptions, SessionHandle, TenantId,
    policy::{RotationPolicy, SigningKeyKind},
    store::TenantStore,
};

use crate::{
    answer::Failure,
    apps::App,
    cdi::{Decision, Dialect, Rotation},
    config::RefreshRotation,
    input::{Body, Query},
    path::TenantName,
    server::Parts,
};

/// A request that found its route.
pub(crate) struct Call<S> {
    pub(crate) parts: Arc<Parts<S>>,
    /// The app and tenant of its path.
    pub(crate) name: TenantName,
    /// That app, if there is one: as it was when it let the request in.
    pub(crate) app: Option<Arc<App<S>>>,
    pub(crate) dialect: &'static Dialect,
    pub(crate) body: Result<Body, Failure>,
    pub(crate) query: Query,
}

impl<S: TenantStore> Call<S> {
    /// The app of the path.
    pub(crate) fn app(&self) -> Result<Arc<App<S>>, Failure> {
        self.app.clone().ok_or_else(|| Failure::UnknownTenant(self.name.clone()))
    }

    /// The app of the path, and the tenant, which must exist too.
    pub(crate) fn app_and_tenant(&self) -> Result<(Arc<App<S>>, TenantId), Failure> {
        let app = self.app()?;
        let tenant = app.tenant(&self.name)?;
        Ok((app, tenant))
    }

    /// The body, which must be a JSON object.
    pub(crate) fn body(&self) -> Result<&Body, Failure> {
        self.body.as_ref().map_err(|_| Failure::bad_input("Invalid Json Input"))
    }

    /// Refuses what concerns a whole app from a tenant of it, where the version does.
    pub(crate) fn require_public_tenant(&self) -> Result<(), Failure> {
        if self.dialect.app_calls_need_public_tenant && !self.name.is_public_tenant() {
            return Err(Failure::Forbidden("Only public tenantId can call this app specific API"));
        }
        Ok(())
    }

    /// The session whose handle the query names.
    pub(crate) fn handle_of_query(&self, app: &App<S>) -> Result<SessionHandle, Failure> {
        app.handle(self.query.text("sessionHandle")?)
    }

    /// Whether tokens come with anti-CSRF tokens.
    pub(crate) fn enables_anti_csrf(&self) -> Result<bool, Failure> {
        match self.dialect.anti_csrf {
            Decision::Configuration => Ok(self.parts.config.legacy.enable_anti_csrf),
            Decision::Request => self.body()?.boolean("enableAntiCsrf"),
        }
    }

    /// The rotation that the version follows. What a verification answers and writes is the
    /// version's own, whatever refreshes do.
    pub(crate) fn rotation(&self, app: &App<S>) -> RotationPolicy {
        match self.dialect.rotation {
            Rotation::OnUse => RotationPolicy::OnUse,
            Rotation::OnRefresh => {
                RotationPolicy::OnRefresh { grace: app.config.refresh_token_rotation_grace_period }
            }
        }
    }

    /// The rotation that a refresh follows.
    pub(crate) fn refresh_rotation(&self, app: &App<S>) -> RotationPolicy {
        match app.config.refresh_rotation {
            RefreshRotation::SuperTokens => self.rotation(app),
            RefreshRotation::Idempotent => {
                RotationPolicy::Idempotent { grace: app.config.refresh_token_rotation_grace_period }
            }
        }
    }

    /// How new tokens are made.
    pub(crate) fn issue_options(
        &self,
        app: &App<S>,
        signing_key_kind: Option<SigningKeyKind>,
    ) -> Result<IssueOptions, Failure> {
        let access_token_validity = match self.dialect.access_token_validity {
            true => self.wanted_validity(app)?,
            false => None,
        };
        Ok(IssueOptions {
            access_token_version: Some(self.dialect.access_token_version),
            signing_key_kind,
            access_token_validity,
        })
    }

    fn wanted_validity(&self, app: &App<S>) -> Result<Option<Duration>, Failure> {
        let limit = app.config.access_token_validity;
        let Some(wanted) = self.body()?.optional_integer("accessTokenValidity")? else {
            return Ok(None);
        };
        let wanted = u64::try_from(wanted).ok().map(Duration::from_millis);
        match wanted.filter(|wanted| !wanted.is_zero() && *wanted <= limit) {
            Some(wanted) => Ok(Some(wanted)),
            None => Err(Failure::BadInput(format!(
                "accessTokenValidity must be greater than 0 and at most the configured \
                 access_token_validity ({} ms)",
                limit.as_millis()
            ))),
        }
    }
}

/// The kind of key that "use a dynamic signing key" asks for.
pub(crate) fn key_kind(dynamic: bool) -> SigningKeyKind {
    if dynamic { SigningKeyKind::Dynamic } else { SigningKeyKind::Static }
}
