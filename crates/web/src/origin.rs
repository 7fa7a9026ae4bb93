//! Where a request came from, as far as its own headers tell.

use http::{
    header::{HOST, ORIGIN},
    uri::Authority,
};

use crate::{config::WebConfig, request::RequestHead};

/// The origin of a URL as browsers write it: lower case, without the port that its scheme has
/// anyway; `None` for what is no URL of a web page.
pub(crate) fn origin_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority: Authority = rest.split(['/', '?', '#']).next()?.parse().ok()?;
    let scheme = scheme.to_ascii_lowercase();
    let usual_port = match scheme.as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return None,
    };
    let host = authority.as_str().to_ascii_lowercase();
    let host = host.strip_suffix(usual_port).unwrap_or(&host);
    // A user name before the host is a way to make one host look like another.
    (!host.is_empty() && !host.contains('@')).then(|| format!("{scheme}://{host}"))
}

/// The host that the request was sent to, with its port, as the client wrote it.
pub(crate) fn host<'a>(head: &RequestHead<'a>) -> Option<&'a str> {
    // HTTP/2 requests carry it in the URI.
    head.uri.authority().map(|authority| authority.as_str()).or_else(|| head.header(&HOST))
}

/// The host's name alone, without a port.
pub(crate) fn host_name<'a>(head: &RequestHead<'a>) -> Option<&'a str> {
    let host = host(head)?;
    match host.rsplit_once(':') {
        // A colon inside brackets belongs to an IPv6 address.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(name),
        _ => Some(host),
    }
}

/// Whether `origin` is that of this server as browsers see it.
pub(crate) fn is_own_origin(origin: &str, head: &RequestHead<'_>, config: &WebConfig) -> bool {
    match &config.public_origin {
        Some(public) => origin == public,
        // Without a setting the scheme is not known for sure; the host must be ours.
        None => match (origin.split_once("://"), host(head)) {
            (Some(("http" | "https", origin_host)), Some(host)) => {
                without_default_port(origin_host).eq_ignore_ascii_case(without_default_port(host))
            }
            _ => false,
        },
    }
}

fn without_default_port(host: &str) -> &str {
    host.strip_suffix(":443").or_else(|| host.strip_suffix(":80")).unwrap_or(host)
}

/// Whether the browser sees https.
pub(crate) fn is_https(head: &RequestHead<'_>, config: &WebConfig) -> bool {
    if let Some(public) = &config.public_origin {
        return public.starts_with("https:");
    }
    // A page of our own https origin behind a proxy that was not configured: only the browser
    // writes this header, so it can be believed.
    let own_https_page = head
        .header(&ORIGIN)
        .is_some_and(|origin| origin.starts_with("https:") && is_own_origin(origin, head, config));
    own_https_page || head.uri.scheme_str() == Some("https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_as_browsers_write_them() {
        let cases = [
            ("https://App.Example.com:443/a?b#c", Some("https://app.example.com")),
            ("http://localhost:80", Some("http://localhost")),
            ("http://localhost:3000/", Some("http://localhost:3000")),
            ("https://[::1]:8443/x", Some("https://[::1]:8443")),
            ("https://a.example#x", Some("https://a.example")),
            ("https://good.example@evil.example/", None),
            ("https://", None),
            ("file:///x", None),
            ("data:text/html,x", None),
            ("null", None),
            ("//a.example", None),
            ("https://a b.example", None),
        ];
        for (url, origin) in cases {
            assert_eq!(origin_of(url).as_deref(), origin, "{url}");
        }
    }
}
