//! What each request does to the database.

pub(crate) mod data;
pub(crate) mod insertion;
pub(crate) mod keys;
pub(crate) mod limits;
pub(crate) mod payload;
pub(crate) mod reading;
pub(crate) mod removal;
pub(crate) mod rotation;
pub(crate) mod secrets;
pub(crate) mod sweeping;
pub(crate) mod tenants;
pub(crate) mod users;
