//! Refreshing durably in SQLite, beside the row and the signature alone.

use std::path::Path;

use sessile::{IssuedSession, SessionService, Sessions, sqlite::SqliteStore, store::Store};
use sessile_bench::{
    apps::{CLIENTS, log_in},
    race::{Contestant, Effort, race},
    table::{self, Table},
};

use crate::{
    clients::Clients,
    raw_sqlite::RawSqlite,
    signer::{Signed, Signer},
    verification::runtime,
};

/// A client's sessions, which it refreshes in turn.
pub(crate) struct Refreshing<S> {
    pub(crate) sessions: Sessions<S>,
    pub(crate) issued: Vec<IssuedSession>,
    pub(crate) next: usize,
}

impl<S: Store> Refreshing<S> {
    /// Refreshes the next session.
    pub(crate) async fn refresh(mut self) -> anyhow::Result<Self> {
        let index = self.next % self.issued.len();
        self.next += 1;
        let refresh_token = self.issued[index].refresh_token.token.expose().into();
        self.issued[index] = self.sessions.refresh(refresh_token).await?;
        Ok(self)
    }
}

/// Shares things out among so many clients.
pub(crate) fn shares<T>(all: Vec<T>, clients: usize) -> Vec<Vec<T>> {
    let mut shares: Vec<Vec<T>> = (0..clients).map(|_| Vec::new()).collect();
    for (index, one) in all.into_iter().enumerate() {
        shares[index % clients].push(one);
    }
    shares
}

/// Clients that refresh these sessions, each its share of them.
pub(crate) fn clients<S: Store>(
    sessions: &Sessions<S>,
    issued: Vec<IssuedSession>,
    clients: usize,
) -> anyhow::Result<Clients<Refreshing<S>>> {
    let state = |issued| Refreshing { sessions: sessions.clone(), issued, next: 0 };
    Clients::new(shares(issued, clients).into_iter().map(state).collect())
}

pub(crate) fn measure(effort: Effort, folder: &Path) -> anyhow::Result<()> {
    let mut table = Table::new(
        "Refreshing durably in SQLite: processor time of this process, and refreshes in a second \
         that passed",
        [
            "clients",
            "a refresh",
            "row alone",
            "signature alone",
            "ratio to both",
            "refreshes in a second",
            "rows alone in a second",
            "in a commit",
        ],
    );
    for client_count in [1, 64] {
        let path = folder.join(format!("refresh-{client_count}.db"));
        let raw_path = folder.join(format!("rows-{client_count}.db"));
        let runtime = runtime()?;
        let prepare = async |path: &Path| {
            let sessions = Sessions::builder(SqliteStore::open(path)?).build().await?;
            let issued = log_in(&sessions, CLIENTS).await?;
            anyhow::Ok((sessions, issued))
        };
        let (sessions, issued) = runtime.block_on(prepare(&path))?;
        let (raw_sessions, raw_issued) = runtime.block_on(prepare(&raw_path))?;
        for issued in &raw_issued {
            // So that the rows have all that they have after a refresh.
            let refresh_token = issued.refresh_token.token.expose().into();
            drop(runtime.block_on(raw_sessions.refresh(refresh_token))?);
        }
        drop(raw_sessions);
        let handles = raw_issued.iter().map(|issued| issued.session.handle().clone()).collect();
        let mut raw = RawSqlite::open(&raw_path, handles)?;
        let signer = runtime.block_on(Signer::of(&sessions))?;
        let signed = Signed::from_token(issued[0].access_token.token.expose())?;
        let mut clients = clients(&sessions, issued, client_count)?;

        let before = sessions.store().statistics();
        let batch = client_count as u64;
        let contestants: Vec<Contestant<'_>> = vec![
            Box::new(|count| clients.call(count, Refreshing::refresh)),
            Box::new(|count| raw.rotate(count, batch)),
            Box::new(|count| (0..count).try_for_each(|_| signer.sign(&signed.message).map(drop))),
        ];
        let figures = race(effort.longer(2), contestants)?;
        let after = sessions.store().statistics();
        let writes = (after.writes - before.writes) as f64;
        table.row([
            client_count.to_string(),
            table::cpu(&figures[0]),
            table::cpu(&figures[1]),
            table::cpu(&figures[2]),
            table::ratio(figures[0].ratio_to_sum(&[&figures[1], &figures[2]])),
            table::rate(figures[0].per_second()),
            table::rate(figures[1].per_second()),
            format!("{:.1}", writes / (after.commits - before.commits) as f64),
        ]);
    }
    table.print();
    Ok(())
}
