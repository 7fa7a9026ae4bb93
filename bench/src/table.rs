//! Tables in Markdown, and numbers in them.

use std::fmt::Write as _;

use crate::race::Figure;

/// A table.
#[derive(Debug)]
pub struct Table {
    title: &'static str,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new<const N: usize>(title: &'static str, columns: [&str; N]) -> Self {
        Self { title, rows: vec![columns.map(str::to_owned).to_vec()] }
    }

    /// Adds a row.
    #[expect(clippy::needless_pass_by_value, reason = "a row is made for its table")]
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// Writes it to the standard output.
    pub fn print(&self) {
        println!("{}", self.text());
    }

    fn text(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        let mut text = format!("### {}\n\n", self.title);
        for (index, row) in self.rows.iter().enumerate() {
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(text, "| {cell:width$} ");
            }
            text.push_str("|\n");
            if index == 0 {
                let lines = widths.iter().map(|width| "-".repeat(*width));
                text.push_str(&lines.fold(String::new(), |row, line| row + "| " + &line + " "));
                text.push_str("|\n");
            }
        }
        text
    }
}

/// A time in nanoseconds, with its unit.
pub fn time(nanoseconds: f64) -> String {
    if nanoseconds < 995.0 {
        format!("{nanoseconds:.0} ns")
    } else if nanoseconds < 999_500.0 {
        format!("{} µs", significant(nanoseconds / 1e3))
    } else {
        format!("{} ms", significant(nanoseconds / 1e6))
    }
}

/// The median of the processor time for one operation, and its range over the rounds.
pub fn cpu(figure: &Figure) -> String {
    let (least, most) = figure.cpu_range();
    format!("{} ({} to {})", time(figure.cpu()), time(least), time(most))
}

/// A number in a second.
pub fn rate(per_second: f64) -> String {
    let digits = format!("{per_second:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A ratio.
pub fn ratio(ratio: f64) -> String {
    format!("{ratio:.2} ×")
}

/// A ratio, and its range over the rounds.
pub fn ratio_with_range(ratio: f64, (least, most): (f64, f64)) -> String {
    format!("{ratio:.2} × ({least:.2} to {most:.2})")
}

/// A part of a whole.
pub fn share(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn significant(value: f64) -> String {
    match value {
        value if value < 9.95 => format!("{value:.2}"),
        value if value < 99.5 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_or_so() {
        assert_eq!(time(123.4), "123 ns");
        assert_eq!(time(999.0), "1.00 µs");
        assert_eq!(time(18_449.0), "18.4 µs");
        assert_eq!(time(1_234_567.0), "1.23 ms");
        assert_eq!(rate(1_234_567.2), "1 234 567");
        assert_eq!(rate(12.0), "12");
    }

    #[test]
    fn a_table_is_markdown() {
        let mut table = Table::new("Title", ["a", "long"]);
        table.row(["1".to_owned(), "2".to_owned()]);
        assert_eq!(table.text(), "### Title\n\n| a | long |\n| - | ---- |\n| 1 | 2    |\n");
    }
}
