CREATE TABLE app_id_to_user_id (
    app_id VARCHAR(64) NOT NULL DEFAULT 'public',
    user_id CHAR(36) NOT NULL,
    recipe_id VARCHAR(128) NOT NULL,
    primary_or_recipe_user_id CHAR(36) NOT NULL,
    is_linked_or_is_a_primary_user BOOLEAN NOT NULL DEFAULT FALSE,
    CONSTRAINT app_id_to_user_id_pkey PRIMARY KEY (app_id, user_id),
    CONSTRAINT app_id_to_user_id_primary_or_recipe_user_id_fkey
        FOREIGN KEY (app_id, primary_or_recipe_user_id)
        REFERENCES app_id_to_user_id (app_id, user_id) ON DELETE CASCADE,
    CONSTRAINT app_id_to_user_id_app_id_fkey FOREIGN KEY (app_id)
        REFERENCES apps (app_id) ON DELETE CASCADE
);
CREATE INDEX app_id_to_user_id_app_id_index ON app_id_to_user_id (app_id);
CREATE INDEX app_id_to_user_id_primary_user_id_index
    ON app_id_to_user_id (primary_or_recipe_user_id, app_id);

CREATE TABLE userid_mapping (
    app_id VARCHAR(64) DEFAULT 'public',
    supertokens_user_id CHAR(36) NOT NULL,
    external_user_id VARCHAR(128) NOT NULL,
    CONSTRAINT userid_mapping_supertokens_user_id_key UNIQUE (app_id, supertokens_user_id),
    CONSTRAINT userid_mapping_external_user_id_key UNIQUE (app_id, external_user_id),
    external_user_id_info TEXT,
    CONSTRAINT userid_mapping_pkey PRIMARY KEY (app_id, supertokens_user_id, external_user_id),
    CONSTRAINT userid_mapping_supertokens_user_id_fkey FOREIGN KEY (app_id, supertokens_user_id)
        REFERENCES app_id_to_user_id (app_id, user_id) ON DELETE CASCADE
);
CREATE INDEX userid_mapping_supertokens_user_id_index
    ON userid_mapping (app_id, supertokens_user_id);
