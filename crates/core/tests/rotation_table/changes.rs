//! Every way to change one thing in a table, each of which must be noticed: no row and no cell of
//! the document is there for show.

use std::{collections::HashSet, fmt::Debug};

use crate::table::{Disagreement, Situation, Table};

/// Words that no column knows.
const UNKNOWN: &str = "something new";

/// One of those that are the same by every word of the table.
fn distinct<S: Situation>(table: &Table, situations: Vec<S>) -> Vec<S> {
    let words: Vec<_> = (0..S::CONDITIONS.len()).map(|column| table.words_of(column)).collect();
    let mut seen = HashSet::new();
    let is_new = |situation: &S| {
        let columns = S::CONDITIONS.iter().zip(&words);
        let fitting: Vec<bool> = columns
            .flat_map(|(column, words)| {
                words.iter().map(|word| situation.fits(column, word).unwrap())
            })
            .collect();
        let outcomes: Vec<_> = situation.outcomes().into_iter().map(str::to_owned).collect();
        seen.insert((fitting, outcomes))
    };
    situations.into_iter().filter(is_new).collect()
}

/// How many changes of each kind were tried.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    rows_removed: usize,
    rows_repeated: usize,
    conditions_changed: usize,
    outcomes_changed: usize,
}

/// A table that is right, beside what happened.
struct Right<S> {
    table: Table,
    situations: Vec<S>,
    tried: Tried,
}

impl<S: Situation> Right<S> {
    /// Fails where the changed table is right too, or is wrong in another way than it was changed.
    #[track_caller]
    fn assert_noticed(
        &self,
        changed: &Table,
        is_expected: impl Fn(&Disagreement) -> bool,
        change: impl Debug,
    ) {
        let found = changed.disagreements(&self.situations);
        assert!(!found.is_empty(), "nobody notices {change:?}");
        let other = found.iter().find(|disagreement| !is_expected(disagreement));
        assert_eq!(other, None, "it is not what was changed: {change:?}");
    }

    fn remove(&mut self, row: usize) {
        let mut changed = self.table.clone();
        let removed = changed.rows.remove(row);
        let is_expected = |found: &Disagreement| matches!(found, Disagreement::Missing { .. });
        self.assert_noticed(&changed, is_expected, ("without", removed));
        self.tried.rows_removed += 1;
    }

    /// Adds another row with the conditions of this one.
    fn repeat(&mut self, row: usize, cells: Vec<String>) {
        let mut changed = self.table.clone();
        let both = [row, changed.rows.len()];
        changed.rows.push(cells);
        let is_expected = |found: &Disagreement| matches!(found, Disagreement::Ambiguous { rows, .. } if *rows == both);
        self.assert_noticed(&changed, is_expected, ("twice", &self.table.rows[row]));
        self.tried.rows_repeated += 1;
    }

    fn change_condition(&mut self, row: usize, column: usize, word: String) {
        let change = (word.clone(), "in", self.table.rows[row].clone());
        let mut changed = self.table.clone();
        let is_unknown = word == UNKNOWN;
        changed.rows[row][column] = word;
        let is_expected = |found: &Disagreement| match found {
            // A word of the column is wrong for what it means, not for being none.
            Disagreement::Meaningless { row: of, .. } => is_unknown && *of == row,
            Disagreement::Missing { .. } => true,
            Disagreement::Ambiguous { rows, .. } => rows.contains(&row),
            Disagreement::Contradictory { row: of }
            | Disagreement::Outcome { row: of, .. }
            | Disagreement::NeverHappens { row: of } => *of == row,
            Disagreement::Cells { .. } => false,
        };
        self.assert_noticed(&changed, is_expected, change);
        self.tried.conditions_changed += 1;
    }

    fn change_outcome(&mut self, row: usize, column: usize, word: String) {
        let change = (word.clone(), "in", self.table.rows[row].clone());
        let mut changed = self.table.clone();
        changed.rows[row][column] = word;
        let is_expected = |found: &Disagreement| match found {
            Disagreement::Outcome { row: of, column: at, .. } => (*of, *at) == (row, column),
            _ => false,
        };
        self.assert_noticed(&changed, is_expected, change);
        self.tried.outcomes_changed += 1;
        self.repeat(row, changed.rows.swap_remove(row));
    }
}

/// Fails where a row could be missing or there twice, or a cell say something else, and the table
/// still be right. A cell is given each word that occurs in its column, and one that does not.
pub(crate) fn assert_every_change_is_noticed<S: Situation>(
    table: &Table,
    situations: Vec<S>,
) -> Tried {
    let situations = distinct(table, situations);
    assert_eq!(table.disagreements(&situations), []);
    let mut right = Right { table: table.clone(), situations, tried: Tried::default() };
    for (index, row) in table.rows.iter().enumerate() {
        right.remove(index);
        right.repeat(index, row.clone());
        for (column, cell) in row.iter().enumerate() {
            let mut words = table.words_of(column);
            words.insert(UNKNOWN.to_owned());
            words.remove(cell);
            for word in words {
                if column < S::CONDITIONS.len() {
                    right.change_condition(index, column, word);
                } else {
                    right.change_outcome(index, column, word);
                }
            }
        }
        let mut short = table.clone();
        short.rows[index].pop();
        let cells = Disagreement::Cells { row: index, count: row.len() - 1 };
        assert_eq!(short.disagreements(&right.situations), [cells]);
    }
    right.tried
}
