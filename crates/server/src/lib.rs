//! A core server on which the SDKs of SuperTokens run: sessions and JWTs over the Core Driver
//! Interface (CDI), from 2.0 to 2.3 and from 2.7 to 5.6.
//!
//! [`Server`] is an axum router on any [`Store`](sessile_core::store::Store). What differs between
//! versions of the interface is one table, in the module `cdi`; `docs/wire-formats.md` tells it in
//! words.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod access;
mod addresses;
mod answer;
mod api_keys;
mod apps;
mod call;
mod cdi;
mod config;
mod core_config;
mod directory;
mod forward;
mod health;
mod input;
mod limits;
mod metrics;
mod observe;
mod operations;
mod outcome;
mod path;
mod places;
mod prediction;
mod request_body;
mod routes;
mod server;
mod serving;
mod session_json;
mod settings;
mod upkeep;

pub use addresses::{AddressFilter, InvalidPattern};
pub use api_keys::{ApiKeyError, ApiKeys};
pub use cdi::{CdiVersion, CdiVersionError};
pub use config::{AppConfig, LegacyConfig, RefreshRotation, ServerConfig};
pub use limits::Limits;
pub use metrics::{CommitStatistics, MeasuredStore};
pub use prediction::{Consequence, UnfollowedSettings};
pub use server::Server;
pub use serving::{Handshake, PlainText};
pub use settings::{
    ConfigurationError, LogFormat, PostgresConfig, Settings, Sources, describe_keys,
};
