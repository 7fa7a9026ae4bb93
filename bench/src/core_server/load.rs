//! Many connections for a while, with a mix of everything.

use std::{path::Path, time::Duration};

use sessile_bench::{
    clock,
    race::Effort,
    table::{self, Table},
};
use tokio::task::JoinSet;

use super::{
    LoadArguments,
    client::{CoreClient, Operation},
    process::{CoreServer, time_to_first_answer},
};

/// What a client does with each session: mostly verifying it, as SDKs do that ask the core.
const LIFE: [Operation; 20] = {
    use Operation::{Create, ReadData, Refresh, Remove, ReplaceData, Verify};
    [
        Create,
        Verify,
        Verify,
        ReadData,
        Verify,
        Verify,
        ReplaceData,
        Verify,
        Refresh,
        Verify,
        Verify,
        ReadData,
        Verify,
        Verify,
        ReplaceData,
        Verify,
        Refresh,
        Verify,
        Verify,
        Remove,
    ]
};

pub(super) fn measure(
    effort: Effort,
    folder: &Path,
    program: &Path,
    arguments: &LoadArguments,
) -> anyhow::Result<()> {
    let store = folder.join("core.db");
    let store = store.to_string_lossy();
    let server = CoreServer::start(program, &store)?;
    let idle = server.memory()?;
    let (times, memory, wall, cpu) = load(&server, arguments)?;
    server.stop()?;

    let title = "`sessile serve` on SQLite, synchronous=FULL, with everything at once";
    let mut table = Table::new(title, ["call", "number", "in a second", "p50", "p99", "longest"]);
    let mut all = Vec::new();
    for (operation, mut times) in Operation::ALL.into_iter().zip(times) {
        all.extend_from_slice(&times);
        table.row(row(operation.name(), &mut times, wall));
    }
    let calls = all.len();
    table.row(row("all", &mut all, wall));
    table.print();

    let mut starts = Vec::new();
    for _ in 0..effort.rounds() {
        starts.push(time_to_first_answer(program, &store)?.as_nanos() as f64);
    }
    starts.sort_by(f64::total_cmp);
    let [early, late] = memory;
    let mut table = Table::new("The server's process", ["what", "figure"]);
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    for (what, figure) in [
        ("memory before the load", megabytes(idle)),
        ("memory after a sixth of it", megabytes(early)),
        ("memory at its end", megabytes(late)),
        ("processor time for a call", table::time(cpu.as_nanos() as f64 / calls as f64)),
        ("from the start on that store to the first answer", table::time(starts[starts.len() / 2])),
    ] {
        table.row([what.to_owned(), figure]);
    }
    table.print();
    Ok(())
}

fn row(name: &str, times: &mut [u32], wall: Duration) -> [String; 6] {
    times.sort_unstable();
    let at = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        times.get(index.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
    };
    let time = |microseconds: u32| table::time(f64::from(microseconds) * 1e3);
    [
        name.to_owned(),
        times.len().to_string(),
        table::rate(times.len() as f64 / wall.as_secs_f64()),
        time(at(0.5)),
        time(at(0.99)),
        time(at(1.0)),
    ]
}

/// The times of all calls by their operation, in microseconds; the memory after a sixth of the time
/// and at its end; and what time passed and was used.
type Loaded = ([Vec<u32>; Operation::ALL.len()], [u64; 2], Duration, Duration);

fn load(server: &CoreServer, arguments: &LoadArguments) -> anyhow::Result<Loaded> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut clients = Vec::new();
        for _ in 0..arguments.connections {
            clients.push(CoreClient::connect(server.port()).await?);
        }
        let (start, used) = (clock::wall(), server.cpu()?);
        let end = start + Duration::from_secs(arguments.seconds);
        let mut tasks = JoinSet::new();
        for client in clients {
            tasks.spawn(live(client, end));
        }
        tokio::time::sleep(Duration::from_secs(arguments.seconds) / 6).await;
        let early = server.memory()?;
        let mut times = [const { Vec::new() }; Operation::ALL.len()];
        while let Some(finished) = tasks.join_next().await {
            for (all, own) in times.iter_mut().zip(finished??) {
                all.extend(own);
            }
        }
        let memory = [early, server.memory()?];
        Ok((times, memory, clock::wall() - start, server.cpu()? - used))
    })
}

/// One session after the other, until the time is over.
async fn live(
    mut client: CoreClient,
    end: Duration,
) -> anyhow::Result<[Vec<u32>; Operation::ALL.len()]> {
    let mut times = [const { Vec::new() }; Operation::ALL.len()];
    while clock::wall() < end {
        for operation in LIFE {
            let start = clock::wall();
            client.call(operation).await?;
            let time = (clock::wall() - start).as_micros();
            times[operation as usize].push(u32::try_from(time).unwrap_or(u32::MAX));
        }
    }
    Ok(times)
}
