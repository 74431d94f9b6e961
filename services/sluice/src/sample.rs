//! `sluice sample`: writes made-up patients to a folder.

use std::path::PathBuf;

use clap::Args;
use sluice_sample::{SampleOptions, SampleSummary, write_folder};

use crate::terminal::{bytes, count, print};

#[derive(Args)]
pub(crate) struct SampleArgs {
    /// How many patients
    #[arg(long, default_value_t = 100)]
    pub(crate) patients: u32,
    /// The same seed gives the same data
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The folder to write; it must not hold NDJSON files yet
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

pub(crate) async fn run(args: SampleArgs) -> anyhow::Result<()> {
    let out = args.out.clone();
    let summary = tokio::task::spawn_blocking(move || write(&args)).await??;
    for (kind, number) in &summary.per_type {
        print(&format!("{:>12}  {kind}", count(*number)));
    }
    print(&format!(
        "{} resources, {} in {}",
        count(summary.resources),
        bytes(summary.bytes),
        out.display()
    ));
    Ok(())
}

/// Writes the folder and shows a bar of patients.
pub(crate) fn write(args: &SampleArgs) -> anyhow::Result<SampleSummary> {
    let options = SampleOptions {
        patients: args.patients,
        seed: args.seed,
    };
    let bar = crate::terminal::patient_bar(u64::from(args.patients));
    let summary = write_folder(&options, &args.out, &mut |progress| {
        bar.set_position(u64::from(progress.patients));
    })?;
    bar.finish_and_clear();
    Ok(summary)
}
