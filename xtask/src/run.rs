//! Runs other programs and passes on what they say.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The folder that cargo builds into.
pub(crate) fn target() -> PathBuf {
    let other = std::env::var_os("CARGO_TARGET_DIR");
    other.map_or_else(|| root().join("target"), PathBuf::from)
}

/// The release build of `sluice`.
pub(crate) fn sluice() -> String {
    let path = root().join("target/release/sluice");
    path.to_string_lossy().into_owned()
}

/// Removes a folder, if there is one.
pub(crate) fn remove(folder: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Runs cargo in the workspace.
pub(crate) fn cargo(words: &[&str]) -> anyhow::Result<()> {
    program("cargo", words)
}

/// Runs a program in the workspace and fails when it does.
pub(crate) fn program(name: &str, words: &[&str]) -> anyhow::Result<()> {
    say(&format!("$ {name} {}", words.join(" ")));
    let status = Command::new(name)
        .args(words)
        .current_dir(root())
        .status()
        .with_context(|| format!("starting {name}"))?;
    if !status.success() {
        bail!("{name} {} failed: {status}", words.join(" "));
    }
    Ok(())
}

/// Writes a line to standard error.
pub(crate) fn say(text: &str) {
    let _nobody_listens = writeln!(std::io::stderr(), "{text}");
}
