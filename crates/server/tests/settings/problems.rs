//! What stops a start, and how it is told.

use std::ffi::OsString;

use sessile_server::{Settings, Sources};

use crate::support::Given;

#[test]
fn wrong_values_are_told_with_the_key_and_where_they_are() {
    let told = " The config file can be found here: FILE";
    for (text, problem) in [
        ("port: none", "'port' must be of type int (in FILE)"),
        ("port: 3000000000", "'port' must be of type int (in FILE)"),
        ("port: 65536", "'port' must be between 0 and 65535 (in FILE)"),
        ("host: ''", "'host' must name a host or an address (in FILE)"),
        ("access_token_validity: 1.5", "'access_token_validity' must be of type long (in FILE)"),
        ("refresh_token_validity: x", "'refresh_token_validity' must be of type double (in FILE)"),
        (
            "refresh_token_validity: .nan",
            "'refresh_token_validity' must be of type double (in FILE)",
        ),
        ("cookie_secure: yes", "'cookie_secure' must be of type boolean (in FILE)"),
        ("cookie_secure: 1", "'cookie_secure' must be of type boolean (in FILE)"),
        (
            "core_config_version: -1",
            "'core_config_version' is not set in the config.yaml file. Please redownload and \
             install SuperTokens (in FILE)",
        ),
        ("core_config_version: 1", "'core_config_version' must be 0 (in FILE)"),
        ("base_path: /a b", "Invalid characters in base_path config (in FILE)"),
        (
            "log_level: loud",
            "'log_level' config must be one of \"NONE\",\"DEBUG\", \"INFO\", \"WARN\" or \
             \"ERROR\". (in FILE)",
        ),
        (
            "recent_token_reuse_behaviour: x",
            "recent_token_reuse_behaviour property is not set correctly. It must be one of \
             [TOKEN_THEFT, UNAUTHORISED] (in FILE)",
        ),
        (
            "sessile_refresh_rotation: x",
            "'sessile_refresh_rotation' must be either \"supertokens\" or \"idempotent\" (in FILE)",
        ),
        (
            "api_keys: short",
            "One of the API keys is too short. Please use at least 20 characters (in FILE)",
        ),
        (
            "api_keys: under_scores_are_refused",
            "Invalid characters in API key. Please only use '=', '-' and alpha-numeric (including \
             capitals) (in FILE)",
        ),
        (
            "ip_allow_regex: '('",
            "Provided regular expression is invalid for ip_allow_regex config (in FILE)",
        ),
        (
            "ip_deny_regex: '*'",
            "Provided regular expression is invalid for ip_deny_regex config (in FILE)",
        ),
        (
            "supertokens_max_cdi_version: 2.99",
            "supertokens_max_cdi_version is not a supported version (in FILE)",
        ),
        (
            "supertokens_min_cdi_version: v5",
            "supertokens_min_cdi_version is not a valid semantic version (in FILE)",
        ),
        (
            "supertokens_min_cdi_version: 5.4\nsupertokens_max_cdi_version: 5.3",
            "supertokens_min_cdi_version cannot be greater than supertokens_max_cdi_version",
        ),
        (
            "supertokens_saas_secret: a-secret-of-forty-characters-and-a-few-more",
            "supertokens_saas_secret can only be used when api_key is also defined",
        ),
        (
            "supertokens_saas_secret: short",
            "supertokens_saas_secret is too short. Please use at least 40 characters (in FILE)",
        ),
        (
            "supertokens_saas_secret: a_secret_of_forty_characters_and_a_few_more",
            "Invalid characters in supertokens_saas_secret key. Please only use '=', '-' and \
             alpha-numeric (including capitals) (in FILE)",
        ),
        (
            "cookie_same_site: some",
            "'cookie_same_site' must be either \"none\", \"strict\" or \"lax\" (in FILE)",
        ),
        (
            "cookie_same_site: none",
            "please set 'enable_anti_csrf' to true if 'cookie_same_site' is set to 'none'",
        ),
        (
            "session_expired_status_code: 600",
            "'session_expired_status_code' must be a value between 400 and 599, inclusive (in \
             FILE)",
        ),
        (
            "sessile_tls_certificate_file: c.pem",
            "'sessile_tls_key_file' must be set too if 'sessile_tls_certificate_file' is",
        ),
        (
            "sessile_tls_key_file: k.pem",
            "'sessile_tls_certificate_file' must be set too if 'sessile_tls_key_file' is",
        ),
        (
            "sessile_forward: http://user:secret@core",
            "'sessile_forward' must be a URL without a user and password (in FILE)",
        ),
        (
            "sessile_forward: not a secret URL",
            "'sessile_forward' must be a URL with a host, such as http://core:3567 (in FILE)",
        ),
        (
            "sessile_metrics_address: localhost",
            "'sessile_metrics_address' must be a host and a port, such as 127.0.0.1:9464 (in FILE)",
        ),
        ("sessile_log_format: xml", "'sessile_log_format' must be text or json (in FILE)"),
        (
            "sessile_max_requests: 0",
            "'sessile_max_requests' must be at least 1, and a number that can be counted to (in \
             FILE)",
        ),
        ("sessile_drain_time: -1", "'sessile_drain_time' must be between 0 and 3600 (in FILE)"),
        ("sessile_store: ''", "'sessile_store' must not be empty (in FILE)"),
        (
            "postgresql_connection_uri: mysql://secret",
            "The provided postgresql connection URI has an incorrect format. Please use a format \
             like postgresql://[user[:[password]]@]host[:port][/dbname][?attr1=val1&attr2=val2... \
             (in FILE)",
        ),
        (
            "postgresql_connection_pool_size: 0",
            "'postgresql_connection_pool_size' in the config.yaml file must be > 0 (in FILE)",
        ),
        ("postgresql_port: 0", "'postgresql_port' must be between 1 and 65535 (in FILE)"),
        (
            "password_reset_token_lifetime: 0",
            "'password_reset_token_lifetime' must be >= 0 (in FILE)",
        ),
        ("passwordless_code_lifetime: 0", "'passwordless_code_lifetime' must be > 0 (in FILE)"),
        (
            "bulk_migration_batch_size: 0",
            "Provided bulk_migration_batch_size must be >= 1 (in FILE)",
        ),
        (
            "password_hashing_alg: md5",
            "'password_hashing_alg' must be one of 'ARGON2' or 'BCRYPT' (in FILE)",
        ),
        ("argon2_iterations: many", "'argon2_iterations' must be of type int (in FILE)"),
    ] {
        let error = Given::file(text).load().unwrap_err();
        assert_eq!(error, problem, "{text}");
    }
    for (text, problem) in [
        (
            "access_token_validity: 0",
            "'access_token_validity' must be between 1 and 86400000 seconds inclusive.",
        ),
        (
            "access_token_validity: 86400001",
            "'access_token_validity' must be between 1 and 86400000 seconds inclusive.",
        ),
        (
            "refresh_token_validity: 60",
            "'refresh_token_validity' must be strictly greater than 'access_token_validity'.",
        ),
        (
            "access_token_dynamic_signing_key_update_interval: 0.9",
            "'access_token_dynamic_signing_key_update_interval' must be greater than, equal to 1 \
             hour.",
        ),
        (
            "refresh_token_rotation_grace_period: 301",
            "'refresh_token_rotation_grace_period' must be between 0 and 300 seconds inclusive.",
        ),
        (
            "refresh_token_rotation_grace_period: -1",
            "'refresh_token_rotation_grace_period' must be between 0 and 300 seconds inclusive.",
        ),
        (
            "access_token_validity_jitter: 0.26",
            "'access_token_validity_jitter' must be between 0 and 0.25 inclusive.",
        ),
        ("max_server_pool_size: 0", "'max_server_pool_size' must be >= 1."),
    ] {
        let error = Given::file(text).load().unwrap_err();
        assert_eq!(error, format!("{problem}{told}"), "{text}");
    }
}

