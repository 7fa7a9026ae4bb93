//! Sessile for axum.
//!
//! [`SessionLayer`] goes around the router, [`routes`] adds refresh, sign-out and public keys, and
//! handlers take a [`Session`]:
//!
//! ```
//! use axum::{Json, Router, routing::{get, post}};
//! use serde_json::{Value, json};
//! use sessile_axum::{NewSession, Session, SessionLayer, SessionRejection, SessionRequest, routes};
//! use sessile_core::{Sessions, memory::MemoryStore};
//! use sessile_web::{WebConfig, WebSessions};
//!
//! async fn login(request: SessionRequest) -> Result<Json<Value>, SessionRejection> {
//!     // Check who it is first; then:
//!     let session = request.create_new_session(NewSession::new("alice")).await?;
//!     Ok(Json(json!({ "userId": session.get_user_id() })))
//! }
//!
//! async fn me(session: Session) -> String {
//!     session.get_user_id().to_owned()
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), sessile_core::Error> {
//! let sessions = Sessions::builder(MemoryStore::new()).build().await?;
//! let web = WebSessions::new(sessions, WebConfig::default())?;
//! let app: Router = Router::new()
//!     .route("/login", post(login))
//!     .route("/me", get(me))
//!     .merge(routes(&web))
//!     .layer(SessionLayer::new(web));
//! # Ok(())
//! # }
//! ```
//!
//! Errors answer by themselves: return [`SessionRejection`] from handlers and use `?`. The layer
//! writes cookies and headers after the handler, also when it failed.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod extract;
mod handlers;
mod layer;
mod rejection;
mod routes;
mod session;

pub use extract::{
    FreshLogin, Immediate, RequireAntiCsrf, Requirement, SessionRequest, SessionWith, SkipAntiCsrf,
};
pub use handlers::Rejected;
pub use layer::{SessionLayer, SessionMiddleware, SessionResponseFuture};
pub use rejection::SessionRejection;
pub use routes::routes;
pub use sessile_core::NewSession;

pub use session::Session;
