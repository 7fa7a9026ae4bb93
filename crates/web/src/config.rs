use http::StatusCode;
use sessile_core::GeneralError;

use crate::{anti_csrf::AntiCsrfMode, origin::origin_of};

/// How tokens travel between a client and the server.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Transfer {
    /// In HttpOnly cookies, which scripts cannot read.
    #[default]
    Cookie,
    /// In headers: `Authorization: Bearer` up, `st-access-token` and `st-refresh-token` down.
    Header,
}

/// The `SameSite` attribute of the cookies (RFC 6265bis).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SameSite {
    /// Sent on requests from the same site, and when a link from elsewhere is followed.
    #[default]
    Lax,
    /// Sent on every request; needs https. For a front-end on another site.
    None,
    /// Sent on requests from the same site alone.
    Strict,
}

/// Which front-end SDK the cookies and headers are for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BrowserContract {
    /// Today's, `supertokens-website` 20.x: the access-token cookie outlives its token, and the
    /// header `front-token` says who is logged in.
    #[default]
    Current,
    /// Those of SuperTokens' front-end driver interface 1.0 and 1.1: the cookie `sIdRefreshToken`
    /// says that there is a session, the header `id-refresh-token` tells scripts of it, and every
    /// cookie ends with its token. Tokens travel in cookies alone, and a refresh is not asked for
    /// its anti-CSRF token, because these SDKs do not send it there.
    IdRefreshToken,
}

/// How sessions meet the browser. [`WebConfig::default`] works as it is on http://localhost and
/// behind https on one origin.
///
/// ```
/// use sessile_web::WebConfig;
///
/// let config = WebConfig {
///     public_origin: Some("https://app.example.com".to_owned()),
///     trusted_origins: vec!["https://www.example.com".to_owned()],
///     ..WebConfig::default()
/// };
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebConfig {
    /// Which front-end SDK the cookies and headers are for.
    pub contract: BrowserContract,
    /// What comes before `/session/refresh`, `/signout` and `/jwt/jwks.json`: empty, or a path
    /// like `/auth`.
    pub api_base_path: String,
    /// The origin that browsers see, where a proxy hides it: `https://app.example.com`. Without
    /// it, the request's `Host` counts, and https is known by the request itself.
    pub public_origin: Option<String>,
    /// Other origins whose pages may use sessions here.
    pub trusted_origins: Vec<String>,
    /// The `Path` of every cookie but the refresh token's.
    pub access_token_path: String,
    /// The path of the refresh route, and the `Path` of the refresh cookie; without it,
    /// `/session/refresh` below `api_base_path`.
    pub refresh_token_path: Option<String>,
    /// The `Domain` of the cookies; without it they belong to the one host that sets them.
    pub cookie_domain: Option<String>,
    /// The `SameSite` attribute of the cookies.
    pub same_site: SameSite,
    /// Whether cookies are `Secure`; without it they are on https.
    pub secure: Option<bool>,
    /// How requests of other sites are told from one's own.
    pub anti_csrf: AntiCsrfMode,
    /// How tokens travel to a client that does not say (`st-auth-mode`). SuperTokens' default is
    /// [`Transfer::Header`].
    pub default_transfer: Transfer,
    /// Refreshes an expired access token on whichever request carries it, before its handler
    /// runs: for pages that a server renders, with no script in them. The refresh cookie is then
    /// sent with every request.
    pub refresh_in_place: bool,
    /// The status of answers to clients whose session or access token is over: 400 to 599.
    pub session_expired_status: StatusCode,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            contract: BrowserContract::default(),
            api_base_path: String::new(),
            public_origin: None,
            trusted_origins: Vec::new(),
            access_token_path: "/".to_owned(),
            refresh_token_path: None,
            cookie_domain: None,
            same_site: SameSite::default(),
            secure: None,
            anti_csrf: AntiCsrfMode::default(),
            default_transfer: Transfer::default(),
            refresh_in_place: false,
            session_expired_status: StatusCode::UNAUTHORIZED,
        }
    }
}

