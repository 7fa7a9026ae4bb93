//! A handler that changes session data durably in SQLite, over sockets, beside the handler and the
//! rows alone.

use std::{fs, path::Path, time::Duration};

use sessile::{SessionHandle, Sessions, sqlite::SqliteStore};
use sessile_bench::{
    apps::{CLIENTS, log_in},
    load::Client,
    race::{self, Effort, Figure, Measured, rounds},
    server::Server,
    table::{self, Table},
};

use crate::{
    handler::AppName,
    raw_sqlite::{RawSqlite, WARM_UP},
    verification::runtime,
};

pub(crate) fn measure(effort: Effort, folder: &Path) -> anyhow::Result<()> {
    let mut table = Table::new(
        "A handler that reads session data and changes it durably in SQLite: processor time of \
         the server, and requests in a second that passed",
        [
            "connections",
            "a request",
            "handler alone",
            "rows alone",
            "ratio to both",
            "requests in a second",
            "rows alone in a second",
        ],
    );
    let mut reading = Table::new(
        "A handler that reads session data in SQLite: processor time of the server",
        ["connections", "a request", "handler alone", "requests in a second that passed"],
    );
    for connections in [1, 64] {
        let folder = folder.join(format!("data-{connections}"));
        fs::create_dir(&folder)?;
        let mut app = AppName::InSqlite.start(&folder)?;
        let mut plain = AppName::Plain.start(&folder)?;
        let mut raw = raw(&folder)?;
        let cookies = app.cookies().to_vec();
        let connect = |port, method| Client::connect(port, connections, method, "/data", &cookies);
        warm_up(&mut app, &cookies)?;
        let mut writers = connect(app.port(), "POST")?;
        let mut readers = connect(app.port(), "GET")?;
        let mut plain_clients = connect(plain.port(), "POST")?;
        let mut figures = [const { Figure::new() }; 4];
        let time = effort.round_time() * 2;
        for measured in rounds(effort) {
            let rows = 20 * connections as u64;
            let mut raw_round = race::Round::default();
            while raw_round.wall < effort.round_time() {
                raw_round += race::round(rows, || raw.change_data(rows, connections as u64))?;
            }
            let round = [
                app.round(&mut writers, time)?,
                plain.round(&mut plain_clients, time)?,
                raw_round,
                app.round(&mut readers, time)?,
            ];
            if measured == Measured::Yes {
                for (figure, round) in figures.iter_mut().zip(round) {
                    figure.push(round);
                }
            }
        }
        let [written, handler, rows, read] = &figures;
        table.row([
            connections.to_string(),
            table::cpu(written),
            table::cpu(handler),
            table::cpu(rows),
            table::ratio(written.ratio_to_sum(&[handler, rows])),
            table::rate(written.per_second()),
            table::rate(rows.per_second()),
        ]);
        reading.row([
            connections.to_string(),
            table::cpu(read),
            table::cpu(handler),
            table::rate(read.per_second()),
        ]);
    }
    table.print();
    reading.print();
    Ok(())
}

/// Changes so much that the log is as long as it gets, over many connections, which is quick.
fn warm_up(app: &mut Server, cookies: &[String]) -> anyhow::Result<()> {
    let mut client = Client::connect(app.port(), 64, "POST", "/data", cookies)?;
    let mut answered = 0;
    while answered < WARM_UP {
        answered += app.round(&mut client, Duration::from_millis(100))?.operations;
    }
    Ok(())
}

/// A file with the same rows as the application has.
fn raw(folder: &Path) -> anyhow::Result<RawSqlite> {
    let path = folder.join("rows.db");
    let handles: Vec<SessionHandle> = runtime()?.block_on(async {
        let sessions = Sessions::builder(SqliteStore::open(&path)?).build().await?;
        let issued = log_in(&sessions, CLIENTS).await?;
        anyhow::Ok(issued.iter().map(|issued| issued.session.handle().clone()).collect())
    })?;
    RawSqlite::open(&path, handles)
}
