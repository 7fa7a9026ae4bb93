//! A PostgreSQL database.

use std::sync::Arc;

use sessile::{
    WRAPPING_KEY_VARIABLE, WrappingKey,
    clock::SystemClock,
    postgres::{Content, Encryption, Examination, PostgresOptions, Server, Structure},
};
use sessile_server::ServerConfig;

use super::{
    report::{self, Finding, Report, listed},
    settings,
    tables::{sessions, tables},
    way_back,
};

/// The oldest version that has all that Sessile asks, as PostgreSQL numbers them.
const OLDEST_VERSION: i32 = 130_000;

/// How far two clocks may be apart, in milliseconds.
const CLOCK_DIFFERENCE: i64 = 1000;

pub(super) async fn examine(options: PostgresOptions, config: &ServerConfig) -> Report {
    let wrapping_key = match std::env::var(WRAPPING_KEY_VARIABLE) {
        Ok(text) if !text.is_empty() => match WrappingKey::from_text(&text) {
            Ok(key) => Some(key),
            Err(error) => {
                let text = format!("in {WRAPPING_KEY_VARIABLE}: {error}");
                return Report::new(vec![Finding::problem("wrapping key", text)]);
            }
        },
        _ => None,
    };
    let has_wrapping_key = wrapping_key.is_some();
    match options.examine(wrapping_key, Arc::new(SystemClock)).await {
        Ok(examination) => {
            let findings = judge(&examination, config, has_wrapping_key);
            Report::new(findings).with_way_back(way_back::lines(&examination))
        }
        Err(error) => Report::new(vec![Finding::problem("connection", error.to_string())]),
    }
}

fn judge(examination: &Examination, config: &ServerConfig, has_wrapping_key: bool) -> Vec<Finding> {
    let Examination { server, structure, content, .. } = examination;
    let mut findings = vec![
        connection(server),
        version(server),
        writes(server, structure.is_retired),
        clock(server),
        connections(server),
        tables(structure),
    ];
    // Nothing more can be said of tables that are not known.
    if structure.unusable.is_none() {
        findings.push(rights(structure));
        findings.extend(settings::of_server(config, structure.opens_as, has_wrapping_key));
        if structure.has_sessions || structure.own_version.is_some() {
            findings.push(mark(structure));
        }
        if structure.has_sessions {
            findings.extend([sessions(structure, content), indexes(structure)]);
            findings.extend([users(content), mapped_users(content), tenants(content)]);
            findings.extend([settings::of_tenants(config, content), keys(content)]);
        }
    }
    findings
}

fn connection(server: &Server) -> Finding {
    let Server { database, user, .. } = server;
    match &server.encryption {
        Encryption::Tls(version) => {
            Finding::ok("connection", format!("{database}, as {user}, over {version}"))
        }
        Encryption::Local => {
            Finding::ok("connection", format!("{database}, as {user}, on this machine"))
        }
        _ => Finding::note("connection", format!("{database}, as {user}, without TLS"))
            .advise("let the server offer TLS, and add sslmode=verify-full to the URL"),
    }
}

fn version(server: &Server) -> Finding {
    let (major, encoding) = (server.version / 10_000, &server.encoding);
    if server.version < OLDEST_VERSION {
        Finding::problem("version", format!("PostgreSQL {major}")).advise("version 13 is needed")
    } else if encoding != "UTF8" {
        Finding::problem("version", format!("the database has the encoding {encoding}"))
            .advise("move it to one with UTF8")
    } else {
        Finding::ok("version", format!("PostgreSQL {major}"))
    }
}

fn writes(server: &Server, is_retired: bool) -> Finding {
    if is_retired {
        report::retired()
    } else if server.is_replica {
        Finding::problem("writes", "the server is a replica, which takes none")
            .advise("connect to the primary server")
    } else if server.is_read_only {
        Finding::problem("writes", "transactions of this user or database read only")
            .advise("set default_transaction_read_only to off for it")
    } else {
        Finding::ok("writes", "the server takes them")
    }
}

fn clock(server: &Server) -> Finding {
    let apart = server.clock_ahead;
    if apart.abs() <= CLOCK_DIFFERENCE {
        return Finding::ok("clock", format!("{} ms from this machine's", apart.abs()));
    }
    let direction = if apart > 0 { "ahead of" } else { "behind" };
    Finding::note("clock", format!("{} ms {direction} this machine's", apart.abs()))
        .advise("set both by NTP: sessions and keys have their times from the machines of Sessile")
}

fn connections(server: &Server) -> Finding {
    let (wanted, limit) = (server.connections_wanted, server.connection_limit);
    // The one that looked is among them.
    let others = server.connections - 1;
    let wanted_number = i64::try_from(wanted).unwrap_or(i64::MAX);
    let text = format!("{wanted} for each Sessile; {limit} are allowed, and {others} are there");
    let advice = "lower postgresql_connection_pool_size, or raise the limit";
    if wanted_number > limit {
        Finding::problem("connections", text).advise(advice)
    } else if wanted_number > limit - others {
        Finding::note("connections", text).advise(advice)
    } else {
        Finding::ok("connections", text)
    }
}

fn mark(structure: &Structure) -> Finding {
    let known = structure.known_version;
    match (structure.own_version, structure.ownership) {
        (Some(version), _) if version > known => {
            let text = format!("Sessile's own tables have version {version}");
            Finding::problem("mark", text)
                .advise(format!("use a newer Sessile: this knows {known}"))
        }
        (Some(_), Some(ownership)) => Finding::ok("mark", format!("the database is {ownership}")),
        _ => Finding::ok("mark", "none yet: Sessile will mark the database as shared"),
    }
}

