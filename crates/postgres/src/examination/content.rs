use sessile_core::{
    AppId, Secret, TenantId, WrappingKey,
    clock::Timestamp,
    store::{StoredSecret, StoredSigningKey},
};

use super::structure::Readable;
use crate::{
    connection::{Connection, Template},
    failure::Failure,
    names::Names,
    record::column_of,
    statements::keys::is_supertokens_key,
};

/// What is in the tables. What may not be read counts as not there.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Content {
    /// How many sessions have not expired; `None` where the table is not there or may not be read.
    pub sessions: Option<i64>,
    /// Accounts that are linked to a primary user with another id.
    pub linked_users: i64,
    /// Whether it says which accounts are linked: a core does so since 7.0.
    pub knows_linked_users: bool,
    /// Users with an external id that takes the place of SuperTokens' own.
    pub mapped_users: i64,
    /// Sessions that have SuperTokens' own id of such a user, from before it was mapped.
    pub sessions_of_mapped_users: i64,
    /// Tenants with a database of their own, as `app/tenant`.
    pub tenants_elsewhere: Vec<String>,
    /// Tenants that only a request to another domain reaches, as `domain/app/tenant`.
    pub tenants_of_domains: Vec<String>,
    /// Apps and tenants whose names no store takes, as `app/tenant`. A store with them cannot be
    /// read.
    pub misnamed_tenants: Vec<String>,
    /// The settings of the others that have the database and domain in common.
    pub tenant_settings: Vec<TenantSettings>,
    /// How many signing keys and secrets can be used.
    pub usable_keys: usize,
    /// The signing keys and secrets that cannot be used.
    pub unusable_keys: Vec<UnusableKey>,
    /// The signing keys and secrets that SuperTokens' core cannot use, as `app/key id`.
    pub own_keys: Vec<String>,
    /// How many signing keys of a core 2.x there are; they are moved when the store is opened.
    pub legacy_keys: usize,
}

/// What a tenant has of its own; the public tenant of an app has what is the app's.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TenantSettings {
    /// Its app.
    pub app: AppId,
    /// Its id.
    pub tenant: TenantId,
    /// The settings, as JSON. There may be API keys among them.
    pub core_config: Secret,
}

/// A signing key or secret that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UnusableKey {
    /// Its app.
    pub app: String,
    /// Its id or name.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
}

static SESSIONS: Template = Template {
    name: "examine_sessions",
    text: "SELECT count(*) FROM {session_info} WHERE expires_at > $1",
};

static LINKED: Template = Template {
    name: "examine_linked",
    text: "SELECT count(*) FROM {app_id_to_user_id} WHERE primary_or_recipe_user_id <> user_id",
};

static MAPPED: Template =
    Template { name: "examine_mapped", text: "SELECT count(*) FROM {userid_mapping}" };

static SESSIONS_OF_MAPPED: Template = Template {
    name: "examine_sessions_of_mapped",
    text: "SELECT count(*) FROM {session_info} s JOIN {userid_mapping} m
        ON m.app_id = s.app_id AND m.supertokens_user_id = s.user_id",
};

/// Of the settings, these say which database it is.
static TENANTS: Template = Template {
    name: "examine_tenants",
    text: "SELECT connection_uri_domain::text, app_id::text, tenant_id::text,
            coalesce(core_config, '') ~ ('\"postgresql_'
                || '(connection_uri|host|port|user|password|database_name|table_schema)\"\\s*:'),
            coalesce(core_config, '{}')
        FROM {tenant_configs} ORDER BY 1, 2, 3",
};

static DYNAMIC_KEYS: Template = Template {
    name: "examine_dynamic_keys",
    text: "SELECT app_id::text, 'd-' || created_at_time, 'RS256', created_at_time, value, false
        FROM {session_access_token_signing_keys} WHERE value IS NOT NULL
        ORDER BY app_id, created_at_time",
};

static STATIC_KEYS: Template = Template {
    name: "examine_static_keys",
    text: "SELECT app_id::text, key_id::text, algorithm::text, coalesce(created_at, 0),
            key_string, true
        FROM {jwt_signing_keys} WHERE algorithm = 'RS256' ORDER BY app_id, key_id",
};

static OWN_KEYS: Template = Template {
    name: "examine_own_keys",
    text: "SELECT app_id::text, key_id, algorithm, created_at_time, material, is_static
        FROM {sessile_signing_key} ORDER BY app_id, key_id",
};

static LEGACY_KEYS: Template = Template {
    name: "examine_legacy_keys",
    text: "SELECT app_id::text, name::text, 'RS256', coalesce(created_at_time, 0), value, false
        FROM {key_value} WHERE name = 'access_token_signing_key' AND value IS NOT NULL
        ORDER BY app_id",
};

static SECRETS: Template = Template {
    name: "examine_secrets",
    text: "SELECT app_id::text, name::text, value FROM {key_value}
        WHERE tenant_id = 'public' AND name = 'refresh_token_key' AND value IS NOT NULL
        ORDER BY app_id",
};

static OWN_SECRETS: Template = Template {
    name: "examine_own_secrets",
    text: "SELECT app_id::text, name, value FROM {sessile_secret} ORDER BY app_id, name",
};

/// The secret that SuperTokens' core has too.
const SUPERTOKENS_SECRET: &str = "refresh_token_key";

