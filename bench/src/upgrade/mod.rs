//! The rehearsal of an upgrade: an older core's database is brought forward while it is used.

mod core;
mod database;
mod nodes;
mod waits;

use std::{
    io, mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{bail, ensure};
use clap::Args;
use sessile_bench::{clock, table::Table};
use sessile_postgres_fixture::Cluster;
use tokio::{task::JoinSet, time::sleep};
use tokio_postgres::Client;

use self::{
    database::OldDatabase,
    nodes::Served,
    waits::{LIMIT, Request, Waits},
};
use crate::postgres::connect;

/// How many nodes are started at once.
const NODES: usize = 3;

/// How much to rehearse.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Sessions that are stored
    #[arg(long, default_value_t = 1_000_000)]
    rows: u32,
    /// How long the load goes on before the nodes start, and after they have started, in seconds
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// How long somebody holds the table who is in the way, in seconds
    #[arg(long, default_value_t = 30)]
    hold: u64,
}

/// Who is in the way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum InTheWay {
    Nobody,
    /// A transaction that has read, as a backup's.
    Reader,
    /// A transaction that has written.
    Writer,
    /// A reader, until the nodes give up.
    ReaderForLong,
}

impl InTheWay {
    const ALL: [Self; 4] = [Self::Nobody, Self::Reader, Self::Writer, Self::ReaderForLong];

    fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Reader => "a reader",
            Self::Writer => "a writer",
            Self::ReaderForLong => "a reader, until it gives up",
        }
    }

    fn statement(self) -> Option<&'static str> {
        match self {
            Self::Nobody => None,
            Self::Reader | Self::ReaderForLong => {
                Some("BEGIN; SET application_name = 'backup'; SELECT * FROM session_info LIMIT 1")
            }
            Self::Writer => Some(
                "BEGIN; SET application_name = 'report'; INSERT INTO session_info (session_handle,
                    user_id, refresh_token_hash_2, expires_at, created_at_time, use_static_key)
                VALUES ('held', 'held', 'held', 4000000000000, 1, false)",
            ),
        }
    }
}

/// Whether the load is to go on.
#[derive(Debug)]
struct Load(AtomicBool);

impl Load {
    fn goes_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// # Errors
/// Where anything fails, is lost, or waits for longer than [`LIMIT`].
pub(crate) fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    // What the store says to an operator.
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let cluster = Cluster::start(&[("fsync", "on"), ("max_wal_size", "4GB")]);
        let began = clock::wall();
        let mut database = OldDatabase::make(&cluster, arguments.rows).await?;
        let took = (clock::wall() - began).as_secs_f64();
        eprintln!("{} sessions were stored in {took:.0} s", arguments.rows);
        let mut table = Table::new(
            "A database of an older core brought forward while it is used",
            ["in the way", "requests of", "when", "number", "p50", "p99", "longest"],
        );
        let mut openings = Table::new(
            "The nodes that bring it forward",
            ["in the way", "until the last one is up, or gives up"],
        );
        let mut longest = Duration::ZERO;
        for (number, in_the_way) in InTheWay::ALL.into_iter().enumerate() {
            if number > 0 {
                database.take_back();
            }
            let waits = rehearse(&mut database, in_the_way, arguments).await?;
            waits.print(&mut table, in_the_way.name());
            if let Some(opening) = waits.opening {
                let seconds = (opening.ended - opening.began).as_secs_f64();
                openings.row([in_the_way.name().to_owned(), format!("{seconds:.1} s")]);
            }
            longest = longest.max(waits.longest());
        }
        table.print();
        openings.print();
        println!(
            "{} sessions that nobody changed are as they were; every known one was refreshed.\n",
            database.number_kept()?
        );
        ensure!(
            longest <= LIMIT,
            "a request waited for {longest:.2?}, which is longer than {LIMIT:?}"
        );
        Ok(())
    })
}

/// Lets a core work, starts nodes, lets all of them work, and looks at what is there then.
async fn rehearse(
    database: &mut OldDatabase,
    in_the_way: InTheWay,
    arguments: &Arguments,
) -> anyhow::Result<Waits> {
    let around = Duration::from_secs(arguments.seconds);
    let load = Arc::new(Load(AtomicBool::new(true)));
    let cores = core::start(&database.url(), &load).await?;
    let probe = core::probe(&database.url(), &load).await?;
    sleep(around).await;

    let held = match in_the_way.statement() {
        Some(statement) => {
            let client = connect(&database.url()).await?;
            client.batch_execute(statement).await?;
            Some(client)
        }
        None => None,
    };
    let (opening, mut serving) = if in_the_way == InTheWay::ReaderForLong {
        let opening = give_up(database).await?;
        drop(held);
        (opening, JoinSet::new())
    } else {
        let hold = Duration::from_secs(arguments.hold);
        tokio::spawn(release(held, hold));
        open(database, &load).await?
    };
    sleep(around).await;
    load.end();

    let mut waits = Waits { opening: Some(opening), ..Waits::default() };
    for requests in cores.join_all().await {
        waits.of_cores.extend(requests?);
    }
    waits.of_nobody = probe.await??;
    while let Some(served) = serving.join_next().await {
        let served = served??;
        waits.of_nodes.extend(served.requests);
        database.known.extend(served.sessions);
    }
    if in_the_way == InTheWay::ReaderForLong { database.check_rows() } else { database.check() }?;
    Ok(waits)
}

async fn release(held: Option<Client>, after: Duration) {
    if let Some(client) = held {
        sleep(after).await;
        drop(client.batch_execute("ROLLBACK").await);
    }
}

/// Starts all nodes at once; each serves as soon as it is up.
async fn open(
    database: &mut OldDatabase,
    load: &Arc<Load>,
) -> anyhow::Result<(Request, JoinSet<anyhow::Result<Served>>)> {
    let began = clock::wall();
    let mut shares: Vec<Vec<_>> = (0..NODES).map(|_| Vec::new()).collect();
    for (place, session) in mem::take(&mut database.known).into_iter().enumerate() {
        shares[place % NODES].push(session);
    }
    let (mut opening, mut serving) = (JoinSet::new(), JoinSet::new());
    for share in shares {
        let options = database.options()?;
        opening.spawn(async move { anyhow::Ok((database::node(options).await?, share)) });
    }
    while let Some(opened) = opening.join_next().await {
        let (sessions, share) = opened??;
        serving.spawn(nodes::serve(sessions, share, Arc::clone(load)));
    }
    Ok((Request { began, ended: clock::wall() }, serving))
}

/// Starts a node that cannot get the table.
async fn give_up(database: &OldDatabase) -> anyhow::Result<Request> {
    let began = clock::wall();
    match database::node(database.options()?).await {
        Ok(_) => bail!("a node has changed a table that somebody held"),
        Err(error) => eprintln!("the start was refused: {error:#}"),
    }
    Ok(Request { began, ended: clock::wall() })
}
