//! What each request does to the database, in as few statements as can be.

pub(crate) mod keys;
pub(crate) mod limits;
pub(crate) mod sessions;
pub(crate) mod sweeping;
