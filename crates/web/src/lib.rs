//! What Sessile and a browser say to each other, on the types of the `http` crate: which tokens a
//! request carries, which cookies and headers an answer sets and clears, and which requests are
//! refused because another site may have sent them.
//!
//! A framework's crate puts three things around a handler: it makes a [`ResponseChanges`] for each
//! request, gives the handler a [`Session`] by [`WebSessions::authenticate`], and writes the
//! changes into the answer. Nothing here depends on a framework.
//!
//! The contract is that of SuperTokens' front-end SDK (`supertokens-website` 20.x): cookies
//! `sAccessToken` and `sRefreshToken`, headers `front-token`, `anti-csrf`, `st-auth-mode`,
//! `st-access-token` and `st-refresh-token`. That of SuperTokens' first front-end SDKs, with the
//! cookie `sIdRefreshToken`, is a setting: [`BrowserContract`].

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod anti_csrf;
mod config;
mod cookies;
mod error;
mod origin;
mod request;
mod requirements;
mod response;
mod session;
mod web_sessions;

pub use anti_csrf::AntiCsrfMode;
pub use config::{BrowserContract, SameSite, Transfer, WebConfig};
pub use error::{ForbiddenReason, WebError};
pub use request::RequestHead;
pub use requirements::{AntiCsrfCheck, Requirements};
pub use response::ResponseChanges;
pub use session::Session;
pub use web_sessions::WebSessions;

/// A script for pages without a front-end SDK: `sessile.fetch` refreshes an expired access token
/// once across all tabs and repeats the request.
pub const BROWSER_SCRIPT: &str = include_str!("browser/sessile.js");

/// The request headers that a front-end on another origin must be allowed to send, beside those
/// of the application.
pub const CORS_REQUEST_HEADERS: [&str; 5] =
    ["anti-csrf", "rid", "authorization", "st-auth-mode", "fdi-version"];

/// The response headers that a front-end on another origin must be allowed to read.
pub const CORS_EXPOSED_HEADERS: [&str; 4] =
    ["front-token", "anti-csrf", "st-access-token", "st-refresh-token"];
