//! `sluice doctor`: tries everything that `serve` needs, and says plainly what is wrong.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use sluice_ports::{Blobs, Creation, Entropy};
use sluice_runtime::Settings;
use sluice_wiring::{SystemClock, SystemEntropy};

use crate::data_dir::DataDir;
use crate::serve::SettingsArgs;
use crate::terminal::{count, print};

#[derive(Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Fails when anything is wrong; later checks that need earlier ones are then left out.
pub(crate) async fn run(args: DoctorArgs) -> anyhow::Result<()> {
    let mut report = Report::default();
    if let Some(settings) = report.note("settings", args.settings.load(), |_| "read".into()) {
        examine(&mut report, &settings).await;
    }
    if report.problems == 0 {
        print("everything is ready for `sluice serve`");
        return Ok(());
    }
    bail!("{} of {} checks failed", report.problems, report.checks)
}

#[derive(Default)]
struct Report {
    checks: u32,
    problems: u32,
}

impl Report {
    fn note<T>(
        &mut self,
        what: &str,
        found: anyhow::Result<T>,
        said: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        self.checks += 1;
        match found {
            Ok(found) => {
                print(&format!("ok    {what}: {}", said(&found)));
                Some(found)
            }
            Err(error) => {
                self.problems += 1;
                print(&format!("WRONG {what}: {error:#}"));
                None
            }
        }
    }
}

async fn examine(report: &mut Report, settings: &Settings) {
    let listen = settings.server.listen;
    let free = TcpListener::bind(listen).with_context(|| format!("listening on {listen}"));
    report.note("address", free, |_| format!("{listen} is free"));
    let data = DataDir::open(&settings.data_dir);
    let place = settings.data_dir.display().to_string();
    let Some(data) = report.note("data directory", data, |_| format!("{place} is ours")) else {
        return;
    };
    let key = data.link_key(&SystemEntropy);
    report.note("link key", key, |_| "there".into());
    let objects = probe_objects(settings, &data.objects()).await;
    report.note("objects", objects, |()| {
        "written, read, deleted, and a second create was refused".into()
    });
    let index = sluice_wiring::index(&settings.ports.index, Arc::new(SystemClock));
    report.note("index", index, |_| settings.ports.index.clone());
    let queue = sluice_wiring::queue(&settings.ports.queue);
    report.note("queue", queue, |_| settings.ports.queue.clone());
    if settings.tenants.is_empty() {
        let none: anyhow::Result<()> = Err(anyhow::anyhow!(
            "none is set; use --data DIR or [tenants.default]"
        ));
        report.note("tenants", none, |()| String::new());
    }
    for (tenant, section) in &settings.tenants {
        let (uri, indexes) = (section.source.clone(), data.indexes());
        let opened = tokio::task::spawn_blocking(move || {
            sluice_wiring::source(&uri, &indexes, Arc::new(SystemClock), |_| {})
        });
        let opened = opened.await.map_err(anyhow::Error::from).flatten();
        report.note(&format!("source of {tenant}"), opened, |open| {
            let catalog = &open.catalog;
            let ignored = match catalog.ignored.as_slice() {
                [] => String::new(),
                names => format!(", not read as they hold no resources: {}", names.join(", ")),
            };
            format!(
                "{} resources in {} files, {} lines skipped{ignored}",
                count(catalog.resources),
                catalog.files,
                catalog.skipped
            )
        });
    }
}

/// The journal relies on create-only writes, so they are tried and not believed.
async fn probe_objects(settings: &Settings, objects: &Path) -> anyhow::Result<()> {
    let store = sluice_wiring::blobs(&settings.ports.blobs, objects)?;
    let mut id = [0; 8];
    SystemEntropy.fill(&mut id)?;
    let key = format!("doctor/{:016x}", u64::from_le_bytes(id));
    let probed = probe(store.as_ref(), &key).await;
    store.delete(&[key]).await?;
    probed
}

async fn probe(store: &dyn Blobs, key: &str) -> anyhow::Result<()> {
    let body = Bytes::from_static(b"probe");
    if store.create(key, body.clone()).await? != Creation::Created {
        bail!("a new object is said to exist");
    }
    if store.create(key, Bytes::from_static(b"other")).await? != Creation::Exists {
        bail!("a second create was not refused; this store cannot hold a journal");
    }
    if store.get(key).await? != Some(body) {
        bail!("what was written is not what is read");
    }
    Ok(())
}
