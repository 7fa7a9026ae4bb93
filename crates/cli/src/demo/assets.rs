//! The page and what belongs to it.

use axum::{
    Router,
    extract::Request,
    http::{
        HeaderValue,
        header::{
            CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
            X_FRAME_OPTIONS,
        },
    },
    middleware::Next,
    response::Response,
    routing::get,
};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      connect-src 'self'; img-src 'self' data:; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let html = [(CONTENT_TYPE, "text/html; charset=utf-8")];
    let css = [(CONTENT_TYPE, "text/css; charset=utf-8")];
    let script = [(CONTENT_TYPE, "text/javascript; charset=utf-8")];
    Router::new()
        .route("/", get(move || async move { (html, include_str!("page.html")) }))
        .route("/page.css", get(move || async move { (css, include_str!("page.css")) }))
        .route("/page.js", get(move || async move { (script, include_str!("page.js")) }))
}

pub(super) async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
