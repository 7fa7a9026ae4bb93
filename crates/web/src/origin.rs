//! Where a request came from, as far as its own headers tell.

use http::header::{HOST, ORIGIN};

use crate::{config::WebConfig, request::RequestHead};

/// The host that the request was sent to, with its port, as the client wrote it.
pub(crate) fn host<'a>(head: &RequestHead<'a>) -> Option<&'a str> {
    // HTTP/2 requests carry it in the URI.
    head.uri.authority().map(|authority| authority.as_str()).or_else(|| head.header(HOST.as_str()))
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
            (Some((_, origin_host)), Some(host)) => {
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
        .header(ORIGIN.as_str())
        .is_some_and(|origin| origin.starts_with("https:") && is_own_origin(origin, head, config));
    own_https_page || head.uri.scheme_str() == Some("https")
}
