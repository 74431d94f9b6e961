//! `sluice health`: asks the admin port that the settings name whether its process is ready. For images without a
//! shell.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::header::HeaderMap;

use crate::admin_port::{http, listening};
use crate::terminal::print;

/// Longer than the process takes to ask a server that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct HealthArgs {
    /// The settings file of the server
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Prints what `/readyz` says; fails unless that is that it is ready.
pub(crate) async fn run(args: HealthArgs) -> anyhow::Result<()> {
    let settings = sluice_runtime::load(args.config.as_deref(), &sluice_runtime::environment())?;
    let mut url = listening(&settings)?;
    url.set_path("/readyz");
    let asked = http(HeaderMap::new(), PATIENCE)?.get(url.clone()).send();
    let answer = asked.await.with_context(|| format!("asking {url}"))?;
    let is_ready = answer.status().is_success();
    print(
        answer
            .text()
            .await
            .context("reading the answer")?
            .trim_end(),
    );
    if !is_ready {
        bail!("not ready");
    }
    Ok(())
}
