//! Asks a service whether it takes settings. All read the same, so that one is asked; and a program rather than the
//! library, so that xtask itself stays quick to build.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::run::target;

/// Why variables, over a file if there is one, are refused; `None` when they are not.
pub(crate) fn refused(
    variables: &[(String, String)],
    file: Option<&Path>,
) -> anyhow::Result<Option<String>> {
    let mut gateway = Command::new(target().join("debug/sluice-gateway"));
    gateway.arg("--check").env_clear();
    if let Some(file) = file {
        gateway.arg("--config").arg(file);
    }
    let checked = gateway.envs(variables.iter().cloned()).output();
    let checked = checked.context("starting sluice-gateway")?;
    let told = String::from_utf8_lossy(&checked.stderr);
    Ok((!checked.status.success()).then(|| told.trim_end().to_owned()))
}
