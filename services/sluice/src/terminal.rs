//! What people see: lines on standard error, and bars when that is a terminal.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use sluice_wiring::SourceProgress;

/// Writes a line to standard error.
pub(crate) fn say(text: &str) {
    let _nobody_listens = writeln!(std::io::stderr(), "{text}");
}

/// Writes a line to standard output.
pub(crate) fn print(text: &str) {
    let _nobody_listens = writeln!(std::io::stdout(), "{text}");
}

/// A number with its thousands apart.
pub(crate) fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// A number of bytes as people say it.
pub(crate) fn bytes(number: u64) -> String {
    HumanBytes(number).to_string()
}

/// A time as people say it, by its two largest units.
pub(crate) fn time(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {:02}h", hours % 24),
    }
}

/// Rows below a head, each column as wide as it must be.
pub(crate) fn table<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned))
        .chain(rows)
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|at| width(at).unwrap_or(0)).collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A bar of bytes.
pub(crate) fn byte_bar(total: u64, what: &str) -> ProgressBar {
    let template = "{msg:24} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}";
    bar(total, what, template)
}

/// A bar of patients.
pub(crate) fn patient_bar(total: u64) -> ProgressBar {
    let template = "{msg:24} {wide_bar} {human_pos}/{human_len} patients {per_sec}";
    bar(total, "making sample data", template)
}

/// Hidden without a terminal.
fn bar(total: u64, what: &str, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total).with_message(what.to_owned());
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Shows how far the loading of a source is.
#[derive(Default)]
pub(crate) struct LoadBar(Mutex<Option<ProgressBar>>);

impl LoadBar {
    /// Moves the bar.
    pub(crate) fn show(&self, tenant: &str, progress: &SourceProgress) {
        if progress.reused {
            return;
        }
        let mut bar = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bar.get_or_insert_with(|| {
            byte_bar(progress.file_bytes_total, &format!("indexing {tenant}"))
        });
        bar.set_length(progress.file_bytes_total);
        bar.set_position(progress.bytes_done);
    }

    /// Takes the bar away.
    pub(crate) fn done(&self) {
        let bar = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
    }
}
