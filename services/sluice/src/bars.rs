//! An export as progress bars.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use sluice_client::{Event, Observer};

/// Bars of one export: the server's progress first, then one bar a download and one for all.
#[derive(Default)]
pub(crate) struct Bars {
    all: MultiProgress,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    server: Option<ProgressBar>,
    total: Option<ProgressBar>,
    files: HashMap<String, ProgressBar>,
    /// Bytes of files that are done.
    done: u64,
}

const SERVER: &str = "exporting  {wide_bar} {msg}";
const TOTAL: &str = "total      {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}";
const FILE: &str = "{msg:32} {wide_bar} {bytes}/{total_bytes}";

impl Bars {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bar(&self, length: u64, template: &str) -> ProgressBar {
        let bar = self.all.add(ProgressBar::new(length));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar
    }

    /// Takes all bars away.
    pub(crate) fn clear(&self) {
        let _stays_then = self.all.clear();
    }

    fn progress(&self, text: &str, percent: Option<u8>) {
        let mut shown = self.shown();
        let bar = shown.server.get_or_insert_with(|| self.bar(100, SERVER));
        bar.set_position(u64::from(percent.unwrap_or(0)));
        bar.set_message(text.to_owned());
    }

    fn manifest(&self, bytes: Option<u64>) {
        let mut shown = self.shown();
        if let Some(server) = shown.server.take() {
            server.finish_and_clear();
        }
        shown.total = Some(self.bar(bytes.unwrap_or(0), TOTAL));
    }

    fn started(&self, name: &str, from: u64, bytes: Option<u64>) {
        let bar = self.bar(bytes.unwrap_or(0), FILE);
        bar.set_message(name.to_owned());
        bar.set_position(from);
        if let Some(earlier) = self.shown().files.insert(name.to_owned(), bar) {
            earlier.finish_and_clear();
        }
    }

    fn moved(&self, name: &str, bytes: u64) {
        let shown = self.shown();
        if let Some(bar) = shown.files.get(name) {
            bar.set_position(bytes);
        }
        shown.tell_total();
    }

    fn done(&self, name: &str, bytes: u64) {
        let mut shown = self.shown();
        shown.done += bytes;
        if let Some(bar) = shown.files.remove(name) {
            bar.finish_and_clear();
        }
        shown.tell_total();
    }
}

impl Shown {
    fn tell_total(&self) {
        let open: u64 = self.files.values().map(ProgressBar::position).sum();
        if let Some(total) = &self.total {
            total.set_position(self.done + open);
        }
    }
}

impl Observer for Bars {
    fn event(&self, event: &Event) {
        match event {
            Event::Progress { text, percent } => self.progress(text, *percent),
            Event::Manifest { bytes, .. } => self.manifest(*bytes),
            Event::FileStarted { name, from, bytes } => self.started(name, *from, *bytes),
            Event::FileProgress { name, bytes } => self.moved(name, *bytes),
            Event::FileDone { name, bytes, .. } => self.done(name, *bytes),
            Event::KickedOff { .. }
            | Event::Resumed { .. }
            | Event::Waiting { .. }
            | Event::Deleted
            | Event::Done { .. } => {}
        }
    }
}
