//! Databases that are not ready, each for one reason.

use sessile_postgres_fixture::{Cluster, Database, Shutdown, supertokens};

use crate::{
    Server,
    databases::{diagnose, diagnose_with, supertokens_database},
    sessile,
};

#[test]
fn a_server_that_is_away() {
    let cluster = Cluster::start(&[]);
    let url = cluster.database().url().replace("postgres@", "postgres:very-secret@");
    cluster.stop(Shutdown::Fast);
    let diagnosis = diagnose_with(&["--store", &url], &[]);
    diagnosis.assert_problem("connection", &["127.0.0.1"]);
    assert!(!diagnosis.0.to_string().contains("very-secret"));
}

#[test]
fn a_database_in_another_encoding() {
    let database = Database::new();
    let name = format!("{}_latin", database.name());
    database
        .run(&format!("CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"));
    let url = database.url().replace(database.name(), &name);
    diagnose_with(&["--store", &url], &[]).assert_problem("version", &["LATIN1"]);
}

#[test]
fn a_database_that_takes_no_writes() {
    let database = supertokens_database();
    let name = database.name();
    database.run(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    diagnose(&database).assert_problem("writes", &["default_transaction_read_only"]);
}

#[test]
fn too_few_connections() {
    let database = supertokens_database();
    let role = format!("{}_few", database.name());
    database.run(&format!("CREATE ROLE {role} LOGIN CONNECTION LIMIT 5; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; GRANT CREATE ON SCHEMA public TO {role}"));
    let url = database.url().replace("postgres@", &format!("{role}@"));
    diagnose_with(&["--store", &url], &[])
        .assert_problem("connections", &["10 for each", "5 are allowed"]);
    let smaller = [("POSTGRESQL_CONNECTION_POOL_SIZE", "2")];
    assert!(diagnose_with(&["--store", &url], &smaller).checks("problem").is_empty());
}

#[test]
fn tables_of_a_core_2() {
    let database = Database::new();
    database.run(
        "CREATE TABLE key_value (name VARCHAR(128) PRIMARY KEY, value TEXT,
            created_at_time BIGINT);
        CREATE TABLE session_info (session_handle VARCHAR(255) PRIMARY KEY, user_id VARCHAR(128),
            refresh_token_hash_2 VARCHAR(128), session_data TEXT, expires_at BIGINT,
            created_at_time BIGINT, jwt_user_payload TEXT)",
    );
    let diagnosis = diagnose(&database);
    diagnosis.assert_problem("tables", &["older than 6.0"]);
    assert!(!diagnosis.has("keys"), "nothing is said of tables that are not known");
}

#[test]
fn tables_with_another_prefix_or_in_another_schema() {
    let database = supertokens_database();
    database.run("ALTER TABLE session_info RENAME TO st_session_info");
    diagnose(&database).assert_problem(
        "tables",
        &["postgresql_table_schema: public", "postgresql_table_names_prefix: st"],
    );
    database.run("CREATE SCHEMA auth; ALTER TABLE st_session_info SET SCHEMA auth");
    diagnose(&database).assert_problem(
        "tables",
        &["postgresql_table_schema: auth", "postgresql_table_names_prefix: st"],
    );
    database.run("ALTER TABLE auth.st_session_info RENAME TO logins");
    diagnose(&database).assert_problem("tables", &["postgresql_session_info_table_name: logins"]);
}

