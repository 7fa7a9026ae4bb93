//! Which value counts, and what it becomes.

use std::{collections::HashMap, path::PathBuf, time::Duration};

use sessile_core::{Secret, policy::LateRetry};
use sessile_server::{
    AddressFilter, ApiKeys, AppConfig, LegacyConfig, Limits, LogFormat, PostgresConfig,
    RefreshRotation, ServerConfig, Settings,
};
use tracing::level_filters::LevelFilter;

use crate::support::Given;

const KEY: &str = "hg40239oirjgBHD9450=Beew123-";

fn app(config: AppConfig) -> Settings {
    let mut settings = Settings::default();
    settings.server.app = config;
    settings
}

#[test]
fn without_sources_everything_has_its_default() {
    let settings = Given::default().settings();
    assert_eq!(settings, Settings::default());
    assert_eq!((settings.host.as_str(), settings.port), ("localhost", 3567));
    assert_eq!(settings.log_level, LevelFilter::INFO);
    let ServerConfig { app, legacy, base_path, .. } = settings.server;
    assert_eq!(app.access_token_validity, Duration::from_secs(3600));
    assert_eq!(app.refresh_token_validity, Duration::from_secs(144_000 * 60));
    assert!(!app.access_token_blacklisting && app.access_token_signing_key_dynamic);
    let interval = app.access_token_dynamic_signing_key_update_interval;
    assert_eq!(interval, Duration::from_secs(168 * 3600));
    assert_eq!(app.refresh_token_rotation_grace_period, Duration::from_secs(30));
    assert_eq!(app.access_token_validity_jitter, 0.0);
    assert_eq!(app.recent_token_reuse_behaviour, LateRetry::TokenTheft);
    assert!(app.api_keys.is_empty());
    assert_eq!(base_path, "");
    assert_eq!((legacy.access_token_path.as_str(), legacy.cookie_secure), ("/", false));
    assert_eq!(legacy.refresh_api_path, "/session/refresh");
    assert_eq!((legacy.cookie_domain, legacy.cookie_same_site.as_str()), (None, "lax"));
    assert_eq!((legacy.enable_anti_csrf, legacy.session_expired_status_code), (false, 401));
}

#[test]
fn every_key_of_operators_is_taken_over() {
    let settings = Given::file(
        "sessile_forward: https://core.example.com/base\nsessile_metrics_address: '[::1]:9464'\n\
         sessile_log_format: JSON\nsessile_max_connections: 10\nsessile_max_requests: 20\n\
         sessile_max_body_size: 30\nsessile_drain_time: 40\n",
    )
    .settings();
    let mut expected = Settings::default();
    expected.log_format = LogFormat::Json;
    expected.server.forward = Some("https://core.example.com/base".parse().unwrap());
    expected.server.metrics_address = Some("[::1]:9464".to_owned());
    expected.server.body_limit = 30;
    expected.server.limits = Limits {
        connections: 10,
        requests: 20,
        drain_time: Duration::from_secs(40),
        ..Limits::default()
    };
    expected.server.config_path = settings.server.config_path.clone();
    assert_eq!(settings, expected);
}

