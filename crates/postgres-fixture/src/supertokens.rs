//! The tables that SuperTokens' core makes, from its documentation.

/// Those of core 12.1, in the schema in which new tables are made.
pub const TABLES: &str = include_str!("supertokens.sql");

/// Those beside them that say what a core knows of users: which are linked, and how they are known
/// outside.
pub const TABLES_OF_USERS: &str = include_str!("supertokens_users.sql");

/// Makes them those of the cores from 9.0 to 12.0, which lack some columns and an index.
pub const BACK_TO_9_0: &str = "
    ALTER TABLE session_info DROP COLUMN prev_refresh_token_hash_2,
        DROP COLUMN refresh_token_rotated_at;
    ALTER TABLE tenant_configs DROP COLUMN is_first_factors_null;
    DROP INDEX session_info_user_id_app_id_index;";

/// Makes these those of core 12.1 again, by the scripts of its documentation.
pub const FORWARD_TO_12_1: &str = "
    ALTER TABLE tenant_configs ADD COLUMN IF NOT EXISTS is_first_factors_null BOOLEAN DEFAULT TRUE;
    ALTER TABLE tenant_configs ALTER COLUMN is_first_factors_null DROP DEFAULT;
    CREATE INDEX IF NOT EXISTS session_info_user_id_app_id_index ON session_info (user_id, app_id);
    ALTER TABLE session_info ADD COLUMN prev_refresh_token_hash_2 VARCHAR(128);
    ALTER TABLE session_info ADD COLUMN refresh_token_rotated_at BIGINT;";