#[test]
fn empty_tables_beside_those_that_are_used() {
    const SESSION: &str = "INSERT INTO SCHEMA.session_info VALUES
        ('public', 'public', 'HANDLE', 'alice', repeat('0', 64), '{}', EXPIRY, 1, '{}', false)";
    let database = supertokens_database();
    database.run("CREATE SCHEMA auth");
    database.run(&format!("SET search_path TO auth; {}", supertokens::TABLES));
    database.run("INSERT INTO auth.apps SELECT * FROM apps");
    database.run("INSERT INTO auth.tenants SELECT * FROM tenants");
    let insert = |schema: &str, handle: &str, expiry: &str| {
        let session = SESSION.replace("SCHEMA", schema).replace("HANDLE", handle);
        database.run(&session.replace("EXPIRY", expiry));
    };
    // Nobody is in either.
    insert("auth", "over", "1");
    let diagnosis = diagnose(&database);
    assert!(diagnosis.checks("problem").is_empty(), "{}", diagnosis.0);
    assert_eq!(diagnosis.checks("note"), ["sessions"], "{}", diagnosis.0);
    diagnosis.assert_words("sessions", &["0 here", "auth.session_info with 0"]);

    insert("auth", "one", "4102444800000");
    insert("auth", "two", "4102444800000");
    let diagnosis = diagnose(&database);
    diagnosis.assert_problem(
        "sessions",
        &["0 here", "auth.session_info with 2", "set postgresql_table_schema: auth"],
    );
    let schema = [("POSTGRESQL_TABLE_SCHEMA", "auth")];
    let arguments = ["--store", &database.url()];
    let advised = diagnose_with(&arguments, &schema);
    assert!(advised.checks("problem").is_empty(), "{}", advised.0);
    advised.assert_words("sessions", &["2 here", "public.session_info with 0"]);

    // It is not told which ones the applications have.
    insert("public", "three", "4102444800000");
    let diagnosis = diagnose(&database);
    assert!(diagnosis.checks("problem").is_empty(), "{}", diagnosis.0);
    assert_eq!(diagnosis.checks("note"), ["sessions"], "{}", diagnosis.0);
    diagnosis.assert_words("sessions", &["1 here", "auth.session_info with 2"]);

    // What cannot be read may have all of them.
    database.run("DELETE FROM session_info");
    let role = format!("{}_blind", database.name());
    database.run(&format!(
        "CREATE ROLE {role} LOGIN; GRANT ALL ON SCHEMA public TO {role};
        GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"
    ));
    let url = database.url().replace("postgres@", &format!("{role}@"));
    diagnose_with(&["--store", &url], &[])
        .assert_problem("sessions", &["auth.session_info with an unknown number"]);
}

#[test]
fn tables_of_a_newer_sessile() {
    let database = supertokens_database();
    drop(Server::start(&["--store", &database.url()], &[]));
    database.run("UPDATE sessile_store SET version = version + 1");
    diagnose(&database).assert_problem("mark", &["newer Sessile"]);
}

#[test]
fn a_user_without_rights() {
    let database = supertokens_database();
    let role = format!("{}_user", database.name());
    database.run(&format!("CREATE ROLE {role} LOGIN"));
    let url = database.url().replace("postgres@", &format!("{role}@"));
    let diagnosis = diagnose_with(&["--store", &url], &[]);
    let grant = format!("GRANT CREATE ON SCHEMA \"public\" TO \"{role}\"");
    let references = format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES ON \"public\".\"session_info\" TO \
         \"{role}\""
    );
    diagnosis.assert_problem("rights", &[&grant, &references]);

    // What is advised is enough, for the doctor and for a server.
    let advice = diagnosis.finding("rights")["advice"].as_str().unwrap();
    database.run(advice);
    assert!(diagnose_with(&["--store", &url], &[]).checks("problem").is_empty());
    Server::start(&["--store", &url], &[]).log_in();

    // Columns and indexes only the owner can add.
    database.run("ALTER TABLE session_info DROP COLUMN refresh_token_rotated_at");
    diagnose_with(&["--store", &url], &[])
        .assert_problem("rights", &["only their owner", "session_info"]);
}

#[test]
fn linked_users() {
    let database = supertokens_database();
    database.run(
        "CREATE TABLE app_id_to_user_id (app_id VARCHAR(64), user_id CHAR(36), recipe_id TEXT,
            primary_or_recipe_user_id CHAR(36), is_linked_or_is_a_primary_user BOOLEAN);
        INSERT INTO app_id_to_user_id VALUES ('public', 'one', 'emailpassword', 'one', true)",
    );
    assert!(diagnose(&database).checks("problem").is_empty(), "a primary user is none");
    database
        .run("INSERT INTO app_id_to_user_id VALUES ('public', 'two', 'thirdparty', 'one', true)");
    let diagnosis = diagnose(&database);
    assert!(diagnosis.checks("problem").is_empty(), "{}", diagnosis.0);
    diagnosis.assert_words("linked users", &["1 accounts are linked"]);
}