impl Content {
    pub(super) async fn look(
        connection: &Connection,
        names: &Names,
        readable: &Readable,
        wrapping_key: Option<&WrappingKey>,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        // An older core's tables are laid out otherwise.
        if !readable.has_column(&names.session_info, "app_id") {
            return Ok(Self::default());
        }
        let mut content = Self::default();
        let rows = connection.query_endless(&SESSIONS, &[&now.as_millis()]).await?;
        content.sessions = rows.first().map(|row| column_of(row, 0)).transpose()?;
        content.look_at_users(connection, names, readable).await?;
        if readable.has(&names.tenant_configs) {
            content.look_at_tenants(connection).await?;
        }
        content.look_at_keys(connection, names, readable, wrapping_key).await?;
        content.look_at_secrets(connection, names, readable, wrapping_key).await?;
        Ok(content)
    }

    async fn look_at_users(
        &mut self,
        connection: &Connection,
        names: &Names,
        readable: &Readable,
    ) -> Result<(), Failure> {
        let users = &names.app_id_to_user_id;
        if readable.has_column(users, "primary_or_recipe_user_id") {
            self.knows_linked_users = true;
            self.linked_users = count(connection, &LINKED).await?;
        }
        let mapping = &names.userid_mapping;
        if readable.has_column(mapping, "supertokens_user_id") {
            self.mapped_users = count(connection, &MAPPED).await?;
            self.sessions_of_mapped_users = count(connection, &SESSIONS_OF_MAPPED).await?;
        }
        Ok(())
    }

    async fn look_at_tenants(&mut self, connection: &Connection) -> Result<(), Failure> {
        for row in &connection.query(&TENANTS, &[]).await? {
            let (domain, app, tenant): (&str, &str, &str) =
                (column_of(row, 0)?, column_of(row, 1)?, column_of(row, 2)?);
            if !domain.is_empty() {
                self.tenants_of_domains.push(format!("{domain}/{app}/{tenant}"));
                continue;
            }
            if column_of(row, 3)? {
                self.tenants_elsewhere.push(format!("{app}/{tenant}"));
            }
            match (app.parse(), tenant.parse()) {
                (Ok(app), Ok(tenant)) => {
                    let core_config = Secret::new(column_of(row, 4)?);
                    self.tenant_settings.push(TenantSettings { app, tenant, core_config });
                }
                _ => self.misnamed_tenants.push(format!("{app}/{tenant}")),
            }
        }
        Ok(())
    }

    async fn look_at_keys(
        &mut self,
        connection: &Connection,
        names: &Names,
        readable: &Readable,
        wrapping_key: Option<&WrappingKey>,
    ) -> Result<(), Failure> {
        for (table, template) in [
            (&names.session_access_token_signing_keys, &DYNAMIC_KEYS),
            (&names.jwt_signing_keys, &STATIC_KEYS),
            (&names.sessile_signing_key, &OWN_KEYS),
            (&names.key_value, &LEGACY_KEYS),
        ] {
            if !readable.has(table) {
                continue;
            }
            for row in &connection.query(template, &[]).await? {
                let app: String = column_of(row, 0)?;
                let key = StoredSigningKey {
                    key_id: column_of(row, 1)?,
                    algorithm: column_of(row, 2)?,
                    created_at: Timestamp::from_millis(column_of(row, 3)?),
                    material: column_of(row, 4)?,
                    is_static: column_of(row, 5)?,
                };
                let is_legacy = template.name == LEGACY_KEYS.name;
                self.legacy_keys += usize::from(is_legacy);
                if !is_legacy && !is_supertokens_key(&key) {
                    self.own_keys.push(format!("{app}/{}", key.key_id));
                }
                let check = |app: &AppId| key.check(app, wrapping_key);
                self.count_key(app, &key.key_id, check);
            }
        }
        Ok(())
    }

    async fn look_at_secrets(
        &mut self,
        connection: &Connection,
        names: &Names,
        readable: &Readable,
        wrapping_key: Option<&WrappingKey>,
    ) -> Result<(), Failure> {
        for (table, template) in
            [(&names.key_value, &SECRETS), (&names.sessile_secret, &OWN_SECRETS)]
        {
            if !readable.has(table) {
                continue;
            }
            for row in &connection.query(template, &[]).await? {
                let app: String = column_of(row, 0)?;
                let secret = StoredSecret { name: column_of(row, 1)?, value: column_of(row, 2)? };
                if table == &names.sessile_secret && secret.name == SUPERTOKENS_SECRET {
                    self.own_keys.push(format!("{app}/{}", secret.name));
                }
                let check = |app: &AppId| secret.check(app, wrapping_key);
                self.count_key(app, &secret.name, check);
            }
        }
        Ok(())
    }

    fn count_key<E: std::fmt::Display>(
        &mut self,
        app: String,
        key: &str,
        check: impl FnOnce(&AppId) -> Result<(), E>,
    ) {
        let problem = match app.parse::<AppId>() {
            Ok(app) => check(&app).err().map(|problem| problem.to_string()),
            Err(problem) => Some(problem.to_string()),
        };
        match problem {
            None => self.usable_keys += 1,
            Some(problem) => {
                self.unusable_keys.push(UnusableKey { app, key: key.to_owned(), problem });
            }
        }
    }
}

async fn count(connection: &Connection, template: &'static Template) -> Result<i64, Failure> {
    let rows = connection.query(template, &[]).await?;
    rows.first().map_or(Ok(0), |row| column_of(row, 0))
}
