//! A folder for a test, and exports of it that check what holds for every export.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use sluice_fhir::Instant;
use sluice_local::ndjson::{LoadError, LoadProgress, NdjsonOptions, NdjsonSource};
use sluice_model::Scope;
use sluice_ports::Clock;
use sluice_testkit::exported::{self, Promise};
pub(crate) use sluice_testkit::exported::{blocks, group, lines, plan, resource, scope, types};
use tempfile::TempDir;

/// T of every test.
pub(crate) const T: &str = "2026-05-17T12:00:00.000Z";

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Instant {
        T.parse().unwrap()
    }
}

/// A folder.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With these lines in one file.
    pub(crate) fn of(lines: &[&str]) -> Self {
        let folder = Self::new();
        folder.write("data.ndjson", lines.join("\n") + "\n");
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn options(&self) -> NdjsonOptions {
        NdjsonOptions::new(self.path())
    }

    pub(crate) fn lenient(&self) -> NdjsonOptions {
        NdjsonOptions {
            lenient: true,
            ..self.options()
        }
    }

    pub(crate) fn source(&self) -> NdjsonSource {
        open(self.options()).unwrap()
    }
}

pub(crate) fn open(options: NdjsonOptions) -> Result<NdjsonSource, LoadError> {
    NdjsonSource::open(options, Arc::new(Fixed), |_| {})
}

/// Opens and tells whether an earlier index was used.
pub(crate) fn reopen(options: NdjsonOptions) -> (NdjsonSource, LoadProgress) {
    let last = std::sync::Mutex::new(LoadProgress::default());
    let source = NdjsonSource::open(options, Arc::new(Fixed), |progress| {
        *last.lock().unwrap() = progress;
    });
    let progress = *last.lock().unwrap();
    (source.unwrap(), progress)
}

/// Exports a scope twice and returns its lines, sorted.
pub(crate) async fn export(source: &NdjsonSource, scope: &Scope, target: u64) -> Vec<String> {
    exported::export(source, scope, target, Promise::Exact).await
}

/// `Type/id` of all that an export holds, sorted.
pub(crate) async fn ids(source: &NdjsonSource, scope: &Scope) -> Vec<String> {
    exported::ids(source, scope, Promise::Exact).await
}