#[test]
fn every_key_of_sessions_and_of_the_server_is_taken_over() {
    let settings = Given::file(
        "core_config_version: 0\nport: 3568\nhost: 0.0.0.0\naccess_token_validity: 60\n\
         refresh_token_validity: 1.5\naccess_token_blacklisting: true\n\
         access_token_signing_key_dynamic: false\n\
         access_token_dynamic_signing_key_update_interval: 24.5\n\
         refresh_token_rotation_grace_period: 5\naccess_token_validity_jitter: 0.25\n\
         recent_token_reuse_behaviour: unauthorised\nsessile_refresh_rotation: idempotent\n\
         api_keys: hg40239oirjgBHD9450=Beew123-\nbase_path: some//path/\nlog_level: warn\n\
         ip_allow_regex: 127.*\nip_deny_regex: 10.*\n\
         supertokens_min_cdi_version: 2.20\nsupertokens_max_cdi_version: 5.4\n\
         supertokens_saas_secret: a-secret-of-forty-characters-and-a-few-more\n\
         access_token_path: /a\nrefresh_api_path: /r\ncookie_domain: example.com\n\
         cookie_secure: true\ncookie_same_site: NonE\nenable_anti_csrf: \"true\"\n\
         session_expired_status_code: 440.0\nsessile_store: memory\nsessile_started_folder: .\n\
         sessile_tls_certificate_file: c.pem\nsessile_tls_key_file: k.pem\n",
    )
    .settings();
    let mut expected = app(AppConfig {
        access_token_validity: Duration::from_secs(60),
        refresh_token_validity: Duration::from_secs(90),
        access_token_blacklisting: true,
        access_token_signing_key_dynamic: false,
        access_token_dynamic_signing_key_update_interval: Duration::from_secs(88_200),
        refresh_token_rotation_grace_period: Duration::from_secs(5),
        access_token_validity_jitter: 0.25,
        recent_token_reuse_behaviour: LateRetry::Unauthorised,
        refresh_rotation: RefreshRotation::Idempotent,
        api_keys: ApiKeys::parse(KEY).unwrap(),
        addresses: AddressFilter::default().allowing("127.*").unwrap().denying("10.*").unwrap(),
        // As it is written: a number would be 2.2.
        supertokens_min_cdi_version: Some("2.20".parse().unwrap()),
        supertokens_max_cdi_version: Some("5.4".parse().unwrap()),
    });
    expected.server.supertokens_saas_secret =
        ApiKeys::parse("a-secret-of-forty-characters-and-a-few-more").unwrap();
    expected.server.base_path = "/some/path".to_owned();
    expected.server.legacy = LegacyConfig {
        access_token_path: "/a".to_owned(),
        refresh_api_path: "/r".to_owned(),
        cookie_domain: Some("example.com".to_owned()),
        cookie_secure: true,
        cookie_same_site: "none".to_owned(),
        enable_anti_csrf: true,
        session_expired_status_code: 440,
    };
    (expected.host, expected.port) = ("0.0.0.0".to_owned(), 3568);
    expected.log_level = LevelFilter::WARN;
    expected.store = Some(Secret::new("memory".to_owned()));
    expected.started_folder = Some(PathBuf::from("."));
    expected.tls_certificate_file = Some("c.pem".into());
    expected.tls_key_file = Some("k.pem".into());
    assert_eq!(settings, expected);
}

#[test]
fn later_sources_override_earlier_ones() {
    let mut given = Given::file("port: 1\nhost: file\nbase_path: /file\nlog_level: DEBUG\n");
    given.variables = HashMap::from([
        ("SUPERTOKENS_PORT", "2"),
        ("SUPERTOKENS_HOST", "variable"),
        ("BASE_PATH", "\"/with\\\\backslash\""),
        ("LOG_LEVEL", ""),
        ("PORT", "9"),
        ("HOST", "of the shell"),
    ]);
    given.arguments = vec![("port", "3".to_owned())];
    let settings = given.settings();
    assert_eq!((settings.port, settings.host.as_str()), (3, "variable"));
    assert_eq!(settings.server.base_path, "/with\\backslash");
    assert_eq!(settings.log_level, LevelFilter::DEBUG, "an empty variable is none");
}

#[test]
fn null_keeps_the_default_and_texts_are_as_they_are_written() {
    let settings = Given::file(
        "port: null\nhost: ~\naccess_token_validity:\ninfo_log_path: null\n\
         error_log_path: \"null\"\npostgresql_password: 0123\n",
    )
    .settings();
    let password = settings.postgres.password.clone().unwrap();
    assert_eq!(password.expose(), "0123");
    assert_eq!(settings.warnings, [""; 0]);
    assert_eq!((settings.port, settings.host.as_str()), (3567, "localhost"));
}

#[test]
fn old_names_stand_for_todays() {
    let settings = Given::file("access_token_signing_key_update_interval: 2\n").settings();
    let interval = settings.server.app.access_token_dynamic_signing_key_update_interval;
    assert_eq!(interval, Duration::from_secs(7200));
    let mut given = Given::file("access_token_signing_key_update_interval: 2\n");
    given.variables.insert("ACCESS_TOKEN_DYNAMIC_SIGNING_KEY_UPDATE_INTERVAL", "3");
    let interval = given.settings().server.app.access_token_dynamic_signing_key_update_interval;
    assert_eq!(interval, Duration::from_secs(10_800));
    Given::file(
        "access_token_signing_key_update_interval: 2\n\
         access_token_dynamic_signing_key_update_interval: 3\n",
    )
    .fails(
        "the configuration file FILE cannot be understood: \
         access_token_dynamic_signing_key_update_interval is given twice, also as \
         access_token_signing_key_update_interval",
    );
}

