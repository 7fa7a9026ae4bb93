//! What SuperTokens' core knows of users, for statements about sessions.
//!
//! A session has the id of the account that logged in: its external id, where it is mapped to one.
//! Which accounts are one user is in `app_id_to_user_id`, and which ids are mapped in
//! `userid_mapping`, both by SuperTokens' own ids.

/// Which of these tables a database has, with the columns that count.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Users {
    /// Accounts may be linked to a primary user.
    pub(crate) may_be_linked: bool,
    /// Ids may be mapped to external ones.
    pub(crate) may_be_mapped: bool,
}

/// A mark in a template that stands for an expression, as `{name|app|user id}`.
type Mark = (&'static str, fn(Users, &str, &str) -> String);

const MARKS: &[Mark] = &[
    ("{primary_user|", Users::primary_user),
    ("{known_user|", Users::known_user),
    ("{account|", Users::account),
    ("{accounts|", Users::accounts),
    ("{each_account|", Users::each_account),
    ("{each_id|", Users::each_id),
];

impl Users {
    /// Replaces the marks by expressions. Those are about SQL that is an id as text.
    pub(crate) fn fill_in(self, template: &str) -> String {
        let mut text = template.to_owned();
        for (mark, expression) in MARKS {
            while let Some(start) = text.find(mark) {
                let arguments = start + mark.len();
                let Some(length) = text[arguments..].find('}') else { break };
                let Some((app, user_id)) = text[arguments..arguments + length].split_once('|')
                else {
                    break;
                };
                let filled = expression(self, app, user_id);
                text.replace_range(start..=arguments + length, &filled);
            }
        }
        text
    }

    /// The id of the user to whom the account of a session belongs, as the application knows it;
    /// or `NULL`, where nothing is known of that account.
    fn primary_user(self, app: &str, user_id: &str) -> String {
        if !self.may_be_linked {
            return "NULL::text".to_owned();
        }
        let shown = self.shown("u.app_id", "u.primary_or_recipe_user_id");
        let own_id = self.own_id(app, user_id);
        format!(
            "(SELECT {shown} FROM {{app_id_to_user_id}} u
                WHERE u.app_id = {app} AND u.user_id = {own_id})"
        )
    }

    /// The same, or else the account.
    fn known_user(self, app: &str, user_id: &str) -> String {
        match self.may_be_linked {
            true => format!("coalesce({}, {user_id})", self.primary_user(app, user_id)),
            false => user_id.to_owned(),
        }
    }

    /// The id that a session of this account is to have.
    fn account(self, app: &str, user_id: &str) -> String {
        if !self.may_be_mapped {
            return user_id.to_owned();
        }
        format!(
            "coalesce((SELECT m.external_user_id::text FROM {{userid_mapping}} m
                WHERE m.app_id = {app} AND m.supertokens_user_id = {}), {user_id})",
            as_own_id(user_id)
        )
    }

    /// A query for the ids of all accounts that are one user with this one, each once: the ids that
    /// their sessions have, and those that sessions have from before an id was mapped.
    fn accounts(self, app: &str, user_id: &str) -> String {
        if !self.may_be_linked {
            return format!("SELECT {user_id}::text");
        }
        let own_id = self.own_id(app, user_id);
        let ids = match self.may_be_mapped {
            false => "SELECT a.user_id::text".to_owned(),
            true => format!(
                "SELECT unnest(ARRAY[a.user_id::text, {}])",
                self.shown("a.app_id", "a.user_id")
            ),
        };
        format!(
            "SELECT {user_id}::text UNION {ids}
            FROM {{app_id_to_user_id}} u JOIN {{app_id_to_user_id}} a
                ON a.app_id = u.app_id
                AND a.primary_or_recipe_user_id = u.primary_or_recipe_user_id
            WHERE u.app_id = {app} AND u.user_id = {own_id}"
        )
    }

    /// The same as what a table is joined to, so that its rows are looked for by one
    /// [`id`](Self::each_id) after the other.
    fn each_account(self, app: &str, user_id: &str) -> String {
        match self.may_be_linked {
            true => format!("({}) AS account (id) CROSS JOIN ", self.accounts(app, user_id)),
            false => String::new(),
        }
    }

    fn each_id(self, _: &str, user_id: &str) -> String {
        match self.may_be_linked {
            true => "account.id".to_owned(),
            false => user_id.to_owned(),
        }
    }

    /// SuperTokens' own id of an account; `NULL` where it has none.
    fn own_id(self, app: &str, user_id: &str) -> String {
        let own_id = as_own_id(user_id);
        match self.may_be_mapped {
            false => own_id,
            true => format!(
                "coalesce((SELECT m.supertokens_user_id FROM {{userid_mapping}} m
                    WHERE m.app_id = {app} AND m.external_user_id = {user_id}), {own_id})"
            ),
        }
    }

    /// What the application calls the account that has this id of SuperTokens' own.
    fn shown(self, app: &str, own_id: &str) -> String {
        match self.may_be_mapped {
            false => format!("{own_id}::text"),
            true => format!(
                "coalesce((SELECT n.external_user_id::text FROM {{userid_mapping}} n
                    WHERE n.app_id = {app} AND n.supertokens_user_id = {own_id}), {own_id}::text)"
            ),
        }
    }
}

/// A text as one of SuperTokens' own ids. These are padded with spaces, which do not count when
/// they are compared; so a text that ends with one is none.
fn as_own_id(user_id: &str) -> String {
    format!("CASE WHEN {user_id} NOT LIKE '% ' THEN ({user_id})::bpchar END")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Users = Users { may_be_linked: true, may_be_mapped: true };

    #[test]
    fn a_database_without_users_pays_nothing() {
        let template = "{primary_user|s.app_id|s.user_id} {known_user|a|u} {account|a|(b[])[1]} \
                        {accounts|$1|$2} {each_account|$1|$2}{each_id|$1|$2} {apps}";
        let filled = Users::default().fill_in(template);
        assert_eq!(filled, "NULL::text u (b[])[1] SELECT $2::text $2 {apps}");
    }

    #[test]
    fn every_mark_is_filled_in() {
        for users in
            [ALL, Users { may_be_mapped: false, ..ALL }, Users { may_be_linked: false, ..ALL }]
        {
            for (mark, _) in MARKS {
                let filled = users.fill_in(&format!("SELECT {mark}s.app_id|s.user_id}} FROM s"));
                assert!(!filled.contains(['|']), "{filled}");
                let tables = ["{app_id_to_user_id}", "{userid_mapping}"];
                let rest =
                    tables.iter().fold(filled.clone(), |text, table| text.replace(table, ""));
                assert!(!rest.contains(['{', '}']), "{filled}");
            }
        }
    }
}
