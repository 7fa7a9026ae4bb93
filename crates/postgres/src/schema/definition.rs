//! The tables of SuperTokens' core 12.1, as it makes them, and Sessile's own beside them.

/// A table, by its name within the schema, and how to make it.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) create: &'static str,
    pub(super) indexes: &'static [Index],
}

impl Table {
    /// The tables whose rows its own refer to, each as `{name:bare}`.
    pub(super) fn refers_to(&self) -> impl Iterator<Item = String> {
        let referred = self.create.split("REFERENCES {").skip(1);
        referred.filter_map(|rest| Some(format!("{{{}:bare}}", rest.split_once('}')?.0)))
    }
}

/// An index. SuperTokens' core gives it this name whatever the tables are called.
pub(super) struct Index {
    pub(super) name: &'static str,
    pub(super) columns: &'static str,
}

impl Index {
    /// The statement that makes it under another name.
    pub(super) fn create(&self, manner: &str, name: &str, table: &str) -> String {
        let columns = self.columns;
        format!("CREATE INDEX {manner} IF NOT EXISTS \"{name}\" ON {table} ({columns})")
    }
}

/// It finds the sessions of a user; older tables may not have it.
pub(super) const USER_INDEX: Index =
    Index { name: "session_info_user_id_app_id_index", columns: "user_id, app_id" };

/// It finds the accounts that are linked to a user. A core makes it since 7.0.13.
pub(super) const LINKED_INDEX: Index = Index {
    name: "app_id_to_user_id_primary_user_id_index",
    columns: "primary_or_recipe_user_id, app_id",
};

/// A column that older tables may not have.
pub(super) struct AddedColumn {
    pub(super) table: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    /// What it is in the rows that are there already, as SuperTokens' own scripts give it to them.
    /// It is a constant, so PostgreSQL need not write it into every row.
    pub(super) in_older_rows: Option<&'static str>,
}

/// Rows that are inserted later have no default.
pub(super) const ADDED_COLUMNS: &[AddedColumn] = &[
    AddedColumn {
        table: "{session_info:bare}",
        name: "prev_refresh_token_hash_2",
        kind: "VARCHAR(128)",
        in_older_rows: None,
    },
    AddedColumn {
        table: "{session_info:bare}",
        name: "refresh_token_rotated_at",
        kind: "BIGINT",
        in_older_rows: None,
    },
    AddedColumn {
        table: "{tenant_configs:bare}",
        name: "is_first_factors_null",
        kind: "BOOLEAN",
        in_older_rows: Some("true"),
    },
];

