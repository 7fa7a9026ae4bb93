//! `docs/rotation.md` and the engine say the same of every situation.
//!
//! Every situation is brought about once, and what the engine does is observed. Then the tables of
//! the document are read: each situation must fit exactly one row of its table, each row must fit
//! a situation, and every cell must say what was observed. So that this is known to find mistakes,
//! every row and every cell is then changed in every way, beside the same observations.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers fail the test that asked for them"
)]

mod changes;
mod lineage;
mod refresh_descriptions;
mod refresh_scene;
mod refreshes;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod verification_scene;
mod verifications;

use changes::assert_every_change_is_noticed;
use table::{Situation, Table};

fn check<S: Situation>(situations: Vec<S>) {
    let (table, count) = (Table::of::<S>(), situations.len());
    let disagreements = table.disagreements(&situations);
    assert!(disagreements.is_empty(), "{} of them: {disagreements:#?}", disagreements.len());
    let tried = assert_every_change_is_noticed(&table, situations);
    println!("{count} situations; noticed: {tried:?}");
}

#[tokio::test]
async fn refreshing_does_what_the_table_says_and_every_change_of_the_table_is_noticed() {
    check(refreshes::observations().await);
}

#[tokio::test]
async fn verification_does_what_the_table_says_and_every_change_of_the_table_is_noticed() {
    check(verifications::verifications().await);
}
