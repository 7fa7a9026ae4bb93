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
    use sessile_postgres_fixture::{Database, supertokens::TABLES_OF_USERS};

    use super::*;
    use crate::{
        connection::Template,
        names::{Names, Naming},
        options::PostgresOptions,
        users::Users,
    };

    /// The statement, its number of parameters, and all indexes that it may use.
    const PLANS: &[(&Template, usize, &[&str])] = &[
        (&reading::GET, 3, &["session_info_pkey", "sessile_session_pkey"]),
        (&data::REPLACE, 7, &["session_info_pkey"]),
        (&payload::REPLACE, 6, &["session_info_pkey", "sessile_session_pkey"]),
        (&removal::REMOVE, 4, &["session_info_pkey"]),
        (&insertion::INSERT, 18, &[]),
        (&insertion::INSERT_AS_IS, 18, &[]),
        (&limits::INSERT_WITHIN, 19, &["session_info_pkey", "session_info_user_id_app_id_index"]),
        (&limits::LOCK_ACCOUNT, 3, &[]),
        (&reading::OF_ACCOUNT, 4, &["session_info_user_id_app_id_index", "sessile_session_pkey"]),
        (&reading::OF_USER, 4, &["session_info_user_id_app_id_index", "sessile_session_pkey"]),
        (&users::REMOVE_OF_ACCOUNT, 4, &["session_info_pkey", "session_info_user_id_app_id_index"]),
        (&users::REMOVE_OF_USER, 4, &["session_info_pkey", "session_info_user_id_app_id_index"]),
        (&users::LOCK_USER, 3, &[]),
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

    fn statements() -> Vec<(&'static Template, usize, &'static [&'static str])> {
        let rotations = rotation::statements().map(|(template, parameters)| {
            (template, parameters, &["session_info_pkey", "sessile_session_pkey"][..])
        });
        PLANS.iter().copied().chain(rotations).collect()
    }

    /// What any of them may use where the database has users: each finds one account or one id;
    /// and the last, the accounts of one user.
    const INDEXES_OF_USERS: &[&str] = &[
        "app_id_to_user_id_pkey",
        "userid_mapping_external_user_id_key",
        "userid_mapping_pkey",
        "userid_mapping_supertokens_user_id_index",
        "userid_mapping_supertokens_user_id_key",
        "app_id_to_user_id_primary_user_id_index",
    ];

    /// The plans of all statements, line by line.
    fn plans(database: &Database, users: Users) -> Vec<Vec<String>> {
        let names = Names::new(&Naming::default()).unwrap();
        names.know(users);
        // What a connection sets for itself.
        let mut sql = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;
            SET enable_hashjoin = off; SET enable_mergejoin = off;"
            .to_owned();
        for (template, parameters, _) in statements() {
            let (name, text) = (template.name, names.fill_in(template.text));
            let nulls = vec!["NULL"; parameters].join(", ");
            sql += &format!(
                "PREPARE {name}_plan AS {text}; EXPLAIN EXECUTE {name}_plan ({nulls}); SELECT '';"
            );
        }
        let mut lines = database.rows(&sql);
        // The last plan is followed by an empty line, too.
        assert_eq!(lines.pop().as_deref(), Some(""));
        lines.split(String::is_empty).map(<[String]>::to_vec).collect()
    }

    fn check(database: &Database, users: Users, state: &str) {
        let plans = plans(database, users);
        let statements = statements();
        assert_eq!(plans.len(), statements.len(), "a plan for each statement");
        for ((template, _, allowed), plan) in statements.into_iter().zip(plans) {
            let text = format!("{}, {state}:\n{}", template.name, plan.join("\n"));
            assert!(!text.contains("Seq Scan"), "{text}");
            if template.name.starts_with("rotate") || template.name.starts_with("replace") {
                // Rows are locked in the order of the requests: each is looked for in its turn.
                let first = |what: &str| plan.iter().position(|line| line.contains(what));
                let requests = first("Function Scan").or_else(|| first("Values Scan"));
                let is_one = template.name.starts_with("rotate_1");
                assert!(requests.is_some() || is_one, "{text}");
                assert!(
                    requests <= first("session_info_pkey") && first("Sort").is_none(),
                    "{text}"
                );
            }
            for (line, next) in plan.iter().zip(plan.iter().skip(1)) {
                let index = line
                    .split_once(" using ")
                    .or_else(|| line.split_once("Bitmap Index Scan on "))
                    .and_then(|(_, index)| index.split([' ', '(']).next());
                let is_allowed = |index: &str| {
                    allowed.contains(&index)
                        || (users != Users::default() && INDEXES_OF_USERS.contains(&index))
                };
                assert!(index.is_none_or(is_allowed), "{index:?} in {text}");
                // One account, and not all of an app.
                let is_account =
                    ["user_id = ", "supertokens_user_id = ", "external_user_id)::text = "];
                let is_whole = is_account.iter().any(|condition| next.contains(condition));
                assert!(
                    !index.is_some_and(|index| INDEXES_OF_USERS.contains(&index)) || is_whole,
                    "{text}"
                );
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
            check(&database, Users::default(), state);
        }
    }

    const FILL_USERS: &str = "
        INSERT INTO app_id_to_user_id
        SELECT 'public', 'user-' || n, 'emailpassword', 'user-' || n, true
        FROM generate_series(0, 20000) n;
        UPDATE app_id_to_user_id SET primary_or_recipe_user_id = 'user-' || (n - n % 3)
        FROM generate_series(0, 20000) n WHERE user_id = 'user-' || n;
        INSERT INTO userid_mapping (supertokens_user_id, external_user_id)
        SELECT 'user-' || n, 'external-' || n FROM generate_series(0, 20000, 2) n;";

    #[tokio::test(flavor = "multi_thread")]
    async fn every_statement_finds_accounts_by_an_index() {
        for (before, after, state) in [
            ("", "", "never analysed"),
            ("VACUUM ANALYZE", "", "analysed while it was empty"),
            ("", "ANALYZE", "analysed as it is"),
        ] {
            let database = Database::new();
            PostgresOptions::from_url(&database.url()).unwrap().open().await.unwrap();
            database.run(TABLES_OF_USERS);
            for table in ["session_info", "sessile_session", "app_id_to_user_id", "userid_mapping"]
            {
                database.run(&format!("ALTER TABLE {table} SET (autovacuum_enabled = off)"));
            }
            database.run(before);
            database.run(FILL);
            database.run(FILL_USERS);
            database.run(after);
            let all = Users { may_be_linked: true, may_be_mapped: true };
            for users in [all, Users { may_be_mapped: false, ..all }] {
                check(&database, users, &format!("{state}, {users:?}"));
            }
        }
    }
}