fn wrong(text: String) -> GeneralError {
    GeneralError::Configuration(text.into())
}

fn is_plain_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    path.starts_with('/') && path.bytes().all(plain)
}

/// The origin as browsers write it.
fn normal_origin(text: &str, name: &str) -> Result<String, GeneralError> {
    let problem =
        || wrong(format!("{name} must be an origin such as https://app.example.com, not '{text}'"));
    let origin = origin_of(text).ok_or_else(problem)?;
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let after_host = rest.find(['/', '?', '#']).map_or("", |start| &rest[start..]);
    if ["", "/"].contains(&after_host) { Ok(origin) } else { Err(problem()) }
}

impl WebConfig {
    /// The configuration with everything in its normal form, as
    /// [`WebSessions::new`](crate::WebSessions::new) takes it.
    ///
    /// # Errors
    /// [`GeneralError::Configuration`] names what contradicts itself or cannot be read.
    pub fn checked(mut self) -> Result<Self, GeneralError> {
        let path = self.api_base_path.trim_end_matches('/').to_owned();
        if !(path.is_empty() || is_plain_path(&path)) {
            return Err(wrong(format!(
                "api_base_path must be empty or a plain path like /auth, not '{path}'"
            )));
        }
        self.api_base_path = path;
        if !is_plain_path(&self.access_token_path) {
            return Err(wrong(format!(
                "access_token_path must be a plain path like /, not '{}'",
                self.access_token_path
            )));
        }
        if let Some(path) = &mut self.refresh_token_path {
            if !is_plain_path(path) {
                return Err(wrong(format!(
                    "refresh_token_path must be a plain path like /session/refresh, not '{path}'"
                )));
            }
            path.truncate(path.trim_end_matches('/').len().max(1));
        }
        if let Some(origin) = &self.public_origin {
            self.public_origin = Some(normal_origin(origin, "public_origin")?);
        }
        for origin in &mut self.trusted_origins {
            *origin = normal_origin(origin, "trusted_origins")?;
        }
        if let Some(domain) = &self.cookie_domain {
            let domain = domain.trim().trim_start_matches('.').to_ascii_lowercase();
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
            if domain.is_empty() || !domain.bytes().all(plain) {
                return Err(wrong(format!(
                    "cookie_domain must be a domain like example.com, not '{domain}'"
                )));
            }
            self.cookie_domain = Some(domain);
        }
        let insecure = self.secure == Some(false)
            || self.secure.is_none()
                && self.public_origin.as_ref().is_some_and(|origin| origin.starts_with("http:"));
        if self.same_site == SameSite::None && insecure {
            return Err(wrong(
                "same_site None needs https: browsers drop such cookies unless they are Secure"
                    .to_owned(),
            ));
        }
        if self.refresh_in_place && self.anti_csrf == AntiCsrfMode::Token {
            return Err(wrong(
                "refresh_in_place cannot go with anti_csrf Token: no script sees the new token of \
                 a page that was refreshed while it loaded, and no form can send it"
                    .to_owned(),
            ));
        }
        if self.contract == BrowserContract::IdRefreshToken {
            let problem = if self.default_transfer == Transfer::Header {
                "default_transfer Header cannot go with the contract IdRefreshToken, whose tokens \
                 travel in cookies"
            } else if self.refresh_in_place {
                "refresh_in_place cannot go with the contract IdRefreshToken: its front-end SDKs \
                 refresh by themselves"
            } else {
                ""
            };
            if !problem.is_empty() {
                return Err(wrong(problem.to_owned()));
            }
        }
        if !(400..=599).contains(&self.session_expired_status.as_u16()) {
            return Err(wrong("session_expired_status must be between 400 and 599".to_owned()));
        }
        Ok(self)
    }

