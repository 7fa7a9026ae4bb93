//! What a configuration of SuperTokens may say and nothing here depends on.

use crate::settings::key::{Effect, Given, Key, Kind, Problem, Scope};

const USERS: &str = "There are no users here, only their sessions.";
const PASSWORDS: &str = "There are no passwords here.";
const OAUTH: &str = "There is no OAuth provider here.";
const SAML: &str = "There is no SAML here.";
const ACTIVITY: &str = "There is no log of users' activity here.";
const LOG_FILES: &str =
    "Log lines go to standard error; what runs the server may put them in files.";
const CONNECTIONS: &str = "Connections are made when they are needed, and kept.";
const OTHER_TABLES: &str = "Only tables of sessions and keys are used.";

const SERVER: Scope = Scope::Server;
const APP: Scope = Scope::App;
const TENANT: Scope = Scope::Tenant;

pub(super) static KEYS: [Key; 47] = [
    Key {
        effect: Effect::Nothing { check: at_least_one_thread, harmless: &[] },
        ..unused(
            "max_server_pool_size",
            Kind::Integer,
            SERVER,
            "10",
            "Requests wait for no threads of their own, so their number is no limit.",
        )
    },
    unused(
        "postgresql_minimum_idle_connections",
        Kind::Integer,
        SERVER,
        "the pool's size",
        CONNECTIONS,
    ),
    unused("postgresql_idle_connection_timeout", Kind::Long, SERVER, "60000", CONNECTIONS),
    harmless(unused("info_log_path", Kind::Text, SERVER, "none", LOG_FILES), &["null"]),
    harmless(unused("error_log_path", Kind::Text, SERVER, "none", LOG_FILES), &["null"]),
    harmless(
        unused("disable_telemetry", Kind::Boolean, APP, "true", "There is no telemetry."),
        &["true"],
    ),
    harmless(
        unused(
            "webserver_https_enabled",
            Kind::Boolean,
            SERVER,
            "false",
            "SuperTokens' core does nothing with it. TLS has its keys among Sessile's own.",
        ),
        &["false"],
    ),
    unused(
        "otel_collector_connection_uri",
        Kind::Text,
        SERVER,
        "none",
        "Nothing is sent to OpenTelemetry collectors.",
    ),
    unused(
        "supertokens_saas_load_only_cud",
        Kind::Text,
        SERVER,
        "none",
        "There are no domains of connection URIs here.",
    ),
    unused("migration_mode", Kind::Text, SERVER, "none", USERS),
    positive("password_reset_token_lifetime", Kind::Long, TENANT, "3600000", USERS),
    positive("email_verification_token_lifetime", Kind::Long, TENANT, "86400000", USERS),
    positive("passwordless_code_lifetime", Kind::Long, TENANT, "900000", USERS),
    positive("passwordless_max_code_input_attempts", Kind::Integer, TENANT, "5", USERS),
    positive("totp_max_attempts", Kind::Integer, TENANT, "5", USERS),
    positive("totp_rate_limit_cooldown_sec", Kind::Integer, TENANT, "900", USERS),
    positive("webauthn_recover_account_token_lifetime", Kind::Long, APP, "3600000", USERS),
    positive("bulk_migration_parallelism", Kind::Integer, APP, "the processors", USERS),
    positive("bulk_migration_batch_size", Kind::Integer, APP, "8000", USERS),
    Key {
        effect: Effect::Nothing { check: known_algorithm, harmless: &[] },
        ..unused("password_hashing_alg", Kind::Text, APP, "BCRYPT", PASSWORDS)
    },
    unused("argon2_iterations", Kind::Integer, SERVER, "1", PASSWORDS),
    unused("argon2_memory_kb", Kind::Integer, SERVER, "87795", PASSWORDS),
    unused("argon2_parallelism", Kind::Integer, SERVER, "2", PASSWORDS),
    unused("argon2_hashing_pool_size", Kind::Integer, SERVER, "1", PASSWORDS),
    unused("bcrypt_log_rounds", Kind::Integer, SERVER, "11", PASSWORDS),
    unused("firebase_password_hashing_pool_size", Kind::Integer, SERVER, "1", PASSWORDS),
    unused("firebase_password_hashing_signer_key", Kind::Text, APP, "none", PASSWORDS),
    unused("oauth_provider_public_service_url", Kind::Text, APP, "none", OAUTH),
    unused("oauth_provider_admin_service_url", Kind::Text, APP, "none", OAUTH),
    unused("oauth_provider_consent_login_base_url", Kind::Text, APP, "none", OAUTH),
    unused("oauth_provider_url_configured_in_oauth_provider", Kind::Text, APP, "none", OAUTH),
    unused("oauth_client_secret_encryption_key", Kind::Text, SERVER, "none", OAUTH),
    unused("saml_legacy_acs_url", Kind::Text, APP, "none", SAML),
    unused("saml_sp_entity_id", Kind::Text, TENANT, "none", SAML),
    unused("saml_claims_validity", Kind::Long, TENANT, "300000", SAML),
    unused("saml_relay_state_validity", Kind::Long, TENANT, "300000", SAML),
    unused("activity_log_throttle_enabled", Kind::Boolean, APP, "true", ACTIVITY),
    unused("activity_log_retention_days", Kind::Integer, APP, "none", ACTIVITY),
    harmless(
        unused(
            "postgresql_config_version",
            Kind::Integer,
            SERVER,
            "0",
            "There is one format of these keys.",
        ),
        &["0"],
    ),
    unused("postgresql_connection_attributes", Kind::Text, SERVER, "none", "The URI has them."),
    unused("postgresql_connection_scheme", Kind::Text, SERVER, "postgresql", "The URI has it."),
    unused("postgresql_past_tokens_table_name", Kind::Text, SERVER, "past_tokens", OTHER_TABLES),
    table("postgresql_emailpassword_users_table_name", "emailpassword_users"),
    table(
        "postgresql_emailpassword_pswd_reset_tokens_table_name",
        "emailpassword_pswd_reset_tokens",
    ),
    table("postgresql_emailverification_tokens_table_name", "emailverification_tokens"),
    table(
        "postgresql_emailverification_verified_emails_table_name",
        "emailverification_verified_emails",
    ),
    table("postgresql_thirdparty_users_table_name", "thirdparty_users"),
];

