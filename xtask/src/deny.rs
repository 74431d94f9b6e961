//! cargo-deny: licences, sources, bans, and advisories when their database can be reached.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::run::{program, root, say};
use crate::tools;

const VERSION: &str = "0.20.2";

/// Checks what can be checked. Without a network the tool cannot be installed nor the advisories
/// fetched; that is said and is no failure.
pub(crate) fn check() -> anyhow::Result<()> {
    let Some(tool) = tool() else {
        say("deny: left out, because cargo-deny is not installed and cannot be fetched");
        return Ok(());
    };
    let tool = tool.to_string_lossy().into_owned();
    program(
        &tool,
        &["--offline", "check", "bans", "licenses", "sources"],
    )?;
    if fetch_advisories(&tool) {
        program(&tool, &["--offline", "check", "advisories"])
    } else {
        say("deny: advisories left out, because their database cannot be fetched");
        Ok(())
    }
}

fn fetch_advisories(tool: &str) -> bool {
    succeeds(Command::new(tool).args(["fetch", "db"]))
}

fn tool() -> Option<PathBuf> {
    let installed = PathBuf::from("cargo-deny");
    if succeeds(Command::new(&installed).arg("--version")) {
        return Some(installed);
    }
    tools::rust("deny", "cargo-deny", VERSION)
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet
        .current_dir(root())
        .status()
        .is_ok_and(|status| status.success())
}
