//! `sluice demo`: sample data, a server, an export over HTTP, and proof that it is right.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use sluice_client::{ExportOptions, Level, Summary, Url};
use sluice_runtime::{AuthorizationSetting, Process, Settings, Telemetry, TenantSection};
use tokio_util::sync::CancellationToken;

use crate::bars::Bars;
use crate::embedded::{self, Embedded};
use crate::sample::{self, SampleArgs};
use crate::terminal::{count, print};
use crate::{export, proof};

/// Marks a folder as the demo's own, to be made anew each time.
const MARK: &str = ".sluice-demo";
const GROUP: &str = "diabetes-registry";

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// How many patients
    #[arg(long, default_value_t = 100)]
    patients: u32,
    /// The same seed gives the same data
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The folder for everything; an earlier demo in it is replaced
    #[arg(long, default_value = "sluice-demo", value_name = "DIR")]
    dir: PathBuf,
}

pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    make_room(&args.dir)?;
    let (data, out) = (args.dir.join("data"), args.dir.join("export"));
    let sample = SampleArgs {
        patients: args.patients,
        seed: args.seed,
        out: data.clone(),
    };
    let made = tokio::task::spawn_blocking(move || sample::write(&sample)).await??;
    print(&format!(
        "1. made {} patients, {} resources, in {}",
        args.patients,
        count(made.resources),
        data.display()
    ));

    let stop = CancellationToken::new();
    sluice_runtime::on_signal(&stop)?;
    let server = start(&args.dir, &data, &stop).await?;
    let base = format!("{}/default/fhir", server.public_url);
    print(&format!("2. serving them at {base}"));
    print(
        "   WARNING: without authorization, on loopback only: whoever reaches it gets everything",
    );

    print(&format!("3. exporting Group/{GROUP} over HTTP"));
    let exported = export_group(&base, &out, stop.clone()).await;
    stop.cancel();
    server.finished().await?;
    let summary = exported?;
    for (kind, number) in &summary.per_type {
        print(&format!("   {:>9}  {kind}", count(*number)));
    }
    print(&format!(
        "4. {}",
        export::describe(&summary, &out.display().to_string())
    ));
    let members = proof::members_and_nobody_else(&data, &out, GROUP, &summary.transaction_time)?;
    print(&format!(
        "   the group's {members} current members are there, and nobody else"
    ));
    print(&where_things_lie(&args.dir, &summary));
    Ok(())
}

/// Removes an earlier demo; never anything else.
fn make_room(dir: &Path) -> anyhow::Result<()> {
    let failed = || format!("preparing {}", dir.display());
    if dir.join(MARK).exists() {
        for part in ["data", "server", "export"] {
            match std::fs::remove_dir_all(dir.join(part)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(failed);
                }
                _ => {}
            }
        }
    } else if dir.exists()
        && std::fs::read_dir(dir)
            .with_context(failed)?
            .next()
            .is_some()
    {
        bail!(
            "{} holds something else; name another folder with --dir",
            dir.display()
        );
    }
    std::fs::create_dir_all(dir).with_context(failed)?;
    std::fs::write(dir.join(MARK), "made by sluice demo\n").with_context(failed)
}

/// On any free port, quiet, and with chunks so small that there are several.
async fn start(dir: &Path, data: &Path, stop: &CancellationToken) -> anyhow::Result<Embedded> {
    let mut settings = Settings {
        data_dir: dir.join("server"),
        ..Settings::default()
    };
    settings.server.listen.set_port(0);
    settings.server.authorization = AuthorizationSetting::Off;
    "warn".clone_into(&mut settings.log.filter);
    let tenant = TenantSection {
        chunk_mib: std::num::NonZeroU64::MIN,
        ..TenantSection::of(format!("ndjson:{}", data.display()))
    };
    settings.tenants.insert("default".parse()?, tenant);
    let telemetry = Telemetry::start(&settings, "sluice")?;
    let process = Process {
        settings,
        telemetry,
        stop: stop.clone(),
    };
    embedded::start(&process, Arc::new(|_, _| {})).await
}

async fn export_group(base: &str, out: &Path, stop: CancellationToken) -> anyhow::Result<Summary> {
    let server: Url = base.parse()?;
    let options = ExportOptions::new(server, Level::Group(GROUP.to_owned()), out);
    let bars = Bars::default();
    let exported = sluice_client::export(&options, &bars, stop).await;
    bars.clear();
    Ok(exported?)
}

fn where_things_lie(dir: &Path, summary: &Summary) -> String {
    let dir = dir.display();
    let job = summary.status_url.rsplit('/').next().unwrap_or_default();
    format!(
        "
what lies where
  {dir}/data                                 the sample data, one file a type
  {dir}/server/objects/default/{job}
    job.json, plan/, receipt/, manifest.json   the journal of the export
    data/                                      its files, as the server keeps them
  {dir}/export                               the files as downloaded

to do it by hand, serve the data in one terminal

  cargo run --release -- serve --data {dir}/data --no-authorization

and in another

  BASE=http://127.0.0.1:8080/default/fhir
  curl -s $BASE/Group?_count=10
  curl -si \"$BASE/Group/{GROUP}/\\$export?_type=Patient,Condition\" -H 'Prefer: respond-async' | tee start
  STATUS=$(sed -n 's/^content-location: //Ip' start | tr -d '\\r')
  curl -si $STATUS                             # 202 with X-Progress, then 200 with the manifest
  curl -s $STATUS | sed 's/.*\"url\":\"\\([^\"]*\\)\".*/\\1/' | xargs curl -s | head -c 600
  curl -si -X DELETE $STATUS"
    )
}