fn rights(structure: &Structure) -> Finding {
    let Structure { missing_rights, owned_by_others, .. } = structure;
    if missing_rights.is_empty() && owned_by_others.is_empty() {
        return Finding::ok("rights", "the user has all that are needed");
    }
    let mut problems = Vec::new();
    let mut advice = Vec::new();
    if !missing_rights.is_empty() {
        problems.push("the user lacks some".to_owned());
        advice.push(format!("{};", missing_rights.join("; ")));
    }
    if !owned_by_others.is_empty() {
        problems.push(format!("only their owner may change {}", owned_by_others.join(", ")));
        advice.push("start Sessile once as the owner of the tables".to_owned());
    }
    Finding::problem("rights", problems.join(", and ")).advise(advice.join(" "))
}

fn indexes(structure: &Structure) -> Finding {
    let missing = &structure.missing_indexes;
    if missing.is_empty() {
        return Finding::ok("indexes", "all are there");
    }
    let by_itself = match structure.lacks_user_index {
        true => "Sessile makes that of users at its start, beside the traffic; or ",
        false => "",
    };
    Finding::note("indexes", format!("{} are missing", missing.len()))
        .advise(format!("{by_itself}make them now: {};", missing.join("; ")))
}

fn users(content: &Content) -> Finding {
    let linked = content.linked_users;
    if linked == 0 {
        return Finding::ok("linked users", "none");
    }
    Finding::ok(
        "linked users",
        format!("{linked} accounts are linked to a primary user, who is shown for their sessions"),
    )
}

fn mapped_users(content: &Content) -> Finding {
    let (mapped, sessions) = (content.mapped_users, content.sessions_of_mapped_users);
    let known = content.knows_linked_users;
    match (mapped, sessions) {
        (0, _) => Finding::ok("mapped users", "none"),
        (mapped, 0) => {
            Finding::ok("mapped users", format!("{mapped}; their sessions have the external id"))
        }
        (mapped, sessions) if known => Finding::ok(
            "mapped users",
            format!(
                "{mapped}; {sessions} sessions have the id from before the mapping, and are shown \
                 by the external one"
            ),
        ),
        (mapped, sessions) => {
            let text = format!(
                "{mapped}, and {sessions} sessions have the id from before the mapping: Sessile \
                 shows them by that id"
            );
            Finding::problem("mapped users", text).advise("end these sessions first")
        }
    }
}

fn tenants(content: &Content) -> Finding {
    if !content.misnamed_tenants.is_empty() {
        let names = listed(&content.misnamed_tenants);
        return Finding::problem("tenants", format!("{names}: these cannot be names"))
            .advise("rename or remove them: Sessile does not start with them");
    }
    let elsewhere: Vec<_> =
        content.tenants_elsewhere.iter().chain(&content.tenants_of_domains).cloned().collect();
    if elsewhere.is_empty() {
        return Finding::ok("tenants", "none has a database or domain of its own");
    }
    Finding::problem("tenants", format!("{} are not served", listed(&elsewhere))).advise(
        "tenants with a database or domain of their own need a Sessile, or SuperTokens' core, of \
         their own",
    )
}

fn keys(content: &Content) -> Finding {
    let usable = content.usable_keys;
    if !content.unusable_keys.is_empty() {
        let keys = content.unusable_keys.iter();
        let keys: Vec<_> = keys
            .map(|key| format!("{} of the app {} ({})", key.key, key.app, key.problem))
            .collect();
        return Finding::problem("keys", format!("these cannot be used: {}", listed(&keys)))
            .advise(format!(
                "set {WRAPPING_KEY_VARIABLE} where they are sealed; see who wrote the others"
            ));
    }
    match content.legacy_keys {
        0 => Finding::ok("keys", format!("{usable} signing keys and secrets can be used")),
        _ => Finding::note("keys", format!("{usable} can be used; one is as a core 2.x kept it"))
            .advise("Sessile moves it at its start, as newer cores do"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Level;

    fn server() -> Server {
        Server {
            database: "database 'shop' at db.example:5432".into(),
            version: 130_000,
            encoding: "UTF8".into(),
            encryption: Encryption::Tls("TLSv1.3".into()),
            user: "sessile".into(),
            is_replica: false,
            is_read_only: false,
            clock_ahead: 1000,
            connection_limit: 10,
            connections: 1,
            connections_wanted: 10,
        }
    }

    #[test]
    fn a_server_is_judged_by_what_it_is() {
        use Level::{Note, Ok, Problem};

        let is = |check: fn(&Server) -> Finding, level, change: fn(&mut Server)| {
            let mut changed = server();
            change(&mut changed);
            assert_eq!(check(&changed).level, level, "{changed:?}");
        };
        let writes = |server: &Server| writes(server, false);
        for check in [connection, version, writes, clock, connections] {
            is(check, Ok, |_| {});
        }
        is(connection, Ok, |server| server.encryption = Encryption::Local);
        is(connection, Note, |server| server.encryption = Encryption::None);
        is(version, Problem, |server| server.version = 129_999);
        is(version, Problem, |server| server.encoding = "LATIN1".into());
        is(writes, Problem, |server| server.is_replica = true);
        is(writes, Problem, |server| server.is_read_only = true);
        is(clock, Note, |server| server.clock_ahead = 1001);
        is(clock, Note, |server| server.clock_ahead = -1001);
        is(connections, Note, |server| server.connections = 2);
        is(connections, Problem, |server| server.connection_limit = 9);
    }
}
