//! `sluice serve`: everything in one process, until a signal.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use sluice_runtime::{Settings, TenantSection};
use tokio_util::sync::CancellationToken;

use crate::embedded::{self, OnLoad};
use crate::terminal::{LoadBar, say};

#[derive(Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
}

/// Where the settings come from; shared by `serve` and `doctor`.
#[derive(Args)]
pub(crate) struct SettingsArgs {
    /// The settings file; deploy/sluice.toml explains every setting
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Serve this folder of FHIR R4 NDJSON files as the tenant `default`
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// With --data: skip broken lines and report them, instead of refusing the folder
    #[arg(long, requires = "data")]
    pub(crate) lenient: bool,
}

impl SettingsArgs {
    /// Reads the settings and lays the arguments over them.
    pub(crate) fn load(&self) -> anyhow::Result<Settings> {
        let variables = sluice_runtime::environment();
        let mut settings = sluice_runtime::load(self.config.as_deref(), &variables)?;
        if let Some(folder) = &self.data {
            if folder.to_string_lossy().contains('?') {
                bail!("--data: a folder with a question mark in its name cannot be served");
            }
            let lenient = if self.lenient { "?lenient=true" } else { "" };
            let source = format!("ndjson:{}{lenient}", folder.display());
            let name = "default".parse()?;
            match settings.tenants.get_mut(&name) {
                Some(tenant) => tenant.source = source,
                None => {
                    settings.tenants.insert(name, TenantSection::of(source));
                }
            }
        }
        Ok(settings)
    }
}

pub(crate) async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let settings = args.settings.load()?;
    sluice_runtime::start_logging(&settings.log)?;
    let stop = CancellationToken::new();
    sluice_runtime::on_signal(&stop)?;
    let bar = Arc::new(LoadBar::default());
    let on_load: OnLoad = {
        let bar = Arc::clone(&bar);
        Arc::new(move |tenant, progress| bar.show(tenant, progress))
    };
    let started = stop
        .run_until_cancelled(embedded::start(&settings, on_load, stop.clone()))
        .await;
    let Some(started) = started else {
        return Ok(());
    };
    let server = started?;
    bar.done();
    for tenant in settings.tenants.keys() {
        say(&format!("FHIR base: {}/{tenant}/fhir", server.public_url));
    }
    tracing::info!(address = %server.address, "serving");
    server.finished().await
}
