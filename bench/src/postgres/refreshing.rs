//! Refreshing, beside one statement that moves the row.

use sessile_bench::{
    apps::{CLIENTS, log_in},
    race::{Contestant, Effort, Figure, race},
    table::{self, Table},
};

use super::{
    Arguments, Schema, connect,
    raw::{Manner, Pool, Rotating},
};
use crate::{
    clients::{Clients, Timed},
    refreshing::{Refreshing, shares},
    verification::runtime,
};

pub(crate) fn measure(effort: Effort, url: &str, arguments: &Arguments) -> anyhow::Result<()> {
    let mut rates = Table::new(
        "Refreshing durably in PostgreSQL, in a second that passed, beside one statement for each \
         row",
        [
            "clients",
            "refreshes",
            "rows alone, a connection for each client",
            "ratio",
            "rows alone, as many connections as the store's",
            "ratio",
            "as SuperTokens' core moves a row, a connection for each client",
            "ratio",
            "processor time of a refresh",
            "of a row",
            "statements for a refresh",
        ],
    );
    let mut times = Table::new(
        "The time that a refresh in PostgreSQL takes, beside the row alone on a connection of its \
         own",
        ["clients", "half take less than", "99 % less than", "row alone: half", "99 %"],
    );
    for &clients in &arguments.clients {
        let measured = measure_clients(effort, url, clients, arguments)?;
        let [refreshing, own, pooled, transactions] = &measured.figures;
        let ratio = |other| {
            table::ratio_with_range(
                refreshing.rate_ratio(other),
                refreshing.rate_ratio_range(other),
            )
        };
        rates.row([
            clients.to_string(),
            table::rate(refreshing.per_second()),
            table::rate(own.per_second()),
            ratio(own),
            table::rate(pooled.per_second()),
            ratio(pooled),
            table::rate(transactions.per_second()),
            ratio(transactions),
            table::cpu(refreshing),
            table::cpu(own),
            measured.statements.map_or_else(String::new, |number| format!("{number:.3}")),
        ]);
        let [refreshing, own] = measured.quantiles;
        times.row([
            clients.to_string(),
            table::time(refreshing[0]),
            table::time(refreshing[1]),
            table::time(own[0]),
            table::time(own[1]),
        ]);
    }
    rates.print();
    times.print();
    Ok(())
}

struct Measurement {
    figures: [Figure; 4],
    /// Statements for one refresh; `None` where the server does not count them.
    statements: Option<f64>,
    /// The time that half of the calls take at most, and 99 of 100; of refreshes and of rows.
    quantiles: [[f64; 2]; 2],
}

fn measure_clients(
    effort: Effort,
    url: &str,
    clients: usize,
    arguments: &Arguments,
) -> anyhow::Result<Measurement> {
    let runtime = runtime()?;
    let schema = runtime.block_on(Schema::make(url, &format!("refreshing_{clients}")))?;
    let raw_schema = runtime.block_on(Schema::make(url, &format!("rows_{clients}")))?;
    let mut refreshing = Clients::make(async {
        let sessions = schema.sessions(arguments).await?;
        let mut issued = Vec::new();
        for created in log_in(&sessions, CLIENTS).await? {
            // So that the rows have all that they have after a refresh.
            let refresh_token = created.refresh_token.token.expose().into();
            issued.push(sessile::SessionService::refresh(&sessions, refresh_token).await?);
        }
        let state = |issued| Refreshing { sessions: sessions.clone(), issued, next: 0 };
        Ok(shares(issued, clients).into_iter().map(state).map(Timed::new).collect())
    })?;
    let handles: Vec<String> = runtime.block_on(async {
        let issued = log_in(&raw_schema.sessions(arguments).await?, CLIENTS).await?;
        anyhow::Ok(issued.iter().map(|one| one.session.handle().to_string()).collect())
    })?;
    let rotating = |manner, connections| {
        Clients::make(async {
            let pool = Pool::open(&raw_schema, manner, connections).await?;
            let state = |handles| Rotating { pool: pool.clone(), handles, next: 0 };
            Ok(shares(handles.clone(), clients).into_iter().map(state).map(Timed::new).collect())
        })
    };
    let mut own = rotating(Manner::Statement, clients)?;
    let mut pooled = rotating(Manner::Statement, arguments.writers)?;
    let mut transactions = rotating(Manner::Transaction, clients)?;

    let before = runtime.block_on(statements(&schema));
    let contestants: Vec<Contestant<'_>> = vec![
        Box::new(|count| refreshing.call(count, |state| state.time(Refreshing::refresh))),
        Box::new(|count| own.call(count, |state| state.time(Rotating::rotate))),
        Box::new(|count| pooled.call(count, |state| state.time(Rotating::rotate))),
        Box::new(|count| transactions.call(count, |state| state.time(Rotating::rotate))),
    ];
    let figures = race(effort.longer(4), contestants)?;
    let after = runtime.block_on(statements(&schema));
    let refreshes: usize = refreshing.states().iter().map(|state| state.count()).sum();
    let statements = before.zip(after).map(|(before, after)| (after - before) / refreshes as f64);
    let quantiles = [Timed::quantiles(refreshing.states()), Timed::quantiles(own.states())];
    drop((refreshing, own, pooled, transactions));
    runtime.block_on(schema.remove())?;
    runtime.block_on(raw_schema.remove())?;
    let figures = figures.try_into().map_err(|_| anyhow::anyhow!("four were measured"))?;
    Ok(Measurement { figures, statements, quantiles })
}

/// How many statements the server has run on the tables of a schema.
async fn statements(schema: &Schema<'_>) -> Option<f64> {
    let client = connect(schema.url).await.ok()?;
    client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").await.ok()?;
    let sql = "SELECT coalesce(sum(calls), 0)::float8 FROM pg_stat_statements
        WHERE query LIKE '%' || $1 || '%'";
    client.query_one(sql, &[&schema.name]).await.ok()?.try_get(0).ok()
}
