//! Boots a service: arguments, settings, logging, signals, and then what it does.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches, Parser};
use tokio_util::sync::CancellationToken;

use crate::{Settings, Telemetry, environment, load, on_signal};

/// Threads for work that blocks: files, hashing, compression. A slot of a worker holds one while it
/// reads and needs another to write, so there are far more than the most slots.
const BLOCKING_THREADS: usize = 256;
/// How long work that blocks may take at the end.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Settings come from a file and from `SLUICE_*` variables; deploy/sluice.toml explains each.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The settings file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read the settings, say what is wrong with them, and start nothing
    #[arg(long)]
    check: bool,
}

/// What a process runs with.
pub struct Process {
    /// What it is told.
    pub settings: Settings,
    /// What it tells.
    pub telemetry: Telemetry,
    /// Cancelled when it is to stop.
    pub stop: CancellationToken,
}

/// Runs a service until a signal or an error ends it. `service` is the program's name.
pub fn boot<F, W>(service: &'static str, run: F) -> ExitCode
where
    F: FnOnce(Process) -> W,
    W: Future<Output = anyhow::Result<()>>,
{
    let named = Arguments::command().name(service).get_matches();
    let arguments = Arguments::from_arg_matches(&named).unwrap_or_else(|error| error.exit());
    match booted(service, &arguments, run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _nobody_listens = writeln!(std::io::stderr(), "sluice: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn booted<F, W>(service: &'static str, arguments: &Arguments, run: F) -> anyhow::Result<()>
where
    F: FnOnce(Process) -> W,
    W: Future<Output = anyhow::Result<()>>,
{
    let settings = load(arguments.config.as_deref(), &environment())?;
    if arguments.check {
        return Ok(());
    }
    let telemetry = Telemetry::start(&settings, service)?;
    let ended = block_on(async {
        let stop = CancellationToken::new();
        on_signal(&stop)?;
        let telemetry = telemetry.clone();
        run(Process {
            settings,
            telemetry,
            stop,
        })
        .await
    });
    telemetry.stop();
    ended
}

/// Runs to the end on the runtime that every process has. What still blocks a thread then, such as
/// the loading of a folder, is not waited for.
pub fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .context("starting threads")?;
    let ended = runtime.block_on(work);
    runtime.shutdown_timeout(LAST_WAIT);
    ended
}
