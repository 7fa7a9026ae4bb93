//! A table of the document, and what it says otherwise than the engine.

use std::{collections::BTreeSet, fmt::Debug, fs};

use sessile_core::policy::RotationPolicy;

/// Something that happened, and that a row of a table describes.
pub(crate) trait Situation: Debug {
    /// The heading under which the table is.
    const HEADING: &str;
    /// The columns that say what the situation is; the others say what happens in it.
    const CONDITIONS: &[&str];
    const OUTCOMES: &[&str];
    /// The column that says nothing where there may be no row.
    const OF_A_ROW: &str;

    /// Whether the cell describes the situation; an error where it describes none at all.
    fn fits(&self, column: &str, cell: &str) -> Result<bool, String>;

    fn outcomes(&self) -> Vec<&str>;
}

/// Whether a list of policies names this one.
pub(crate) fn names_policy(cell: &str, policy: RotationPolicy) -> Result<bool, String> {
    let name = match policy {
        RotationPolicy::Idempotent { .. } => "`Idempotent`",
        RotationPolicy::OnRefresh { .. } => "`OnRefresh`",
        RotationPolicy::OnUse => "`OnUse`",
        other => panic!("no table has {other:?}"),
    };
    match cell {
        "any" => Ok(true),
        "`Idempotent`, `OnRefresh`" | "`Idempotent`" | "`OnRefresh`" | "`OnUse`" => {
            Ok(cell.split(", ").any(|named| named == name))
        }
        unknown => Err(format!("no such policy: {unknown}")),
    }
}

/// What a table says and the engine does not, or the other way round. Rows and columns are counted
/// from 0.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Disagreement {
    /// A row has more or fewer cells than the heading.
    Cells { row: usize, count: usize },
    /// The words of a cell describe nothing.
    Meaningless { row: usize, why: String },
    /// There may be no row that could say what a cell asks of it.
    Contradictory { row: usize },
    /// Something happens that no row describes.
    Missing { situation: String },
    /// Several rows describe the same.
    Ambiguous { rows: Vec<usize>, situation: String },
    /// Something else happens.
    Outcome { row: usize, column: usize, situation: String },
    /// Nothing that happens is like this.
    NeverHappens { row: usize },
}

/// The cells of a table, row by row, without its heading.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// The table of the document that describes such situations.
    pub(crate) fn of<S: Situation>() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rotation.md");
        Self::parse::<S>(&fs::read_to_string(path).unwrap())
    }

    fn parse<S: Situation>(document: &str) -> Self {
        let (_, section) = document.split_once(&format!("\n## {}\n", S::HEADING)).unwrap();
        let mut rows = section
            .lines()
            .skip_while(|line| !line.starts_with('|'))
            .take_while(|line| line.starts_with('|'))
            .map(|line| -> Vec<String> {
                let cells = line.trim_matches('|').split('|');
                cells.map(|cell| cell.trim().to_owned()).collect()
            });
        assert_eq!(rows.next().unwrap(), [S::CONDITIONS, S::OUTCOMES].concat());
        assert!(rows.next().unwrap().iter().all(|cell| cell == "---"));
        Self { rows: rows.collect() }
    }

    /// The column's words, in all rows.
    pub(crate) fn words_of(&self, column: usize) -> BTreeSet<String> {
        self.rows.iter().map(|row| row[column].clone()).collect()
    }

    /// Whether the conditions of the row describe the situation.
    fn describes<S: Situation>(row: &[String], situation: &S) -> bool {
        let mut conditions = S::CONDITIONS.iter().zip(row);
        conditions.all(|(column, cell)| situation.fits(column, cell) == Ok(true))
    }

    /// Everything that is wrong with the table, beside everything that happened.
    pub(crate) fn disagreements<S: Situation>(&self, situations: &[S]) -> Vec<Disagreement> {
        let mut disagreements = Vec::new();
        for (index, row) in self.rows.iter().enumerate() {
            if row.len() != S::CONDITIONS.len() + S::OUTCOMES.len() {
                disagreements.push(Disagreement::Cells { row: index, count: row.len() });
            }
            for (column, cell) in S::CONDITIONS.iter().zip(row) {
                // Whether words describe anything does not depend on the situation.
                if let Err(why) = situations[0].fits(column, cell) {
                    disagreements.push(Disagreement::Meaningless { row: index, why });
                }
            }
            let says = |name, words: &[&str]| {
                let mut conditions = S::CONDITIONS.iter().zip(row);
                conditions.any(|(column, cell)| *column == name && words.contains(&cell.as_str()))
            };
            if says("The row", &["none", "any or none"]) && !says(S::OF_A_ROW, &["any"]) {
                disagreements.push(Disagreement::Contradictory { row: index });
            }
        }
        let mut happens = vec![false; self.rows.len()];
        for situation in situations {
            let described = |&(_, row): &(usize, &Vec<String>)| Self::describes(row, situation);
            let rows: Vec<usize> =
                self.rows.iter().enumerate().filter(described).map(|(index, _)| index).collect();
            let text = || format!("{situation:?}");
            for &row in &rows {
                happens[row] = true;
            }
            match rows[..] {
                [] => disagreements.push(Disagreement::Missing { situation: text() }),
                [row] => {
                    let cells = self.rows[row].iter().enumerate().skip(S::CONDITIONS.len());
                    for ((column, cell), outcome) in cells.zip(situation.outcomes()) {
                        if cell != outcome {
                            let situation = text();
                            disagreements.push(Disagreement::Outcome { row, column, situation });
                        }
                    }
                }
                _ => disagreements.push(Disagreement::Ambiguous { rows, situation: text() }),
            }
        }
        let never = happens.iter().enumerate().filter(|(_, happens)| !**happens);
        disagreements.extend(never.map(|(row, _)| Disagreement::NeverHappens { row }));
        disagreements
    }
}
