//! `sessile migrate`: moves everything from one store to another while the first is served.

mod beginning;
mod copy;
mod digest;
mod finished;
mod notes;
mod sessions;
mod side;

use std::{ffi::OsString, path::Path};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use sessile::Secret;
use sessile_server::{Settings, Sources};

use self::{
    copy::Copy,
    digest::Digest,
    notes::{Arrival, Departure},
    side::{AnySide, Movable, Side},
};
use crate::serve::Place;

/// Where no more has changed than this, the writers are held.
const FEW_CHANGES: usize = 1000;

/// The most passes beside the traffic.
const MOST_PASSES: usize = 5;

/// What `sessile migrate` can be told.
#[derive(Args, Debug)]
pub(crate) struct MigrateArguments {
    /// The store that has the sessions: the URL of a PostgreSQL database, or a file. Servers on it
    /// may run; at the end they can write to it no more.
    #[arg(
        long,
        value_name = "URL|FILE",
        value_parser = crate::administration::hidden,
        required_unless_present = "reinstate",
        requires = "to"
    )]
    from: Option<Secret>,
    /// The store that gets them, which must be empty, or what an earlier attempt has left. No
    /// server may run on it before this is done.
    #[arg(
        long,
        value_name = "URL|FILE",
        value_parser = crate::administration::hidden,
        requires = "from"
    )]
    to: Option<Secret>,
    /// Lets servers write again to a store whose sessions were moved away.
    #[arg(
        long,
        value_name = "URL|FILE",
        value_parser = crate::administration::hidden,
        conflicts_with_all = ["from", "to"]
    )]
    reinstate: Option<Secret>,
    /// A file with settings, as `sessile serve` takes it: schema and names of tables in PostgreSQL.
    #[arg(long, value_name = "FILE", env = "SESSILE_CONFIG")]
    config: Option<OsString>,
}

/// Does what was asked.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(arguments: &MigrateArguments) -> anyhow::Result<()> {
    let settings = Settings::load(Sources {
        file: arguments.config.as_deref().filter(|path| !path.is_empty()).map(Path::new),
        environment: &|name| std::env::var_os(name),
        arguments: &[],
        strict: false,
        test_mode: false,
    })?;
    let place = |store: &Secret| Place::named(store.expose(), &settings);
    match (&arguments.from, &arguments.to, &arguments.reinstate) {
        (Some(from), Some(to), _) => {
            let from = AnySide::open_source(place(from)?).await.context("the source")?;
            let moves = from.moves().await.context("the source")?;
            if moves.is_retired {
                return finished::tell(from.place(), &moves, place(to)?).await;
            }
            let to = AnySide::open_target(place(to)?).await.context("the target")?;
            match (from, to) {
                (AnySide::File(from), AnySide::File(to)) => migrate(&from, &to).await,
                (AnySide::File(from), AnySide::Database(to)) => migrate(&from, &to).await,
                (AnySide::Database(from), AnySide::File(to)) => migrate(&from, &to).await,
                (AnySide::Database(from), AnySide::Database(to)) => migrate(&from, &to).await,
            }
        }
        (_, _, Some(store)) => {
            match AnySide::open_source(place(store)?).await? {
                AnySide::File(side) => side.store.let_in().await?,
                AnySide::Database(side) => side.store.let_in().await?,
            }
            println!("servers may write to it again; what was written elsewhere is not in it");
            Ok(())
        }
        _ => bail!("say --from and --to"),
    }
}

async fn migrate<S: Movable, T: Movable>(from: &Side<S>, to: &Side<T>) -> anyhow::Result<()> {
    let mut copy = Copy::begin(from, to).await?;
    for pass in 1..=MOST_PASSES {
        let changes = copy.synchronise(&format!("pass {pass}")).await?;
        if changes <= FEW_CHANGES {
            break;
        }
    }
    eprintln!("holding the writers of {}", from.place);
    let held = from.store.hold().await.context("the writers cannot be held")?;
    copy.synchronise("last pass").await?;
    let (source, target) = tokio::join!(Digest::of(from, &copy.left), Digest::of(to, &copy.left));
    let (source, target) = (source?, target?);
    eprintln!("source: {source}\ntarget: {target}");
    ensure!(
        source == target,
        "the target is not what the source is, though everything was copied: does another program \
         write to {}? Servers go on with {}, as if nothing had been",
        to.place,
        from.place,
    );
    // Somebody else may have begun to move sessions to it; whoever holds the writers is the last.
    to.store.note_arrival(&copy.arrival.to_text()).await.context("the target")?;
    let name = copy.arrival.name.as_str();
    retire(from, held, &Departure { name, place: &to.place }).await?;
    copy.tell_what_is_left();
    let finished = Arrival::finished(name).to_text();
    if let Err(error) = to.store.note_arrival(&finished).await {
        eprintln!("the note of it in {} is not complete, which does no harm: {error}", to.place);
    }
    println!("moved to {} and compared: {target}", to.place);
    println!("start servers on it now; to {} nobody can write any more", from.place);
    Ok(())
}

/// Retires the source. Where that fails, the answer may have been lost alone: so it is looked
/// whether it was done, once whoever was at it is.
async fn retire<S: Movable>(
    from: &Side<S>,
    held: S::Held,
    departure: &Departure<'_>,
) -> anyhow::Result<()> {
    let note = departure.to_text();
    let Err(failure) = S::retire(held, &note).await else { return Ok(()) };
    let look = async {
        let _held = from.store.hold().await?;
        from.store.moves().await
    };
    match look.await {
        Ok(moves) if moves.is_retired && moves.departure.as_ref() == Some(&note) => {
            eprintln!("the answer was lost, but it was done: {failure}");
            Ok(())
        }
        Ok(_) => Err(failure).context("the source cannot be retired, and goes on"),
        Err(_) => Err(failure).with_context(|| {
            format!(
                "it is not known whether {} was retired. All was copied and compared; run this \
                 again before you start servers: it says what is so, and does what is left",
                from.place
            )
        }),
    }
}