#[test]
fn sessions_from_before_their_user_was_mapped() {
    let database = supertokens_database();
    database.run(
        "CREATE TABLE userid_mapping (app_id VARCHAR(64), supertokens_user_id CHAR(36),
            external_user_id VARCHAR(128), external_user_id_info TEXT);
        INSERT INTO userid_mapping VALUES ('public', 'one', 'eins', '');
        INSERT INTO session_info VALUES
            ('public', 'public', 'handle', 'eins', repeat('0', 64), '{}', 1, 1, '{}', false)",
    );
    let diagnosis = diagnose(&database);
    assert!(diagnosis.checks("problem").is_empty(), "{}", diagnosis.0);
    diagnosis.assert_words("mapped users", &["1; "]);
    database.run("UPDATE session_info SET user_id = rpad('one', 36)");
    diagnose(&database).assert_problem("mapped users", &["1 sessions"]);
    // A core that links accounts lets Sessile find the mapping, too.
    database.run(
        "CREATE TABLE app_id_to_user_id (app_id VARCHAR(64), user_id CHAR(36), recipe_id TEXT,
            primary_or_recipe_user_id CHAR(36), is_linked_or_is_a_primary_user BOOLEAN);
        INSERT INTO app_id_to_user_id VALUES ('public', 'one', 'emailpassword', 'one', false)",
    );
    let diagnosis = diagnose(&database);
    assert!(diagnosis.checks("problem").is_empty(), "{}", diagnosis.0);
    diagnosis.assert_words("mapped users", &["1 sessions", "shown by the external"]);
}

#[test]
fn tenants_with_databases_or_domains_of_their_own() {
    let database = supertokens_database();
    database.run(
        r#"INSERT INTO tenant_configs (app_id, tenant_id, core_config) VALUES
            ('shop', 'public', '{"access_token_validity": 3600}'),
            ('shop', 'one', '{"postgresql_connection_pool_size": 3}')"#,
    );
    assert!(diagnose(&database).checks("problem").is_empty());
    database.run(
        r#"INSERT INTO tenant_configs (connection_uri_domain, app_id, tenant_id, core_config) VALUES
            ('', 'shop', 'two', '{"postgresql_host" : "db.example"}'),
            ('eu.example', 'public', 'public', '{}')"#,
    );
    diagnose(&database).assert_problem("tenants", &["shop/two", "eu.example/public/public"]);
}

#[test]
fn keys_that_cannot_be_used() {
    let database = supertokens_database();
    database.run(
        "INSERT INTO session_access_token_signing_keys VALUES ('public', 7, 'very-secret');
        INSERT INTO key_value VALUES ('public', 'public', 'refresh_token_key', '', 1)",
    );
    let diagnosis = diagnose(&database);
    diagnosis.assert_problem("keys", &["d-7 of the app public", "refresh_token_key"]);
    assert!(!diagnosis.0.to_string().contains("very-secret"));
}

#[test]
fn sealed_keys_without_their_wrapping_key() {
    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const OTHER: &str = "BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let database = Database::new();
    let arguments = ["--store", &database.url()];
    let variable = "SESSILE_WRAPPING_KEY";
    Server::start(&arguments, &[(variable, KEY)]).log_in();
    let diagnosis = diagnose_with(&arguments, &[(variable, KEY)]);
    assert!(diagnosis.checks("problem").is_empty(), "{}", diagnosis.0);
    assert!(diagnosis.0["wayBack"].to_string().contains("cannot use these keys"));
    diagnose_with(&arguments, &[(variable, OTHER)]).assert_problem("keys", &["another wrapping"]);
    diagnose_with(&arguments, &[]).assert_problem("keys", &["are sealed", variable]);
    diagnose_with(&arguments, &[(variable, "none")]).assert_problem("wrapping key", &["base64"]);
}