#[test]
fn a_wrong_value_of_another_source_is_told_with_the_source() {
    Given::variable("SUPERTOKENS_PORT", "high")
        .fails("'port' must be of type int (in the environment variable SUPERTOKENS_PORT)");
    Given::variable("REFRESH_TOKEN_VALIDITY", "60")
        .fails("'refresh_token_validity' must be strictly greater than 'access_token_validity'.");
    let arguments = vec![("host", " ".to_owned())];
    Given { arguments, ..Given::default() }
        .fails("'host' must name a host or an address (on the command line, for host)");
}

#[cfg(unix)]
#[test]
fn a_variable_must_be_text() {
    use std::os::unix::ffi::OsStringExt as _;
    let error = Settings::load(Sources {
        file: None,
        environment: &|name| (name == "API_KEYS").then(|| OsString::from_vec(vec![0xff])),
        arguments: &[],
        strict: false,
        test_mode: false,
    })
    .unwrap_err();
    assert_eq!(error.to_string(), "the environment variable API_KEYS is no valid text");
}

#[test]
fn a_file_must_be_yaml_of_keys_and_values() {
    for (text, problem) in [
        ("port: [1]", "expected string scalar at line 1, column 7"),
        (
            "port: 1\nport: 2",
            "duplicate mapping key `port` is not allowed here at line 2, column 1",
        ),
        ("- port", "expected mapping start at line 1, column 1"),
        ("api_keys: \"secret-value", "unclosed quote at line 1, column 11"),
        ("api_keys: *secret-value", "reference to unknown value at line 1, column 11"),
    ] {
        let error = Given::file(text).load().unwrap_err();
        let expected = format!("the configuration file FILE cannot be understood: {problem}");
        assert!(error.starts_with(&expected), "{error}");
        assert!(!error.contains("secret-value"), "{error}");
    }
    for text in ["", "# nothing\n", "---\n"] {
        assert_eq!(Given::file(text).settings(), Settings::default(), "{text}");
    }
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let error = Settings::load(Sources {
        file: Some("/no/such/config.yaml".as_ref()),
        environment: &|_| None,
        arguments: &[],
        strict: false,
        test_mode: false,
    })
    .unwrap_err();
    assert_eq!(error.to_string(), "the configuration file /no/such/config.yaml cannot be read");
}
