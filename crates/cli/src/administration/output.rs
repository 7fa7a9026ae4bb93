//! Tables for people, JSON for programs.

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Prints a value as JSON, on lines.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints rows below their heads, each column as wide as it must be. A last column in which nothing
/// stands is left out.
pub(super) fn print_table<const N: usize>(
    heads: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) {
    let rows: Vec<_> = std::iter::once(heads.map(str::to_owned)).chain(rows).collect();
    let is_empty = rows.iter().skip(1).all(|row| row[N - 1].is_empty());
    let columns = if is_empty { N - 1 } else { N };
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    });
    for row in &rows {
        let cells = row.iter().zip(widths).take(columns);
        let line: Vec<_> = cells.map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("{}", line.join("  ").trim_end());
    }
}

/// A moment in UTC, to the second.
pub(super) fn time(milliseconds: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(milliseconds.div_euclid(1000)).ok();
    let text = moment.and_then(|moment| moment.format(&Rfc3339).ok());
    text.unwrap_or_else(|| "never".to_owned())
}

/// A text that somebody else chose, without what would move the cursor of a terminal.
pub(crate) fn readable(text: &str) -> String {
    text.chars()
        .flat_map(|character| {
            let (escaped, plain) = if character.is_control() {
                (Some(character.escape_default()), None)
            } else {
                (None, Some(character))
            };
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_texts_are_readable() {
        assert_eq!(time(1_700_000_000_999), "2023-11-14T22:13:20Z");
        assert_eq!(time(i64::MAX), "never");
        assert_eq!(readable("ä\u{1b}[2J\n"), "ä\\u{1b}[2J\\n");
    }
}
