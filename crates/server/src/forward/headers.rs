use http::{HeaderMap, HeaderName, header};

/// What concerns one connection and not the message (RFC 9110, section 7.6.1, and older customs).
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Removes what concerns the connection, and what the connection's own header names.
pub(super) fn keep_end_to_end(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Removes what was for this server: the other core gets its own name as its host, and this server
/// has answered `Expect` where the client waits for that.
pub(super) fn go_to_another_host(headers: &mut HeaderMap) {
    headers.remove(header::HOST);
    headers.remove(header::EXPECT);
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_concerns_the_connection_is_removed_and_nothing_else() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("api-key", "k"),
            ("authorization", "Bearer k"),
            ("connection", "close, X-One"),
            ("connection", "x-two"),
            ("content-length", "3"),
            ("cookie", "a=b"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-one", "1"),
            ("x-three", "3"),
            ("x-two", "2"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        keep_end_to_end(&mut headers);
        let mut kept: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        kept.sort_unstable();
        assert_eq!(kept, ["api-key", "authorization", "content-length", "cookie", "x-three"]);
    }
}
