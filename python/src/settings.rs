//! Settings, as the Python packages hand them in: complete, and of the right types.

use std::{path::PathBuf, sync::Arc, time::Duration};

use pyo3::{exceptions::PyValueError, prelude::*};
use sessile::{
    AntiCsrfMode, AppId, GeneralError, SameSite, Transfer, WebConfig,
    clock::ManualClock as CoreClock,
    policy::{Policy, Revocation, RotationPolicy, SigningKeyKind},
    postgres::PostgresOptions,
    web::BrowserContract,
};

use crate::clock::{ManualClock, seconds};

/// Where sessions are kept.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    Memory,
    File(PathBuf),
    Postgres(Box<PostgresOptions>),
}

/// How an engine is to work.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) location: Location,
    pub(crate) app: AppId,
    pub(crate) policy: Policy,
    pub(crate) web: WebConfig,
    pub(crate) clock: Option<Arc<CoreClock>>,
}

/// The same as Python has them. Spans of time are seconds.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct GivenSettings {
    /// A file; without one and without a URL, memory.
    path: Option<PathBuf>,
    postgres_url: Option<String>,
    app_id: String,
    clock: Option<Py<ManualClock>>,
    access_token_validity: f64,
    refresh_token_validity: f64,
    absolute_lifetime: Option<f64>,
    refresh_grace_period: f64,
    signing_key_update_interval: f64,
    static_signing_key: bool,
    check_database: bool,
    algorithm: String,
    id_refresh_token_contract: bool,
    api_base_path: String,
    access_token_path: String,
    refresh_token_path: Option<String>,
    public_origin: Option<String>,
    trusted_origins: Vec<String>,
    cookie_domain: Option<String>,
    cookie_secure: Option<bool>,
    cookie_same_site: String,
    anti_csrf: String,
    header_transfer: bool,
    refresh_in_place: bool,
    session_expired_status_code: u16,
}

fn unknown(name: &str, value: &str, known: &str) -> PyErr {
    PyValueError::new_err(format!("{name} must be {known}, not '{value}'"))
}

impl GivenSettings {
    /// # Errors
    /// A `ValueError` that names the setting which contradicts another one or cannot be used.
    pub(crate) fn check(self, py: Python<'_>) -> PyResult<Settings> {
        let app = self.app_id.parse::<AppId>();
        let app = app.map_err(|error| PyValueError::new_err(format!("app_id: {error}")))?;
        let policy = self.policy()?;
        policy.check().map_err(configuration)?;
        let web = self.web()?.checked().map_err(configuration)?;
        let location = location(self.path, self.postgres_url.as_deref())?;
        let clock = self.clock.map(|clock| Arc::clone(&clock.bind(py).get().0));
        Ok(Settings { location, app, policy, web, clock })
    }

    fn policy(&self) -> PyResult<Policy> {
        let span = |name: &str, value: f64| -> PyResult<Duration> { seconds(name, value) };
        let algorithm = self.algorithm.parse();
        let algorithm = algorithm
            .map_err(|_| unknown("algorithm", &self.algorithm, "'ES256', 'EdDSA' or 'RS256'"))?;
        let defaults = Policy::default();
        let interval = span("signing_key_update_interval", self.signing_key_update_interval)?;
        let lifetime = self.absolute_lifetime.map(|value| span("absolute_lifetime", value));
        Ok(Policy {
            access_token_validity: span("access_token_validity", self.access_token_validity)?,
            refresh_token_validity: span("refresh_token_validity", self.refresh_token_validity)?,
            absolute_lifetime: lifetime.transpose()?,
            rotation: RotationPolicy::Idempotent {
                grace: span("refresh_grace_period", self.refresh_grace_period)?,
            },
            revocation: if self.check_database {
                Revocation::Immediate
            } else {
                Revocation::AtExpiry
            },
            algorithm,
            signing_key_kind: if self.static_signing_key {
                SigningKeyKind::Static
            } else {
                SigningKeyKind::Dynamic
            },
            signing_key_update_interval: interval,
            ..defaults
        })
    }

    fn web(&self) -> PyResult<WebConfig> {
        let same_site = match self.cookie_same_site.as_str() {
            "lax" => SameSite::Lax,
            "strict" => SameSite::Strict,
            "none" => SameSite::None,
            other => return Err(unknown("cookie_same_site", other, "'lax', 'strict' or 'none'")),
        };
        let anti_csrf = match self.anti_csrf.as_str() {
            "fetch-metadata" => AntiCsrfMode::FetchMetadata,
            "token" => AntiCsrfMode::Token,
            "custom-header" => AntiCsrfMode::CustomHeader,
            "off" => AntiCsrfMode::Off,
            other => {
                let known = "'fetch-metadata', 'token', 'custom-header' or 'off'";
                return Err(unknown("anti_csrf", other, known));
            }
        };
        let status = self.session_expired_status_code;
        let session_expired_status = http::StatusCode::from_u16(status).map_err(|_| {
            unknown("session_expired_status_code", &status.to_string(), "between 400 and 599")
        })?;
        Ok(WebConfig {
            contract: if self.id_refresh_token_contract {
                BrowserContract::IdRefreshToken
            } else {
                BrowserContract::Current
            },
            api_base_path: self.api_base_path.clone(),
            public_origin: self.public_origin.clone(),
            trusted_origins: self.trusted_origins.clone(),
            access_token_path: self.access_token_path.clone(),
            refresh_token_path: self.refresh_token_path.clone(),
            cookie_domain: self.cookie_domain.clone(),
            same_site,
            secure: self.cookie_secure,
            anti_csrf,
            default_transfer: if self.header_transfer {
                Transfer::Header
            } else {
                Transfer::Cookie
            },
            refresh_in_place: self.refresh_in_place,
            session_expired_status,
        })
    }
}

fn location(path: Option<PathBuf>, url: Option<&str>) -> PyResult<Location> {
    if let Some(url) = url {
        // It says what is wrong without the URL, in which there may be a password.
        let options = PostgresOptions::from_url(url);
        let options = options.map_err(|error| PyValueError::new_err(format!("store: {error}")))?;
        return Ok(Location::Postgres(Box::new(options)));
    }
    Ok(path.map_or(Location::Memory, Location::File))
}

impl Location {
    /// Where that is, without user and password.
    pub(crate) fn description(&self) -> String {
        match self {
            Self::Memory => "memory".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Postgres(options) => {
                options.description().unwrap_or_else(|_| "a PostgreSQL database".to_owned())
            }
        }
    }
}

fn configuration(error: GeneralError) -> PyErr {
    match error {
        GeneralError::Configuration(text) => PyValueError::new_err(text.into_owned()),
        other => PyValueError::new_err(other.to_string()),
    }
}
