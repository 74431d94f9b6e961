//! `sluice doctor`: tries everything that `serve` needs, and says plainly what is wrong.

use std::net::TcpListener;
use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use sluice_ports::{Blobs, Creation, Entropy};
use sluice_runtime::Settings;
use sluice_wiring::{Finding, Servers, SystemClock, SystemEntropy};

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
        Box::pin(examine(&mut report, &settings)).await;
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

impl Report {
    fn found(&mut self, found: Finding) {
        let Finding { what, refuse, text } = found;
        if refuse {
            self.note::<()>(what, Err(anyhow::anyhow!(text)), |()| String::new());
        } else {
            print(&format!("warn  {what}: {text}"));
        }
    }
}

async fn examine(report: &mut Report, settings: &Settings) {
    let data = DataDir::open_unless_held(&settings.data_dir);
    let place = settings.data_dir.display();
    let data = report.note("data directory", data, |data| match data {
        Some(_) => format!("{place} is ours"),
        None => format!("{place} is in use, by a sluice that runs"),
    });
    let Some(data) = data else {
        return;
    };
    if let Some(data) = &data {
        // Beside a service that runs, its address is taken and should be.
        if settings.ports.index.reveal() == "memory:" {
            let listen = settings.server.listen;
            let free = TcpListener::bind(listen).with_context(|| format!("listening on {listen}"));
            report.note("address", free, |_| format!("{listen} is free"));
        }
        let key = data.link_key(&SystemEntropy);
        report.note("link key", key, |_| "there".into());
    }
    Box::pin(examine_servers(report, settings, data.is_none())).await;
    if settings.tenants.is_empty() {
        let none: anyhow::Result<()> = Err(anyhow::anyhow!(
            "none is set; use --data DIR or [tenants.default]"
        ));
        report.note("tenants", none, |()| String::new());
    }
    for (tenant, section) in &settings.tenants {
        let indexes = settings.data_dir.join("indexes");
        let opened = sluice_wiring::source(section, &indexes, Arc::new(SystemClock), |_| {});
        let opened = opened.await;
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

/// The same that a service tries when it starts; `beside` one that has begun.
async fn examine_servers(report: &mut Report, settings: &Settings, beside: bool) {
    let (mut servers, objects) = (Servers::default(), settings.data_dir.join("objects"));
    let store = if beside {
        let entropy = &SystemEntropy;
        sluice_wiring::blobs_beside(settings, &objects, &mut servers, entropy).await
    } else {
        sluice_wiring::blobs(settings, &objects, &mut servers).await
    };
    let place = &settings.ports.blobs;
    if let Some(store) = report.note("objects", store, |_| place.clone()) {
        report.note(
            "create-only writes",
            probe_objects(store.as_ref()).await,
            |()| "a second create was refused".into(),
        );
    }
    let index = sluice_wiring::index(settings, Arc::new(SystemClock), &mut servers).await;
    report.note("index", index, |_| settings.ports.index.to_string());
    let entropy = Arc::new(SystemEntropy);
    let queue = sluice_wiring::queue(settings, 1, entropy, &mut servers).await;
    report.note("queue", queue, |_| settings.ports.queue.to_string());
    match servers.probe(&SystemClock).await {
        Ok(findings) => findings.into_iter().for_each(|found| report.found(found)),
        Err(error) => {
            report.note::<()>("servers", Err(error), |()| String::new());
        }
    }
}

/// The journal relies on create-only writes, so they are tried and not believed.
async fn probe_objects(store: &dyn Blobs) -> anyhow::Result<()> {
    let mut id = [0; 8];
    SystemEntropy.fill(&mut id)?;
    let key = format!("doctor/{:016x}", u64::from_le_bytes(id));
    let probed = probe(store, &key).await;
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
