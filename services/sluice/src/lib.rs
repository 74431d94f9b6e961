//! All three services in one process, and the commands around them.

mod admin_port;
mod bars;
mod clients;
mod data_dir;
mod database;
mod demo;
mod dispatch;
mod doctor;
mod embedded;
mod export;
mod health;
mod jobs;
mod log_filter;
mod proof;
mod sample;
mod serve;
mod terminal;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// FHIR Bulk Data export.
#[derive(Parser)]
#[command(name = "sluice", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make sample data, serve it, export a group over HTTP, verify every file
    Demo(demo::DemoArgs),
    /// Serve the FHIR Bulk Data API, everything in one process
    Serve(serve::ServeArgs),
    /// Write made-up FHIR R4 patients as NDJSON files
    Sample(sample::SampleArgs),
    /// Export from any FHIR Bulk Data server, verify, and go on where it was interrupted
    Export(Box<export::ExportArgs>),
    /// Register who may export, and show, change and remove them
    Clients(Box<clients::ClientsArgs>),
    /// List the exports of a running server, show and cancel them
    Jobs(Box<jobs::JobsArgs>),
    /// Pause what a running server hands out to workers, and let it go on
    Dispatch(Box<dispatch::DispatchArgs>),
    /// Let a running worker take no more chunks, or take again
    Worker(worker::WorkerArgs),
    /// Change what a running process logs, for a while
    LogFilter(log_filter::LogFilterArgs),
    /// Ask whether the server that the settings name is ready
    Health(health::HealthArgs),
    /// Make the tables of a database, or bring them up to date
    Migrate(database::DatabaseArgs),
    /// Load resources into a database, and delete some
    Load(Box<database::LoadArgs>),
    /// Try everything that `serve` needs and say what is wrong
    Doctor(doctor::DoctorArgs),
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let ended = sluice_runtime::block_on(async { Ok(command(cli.command).await) });
    ended.unwrap_or_else(|error| failed(&error))
}

async fn command(command: Command) -> ExitCode {
    let done = match command {
        Command::Export(args) => return export::run(*args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Serve(args) => serve::run(args).await,
        Command::Sample(args) => sample::run(args).await,
        Command::Clients(args) => clients::run(*args).await,
        Command::Jobs(args) => jobs::run(*args).await,
        Command::Dispatch(args) => dispatch::run(*args).await,
        Command::Worker(args) => worker::run(args).await,
        Command::LogFilter(args) => log_filter::run(args).await,
        Command::Health(args) => health::run(args).await,
        Command::Migrate(args) => database::migrate(args).await,
        Command::Load(args) => database::load(*args).await,
        Command::Doctor(args) => doctor::run(args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    terminal::say(&format!("sluice: {error:#}"));
    ExitCode::FAILURE
}
