//! What a server can be told.

use std::{path::PathBuf, time::Duration};

use http::Uri;
use sessile_core::{
    AccessTokenVersion, Algorithm,
    policy::{
        self, LateRetry, Policy, RefreshTokenFormat, Revocation, RotationPolicy, SigningKeyKind,
    },
};

use crate::{
    addresses::AddressFilter, api_keys::ApiKeys, cdi::CdiVersion, limits::Limits, settings::Problem,
};

/// Cookie domain, path and the like, which the core tells SDKs up to CDI 2.3.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LegacyConfig {
    /// Path of the access token's cookie, and of the `idRefreshToken`'s: `/`.
    pub access_token_path: String,
    /// Path of the refresh token's cookie: `/session/refresh`.
    pub refresh_api_path: String,
    /// Domain of all cookies; none, so that CDI 2.0 and 2.1 are told `localhost`.
    pub cookie_domain: Option<String>,
    /// Whether cookies are for https alone: no.
    pub cookie_secure: bool,
    /// `lax`, `strict` or `none`: `lax`.
    pub cookie_same_site: String,
    /// Whether tokens come with anti-CSRF tokens: no.
    pub enable_anti_csrf: bool,
    /// The status by which front ends know that a session is over: 401.
    pub session_expired_status_code: u16,
}

impl Default for LegacyConfig {
    fn default() -> Self {
        Self {
            access_token_path: "/".to_owned(),
            refresh_api_path: "/session/refresh".to_owned(),
            cookie_domain: None,
            cookie_secure: false,
            cookie_same_site: "lax".to_owned(),
            enable_anti_csrf: false,
            session_expired_status_code: 401,
        }
    }
}

/// What a refresh does with the token that it replaces.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RefreshRotation {
    /// As SuperTokens' core does, by the version of each request.
    #[default]
    SuperTokens,
    /// For every version: whoever presents the previous token within the grace period is given the
    /// same next one again.
    Idempotent,
}

/// The settings that each app may have of its own, named as in SuperTokens' configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct AppConfig {
    /// How long an access token is good for: 1 hour.
    pub access_token_validity: Duration,
    /// How long a session lives without being refreshed: 100 days.
    pub refresh_token_validity: Duration,
    /// Whether CDI below 2.21 asks the store at every verification: no.
    pub access_token_blacklisting: bool,
    /// Whether dynamic keys sign for CDI below 2.21: yes.
    pub access_token_signing_key_dynamic: bool,
    /// How long after one dynamic key the next is made: 168 hours.
    pub access_token_dynamic_signing_key_update_interval: Duration,
    /// From CDI 5.6 on, how long the previous refresh token is still answered: 30 s.
    pub refresh_token_rotation_grace_period: Duration,
    /// By how much of its validity an access token may be shorter, at random, from 0 to 0.25: 0.
    /// SuperTokens' core has 0.05.
    pub access_token_validity_jitter: f64,
    /// From CDI 5.6 on, what a refresh token is called that was reused recently: a theft.
    pub recent_token_reuse_behaviour: LateRetry,
    /// What a refresh does with the token that it replaces: as SuperTokens.
    pub refresh_rotation: RefreshRotation,
    /// The keys of which a request must bring one: none, and none is asked for.
    pub api_keys: ApiKeys,
    /// Which addresses requests may come from: all.
    pub addresses: AddressFilter,
    /// The oldest version that is served: every one.
    pub supertokens_min_cdi_version: Option<CdiVersion>,
    /// The newest version that is served, and assumed where a request names none: every one.
    pub supertokens_max_cdi_version: Option<CdiVersion>,
}

impl Default for AppConfig {
    fn default() -> Self {
        Self {
            access_token_validity: policy::ACCESS_TOKEN_VALIDITY,
            refresh_token_validity: policy::REFRESH_TOKEN_VALIDITY,
            access_token_blacklisting: false,
            access_token_signing_key_dynamic: true,
            access_token_dynamic_signing_key_update_interval: policy::SIGNING_KEY_UPDATE_INTERVAL,
            refresh_token_rotation_grace_period: policy::GRACE_PERIOD,
            access_token_validity_jitter: 0.0,
            recent_token_reuse_behaviour: LateRetry::TokenTheft,
            refresh_rotation: RefreshRotation::SuperTokens,
            api_keys: ApiKeys::default(),
            addresses: AddressFilter::default(),
            supertokens_min_cdi_version: None,
            supertokens_max_cdi_version: None,
        }
    }
}

