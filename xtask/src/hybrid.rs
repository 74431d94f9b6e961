//! Builds the services of another revision, and runs them beside those of this one: an upgrade and the way back.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::run::{program, root, say};

/// The services; `sluice` itself is never beside another version of it.
const PROGRAMS: [&str; 3] = ["sluice-gateway", "sluice-coordinator", "sluice-worker"];

/// Builds below `target/hybrid`, which takes as long as a first build does; a revision built before is quick. Gives
/// what is left to do to `test`, which brings the servers.
pub(crate) fn run(
    revision: &str,
    test: impl FnOnce(&[&str]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let home = root().join("target/hybrid");
    let (source, built) = (home.join("source"), home.join("build"));
    let shown = |path: &Path| path.display().to_string();
    if source.exists() {
        program(
            "git",
            &["-C", &shown(&source), "fetch", "--quiet", "origin"],
        )?;
    } else {
        let here = shown(&root());
        program(
            "git",
            &["clone", "--quiet", "--no-checkout", &here, &shown(&source)],
        )?;
    }
    let checkout = ["checkout", "--quiet", "--detach", revision];
    program("git", &[&["-C", &shown(&source)][..], &checkout].concat())?;
    say(&format!("hybrid: building {revision}"));
    let status = Command::new("cargo")
        .args(["build", "--locked", "--workspace", "--bins"])
        .current_dir(&source)
        .env("CARGO_TARGET_DIR", &built)
        .status()
        .context("starting cargo")?;
    if !status.success() {
        bail!("{revision} does not build");
    }
    let programs = home.join("programs");
    fs::create_dir_all(&programs).context("making a folder for programs")?;
    for name in PROGRAMS {
        let from = built.join("debug").join(name);
        fs::copy(&from, programs.join(name)).with_context(|| shown(&from))?;
    }
    test(&[
        "--workspace",
        "--bins",
        "--test",
        "distributed",
        "hybrid",
        "--",
        "--ignored",
        "--nocapture",
    ])
}