const fn unused(
    name: &'static str,
    kind: Kind,
    scope: Scope,
    default: &'static str,
    about: &'static str,
) -> Key {
    let effect = Effect::Nothing { check: |given| given.check_type(), harmless: &[] };
    Key { name, kind, scope, default, unit: "", about, effect }
}

const fn harmless(key: Key, values: &'static [&'static str]) -> Key {
    let effect = Effect::Nothing { check: |given| given.check_type(), harmless: values };
    Key { effect, ..key }
}

const fn positive(
    name: &'static str,
    kind: Kind,
    scope: Scope,
    default: &'static str,
    about: &'static str,
) -> Key {
    let effect = Effect::Nothing { check: more_than_nothing, harmless: &[] };
    Key { effect, ..unused(name, kind, scope, default, about) }
}

const fn table(name: &'static str, default: &'static str) -> Key {
    unused(name, Kind::Text, SERVER, default, OTHER_TABLES)
}

fn at_least_one_thread(given: &Given<'_>) -> Result<(), Problem> {
    let problem = Problem::of_file("'max_server_pool_size' must be >= 1.");
    given.within(1..=i64::MAX, problem).map(drop)
}

/// Each with the text that SuperTokens' core has for it.
fn more_than_nothing(given: &Given<'_>) -> Result<(), Problem> {
    let name = given.key.name;
    let text = match name {
        "password_reset_token_lifetime" | "email_verification_token_lifetime" => {
            format!("'{name}' must be >= 0")
        }
        "webauthn_recover_account_token_lifetime" => format!("Provided {name} must be > 0"),
        "bulk_migration_parallelism" | "bulk_migration_batch_size" => {
            format!("Provided {name} must be >= 1")
        }
        _ => format!("'{name}' must be > 0"),
    };
    given.within(1..=i64::MAX, Problem::new(text)).map(drop)
}

fn known_algorithm(given: &Given<'_>) -> Result<(), Problem> {
    match given.trimmed().to_uppercase().as_str() {
        "ARGON2" | "BCRYPT" => Ok(()),
        _ => Err(Problem::new("'password_hashing_alg' must be one of 'ARGON2' or 'BCRYPT'")),
    }
}
