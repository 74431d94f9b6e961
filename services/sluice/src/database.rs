//! `sluice migrate` and `sluice load`: make and fill a database.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::bail;
use clap::Args;
use sluice_wiring::{Database, LoadInput, LoadReport};

use crate::terminal::{byte_bar, bytes, count, print, say};

#[derive(Args)]
pub(crate) struct DatabaseArgs {
    /// The database, as `postgres://USER@HOST[:PORT]/DATABASE[?sslmode=require]`
    #[arg(long, value_name = "URI")]
    into: String,
    /// The password of the user
    #[arg(long, env = "PGPASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Authorities that sign the server's certificate, as a PEM file
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Our own certificate, as a PEM file
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its key, as a PEM file
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

impl DatabaseArgs {
    fn database(self) -> Database {
        Database {
            address: self.into,
            password: self.password,
            authorities: self.ca_file,
            identity: self.certificate.zip(self.key),
        }
    }
}

#[derive(Args)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Files, folders, or - for standard input: NDJSON, or JSON Bundles; plain or gzipped
    #[arg(value_name = "DIR|FILE|-")]
    inputs: Vec<PathBuf>,
    /// A file of references to delete, one a line, such as Patient/123; may be repeated
    #[arg(long, value_name = "FILE")]
    delete: Vec<PathBuf>,
    /// Take each resource's meta.lastUpdated for the time at which it came, so that _since knows the past.
    /// Only into a database from which nothing was exported yet
    #[arg(long)]
    backdate: bool,
    /// Writers at once
    #[arg(long, default_value_t = 4, value_name = "NUMBER")]
    writers: usize,
}

pub(crate) async fn migrate(args: DatabaseArgs) -> anyhow::Result<()> {
    let applied = args.database().migrate().await?;
    for one in &applied {
        print(&format!("applied {} {}", one.number, one.name));
    }
    if applied.is_empty() {
        print("the schema is up to date");
    }
    Ok(())
}

pub(crate) async fn load(args: LoadArgs) -> anyhow::Result<()> {
    let mut inputs: Vec<LoadInput> = args
        .inputs
        .into_iter()
        .map(|path| {
            if path.as_os_str() == "-" {
                LoadInput::Stdin
            } else {
                LoadInput::Resources(path)
            }
        })
        .collect();
    inputs.extend(args.delete.into_iter().map(LoadInput::Deletions));
    if inputs.is_empty() {
        bail!("nothing to load: name files, folders or -, or references with --delete");
    }
    let (database, begun) = (args.database.database(), Instant::now());
    let bar = byte_bar(0, "loading");
    let shown = bar.clone();
    let listener = move |progress: sluice_wiring::LoadProgress| {
        shown.set_length(progress.total);
        shown.set_position(progress.done);
    };
    let width = (args.writers.max(1), args.backdate);
    let loaded = database.load(&inputs, width, listener).await;
    bar.finish_and_clear();
    let report = loaded?;
    tell(&report, begun.elapsed().as_secs_f64());
    if report.rejected() > 0 {
        bail!("{} were left out", count(report.rejected()));
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate for people has no use for more than 52 bits"
)]
fn tell(report: &LoadReport, seconds: f64) {
    let written = &report.written;
    for (number, what) in [
        (written.new, "new"),
        (written.replaced, "replaced"),
        (written.unchanged, "unchanged"),
        (written.outdated, "older than what is there"),
        (written.deleted, "deleted"),
        (written.absent, "to delete, but not there"),
    ] {
        if number > 0 {
            print(&format!("{:>12}  {what}", count(number)));
        }
    }
    let rate = written.bytes as f64 / 1e6 / seconds.max(0.001);
    print(&format!(
        "{} written in {seconds:.1} s, {rate:.1} MB/s",
        bytes(written.bytes)
    ));
    for left in &report.left {
        say(&format!(
            "{}:{}: left out: {}",
            left.file, left.line, left.why
        ));
    }
    for (why, number) in &report.reasons {
        say(&format!("{} left out: {why}", count(*number)));
    }
}