    /// The path of the refresh route.
    pub fn refresh_path(&self) -> String {
        match &self.refresh_token_path {
            Some(path) => path.clone(),
            None => format!("{}/session/refresh", self.api_base_path),
        }
    }

    /// The path of the sign-out route.
    pub fn sign_out_path(&self) -> String {
        format!("{}/signout", self.api_base_path)
    }

    /// The path of the public keys.
    pub fn json_web_key_set_path(&self) -> String {
        format!("{}/jwt/jwks.json", self.api_base_path)
    }

    /// The path of [`BROWSER_SCRIPT`](crate::BROWSER_SCRIPT).
    pub fn browser_script_path(&self) -> String {
        format!("{}/sessile.js", self.api_base_path)
    }

    /// The `Path` of the refresh cookie.
    pub(crate) fn refresh_cookie_path(&self) -> String {
        if self.refresh_in_place { "/".to_owned() } else { self.refresh_path() }
    }
}

#[cfg(test)]
#[expect(clippy::type_complexity, reason = "a table of cases")]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_setting_is_named() {
        let cases: [(&str, fn(&mut WebConfig)); 18] = [
            ("api_base_path", |c| c.api_base_path = "auth".to_owned()),
            ("api_base_path", |c| c.api_base_path = "/auth;x".to_owned()),
            ("public_origin", |c| c.public_origin = Some("app.example.com".to_owned())),
            ("public_origin", |c| c.public_origin = Some("https://a.example/x".to_owned())),
            ("public_origin", |c| c.public_origin = Some("https://a.example?x".to_owned())),
            ("public_origin", |c| c.public_origin = Some("https://a.example?x/".to_owned())),
            ("public_origin", |c| c.public_origin = Some("https://a.example#/".to_owned())),
            ("public_origin", |c| c.public_origin = Some("https://me@a.example".to_owned())),
            ("public_origin", |c| c.public_origin = Some("ftp://a.example".to_owned())),
            ("trusted_origins", |c| c.trusted_origins = vec!["*".to_owned()]),
            ("cookie_domain", |c| c.cookie_domain = Some("a b".to_owned())),
            ("access_token_path", |c| c.access_token_path = String::new()),
            ("access_token_path", |c| c.access_token_path = "/;x".to_owned()),
            ("refresh_token_path", |c| c.refresh_token_path = Some("refresh".to_owned())),
            ("default_transfer", |c| {
                c.contract = BrowserContract::IdRefreshToken;
                c.default_transfer = Transfer::Header;
            }),
            ("refresh_in_place", |c| {
                c.contract = BrowserContract::IdRefreshToken;
                c.refresh_in_place = true;
            }),
            ("same_site", |c| {
                c.same_site = SameSite::None;
                c.secure = Some(false);
            }),
            ("refresh_in_place", |c| {
                c.refresh_in_place = true;
                c.anti_csrf = AntiCsrfMode::Token;
            }),
        ];
        for (name, change) in cases {
            let mut config = WebConfig::default();
            change(&mut config);
            let error = config.checked().unwrap_err().to_string();
            assert!(error.contains(name), "{name}: {error}");
        }
    }

    #[test]
    fn settings_are_brought_into_their_normal_form() {
        let config = WebConfig {
            api_base_path: "/auth/".to_owned(),
            public_origin: Some("https://App.Example.com:443/".to_owned()),
            cookie_domain: Some(" .Example.com".to_owned()),
            ..WebConfig::default()
        };
        let config = config.checked().unwrap();
        assert_eq!(config.refresh_path(), "/auth/session/refresh");
        assert_eq!(config.public_origin.unwrap(), "https://app.example.com");
        assert_eq!(config.cookie_domain.unwrap(), "example.com");
        for (given, path) in [("/again/", "/again"), ("/again", "/again"), ("/", "/")] {
            let config =
                WebConfig { refresh_token_path: Some(given.to_owned()), ..WebConfig::default() };
            assert_eq!(config.checked().unwrap().refresh_path(), path);
        }
    }
}
