//! Figures of a benchmark: each the least, the median and the most of several runs, in a table that reads the same on
//! a terminal and in docs/BENCHMARKS.md.

use std::fmt::Write;

/// What was measured several times.
#[derive(Clone, Debug, Default)]
pub(super) struct Series(Vec<f64>);

impl Series {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// Least, median and most.
    fn spread(&self) -> Option<[f64; 3]> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let [first, .., last] = sorted[..] else {
            return sorted.first().map(|only| [*only; 3]);
        };
        Some([first, sorted[sorted.len() / 2], last])
    }

    /// What becomes of each figure beside the one of another series of the same turn.
    pub(super) fn beside(&self, other: &Self, of: impl Fn(f64, f64) -> f64) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(own, other)| of(*own, *other)).collect())
    }

    /// Each figure by that of another series of the same turn.
    pub(super) fn over(&self, other: &Self) -> Self {
        self.beside(other, |own, other| own / other)
    }

    pub(super) fn map(&self, of: impl Fn(f64) -> f64) -> Self {
        Self(self.0.iter().map(|figure| of(*figure)).collect())
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<T: IntoIterator<Item = f64>>(figures: T) -> Self {
        Self(figures.into_iter().collect())
    }
}

impl From<f64> for Series {
    fn from(only: f64) -> Self {
        Self(vec![only])
    }
}

/// A table with a row for each figure; ratios are told before what they are made of.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<[String; 6]>,
}

const HEADS: [&str; 6] = ["What", "Unit", "Least", "Median", "Most", "Target"];

impl Table {
    pub(super) fn row(&mut self, what: &str, unit: &str, series: &Series) {
        self.row_with_target(what, unit, series, "");
    }

    /// A row with what design.md or an issue wants of it.
    pub(super) fn row_with_target(
        &mut self,
        what: &str,
        unit: &str,
        series: &Series,
        target: &str,
    ) {
        let [least, median, most] = match series.spread() {
            Some(spread) => spread.map(shown),
            None => [const { String::new() }; 3],
        };
        let (what, unit, target) = (what.to_owned(), unit.to_owned(), target.to_owned());
        self.rows.push([what, unit, least, median, most, target]);
    }

    /// As Markdown, its columns aligned for a terminal.
    pub(super) fn markdown(&self) -> String {
        let heads = HEADS.map(str::to_owned);
        let all = || std::iter::once(&heads).chain(&self.rows);
        let width = |column: usize| {
            let widths = all().map(|row| row[column].chars().count());
            widths.max().unwrap_or_default()
        };
        let widths = [0, 1, 2, 3, 4, 5].map(width);
        let is_number = |column: usize| (2..=4).contains(&column);
        let mut text = String::new();
        for (at, row) in all().enumerate() {
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
                let _cannot_fail = if is_number(column) {
                    write!(text, "| {cell:>width$} ")
                } else {
                    write!(text, "| {cell:width$} ")
                };
            }
            text.push_str("|\n");
            if at == 0 {
                for (column, width) in widths.iter().enumerate() {
                    let line = "-".repeat(*width + 1);
                    let end = if is_number(column) { ":" } else { "-" };
                    let _cannot_fail = write!(text, "|{line}{end}");
                }
                text.push_str("|\n");
            }
        }
        text
    }
}

/// Three digits that count.
fn shown(figure: f64) -> String {
    match figure.abs() {
        size if size >= 10_000.0 => thousands(figure),
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        size if size >= 0.1 || size == 0.0 => format!("{figure:.2}"),
        _ => format!("{figure:.4}"),
    }
}

fn thousands(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_has_its_least_median_and_most() {
        let series: Series = [3.0, 1.0, 2.0, 9.0, 4.0].into_iter().collect();
        assert_eq!(series.spread(), Some([1.0, 3.0, 9.0]));
        assert_eq!(Series::from(7.0).spread(), Some([7.0; 3]));
        assert_eq!(Series::default().spread(), None);
    }

    #[test]
    fn ratios_are_taken_turn_by_turn() {
        let ours: Series = [2.0, 9.0].into_iter().collect();
        let floor: Series = [1.0, 3.0].into_iter().collect();
        assert_eq!(ours.over(&floor).0, [2.0, 3.0]);
    }

    #[test]
    fn figures_are_told_to_three_digits() {
        let told = [1_234_567.0, 812.4, 43.21, 1.284, 0.0, 0.0123].map(shown);
        assert_eq!(told, ["1,234,567", "812", "43.2", "1.28", "0.00", "0.0123"]);
    }

    #[test]
    fn a_table_is_markdown() {
        let mut table = Table::default();
        table.row_with_target("ours by the floor", "x", &Series::from(1.2), "≤ 1.3");
        let lines: Vec<String> = table.markdown().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            lines[2],
            "| ours by the floor | x    |  1.20 |   1.20 | 1.20 | ≤ 1.3  |"
        );
        assert!(
            lines[1].starts_with("|-------------------|------|------:|"),
            "{}",
            lines[1]
        );
    }
}
