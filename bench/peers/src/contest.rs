//! Servers that are loaded in turns.

use std::time::Duration;

use sessile_bench::{
    load::Client,
    race::{Effort, Figure, Measured, rounds},
    server::Server,
};

const WARM_UP_STEP: Duration = Duration::from_millis(100);

/// Servers, and the requests that each is measured with.
#[derive(Default)]
pub(crate) struct Contest {
    servers: Vec<Server>,
    entries: Vec<Entry>,
}

struct Entry {
    server: ServerIndex,
    client: Client,
}

#[derive(Clone, Copy)]
pub(crate) struct ServerIndex(usize);

impl Contest {
    /// Adds a server.
    pub(crate) fn add_server(&mut self, server: Server) -> ServerIndex {
        self.servers.push(server);
        ServerIndex(self.servers.len() - 1)
    }

    /// The `Cookie` headers of the clients that are logged in there.
    pub(crate) fn cookies(&self, server: ServerIndex) -> &[String] {
        self.servers[server.0].cookies()
    }

    /// Lets a server be measured with these requests, from so many connections.
    pub(crate) fn enter(
        &mut self,
        server: ServerIndex,
        connections: usize,
        (method, path): (&str, &str),
        cookies: &[String],
    ) -> anyhow::Result<()> {
        let port = self.servers[server.0].port();
        let client = Client::connect(port, connections, method, path, cookies)?;
        self.entries.push(Entry { server, client });
        Ok(())
    }

    /// Lets every server answer at least so many of the requests that it entered with. None stays
    /// entered.
    pub(crate) fn warm_up(&mut self, requests: u64) -> anyhow::Result<()> {
        for Entry { server, mut client } in self.entries.drain(..) {
            let mut answered = 0;
            while answered < requests {
                let round = self.servers[server.0].round(&mut client, WARM_UP_STEP)?;
                answered += round.operations;
            }
        }
        Ok(())
    }

    /// Measures all in turns, each for that long in each round, and gives their figures in the
    /// order in which they entered. None stays entered.
    pub(crate) fn measure(
        &mut self,
        effort: Effort,
        time: Duration,
    ) -> anyhow::Result<Vec<Figure>> {
        let mut figures = vec![Figure::new(); self.entries.len()];
        for measured in rounds(effort) {
            for (Entry { server, client }, figure) in self.entries.iter_mut().zip(&mut figures) {
                let round = self.servers[server.0].round(client, time)?;
                if measured == Measured::Yes {
                    figure.push(round);
                }
            }
        }
        self.entries.clear();
        Ok(figures)
    }

    /// The memory that a server holds, in bytes.
    pub(crate) fn memory(&mut self, server: ServerIndex) -> anyhow::Result<u64> {
        self.servers[server.0].memory()
    }
}
