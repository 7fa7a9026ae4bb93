CREATE TABLE apps (
    app_id VARCHAR(64) NOT NULL DEFAULT 'public',
    created_at_time BIGINT,
    CONSTRAINT apps_pkey PRIMARY KEY (app_id)
);

CREATE TABLE tenants (
    app_id VARCHAR(64) NOT NULL DEFAULT 'public',
    tenant_id VARCHAR(64) NOT NULL DEFAULT 'public',
    created_at_time BIGINT,
    CONSTRAINT tenants_pkey PRIMARY KEY (app_id, tenant_id),
    CONSTRAINT tenants_app_id_fkey FOREIGN KEY (app_id) REFERENCES apps (app_id) ON DELETE CASCADE
);
CREATE INDEX tenants_app_id_index ON tenants (app_id);

CREATE TABLE key_value (
    app_id VARCHAR(64) DEFAULT 'public',
    tenant_id VARCHAR(64) DEFAULT 'public',
    name VARCHAR(128),
    value TEXT,
    created_at_time BIGINT,
    CONSTRAINT key_value_pkey PRIMARY KEY (app_id, tenant_id, name),
    CONSTRAINT key_value_tenant_id_fkey FOREIGN KEY (app_id, tenant_id)
        REFERENCES tenants (app_id, tenant_id) ON DELETE CASCADE
);
CREATE INDEX key_value_tenant_id_index ON key_value (app_id, tenant_id);

CREATE TABLE session_info (
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
    prev_refresh_token_hash_2 VARCHAR(128) NULL,
    refresh_token_rotated_at BIGINT NULL,
    CONSTRAINT session_info_pkey PRIMARY KEY (app_id, tenant_id, session_handle),
    CONSTRAINT session_info_tenant_id_fkey FOREIGN KEY (app_id, tenant_id)
        REFERENCES tenants (app_id, tenant_id) ON DELETE CASCADE
);
CREATE INDEX session_expiry_index ON session_info (expires_at);
CREATE INDEX session_info_tenant_id_index ON session_info (app_id, tenant_id);
CREATE INDEX session_info_user_id_app_id_index ON session_info (user_id, app_id);

CREATE TABLE session_access_token_signing_keys (
    app_id VARCHAR(64) DEFAULT 'public',
    created_at_time BIGINT NOT NULL,
    value TEXT,
    CONSTRAINT session_access_token_signing_keys_pkey PRIMARY KEY (app_id, created_at_time),
    CONSTRAINT session_access_token_signing_keys_app_id_fkey FOREIGN KEY (app_id)
        REFERENCES apps (app_id) ON DELETE CASCADE
);
CREATE INDEX access_token_signing_keys_app_id_index ON session_access_token_signing_keys (app_id);

CREATE TABLE jwt_signing_keys (
    app_id VARCHAR(64) DEFAULT 'public',
    key_id VARCHAR(255) NOT NULL,
    key_string TEXT NOT NULL,
    algorithm VARCHAR(10) NOT NULL,
    created_at BIGINT,
    CONSTRAINT jwt_signing_keys_pkey PRIMARY KEY (app_id, key_id),
    CONSTRAINT jwt_signing_keys_app_id_fkey FOREIGN KEY (app_id)
        REFERENCES apps (app_id) ON DELETE CASCADE
);
CREATE INDEX jwt_signing_keys_app_id_index ON jwt_signing_keys (app_id);

CREATE TABLE tenant_configs (
    connection_uri_domain VARCHAR(256) DEFAULT '',
    app_id VARCHAR(64) DEFAULT 'public',
    tenant_id VARCHAR(64) DEFAULT 'public',
    core_config TEXT,
    email_password_enabled BOOLEAN,
    passwordless_enabled BOOLEAN,
    third_party_enabled BOOLEAN,
    is_first_factors_null BOOLEAN,
    CONSTRAINT tenant_configs_pkey PRIMARY KEY (connection_uri_domain, app_id, tenant_id)
);

CREATE TABLE tenant_first_factors (
    connection_uri_domain VARCHAR(256) DEFAULT '',
    app_id VARCHAR(64) DEFAULT 'public',
    tenant_id VARCHAR(64) DEFAULT 'public',
    factor_id VARCHAR(128),
    CONSTRAINT tenant_first_factors_pkey
        PRIMARY KEY (connection_uri_domain, app_id, tenant_id, factor_id),
    CONSTRAINT tenant_first_factors_tenant_id_fkey
        FOREIGN KEY (connection_uri_domain, app_id, tenant_id)
        REFERENCES tenant_configs (connection_uri_domain, app_id, tenant_id) ON DELETE CASCADE
);
CREATE INDEX tenant_first_factors_tenant_id_index
    ON tenant_first_factors (connection_uri_domain, app_id, tenant_id);

CREATE TABLE tenant_required_secondary_factors (
    connection_uri_domain VARCHAR(256) DEFAULT '',
    app_id VARCHAR(64) DEFAULT 'public',
    tenant_id VARCHAR(64) DEFAULT 'public',
    factor_id VARCHAR(128),
    CONSTRAINT tenant_required_secondary_factors_pkey
        PRIMARY KEY (connection_uri_domain, app_id, tenant_id, factor_id),
    CONSTRAINT tenant_required_secondary_factors_tenant_id_fkey
        FOREIGN KEY (connection_uri_domain, app_id, tenant_id)
        REFERENCES tenant_configs (connection_uri_domain, app_id, tenant_id) ON DELETE CASCADE
);
CREATE INDEX tenant_default_required_factor_ids_tenant_id_index
    ON tenant_required_secondary_factors (connection_uri_domain, app_id, tenant_id);
