//! What each request does to the database, in as few statements as can be.

pub(crate) mod bulk;
pub(crate) mod keys;
pub(crate) mod limits;
pub(crate) mod sessions;
pub(crate) mod sweeping;
pub(crate) mod tenants;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::Connection;

    use super::{limits::HANDLES_OF_USER, sessions::OF_USER};
    use crate::schema::migrate;

    #[test]
    fn the_sessions_of_a_user_are_found_by_the_user() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, Path::new(":memory:")).unwrap();
        for sql in [OF_USER, HANDLES_OF_USER] {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            // Without parameters, which a plan does not need.
            let mut steps = statement.raw_query();
            let first: String = steps.next().unwrap().unwrap().get("detail").unwrap();
            assert!(first.contains("sessions_by_user (app_id=? AND user_id=?)"), "{first}");
        }
    }
}
