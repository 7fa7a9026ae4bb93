use cookie::{Cookie, CookieBuilder, Expiration};
use http::HeaderValue;
use sessile_core::{ACCESS_TOKEN_COOKIE, clock::Timestamp};
use time::OffsetDateTime;

use crate::config::{SameSite, WebConfig};

/// The name of the cookie that carries a refresh token.
pub(crate) const REFRESH_TOKEN_COOKIE: &str = "sRefreshToken";

/// The name of the cookie that says that there is a session to refresh.
pub(crate) const ID_REFRESH_TOKEN_COOKIE: &str = "sIdRefreshToken";

/// One of the cookies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SessionCookie {
    Access,
    Refresh,
    IdRefresh,
}

impl SessionCookie {
    pub(crate) const ALL: [Self; 3] = [Self::Access, Self::Refresh, Self::IdRefresh];

    fn name(self) -> &'static str {
        match self {
            Self::Access => ACCESS_TOKEN_COOKIE,
            Self::Refresh => REFRESH_TOKEN_COOKIE,
            Self::IdRefresh => ID_REFRESH_TOKEN_COOKIE,
        }
    }

    fn path(self, config: &WebConfig) -> String {
        match self {
            Self::Access | Self::IdRefresh => config.access_token_path.clone(),
            Self::Refresh => config.refresh_cookie_path(),
        }
    }

    /// The `Set-Cookie` that gives the browser this value.
    pub(crate) fn set(
        self,
        value: &str,
        expires_at: Timestamp,
        secure: bool,
        config: &WebConfig,
    ) -> Option<HeaderValue> {
        // Years beyond 9999 cannot be written; browsers cut at 400 days anyway.
        let expires = OffsetDateTime::from_unix_timestamp(expires_at.as_seconds())
            .unwrap_or_else(|_| time::PrimitiveDateTime::MAX.assume_utc());
        let builder = Cookie::build((self.name(), value)).expires(expires);
        header(with_attributes(builder, self.path(config), config), secure, config)
    }

    /// The `Set-Cookie` that takes it away where [`set`](Self::set) put it.
    pub(crate) fn clear(self, secure: bool, config: &WebConfig) -> Option<HeaderValue> {
        let builder = Cookie::build((self.name(), "")).expires(OffsetDateTime::UNIX_EPOCH);
        header(with_attributes(builder, self.path(config), config), secure, config)
    }

    /// The `Set-Cookie`s that take it away everywhere else that a browser at `host` may have it
    /// from: other settings, or other applications of the same domain.
    pub(crate) fn clear_elsewhere(self, host: &str, config: &WebConfig) -> Vec<HeaderValue> {
        let own_scope = (config.cookie_domain.clone(), self.path(config));
        let domains = std::iter::once(None).chain(parent_domains(host).into_iter().map(Some));
        let paths = ["/".to_owned(), config.refresh_path()];
        domains
            .flat_map(|domain| paths.clone().map(|path| (domain.clone(), path)))
            .filter(|scope| *scope != own_scope)
            .filter_map(|(domain, path)| {
                let mut cookie = Cookie::build((self.name(), ""))
                    .expires(OffsetDateTime::UNIX_EPOCH)
                    .http_only(true)
                    .path(path);
                if let Some(domain) = domain {
                    cookie = cookie.domain(domain);
                }
                HeaderValue::try_from(cookie.build().to_string()).ok()
            })
            .collect()
    }
}

fn with_attributes<'a>(
    builder: CookieBuilder<'a>,
    path: String,
    config: &WebConfig,
) -> CookieBuilder<'a> {
    let builder = builder.path(path).http_only(true).same_site(match config.same_site {
        SameSite::Lax => cookie::SameSite::Lax,
        SameSite::None => cookie::SameSite::None,
        SameSite::Strict => cookie::SameSite::Strict,
    });
    match &config.cookie_domain {
        Some(domain) => builder.domain(domain.clone()),
        None => builder,
    }
}

fn header(builder: CookieBuilder<'_>, secure: bool, config: &WebConfig) -> Option<HeaderValue> {
    let secure = config.secure.unwrap_or(secure || config.same_site == SameSite::None);
    let mut cookie = builder.build();
    if secure {
        cookie.set_secure(true);
    }
    debug_assert!(matches!(cookie.expires(), Some(Expiration::DateTime(_))));
    HeaderValue::try_from(cookie.to_string()).ok()
}

/// The domains that a page at `host` may set cookies for: itself and everything above it but the
/// last label. An address has none, nor has what is longer or deeper than names of hosts are.
fn parent_domains(host: &str) -> Vec<String> {
    const MAXIMUM_LENGTH: usize = 253;
    const MAXIMUM_LABELS: usize = 16;
    let is_label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(plain)
    };
    let is_name = host.len() <= MAXIMUM_LENGTH
        && host.split('.').count() <= MAXIMUM_LABELS
        && host.split('.').all(is_label);
    if !is_name || host.parse::<std::net::IpAddr>().is_ok() {
        return Vec::new();
    }
    let mut domains = Vec::new();
    let mut rest = host;
    while rest.contains('.') {
        domains.push(rest.to_ascii_lowercase());
        rest = rest.split_once('.').map_or("", |(_, above)| above);
    }
    domains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_of_a_host() {
        assert_eq!(
            parent_domains("a.b.example.com"),
            ["a.b.example.com", "b.example.com", "example.com"]
        );
        let long = "a".repeat(64) + ".example.com";
        for host in [
            "localhost",
            "127.0.0.1",
            "[::1]",
            "::ffff:1.2.3.4",
            "",
            ".",
            "a..b",
            "example.com; Domain=evil.example",
            "user@example.com",
            &long,
            &"a.".repeat(50_000),
            &("a.".repeat(16) + "a"),
        ] {
            assert!(parent_domains(host).is_empty(), "{host:.80}");
        }
        assert_eq!(parent_domains(&("a.".repeat(15) + "a")).len(), 15);
    }

    #[test]
    fn attributes_are_written_out() {
        let config = WebConfig::default();
        let far = Timestamp::from_seconds(4_000_000_000);
        let text = SessionCookie::Refresh.set("v", far, true, &config).unwrap();
        assert_eq!(
            text.to_str().unwrap(),
            "sRefreshToken=v; HttpOnly; SameSite=Lax; Secure; Path=/session/refresh; \
             Expires=Tue, 02 Oct 2096 07:06:40 GMT"
        );
        let text = SessionCookie::Access.clear(false, &config).unwrap();
        assert_eq!(
            text.to_str().unwrap(),
            "sAccessToken=; HttpOnly; SameSite=Lax; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
        );
        assert!(SessionCookie::Access.set("v", Timestamp::MAX, false, &config).is_some());
    }

    #[test]
    fn elsewhere_is_everywhere_but_the_own_scope() {
        let config =
            WebConfig { cookie_domain: Some("example.com".to_owned()), ..WebConfig::default() };
        let cleared = SessionCookie::Access.clear_elsewhere("app.example.com", &config);
        let cleared: Vec<_> = cleared.iter().map(|line| line.to_str().unwrap()).collect();
        assert_eq!(cleared.len(), 5, "{cleared:?}");
        assert!(cleared.iter().any(|line| !line.contains("Domain")), "host-only");
        assert!(
            !cleared
                .iter()
                .any(|line| line.contains("Domain=example.com") && line.contains("Path=/;"))
        );
    }
}
