use http::{
    Method,
    header::{ORIGIN, REFERER},
};

use crate::{
    config::WebConfig,
    error::ForbiddenReason,
    origin::{is_own_origin, origin_of},
    request::RequestHead,
};

/// How a request that another site made a browser send is told from one's own. Only cookies need
/// it: a token in a header was put there on purpose.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AntiCsrfMode {
    /// By what browsers say about a request themselves: `Sec-Fetch-Site`, or `Origin` and
    /// `Referer` where that is missing. A client that sends none of them is not a browser.
    #[default]
    FetchMetadata,
    /// By a token that comes with the session and goes back in the header `anti-csrf`
    /// (SuperTokens' `VIA_TOKEN`).
    Token,
    /// By the mere presence of the header `rid`, which other sites cannot send without a
    /// preflight (SuperTokens' `VIA_CUSTOM_HEADER`).
    CustomHeader,
    /// Not at all: every request with cookies counts as one's own.
    Off,
}

/// Whether a method changes nothing (RFC 9110, section 9.2.1).
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

/// Checks a request with cookies by everything but the anti-CSRF token, which belongs to the
/// session.
pub(crate) fn check_request(
    head: &RequestHead<'_>,
    config: &WebConfig,
) -> Result<(), ForbiddenReason> {
    match config.anti_csrf {
        AntiCsrfMode::FetchMetadata => check_fetch_metadata(head, config),
        AntiCsrfMode::CustomHeader if head.headers.contains_key("rid") => Ok(()),
        AntiCsrfMode::CustomHeader => Err(ForbiddenReason::CustomHeaderMissing),
        AntiCsrfMode::Token | AntiCsrfMode::Off => Ok(()),
    }
}

/// Checks a request by what browsers say about it themselves.
pub(crate) fn check_fetch_metadata(
    head: &RequestHead<'_>,
    config: &WebConfig,
) -> Result<(), ForbiddenReason> {
    let origin = head.headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or("null"));
    let is_trusted = |origin: &str| config.trusted_origins.iter().any(|trusted| trusted == origin);
    let allowed = match head.headers.get("sec-fetch-site").map(|site| site.as_bytes()) {
        Some(b"same-origin" | b"none") => true,
        // "same-site" is a sibling subdomain: another application, unless it is listed.
        Some(_) => origin.is_some_and(is_trusted),
        None => match origin {
            Some(origin) => is_trusted(origin) || is_own_origin(origin, head, config),
            None => match head.headers.get(REFERER) {
                Some(referer) => {
                    let origin = referer.to_str().ok().and_then(origin_of);
                    origin.is_some_and(|origin| {
                        is_trusted(&origin) || is_own_origin(&origin, head, config)
                    })
                }
                None => true,
            },
        },
    };
    if allowed { Ok(()) } else { Err(ForbiddenReason::CrossSite) }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, Uri};

    use super::*;

    fn verdict(config: &WebConfig, headers: &[(&'static str, &'static str)]) -> bool {
        let map: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
            })
            .collect();
        let uri = Uri::from_static("/change");
        check_request(&RequestHead { method: &Method::POST, uri: &uri, headers: &map }, config)
            .is_ok()
    }

    #[test]
    fn fetch_metadata_with_its_fallbacks() {
        let config = WebConfig {
            trusted_origins: vec!["https://www.example.com".to_owned()],
            ..WebConfig::default()
        };
        let host = ("host", "app.example.com");
        let cases: [(bool, &[(&'static str, &'static str)]); 21] = [
            (true, &[host, ("sec-fetch-site", "same-origin")]),
            (true, &[host, ("sec-fetch-site", "none")]),
            (false, &[host, ("sec-fetch-site", "same-site")]),
            (false, &[host, ("sec-fetch-site", "cross-site")]),
            (false, &[host, ("sec-fetch-site", "Same-Origin ")]),
            (false, &[host, ("sec-fetch-site", "")]),
            (
                false,
                &[host, ("sec-fetch-site", "cross-site"), ("origin", "https://app.example.com")],
            ),
            (true, &[host, ("sec-fetch-site", "same-site"), ("origin", "https://www.example.com")]),
            (
                false,
                &[host, ("sec-fetch-site", "same-site"), ("origin", "https://evil.example.com")],
            ),
            (true, &[host, ("origin", "https://app.example.com")]),
            (true, &[host, ("origin", "http://app.example.com")]),
            (false, &[host, ("origin", "https://app.example.com:8443")]),
            (false, &[host, ("origin", "https://app.example.com.evil.org")]),
            (false, &[host, ("origin", "null")]),
            (false, &[host, ("origin", "://app.example.com")]),
            (false, &[host, ("origin", "ftp://app.example.com")]),
            (false, &[host, ("origin", "\u{ff}")]),
            (true, &[host, ("referer", "https://app.example.com/page?x")]),
            (false, &[host, ("referer", "https://evil.org/app.example.com")]),
            (false, &[host, ("referer", "nonsense")]),
            (true, &[host]),
        ];
        for (expected, headers) in cases {
            assert_eq!(verdict(&config, headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn behind_a_proxy_the_public_origin_counts() {
        let config = WebConfig {
            public_origin: Some("https://app.example.com".to_owned()),
            ..WebConfig::default()
        };
        let host = ("host", "10.0.0.7:8080");
        assert!(verdict(&config, &[host, ("origin", "https://app.example.com")]));
        assert!(!verdict(&config, &[host, ("origin", "http://app.example.com")]));
        assert!(!verdict(&config, &[host, ("origin", "http://10.0.0.7:8080")]));
    }

    #[test]
    fn a_custom_header_must_be_there() {
        let mode = |anti_csrf| WebConfig { anti_csrf, ..WebConfig::default() };
        assert!(verdict(&mode(AntiCsrfMode::CustomHeader), &[("rid", "anti-csrf")]));
        assert!(!verdict(&mode(AntiCsrfMode::CustomHeader), &[("sec-fetch-site", "same-origin")]));
        assert!(verdict(&mode(AntiCsrfMode::Off), &[("sec-fetch-site", "cross-site")]));
    }
}