impl AppConfig {
    /// Whether settings that are right for themselves are so together. In test mode lifetimes and
    /// intervals may be as short as tests want them.
    pub(crate) fn check(&self, test_mode: bool) -> Result<(), Problem> {
        const HOUR: Duration = Duration::from_secs(3600);
        const LONGEST_GRACE: Duration = Duration::from_secs(300);
        if !test_mode {
            if self.access_token_dynamic_signing_key_update_interval < HOUR {
                let problem = "'access_token_dynamic_signing_key_update_interval' must be greater \
                               than, equal to 1 hour.";
                return Err(Problem::of_file(problem));
            }
            if self.refresh_token_rotation_grace_period > LONGEST_GRACE {
                let problem = "'refresh_token_rotation_grace_period' must be between 0 and 300 \
                               seconds inclusive.";
                return Err(Problem::of_file(problem));
            }
            if self.refresh_token_validity <= self.access_token_validity {
                let problem = "'refresh_token_validity' must be strictly greater than \
                               'access_token_validity'.";
                return Err(Problem::of_file(problem));
            }
        }
        match (self.supertokens_min_cdi_version, self.supertokens_max_cdi_version) {
            (Some(min), Some(max)) if min > max => Err(Problem::new(
                "supertokens_min_cdi_version cannot be greater than supertokens_max_cdi_version",
            )),
            _ => Ok(()),
        }
    }

    /// The policy that an app with these settings lives by. What SDKs say with each request is
    /// left to the requests.
    pub(crate) fn policy(&self, test_mode: bool) -> Policy {
        let interval = self.access_token_dynamic_signing_key_update_interval;
        Policy {
            access_token_validity: self.access_token_validity,
            refresh_token_validity: self.refresh_token_validity,
            absolute_lifetime: None,
            rotation: RotationPolicy::OnUse,
            late_retry: self.recent_token_reuse_behaviour,
            revocation: Revocation::AtExpiry,
            algorithm: Algorithm::Rs256,
            // Every request names its own; V2 forbids no claim, so each is judged by its request.
            access_token_version: AccessTokenVersion::V2,
            refresh_token_format: RefreshTokenFormat::SuperTokens,
            signing_key_kind: SigningKeyKind::Dynamic,
            access_token_validity_jitter: self.access_token_validity_jitter,
            signing_key_update_interval: interval,
            signing_key_overlap: if test_mode && interval < Duration::from_secs(60) {
                interval / 5
            } else {
                policy::SIGNING_KEY_OVERLAP
            },
            cookie_limit: None,
            allow_short_sessions: test_mode,
            ..Policy::default()
        }
    }
}

/// What a server can be told; [`ServerConfig::default`] has every default.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerConfig {
    /// What holds for every app that has no settings of its own.
    pub app: AppConfig,
    /// What only SDKs up to CDI 2.3 are told.
    pub legacy: LegacyConfig,
    /// Whether apps may have lifetimes and intervals as short as tests want them: no.
    pub test_mode: bool,
    /// A key that opens every app, beside those of the app itself: none.
    pub supertokens_saas_secret: ApiKeys,
    /// A path that comes before every route: none.
    pub base_path: String,
    /// The largest body that is read, in bytes: 1 MiB.
    pub body_limit: usize,
    /// The file that all this was read from, for who asks this process at `/config`: none.
    pub config_path: Option<PathBuf>,
    /// How much of the server its clients may use.
    pub limits: Limits,
    /// The URL of a SuperTokens core that answers what this server does not: none. Paths are added
    /// to that of the URL.
    pub forward: Option<Uri>,
    /// The host and port at which `/metrics` is served instead of beside the other routes: none.
    /// Who starts the server listens there, with [`Server::serve_operations`](crate::Server).
    pub metrics_address: Option<String>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            app: AppConfig::default(),
            legacy: LegacyConfig::default(),
            test_mode: false,
            supertokens_saas_secret: ApiKeys::default(),
            base_path: String::new(),
            body_limit: 1024 * 1024,
            config_path: None,
            limits: Limits::default(),
            forward: None,
            metrics_address: None,
        }
    }
}
