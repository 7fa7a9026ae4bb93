//! What each request does to the database.

pub(crate) mod bulk;
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

#[cfg(test)]
mod tests {
    use sessile_postgres_fixture::Database;

    use super::*;
    use crate::{
        connection::Template,
        names::{Names, Naming},
        options::PostgresOptions,
    };

    /// The statement, its number of parameters, and all indexes that it may use.
    const PLANS: &[(&Template, usize, &[&str])] = &[
        (&reading::GET, 3, &["session_info_pkey", "sessile_session_pkey"]),
        (&rotation::ROTATE, 13, &["session_info_pkey", "sessile_session_pkey"]),
        (&data::REPLACE, 6, &["session_info_pkey"]),
        (&payload::REPLACE, 5, &["session_info_pkey", "sessile_session_pkey"]),
        (&removal::REMOVE, 3, &["session_info_pkey"]),
        (&insertion::INSERT, 17, &[]),
        (&limits::INSERT_WITHIN, 19, &["session_info_pkey", "session_info_user_id_app_id_index"]),
        (&reading::OF_USER, 4, &["session_info_user_id_app_id_index", "sessile_session_pkey"]),
        (&users::REMOVE_OF_USER, 4, &["session_info_pkey", "session_info_user_id_app_id_index"]),
        (
            &sweeping::SWEEP,
            4,
            &[
                "session_info_pkey",
                "session_expiry_index",
                "access_token_signing_keys_app_id_index",
                "session_access_token_signing_keys_pkey",
                "sessile_signing_key_pkey",
            ],
        ),
        (
            &keys::ALL,
            1,
            &[
                "access_token_signing_keys_app_id_index",
                "session_access_token_signing_keys_pkey",
                "jwt_signing_keys_app_id_index",
                "jwt_signing_keys_pkey",
                "sessile_signing_key_pkey",
            ],
        ),
        (
            &secrets::FIND,
            2,
            &["key_value_pkey", "key_value_tenant_id_index", "sessile_secret_pkey"],
        ),
    ];

    /// The plans of all statements, line by line.
    fn plans(database: &Database) -> Vec<Vec<String>> {
        let names = Names::new(&Naming::default()).unwrap();
        // What a connection sets for itself.
        let mut sql = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;
            SET enable_hashjoin = off; SET enable_mergejoin = off;"
            .to_owned();
        for (template, parameters, _) in PLANS {
            let (name, text) = (template.name, names.fill_in(template.text));
            let nulls = vec!["NULL"; *parameters].join(", ");
            sql += &format!(
                "PREPARE {name}_plan AS {text}; EXPLAIN EXECUTE {name}_plan ({nulls}); SELECT '';"
            );
        }
        let mut lines = database.rows(&sql);
        // The last plan is followed by an empty line, too.
        assert_eq!(lines.pop().as_deref(), Some(""));
        lines.split(String::is_empty).map(<[String]>::to_vec).collect()
    }

    fn check(database: &Database, state: &str) {
        let plans = plans(database);
        assert_eq!(plans.len(), PLANS.len(), "a plan for each statement");
        for ((template, _, allowed), plan) in PLANS.iter().zip(plans) {
            let text = format!("{}, {state}:\n{}", template.name, plan.join("\n"));
            assert!(!text.contains("Seq Scan"), "{text}");
            for (line, next) in plan.iter().zip(plan.iter().skip(1)) {
                let index = line
                    .split_once(" using ")
                    .or_else(|| line.split_once("Bitmap Index Scan on "))
                    .and_then(|(_, index)| index.split([' ', '(']).next());
                assert!(index.is_none_or(|index| allowed.contains(&index)), "{index:?} in {text}");
                // The whole key, and not all sessions of a tenant.
                let is_whole = next.contains("session_handle)::text =");
                assert!(index != Some("session_info_pkey") || is_whole, "{text}");
            }
        }
    }

    const FILL: &str = "
        INSERT INTO tenants SELECT 'public', 't' || n FROM generate_series(1, 5) n;
        INSERT INTO session_info (tenant_id, session_handle, user_id, refresh_token_hash_2,
            expires_at, created_at_time, use_static_key)
        SELECT CASE WHEN n % 10 < 5 THEN 't' || 1 + n % 5 ELSE 'public' END, 'handle-' || n,
            'user-' || n / 3, n, 1700000000000 + n, n, false
        FROM generate_series(1, 5000) n;
        INSERT INTO sessile_session (app_id, tenant_id, session_handle, ends_at)
        SELECT app_id, tenant_id, session_handle, 0 FROM session_info;";

    #[tokio::test(flavor = "multi_thread")]
    async fn every_statement_finds_its_rows_by_an_index() {
        for (before, after, state) in [
            ("", "", "never analysed"),
            ("VACUUM ANALYZE", "", "analysed while it was empty"),
            ("", "ANALYZE", "analysed as it is"),
        ] {
            let database = Database::new();
            PostgresOptions::from_url(&database.url()).unwrap().open().await.unwrap();
            database.run(&format!(
                "ALTER TABLE session_info SET (autovacuum_enabled = off);
                ALTER TABLE sessile_session SET (autovacuum_enabled = off); {before};"
            ));
            database.run(FILL);
            database.run(after);
            check(&database, state);
        }
    }
}
