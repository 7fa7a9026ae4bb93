//! Handlers with sessions in memory, beside the same handler without.

use std::path::Path;

use sessile_bench::{
    race::{Effort, Figure},
    table::{self, Table},
};

use crate::{
    apps::AppName,
    contest::{Contest, ServerIndex},
};

/// Connections that the client keeps busy at once.
const CONNECTIONS: usize = 32;

pub(crate) fn measure(effort: Effort, folder: &Path) -> anyhow::Result<()> {
    let mut contest = Contest::default();
    let mut start = |app: AppName| anyhow::Ok(contest.add_server(app.start(folder)?));
    let servers = Servers {
        plain: start(AppName::Plain)?,
        sessile: start(AppName::Sessile)?,
        tower_sessions: start(AppName::TowerSessions)?,
        axum_session: start(AppName::AxumSession)?,
        session_guard: start(AppName::SessionGuard)?,
        plain_actix: start(AppName::PlainActix)?,
        actix_session: start(AppName::ActixSession)?,
    };
    let entries = servers.entries();
    for entry in &entries {
        let cookies = contest.cookies(entry.cookies_of).to_vec();
        contest.enter(entry.server, CONNECTIONS, entry.request, &cookies)?;
    }
    let figures = contest.measure(effort, effort.round_time() * 2)?;

    let mut table = Table::new(
        "A handler, over 32 connections on this machine: processor time of the server",
        [
            "handler",
            "a request",
            "requests in a second",
            "of those without",
            "Sessile serves",
            "memory",
        ],
    );
    for (entry, figure) in entries.iter().zip(&figures) {
        let beside = |other: usize| beside(figure, &figures[other]);
        table.row([
            entry.name.to_owned(),
            table::cpu(figure),
            table::rate(figure.per_cpu_second()),
            entry.without.map_or_else(String::new, beside),
            entry.sessile.map_or_else(String::new, |other| {
                let (own, sessile) = (figure, &figures[other]);
                table::ratio_with_range(own.ratio(sessile), own.ratio_range(sessile))
            }),
            format!("{:.1} MB", contest.memory(entry.server)? as f64 / 1e6),
        ]);
    }
    table.print();
    Ok(())
}

/// How many requests `figure` serves of those that `other` serves, in a second of processor time.
fn beside(figure: &Figure, other: &Figure) -> String {
    let (least, most) = other.ratio_range(figure);
    format!("{} ({:.0} to {:.0})", table::share(other.ratio(figure)), least * 100.0, most * 100.0)
}

struct Servers {
    plain: ServerIndex,
    sessile: ServerIndex,
    tower_sessions: ServerIndex,
    axum_session: ServerIndex,
    session_guard: ServerIndex,
    plain_actix: ServerIndex,
    actix_session: ServerIndex,
}

/// A server with requests, and the rows that it is compared with.
struct Entry {
    name: &'static str,
    server: ServerIndex,
    request: (&'static str, &'static str),
    /// Whose cookies the requests have.
    cookies_of: ServerIndex,
    /// The row with the same requests and no sessions.
    without: Option<usize>,
    /// The row in which Sessile does the same.
    sessile: Option<usize>,
}

const USER: (&str, &str) = ("GET", "/user");
const READ: (&str, &str) = ("GET", "/data");
const WRITE: (&str, &str) = ("POST", "/data");

impl Servers {
    fn entries(&self) -> Vec<Entry> {
        // Access tokens are longer than the keys that peers have in their cookies, and take longer
        // to read even where nobody looks at them.
        let plain = |name, server, cookies_of| Entry {
            name,
            server,
            request: USER,
            cookies_of,
            without: None,
            sessile: None,
        };
        let sessile = |name, request| Entry {
            name,
            server: self.sessile,
            request,
            cookies_of: self.sessile,
            without: Some(0),
            sessile: None,
        };
        let peer = |name, server, request, sessile| Entry {
            name,
            server,
            request,
            cookies_of: server,
            without: Some(1),
            sessile: Some(sessile),
        };
        let actix = |name, request, sessile| Entry {
            without: Some(12),
            ..peer(name, self.actix_session, request, sessile)
        };
        vec![
            plain("axum, no sessions; cookies as Sessile's", self.plain, self.sessile),
            plain("axum, no sessions; cookies as tower-sessions'", self.plain, self.tower_sessions),
            sessile("user: Sessile", USER),
            peer("user: tower-sessions", self.tower_sessions, USER, 2),
            peer("user: axum_session", self.axum_session, USER, 2),
            peer("user: session-guard", self.session_guard, USER, 2),
            sessile("data read: Sessile", READ),
            peer("data read: tower-sessions", self.tower_sessions, READ, 6),
            peer("data read: axum_session", self.axum_session, READ, 6),
            sessile("data changed: Sessile", WRITE),
            peer("data changed: tower-sessions", self.tower_sessions, WRITE, 9),
            peer("data changed: axum_session", self.axum_session, WRITE, 9),
            plain("actix, no sessions", self.plain_actix, self.actix_session),
            actix("user: actix-session, in its cookie", USER, 2),
            actix("data read: actix-session, in its cookie", READ, 6),
        ]
    }
}
