//! What is said of a store whose sessions were moved away before.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use sessile::{clock::SystemClock, store::Moves};

use super::{
    notes::{Arrival, Departure},
    side::AnySide,
};
use crate::serve::Place;

/// Says whether the sessions were moved to this target: an error if they were not. Changes nothing.
pub(super) async fn tell(source: &str, moves: &Moves, target: Place) -> anyhow::Result<()> {
    let (target_name, arrived) = found_in(target).await.context("the target")?;
    let departure = moves.departure.as_deref().and_then(Departure::from_text);
    let arrival = arrived.arrival.as_deref().map(|text| Arrival::from_text(text).name);
    let is_here = |departure: &Departure<'_>| Some(departure.name) == arrival.as_deref();
    let Some(departure) = departure.filter(is_here) else {
        let elsewhere = moves.departure.as_deref().and_then(Departure::from_text);
        let elsewhere = elsewhere.map_or(String::new(), |to| format!(" (to {})", to.place));
        bail!(
            "the sessions of {source} were moved away before{elsewhere}, and not to {target_name}: \
             nothing was changed. Use the store that has them; --reinstate lets servers write to \
             {source} again, without what was written elsewhere since"
        );
    };
    println!("moved to {} before, as a whole: nothing is left to do", departure.place);
    if arrived.is_retired {
        let further = arrived.departure.as_deref().and_then(Departure::from_text);
        let further = further.map_or("another store", |further| further.place);
        println!("from there the sessions were moved to {further} since");
    } else {
        println!("servers use it; to {source} nobody can write any more");
    }
    Ok(())
}

/// The target, for people, and what it keeps of moves. One that is not there is not made.
async fn found_in(target: Place) -> anyhow::Result<(String, Moves)> {
    let name = target.to_string();
    let is_there = match &target {
        Place::Memory => false,
        Place::File(path) => path.is_file(),
        Place::Postgres(options) => {
            let examined = options.as_ref().clone().examine(None, Arc::new(SystemClock)).await?;
            examined.structure.ownership.is_some()
        }
    };
    if !is_there {
        return Ok((name, Moves::default()));
    }
    let target = AnySide::open_target(target).await?;
    Ok((target.place().to_owned(), target.moves().await?))
}
