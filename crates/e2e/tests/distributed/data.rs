//! Sample data, exports of it by the client, and what must be in them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use sluice_client::{ExportError, ExportOptions, Level, Summary, export};
use sluice_local::SystemClock;
use sluice_local::ndjson::{NdjsonOptions, NdjsonSource};
use sluice_model::Scope;
use sluice_ports::Source;
use sluice_sample::{SampleOptions, write_folder};
use tokio_util::sync::CancellationToken;

use crate::site::Site;

/// Makes patients.
pub(crate) fn sample(patients: u32, seed: u64, folder: &Path) {
    write_folder(&SampleOptions { patients, seed }, folder, &mut |_| {}).unwrap();
}

/// The lines of an export, sorted, as the source gives them without any server.
pub(crate) async fn expected(folder: &Path, level: &Level) -> Vec<String> {
    let options = NdjsonOptions::new(folder);
    let opened = tokio::task::spawn_blocking(|| {
        NdjsonSource::open(options, Arc::new(SystemClock), |_| {}).unwrap()
    });
    let source = opened.await.unwrap();
    let level = match level {
        Level::System => sluice_fhir::Level::System,
        Level::Patient => sluice_fhir::Level::Patient,
        Level::Group(id) => sluice_fhir::Level::Group(id.clone()),
    };
    let scope = Scope {
        selection: sluice_model::Selection::default(),
        types: sluice_fhir::ResourceType::all().collect(),
        level,
        since: None,
        until: None,
        patients: None,
        snapshot: source.snapshot().await.unwrap(),
    };
    let plan = source.plan(&scope, 1 << 40, 10_000, None).await.unwrap();
    let mut lines = Vec::new();
    for chunk in plan.chunks {
        let blocks = source.read(&scope, &chunk.slice).await.unwrap();
        let bytes: Vec<_> = blocks
            .map(|block| block.map(|block| block.bytes))
            .try_collect()
            .await
            .unwrap();
        let text = String::from_utf8(bytes.concat()).unwrap();
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.sort_unstable();
    lines
}

/// The lines of every file in a folder of the client's, sorted.
pub(crate) fn lines(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry
            .path()
            .extension()
            .is_some_and(|ending| ending == "ndjson")
        {
            let text = fs::read_to_string(entry.path()).unwrap();
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    lines.sort_unstable();
    lines
}

/// Exports with every file verified; goes on where a gateway died.
pub(crate) async fn export_to(
    site: &Site,
    tenant: &str,
    level: &Level,
    out: &Path,
) -> Result<Summary, ExportError> {
    let base = site.base(tenant).parse().unwrap();
    let options = ExportOptions::new(base, level.clone(), out);
    export(&options, &(), CancellationToken::new()).await
}

/// Fails with something short: the difference between two long lists is no help.
pub(crate) fn assert_same(found: &[String], expected: &[String], what: &str) {
    let doubled = found.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!(
        (found.len(), doubled),
        (expected.len(), 0),
        "{what}: lines, and lines that are there twice"
    );
    assert!(found == expected, "{what}: the lines differ");
}

/// A client whose kick-off is lost with its gateway asks again; everything later it goes on with.
pub(crate) async fn exported(site: &Site, level: &Level, out: &Path) {
    let mut failures = Vec::new();
    for _ in 0..60 {
        match export_to(site, "one", level, out).await {
            Ok(_) => return,
            Err(error) => failures.push(error.to_string()),
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    panic!("an export does not end: {failures:?}");
}
