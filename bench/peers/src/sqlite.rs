//! Handlers with sessions in SQLite, durably, beside the same handler without.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use sessile_bench::{
    race::{Effort, Figure},
    server::Server,
    table::{self, Table},
};

use crate::{apps::AppName, contest::Contest};

/// So many changes that the log is as long as it gets.
const WARM_UP: u64 = 5000;

pub(crate) fn measure(effort: Effort, folder: &Path) -> anyhow::Result<()> {
    let mut contest = Contest::default();
    let sessile = Server::start_program(
        &sessile_bench()?,
        ["--folder", &*folder.to_string_lossy(), "serve", "in-sqlite"],
    )?;
    let servers = [
        ("Sessile", contest.add_server(sessile)),
        (
            "tower-sessions, a pool of 1",
            contest.add_server(AppName::TowerSessionsSqlx1.start(folder)?),
        ),
        (
            "tower-sessions, a pool of 4",
            contest.add_server(AppName::TowerSessionsSqlx4.start(folder)?),
        ),
    ];
    let plain = contest.add_server(AppName::Plain.start(folder)?);
    // A commit takes longer while the log still grows to the length that it has from then on.
    for (_, server) in servers {
        let cookies = contest.cookies(server).to_vec();
        contest.enter(server, 64, ("POST", "/data"), &cookies)?;
    }
    contest.warm_up(WARM_UP)?;
    let columns = [
        "connections",
        "sessions",
        "a request",
        "handler alone",
        "in a second of processor time",
        "Sessile serves, of processor time",
        "in a second that passed",
        "Sessile serves, of time that passed",
    ];
    let mut tables = [
        Table::new(
            "A handler that reads session data and changes it durably in SQLite \
             (`synchronous=FULL`): processor time of the server",
            columns,
        ),
        Table::new(
            "A handler that reads session data in SQLite: processor time of the server",
            columns,
        ),
    ];
    for connections in [1, 8, 64] {
        for (table, method) in tables.iter_mut().zip(["POST", "GET"]) {
            let request = (method, "/data");
            for (_, server) in servers {
                let cookies = contest.cookies(server).to_vec();
                contest.enter(server, connections, request, &cookies)?;
            }
            let cookies = contest.cookies(servers[0].1).to_vec();
            contest.enter(plain, connections, request, &cookies)?;
            let figures = contest.measure(effort, effort.round_time() * 2)?;
            let (plain, figures) = figures.split_last().context("nothing was measured")?;
            for ((name, _), figure) in servers.iter().zip(figures) {
                let sessile = &figures[0];
                table.row([
                    connections.to_string(),
                    (*name).to_owned(),
                    table::cpu(figure),
                    table::cpu(plain),
                    table::rate(figure.per_cpu_second()),
                    table::ratio_with_range(figure.ratio(sessile), figure.ratio_range(sessile)),
                    table::rate(figure.per_second()),
                    rate_beside(sessile, figure),
                ]);
            }
        }
    }
    for table in &tables {
        table.print();
    }
    Ok(())
}

/// How many times the rate of `figure` Sessile has.
fn rate_beside(sessile: &Figure, figure: &Figure) -> String {
    table::ratio_with_range(sessile.rate_ratio(figure), sessile.rate_ratio_range(figure))
}

/// The program that serves Sessile on SQLite. Its workspace builds it, because it binds another
/// version of SQLite than this one.
fn sessile_bench() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "-p", "sessile-bench", "--message-format", "json"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "`sessile-bench` cannot be built; the reason is above");
    let output = String::from_utf8(output.stdout)?;
    let messages = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut artifacts = messages.filter(|message| message["target"]["name"] == "sessile-bench");
    let program = artifacts.find_map(|message| message["executable"].as_str().map(PathBuf::from));
    program.context("cargo does not tell where `sessile-bench` is")
}
