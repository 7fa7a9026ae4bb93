//! How long requests have waited.

use std::time::Duration;

use sessile_bench::table::{self, Table};

/// What no request may wait longer than.
pub(super) const LIMIT: Duration = Duration::from_secs(1);

/// A request, from its beginning to its answer, on the clock of the wall.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) began: Duration,
    pub(super) ended: Duration,
}

impl Request {
    fn waited(self) -> Duration {
        self.ended - self.began
    }
}

/// All requests of some programs while something was done.
#[derive(Debug, Default)]
pub(super) struct Waits {
    pub(super) of_cores: Vec<Request>,
    pub(super) of_nodes: Vec<Request>,
    /// Those that ask for nothing, and are held up by nothing but the machine.
    pub(super) of_nobody: Vec<Request>,
    /// When that began and when it was done.
    pub(super) opening: Option<Request>,
}

impl Waits {
    pub(super) fn longest(&self) -> Duration {
        let all = self.of_cores.iter().chain(&self.of_nodes);
        all.map(|request| request.waited()).max().unwrap_or_default()
    }

    /// The rows of the table, each with the percentiles of a time and a program.
    pub(super) fn print(&self, table: &mut Table, what: &str) {
        let Some(opening) = self.opening else { return };
        for (program, requests) in [
            ("an older core", &self.of_cores),
            ("Sessile", &self.of_nodes),
            ("`SELECT 1`", &self.of_nobody),
        ] {
            let before: Vec<_> = within(requests, |request| request.ended < opening.began);
            let meanwhile: Vec<_> = within(requests, |request| {
                request.ended >= opening.began && request.began <= opening.ended
            });
            let after: Vec<_> = within(requests, |request| request.began > opening.ended);
            for (when, mut waits) in
                [("before", before), ("meanwhile", meanwhile), ("after", after)]
            {
                if waits.is_empty() {
                    continue;
                }
                waits.sort_unstable();
                let at = |share: f64| {
                    let index = (waits.len() as f64 * share) as usize;
                    let wait = waits[index.min(waits.len() - 1)];
                    table::time(wait.as_nanos() as f64)
                };
                table.row([
                    what.to_owned(),
                    program.to_owned(),
                    when.to_owned(),
                    table::rate(waits.len() as f64),
                    at(0.5),
                    at(0.99),
                    at(1.0),
                ]);
            }
        }
    }
}

fn within(requests: &[Request], is_within: impl Fn(Request) -> bool) -> Vec<Duration> {
    requests.iter().filter(|request| is_within(**request)).map(|request| request.waited()).collect()
}

/// Makes requests and remembers how long each took.
#[derive(Debug, Default)]
pub(super) struct Waiting(pub(super) Vec<Request>);

impl Waiting {
    pub(super) async fn on<T, E>(
        &mut self,
        request: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let began = sessile_bench::clock::wall();
        let answer = request.await?;
        self.0.push(Request { began, ended: sessile_bench::clock::wall() });
        Ok(answer)
    }
}