/// Every table; those that others refer to come first.
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "{apps:bare}",
        create: "CREATE TABLE IF NOT EXISTS {apps} (
            app_id VARCHAR(64) NOT NULL DEFAULT 'public',
            created_at_time BIGINT,
            CONSTRAINT \"{apps:bare}_pkey\" PRIMARY KEY (app_id)
        )",
        indexes: &[],
    },
    Table {
        name: "{tenants:bare}",
        create: "CREATE TABLE IF NOT EXISTS {tenants} (
            app_id VARCHAR(64) NOT NULL DEFAULT 'public',
            tenant_id VARCHAR(64) NOT NULL DEFAULT 'public',
            created_at_time BIGINT,
            CONSTRAINT \"{tenants:bare}_pkey\" PRIMARY KEY (app_id, tenant_id),
            CONSTRAINT \"{tenants:bare}_app_id_fkey\" FOREIGN KEY (app_id)
                REFERENCES {apps} (app_id) ON DELETE CASCADE
        )",
        indexes: &[Index { name: "tenants_app_id_index", columns: "app_id" }],
    },
    Table {
        name: "{key_value:bare}",
        create: "CREATE TABLE IF NOT EXISTS {key_value} (
            app_id VARCHAR(64) DEFAULT 'public',
            tenant_id VARCHAR(64) DEFAULT 'public',
            name VARCHAR(128),
            value TEXT,
            created_at_time BIGINT,
            CONSTRAINT \"{key_value:bare}_pkey\" PRIMARY KEY (app_id, tenant_id, name),
            CONSTRAINT \"{key_value:bare}_tenant_id_fkey\" FOREIGN KEY (app_id, tenant_id)
                REFERENCES {tenants} (app_id, tenant_id) ON DELETE CASCADE
        )",
        indexes: &[Index { name: "key_value_tenant_id_index", columns: "app_id, tenant_id" }],
    },
    Table {
        name: "{session_info:bare}",
        create: "CREATE TABLE IF NOT EXISTS {session_info} (
            app_id VARCHAR(64) DEFAULT 'public',
            tenant_id VARCHAR(64) DEFAULT 'public',
            session_handle VARCHAR(255) NOT NULL,
            user_id VARCHAR(128) NOT NULL,
            refresh_token_hash_2 VARCHAR(128) NOT NULL,
            session_data TEXT,
            expires_at BIGINT NOT NULL,
            created_at_time BIGINT NOT NULL,
            jwt_user_payload TEXT,
            use_static_key BOOLEAN NOT NULL,
            prev_refresh_token_hash_2 VARCHAR(128),
            refresh_token_rotated_at BIGINT,
            CONSTRAINT \"{session_info:bare}_pkey\"
                PRIMARY KEY (app_id, tenant_id, session_handle),
            CONSTRAINT \"{session_info:bare}_tenant_id_fkey\" FOREIGN KEY (app_id, tenant_id)
                REFERENCES {tenants} (app_id, tenant_id) ON DELETE CASCADE
        )",
        indexes: &[
            Index { name: "session_expiry_index", columns: "expires_at" },
            Index { name: "session_info_tenant_id_index", columns: "app_id, tenant_id" },
            USER_INDEX,
        ],
    },
    Table {
        name: "{session_access_token_signing_keys:bare}",
        create: "CREATE TABLE IF NOT EXISTS {session_access_token_signing_keys} (
            app_id VARCHAR(64) DEFAULT 'public',
            created_at_time BIGINT NOT NULL,
            value TEXT,
            CONSTRAINT \"{session_access_token_signing_keys:bare}_pkey\"
                PRIMARY KEY (app_id, created_at_time),
            CONSTRAINT \"{session_access_token_signing_keys:bare}_app_id_fkey\"
                FOREIGN KEY (app_id) REFERENCES {apps} (app_id) ON DELETE CASCADE
        )",
        indexes: &[Index { name: "access_token_signing_keys_app_id_index", columns: "app_id" }],
    },
    Table {
        name: "{jwt_signing_keys:bare}",
        create: "CREATE TABLE IF NOT EXISTS {jwt_signing_keys} (
            app_id VARCHAR(64) DEFAULT 'public',
            key_id VARCHAR(255) NOT NULL,
            key_string TEXT NOT NULL,
            algorithm VARCHAR(10) NOT NULL,
            created_at BIGINT,
            CONSTRAINT \"{jwt_signing_keys:bare}_pkey\" PRIMARY KEY (app_id, key_id),
            CONSTRAINT \"{jwt_signing_keys:bare}_app_id_fkey\" FOREIGN KEY (app_id)
                REFERENCES {apps} (app_id) ON DELETE CASCADE
        )",
        indexes: &[Index { name: "jwt_signing_keys_app_id_index", columns: "app_id" }],
    },
    Table {
        name: "{tenant_configs:bare}",
        create: "CREATE TABLE IF NOT EXISTS {tenant_configs} (
            connection_uri_domain VARCHAR(256) DEFAULT '',
            app_id VARCHAR(64) DEFAULT 'public',
            tenant_id VARCHAR(64) DEFAULT 'public',
            core_config TEXT,
            email_password_enabled BOOLEAN,
            passwordless_enabled BOOLEAN,
            third_party_enabled BOOLEAN,
            is_first_factors_null BOOLEAN,
            CONSTRAINT \"{tenant_configs:bare}_pkey\"
                PRIMARY KEY (connection_uri_domain, app_id, tenant_id)
        )",
        indexes: &[],
    },
    Table {
        name: "{tenant_first_factors:bare}",
        create: "CREATE TABLE IF NOT EXISTS {tenant_first_factors} (
            connection_uri_domain VARCHAR(256) DEFAULT '',
            app_id VARCHAR(64) DEFAULT 'public',
            tenant_id VARCHAR(64) DEFAULT 'public',
            factor_id VARCHAR(128),
            CONSTRAINT \"{tenant_first_factors:bare}_pkey\"
                PRIMARY KEY (connection_uri_domain, app_id, tenant_id, factor_id),
            CONSTRAINT \"{tenant_first_factors:bare}_tenant_id_fkey\"
                FOREIGN KEY (connection_uri_domain, app_id, tenant_id)
                REFERENCES {tenant_configs} (connection_uri_domain, app_id, tenant_id)
                ON DELETE CASCADE
        )",
        indexes: &[Index {
            name: "tenant_first_factors_tenant_id_index",
            columns: "connection_uri_domain, app_id, tenant_id",
        }],
    },
    Table {
        name: "{tenant_required_secondary_factors:bare}",
        create: "CREATE TABLE IF NOT EXISTS {tenant_required_secondary_factors} (
            connection_uri_domain VARCHAR(256) DEFAULT '',
            app_id VARCHAR(64) DEFAULT 'public',
            tenant_id VARCHAR(64) DEFAULT 'public',
            factor_id VARCHAR(128),
            CONSTRAINT \"{tenant_required_secondary_factors:bare}_pkey\"
                PRIMARY KEY (connection_uri_domain, app_id, tenant_id, factor_id),
            CONSTRAINT \"{tenant_required_secondary_factors:bare}_tenant_id_fkey\"
                FOREIGN KEY (connection_uri_domain, app_id, tenant_id)
                REFERENCES {tenant_configs} (connection_uri_domain, app_id, tenant_id)
                ON DELETE CASCADE
        )",
        indexes: &[Index {
            name: "tenant_default_required_factor_ids_tenant_id_index",
            columns: "connection_uri_domain, app_id, tenant_id",
        }],
    },
    Table {
        name: "{sessile_store:bare}",
        create: "CREATE TABLE IF NOT EXISTS {sessile_store} (
            singleton BOOLEAN PRIMARY KEY DEFAULT true CHECK (singleton),
            version INTEGER NOT NULL,
            ownership VARCHAR(6) NOT NULL CHECK (ownership IN ('own', 'shared'))
        )",
        indexes: &[],
    },
    // What was noted when sessions were moved here, or away.
    Table {
        name: "{sessile_move:bare}",
        create: "CREATE TABLE IF NOT EXISTS {sessile_move} (
            kind VARCHAR(9) PRIMARY KEY CHECK (kind IN ('arrival', 'departure')),
            note TEXT NOT NULL
        )",
        indexes: &[],
    },
    // What a session has beside its row, if it has anything. Children are replaced often; what
    // is left free makes room for the next one in the same page.
    Table {
        name: "{sessile_session:bare}",
        create: "CREATE TABLE IF NOT EXISTS {sessile_session} (
            app_id VARCHAR(64) NOT NULL,
            tenant_id VARCHAR(64) NOT NULL,
            session_handle VARCHAR(255) NOT NULL,
            sealed_child BYTEA,
            sealed_child_hash VARCHAR(128),
            ends_at BIGINT,
            client_label TEXT,
            PRIMARY KEY (app_id, tenant_id, session_handle),
            FOREIGN KEY (app_id, tenant_id, session_handle)
                REFERENCES {session_info} (app_id, tenant_id, session_handle) ON DELETE CASCADE
        ) WITH (fillfactor = 70)",
        indexes: &[],
    },
    // A later key has a greater sequence; `after` is the time of the newest key that was in
    // SuperTokens' tables when it was added.
    Table {
        name: "{sessile_signing_key:bare}",
        create: "CREATE TABLE IF NOT EXISTS {sessile_signing_key} (
            app_id VARCHAR(64) NOT NULL,
            key_id TEXT NOT NULL,
            algorithm TEXT NOT NULL,
            created_at_time BIGINT NOT NULL,
            material TEXT NOT NULL,
            is_static BOOLEAN NOT NULL,
            after BIGINT NOT NULL,
            sequence BIGINT GENERATED ALWAYS AS IDENTITY,
            PRIMARY KEY (app_id, key_id),
            FOREIGN KEY (app_id) REFERENCES {apps} (app_id) ON DELETE CASCADE
        )",
        indexes: &[],
    },
    Table {
        name: "{sessile_secret:bare}",
        create: "CREATE TABLE IF NOT EXISTS {sessile_secret} (
            app_id VARCHAR(64) NOT NULL,
            name TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (app_id, name),
            FOREIGN KEY (app_id) REFERENCES {apps} (app_id) ON DELETE CASCADE
        )",
        indexes: &[],
    },
    Table {
        name: "{sessile_tenant:bare}",
        create: "CREATE TABLE IF NOT EXISTS {sessile_tenant} (
            app_id VARCHAR(64) NOT NULL,
            tenant_id VARCHAR(64) NOT NULL,
            first_factors TEXT[] NOT NULL,
            required_secondary_factors TEXT[] NOT NULL,
            PRIMARY KEY (app_id, tenant_id),
            FOREIGN KEY (app_id, tenant_id)
                REFERENCES {tenants} (app_id, tenant_id) ON DELETE CASCADE
        )",
        indexes: &[],
    },
];

/// The columns of SuperTokens' tables without which nothing can be done, by the bare name.
pub(super) const NEEDED_COLUMNS: &[(&str, &[&str])] = &[
    ("{apps:bare}", &["app_id"]),
    ("{tenants:bare}", &["app_id", "tenant_id"]),
    ("{key_value:bare}", &["app_id", "tenant_id", "name", "value", "created_at_time"]),
    (
        "{session_info:bare}",
        &[
            "app_id",
            "tenant_id",
            "session_handle",
            "user_id",
            "refresh_token_hash_2",
            "session_data",
            "expires_at",
            "created_at_time",
            "jwt_user_payload",
            "use_static_key",
        ],
    ),
    ("{session_access_token_signing_keys:bare}", &["app_id", "created_at_time", "value"]),
    ("{jwt_signing_keys:bare}", &["app_id", "key_id", "key_string", "algorithm", "created_at"]),
    ("{tenant_configs:bare}", &["connection_uri_domain", "app_id", "tenant_id", "core_config"]),
];