#[test]
fn what_does_nothing_is_said_once() {
    let text = "max_server_pool_size: 20\npassword_hashing_alg: argon2\ndisable_telemetry: true\n\
                webserver_https_enabled: false\nnonsense: 1\n";
    let settings = Given::file(text).settings();
    let mut warnings = settings.warnings;
    warnings.sort();
    assert_eq!(
        warnings,
        [
            "max_server_pool_size has no effect: Requests wait for no threads of their own, so \
             their number is no limit.",
            "nonsense is no key that is known here, and does nothing",
            "password_hashing_alg has no effect: There are no passwords here.",
        ]
    );
    let strict = Given { strict: true, ..Given::file(text) };
    strict.fails("nonsense is no key that is known here (in FILE)");
    let strict = Given { strict: true, ..Given::file("password_hashing_alg: bcrypt\n") };
    assert_eq!(strict.settings().warnings.len(), 1, "a key without effect is known");
}

#[test]
fn in_test_mode_times_may_be_short() {
    let text = "access_token_validity: 2\nrefresh_token_validity: 0.00084\n\
                access_token_dynamic_signing_key_update_interval: 0.00027\n\
                refresh_token_rotation_grace_period: 301\n";
    let app = Given { test_mode: true, ..Given::file(text) }.settings().server.app;
    // Rounded down: 0.00084 min are 50.4 ms, and 0.00027 h are 972 ms.
    assert_eq!(app.refresh_token_validity, Duration::from_millis(50));
    let interval = app.access_token_dynamic_signing_key_update_interval;
    assert_eq!(interval, Duration::from_millis(972));
    assert!(Given::file(text).load().is_err());
}

#[test]
fn postgresql_is_read_as_a_whole() {
    let settings = Given::file(
        "postgresql_connection_uri: postgresql://uri-user:uri-secret@db:5433/sessions\n\
         postgresql_host: other\npostgresql_port: 5434\npostgresql_user: user\n\
         postgresql_password: secret\npostgresql_database_name: name\n\
         postgresql_table_schema: schema\npostgresql_table_names_prefix: prefix\n\
         postgresql_key_value_table_name: kv\npostgresql_session_info_table_name: si\n\
         postgresql_connection_pool_size: 3\npostgresql_config_version: 0\n",
    )
    .settings();
    let PostgresConfig { connection_uri, host, port, user, password, .. } = &settings.postgres;
    let uri = "postgresql://uri-user:uri-secret@db:5433/sessions";
    assert_eq!(connection_uri.as_ref().map(|uri| uri.expose()), Some(uri));
    assert_eq!((host.as_deref(), *port), (Some("other"), Some(5434)));
    assert_eq!(user.as_deref(), Some("user"));
    assert_eq!(password.as_ref().map(|password| password.expose()), Some("secret"));
    assert_eq!(settings.postgres.database_name.as_deref(), Some("name"));
    assert_eq!(settings.postgres.table_schema.as_deref(), Some("schema"));
    assert_eq!(settings.postgres.table_names_prefix, "prefix");
    assert_eq!(settings.postgres.key_value_table_name.as_deref(), Some("kv"));
    assert_eq!(settings.postgres.session_info_table_name.as_deref(), Some("si"));
    assert_eq!(settings.postgres.connection_pool_size, 3);
    assert!(settings.postgres.is_complete());
    assert!(settings.warnings.is_empty());

    assert!(!Given::variable("POSTGRESQL_HOST", "db").settings().postgres.is_complete());
    assert!(Given::variable("POSTGRESQL_USER", "u").settings().postgres.is_complete());
    let uri = Given::variable("POSTGRESQL_CONNECTION_URI", "postgresql://db").settings();
    assert!(uri.postgres.is_complete());
}

#[test]
fn no_secret_is_in_what_is_shown_of_settings() {
    let settings = Given::file(
        "api_keys: hg40239oirjgBHD9450=Beew123-\npostgresql_password: hidden-password\n\
         postgresql_connection_uri: postgresql://u:hidden-password@db/x\n\
         supertokens_saas_secret: a-secret-of-forty-characters-and-a-few-more\n\
         oauth_client_secret_encryption_key: hidden-oauth-key\n\
         sessile_store: postgresql://u:hidden-password@db/x\n",
    )
    .settings();
    let shown = format!("{settings:?} {settings:#?}");
    for secret in ["Beew123", "hidden", "forty-characters"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn the_examples_of_the_page_are_right() {
    let page = include_str!("../../../../docs/configuration.md");
    let examples: Vec<&str> =
        page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        let settings = Given { strict: true, ..Given::file(example) }.settings();
        assert_eq!(settings.host, "0.0.0.0");
        assert!(!settings.server.app.api_keys.is_empty());
    }
}
