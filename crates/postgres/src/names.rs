//! The names of the tables.

use std::{fmt, sync::OnceLock};

use crate::users::Users;

/// What tables are called, and in which schema they are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Naming {
    pub(crate) schema: String,
    pub(crate) prefix: String,
    pub(crate) key_value_table: Option<String>,
    pub(crate) session_info_table: Option<String>,
}

impl Default for Naming {
    fn default() -> Self {
        Self {
            schema: "public".to_owned(),
            prefix: String::new(),
            key_value_table: None,
            session_info_table: None,
        }
    }
}

/// A name that PostgreSQL cannot give to a table.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "'{0}' cannot be the name of a table or schema: it must have 1 to 63 letters, digits and \
     underscores"
)]
pub struct InvalidName(String);

macro_rules! tables {
    ($($table:ident),* $(,)?) => {
        /// The tables, each by its name within the schema.
        #[derive(Clone, Debug)]
        pub(crate) struct Names {
            pub(crate) schema: String,
            $(pub(crate) $table: String,)*
            users: OnceLock<Users>,
        }

        impl Names {
            /// Every table.
            pub(crate) fn all(&self) -> Vec<&str> {
                vec![$(&self.$table),*]
            }

            /// Replaces `{name}` by the table of that name, quoted and with its schema, and
            /// `{name:bare}` by the name alone; and before, what stands for users.
            pub(crate) fn fill_in(&self, template: &str) -> String {
                let text = self.users.get().copied().unwrap_or_default().fill_in(template);
                let mut text = text.replace("{schema}", &quoted(&self.schema));
                $(
                    let table = &self.$table;
                    let place = concat!("{", stringify!($table), "}");
                    text = text.replace(place, &self.qualified(table));
                    text = text.replace(concat!("{", stringify!($table), ":bare}"), table);
                )*
                text
            }
        }
    };
}

tables! {
    app_id_to_user_id,
    apps,
    jwt_signing_keys,
    key_value,
    sessile_move,
    sessile_secret,
    sessile_session,
    sessile_signing_key,
    sessile_store,
    sessile_tenant,
    session_access_token_signing_keys,
    session_info,
    tenant_configs,
    tenant_first_factors,
    tenant_required_secondary_factors,
    tenants,
    userid_mapping,
}

impl Names {
    pub(crate) fn new(naming: &Naming) -> Result<Self, InvalidName> {
        let prefixed = |name: &str| match naming.prefix.as_str() {
            "" => checked(name),
            prefix => checked(&format!("{prefix}_{name}")),
        };
        let named = |name: &Option<String>, default| match name {
            Some(name) => checked(name),
            None => prefixed(default),
        };
        Ok(Self {
            schema: checked(&naming.schema)?,
            app_id_to_user_id: prefixed("app_id_to_user_id")?,
            apps: prefixed("apps")?,
            jwt_signing_keys: prefixed("jwt_signing_keys")?,
            key_value: named(&naming.key_value_table, "key_value")?,
            sessile_move: prefixed("sessile_move")?,
            sessile_secret: prefixed("sessile_secret")?,
            sessile_session: prefixed("sessile_session")?,
            sessile_signing_key: prefixed("sessile_signing_key")?,
            sessile_store: prefixed("sessile_store")?,
            sessile_tenant: prefixed("sessile_tenant")?,
            session_access_token_signing_keys: prefixed("session_access_token_signing_keys")?,
            session_info: named(&naming.session_info_table, "session_info")?,
            tenant_configs: prefixed("tenant_configs")?,
            tenant_first_factors: prefixed("tenant_first_factors")?,
            tenant_required_secondary_factors: prefixed("tenant_required_secondary_factors")?,
            tenants: prefixed("tenants")?,
            userid_mapping: prefixed("userid_mapping")?,
            users: OnceLock::new(),
        })
    }

    /// What the database knows of users, once somebody has looked. Until then it is nothing.
    pub(crate) fn know(&self, users: Users) {
        self.users.get_or_init(|| users);
    }

    /// The tables that a store reads and writes. The others are only read, where they are there:
    /// they say what SuperTokens' core knows of users.
    pub(crate) fn needed(&self) -> impl Iterator<Item = &str> {
        let users = self.of_users();
        self.all().into_iter().filter(move |table| !users.contains(table))
    }

    /// The tables that say what SuperTokens' core knows of users.
    pub(crate) fn of_users(&self) -> [&str; 2] {
        [&self.app_id_to_user_id, &self.userid_mapping]
    }

    /// Whether a table of that name is one of these.
    pub(crate) fn has(&self, table: &str) -> bool {
        self.all().contains(&table)
    }

    /// The table or index of that name, for SQL.
    pub(crate) fn qualified(&self, name: &str) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(name))
    }
}

/// SuperTokens' core does not quote its names, so PostgreSQL makes them lower-case.
fn checked(name: &str) -> Result<String, InvalidName> {
    let valid = (1..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if valid { Ok(name.to_ascii_lowercase()) } else { Err(InvalidName(name.to_owned())) }
}

fn quoted(name: impl fmt::Display) -> String {
    format!("\"{name}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_core() {
        let names = Names::new(&Naming::default()).unwrap();
        assert_eq!(names.fill_in("{session_info} {apps:bare}"), r#""public"."session_info" apps"#);

        let naming = Naming {
            schema: "Auth".into(),
            prefix: "ST".into(),
            session_info_table: Some("my_sessions".into()),
            ..Naming::default()
        };
        let names = Names::new(&naming).unwrap();
        let text = names.fill_in("{schema} {session_info} {key_value:bare}");
        assert_eq!(text, r#""auth" "auth"."my_sessions" st_key_value"#);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in ["", "a-b", "a\"b", "ä", &"x".repeat(64)] {
            let naming = Naming { schema: bad.to_owned(), ..Naming::default() };
            assert!(Names::new(&naming).is_err(), "{bad}");
        }
    }
}
