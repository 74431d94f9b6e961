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
    let mut command = Command::new("cargo");
    // What `cargo run` said to this program about its own package. Build scripts look at it (that of ring), so with it
    // the next cargo that is started by hand would build most of the dependencies again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    run("cargo", command, words)
}

/// Runs a program in the workspace and fails when it does.
pub(crate) fn program(name: &str, words: &[&str]) -> anyhow::Result<()> {
    run(name, Command::new(name), words)
}

fn run(name: &str, mut command: Command, words: &[&str]) -> anyhow::Result<()> {
    say(&format!("$ {name} {}", words.join(" ")));
    let status = command
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
