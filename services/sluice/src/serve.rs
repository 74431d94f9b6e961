//! `sluice serve`: everything in one process, until a signal.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use sluice_runtime::{Process, Settings, Telemetry};
use sluice_wiring::OnLoad;
use tokio_util::sync::CancellationToken;

use crate::embedded;
use crate::terminal::{LoadBar, say};

/// The settings that arguments stand for.
const DEFAULT_SOURCE: &str = "SLUICE_TENANTS__DEFAULT__SOURCE";
const AUTHORIZATION: &str = "SLUICE_SERVER__AUTHORIZATION";

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
    /// With --data: when a resource without meta.lastUpdated counts as changed
    #[arg(long, requires = "data", value_name = "HOW", default_value = "include")]
    pub(crate) undated: UndatedArg,
    /// Ask nobody who they are: whoever reaches the server gets everything. On loopback only, for trying
    #[arg(long)]
    pub(crate) no_authorization: bool,
}

/// What stands in for a missing `meta.lastUpdated`.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum UndatedArg {
    /// It is not known, so it is exported whatever _since says
    Include,
    /// When its file was last written
    FileTime,
}

impl SettingsArgs {
    /// Reads the settings and lays the arguments over them.
    pub(crate) fn load(&self) -> anyhow::Result<Settings> {
        let mut variables = sluice_runtime::environment();
        if let Some(folder) = &self.data {
            // Laid over the rest as a variable would be, before the whole is looked at.
            variables.push((DEFAULT_SOURCE.to_owned(), self.source(folder)?));
        }
        if self.no_authorization {
            variables.push((AUTHORIZATION.to_owned(), "off".to_owned()));
        }
        Ok(sluice_runtime::load(self.config.as_deref(), &variables)?)
    }

    fn source(&self, folder: &Path) -> anyhow::Result<String> {
        if folder.to_string_lossy().contains('?') {
            bail!("--data: a folder with a question mark in its name cannot be served");
        }
        let undated = match self.undated {
            UndatedArg::Include => "include",
            UndatedArg::FileTime => "file-time",
        };
        Ok(format!(
            "ndjson:{}?lenient={}&undated={undated}",
            folder.display(),
            self.lenient
        ))
    }
}

pub(crate) async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let settings = args.settings.load()?;
    let telemetry = Telemetry::start(&settings, "sluice")?;
    let stop = CancellationToken::new();
    sluice_runtime::on_signal(&stop)?;
    let process = Process {
        settings,
        telemetry,
        stop,
    };
    let served = serve(&process).await;
    // It may block for a moment.
    tokio::task::spawn_blocking(move || process.telemetry.stop()).await?;
    served
}

async fn serve(process: &Process) -> anyhow::Result<()> {
    let bar = Arc::new(LoadBar::default());
    let on_load: OnLoad = {
        let bar = Arc::clone(&bar);
        Arc::new(move |tenant, progress| bar.show(tenant, progress))
    };
    let starting = embedded::start(process, on_load);
    let started = process.stop.run_until_cancelled(starting).await;
    let Some(started) = started else {
        return Ok(());
    };
    let server = started?;
    bar.done();
    for tenant in process.settings.tenants.keys() {
        say(&format!("FHIR base: {}/{tenant}/fhir", server.public_url));
    }
    tracing::info!(address = %server.address, "serving");
    server.finished().await
}
