//! promtool, out of Debian's package `prometheus`: downloaded and unpacked below `target/tools`, not installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::run::{root, say};

const PACKAGE: &str = "prometheus";

/// A program of the package, `promtool` or `prometheus`, if it is installed or can be fetched.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let installed = PathBuf::from(name);
    if quietly(Command::new(&installed).arg("--version")) {
        return Some(installed);
    }
    let folder = root().join("target/tools/prometheus");
    let ours = folder.join("usr/bin").join(name);
    if !ours.exists() {
        say(&format!(
            "alerts: unpacking Debian's {PACKAGE} into target/tools"
        ));
        let _seen_below = unpack(&folder);
    }
    ours.exists().then_some(ours)
}

fn unpack(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let mut download = Command::new("apt-get");
    download.args(["-qq", "download", PACKAGE]);
    if !quietly(download.current_dir(folder)) {
        // Lists of packages that are old, or not there.
        quietly(Command::new("apt-get").args(["-qq", "update"]));
        if !quietly(download.current_dir(folder)) {
            bail!("apt-get cannot download {PACKAGE}");
        }
    }
    let package = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|kind| kind == "deb"));
    let package = package.context("apt-get downloaded nothing")?;
    if !quietly(Command::new("dpkg-deb").arg("-x").arg(&package).arg(folder)) {
        bail!("{} cannot be unpacked", package.display());
    }
    std::fs::remove_file(package).context("removing the package")
}

fn quietly(command: &mut Command) -> bool {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Runs promtool in a folder of the workspace; fails with what it says when it does.
pub(super) fn run(tool: &Path, folder: &str, words: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(tool)
        .args(words)
        .current_dir(root().join(folder))
        .output()
        .context("starting promtool")?;
    if output.status.success() {
        return Ok(());
    }
    bail!(
        "promtool {}:\n{}{}",
        words.join(" "),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