#[test]
fn settings_of_apps_that_lock_everybody_out() {
    let database = supertokens_database();
    database.run(
        r#"INSERT INTO tenant_configs (app_id, tenant_id, core_config) VALUES
            ('public', 'public', '{}'),
            ('public', 'one', '{"ip_allow_regex": "10.*"}'),
            ('shop', 'public', '{"access_token_validity": 3600, "api_keys": "a-key-of-twenty-characters"}'),
            ('shop', 'one', '{"postgresql_connection_pool_size": 3}')"#,
    );
    let diagnosis = diagnose(&database);
    assert!(diagnosis.checks("problem").is_empty(), "{}", diagnosis.0);
    assert_eq!(diagnosis.finding("app settings")["level"], "ok");

    // What is left out leaves sessions as they are, or not for as long.
    database.run(
        r#"INSERT INTO tenant_configs (app_id, tenant_id, core_config) VALUES
            ('short', 'public', '{"access_token_validity": 8640001, "refresh_token_validity": 60}'),
            ('text', 'public', 'none')"#,
    );
    let diagnosis = diagnose(&database);
    assert!(diagnosis.checks("problem").is_empty(), "{}", diagnosis.0);
    assert_eq!(diagnosis.finding("app settings")["level"], "note");
    diagnosis
        .assert_words("app settings", &["short/public", "access_token_validity", "text/public"]);

    // Java's expressions have look-ahead.
    database.run(
        r#"INSERT INTO tenant_configs (app_id, tenant_id, core_config) VALUES
            ('java', 'public', '{"ip_allow_regex": "(?!10).*", "api_keys": "hidden"}'),
            ('java', 'one', '{"ip_deny_regex": "(?=10).*"}')"#,
    );
    let diagnosis = diagnose(&database);
    diagnosis.assert_problem(
        "app settings",
        &[
            "java/public: ip_allow_regex",
            "java/public: api_keys",
            "java/one: ip_deny_regex",
            "nobody is let in",
        ],
    );
    assert!(!diagnosis.0.to_string().contains("hidden"));
}

/// What a server says that does not start.
fn refusal_to_serve(database: &Database, environment: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = sessile(folder.path());
    let command = command.args(["serve", "--port", "0", "--store", &database.url()]);
    let output = command.envs(environment.iter().copied()).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_wrapping_key_for_a_shared_database() {
    const KEY: [(&str, &str); 1] =
        [("SESSILE_WRAPPING_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")];
    // A core's, which is not marked yet, and which then is.
    let database = supertokens_database();
    let arguments = ["--store", &database.url()];
    for _ in 0..2 {
        let diagnosis = diagnose_with(&arguments, &KEY);
        diagnosis.assert_problem("wrapping key", &["unset SESSILE_WRAPPING_KEY"]);
        Server::start(&arguments, &[]).log_in();
    }
    assert!(refusal_to_serve(&database, &KEY).contains("no wrapping key"));

    // Its own takes it.
    let database = Database::new();
    let diagnosis = diagnose_with(&["--store", &database.url()], &KEY);
    assert!(diagnosis.checks("problem").is_empty(), "{}", diagnosis.0);
}

#[test]
fn other_reasons_for_which_a_server_does_not_start() {
    let database = supertokens_database();
    database.run("INSERT INTO tenant_configs VALUES ('', 'no name', 'public', '{}')");
    diagnose(&database).assert_problem("tenants", &["no name/public"]);
    assert!(refusal_to_serve(&database, &[]).contains("a name that cannot be one"));

    // The mark of a newer version, without the tables.
    let database = supertokens_database();
    drop(Server::start(&["--store", &database.url()], &[]));
    database.run("UPDATE sessile_store SET version = 99; DROP TABLE session_info CASCADE");
    diagnose(&database).assert_problem("mark", &["newer Sessile"]);
}
