//! Walks through docs/runbooks: runs what each page says to run first, against the three services over a stack,
//! as somebody would who was just woken. Then asks a Prometheus that watched them what the dashboards ask.

mod prometheus;
mod site;

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::alerts::Page;
use crate::run::{cargo, root, say, target};
use crate::stack;
use site::Site;

/// Characters of a line that are shown.
const MOST_SHOWN: usize = 110;

/// Fails when a first command does, or prints nothing; each is run before that is told.
pub(crate) fn walk() -> anyhow::Result<()> {
    cargo(&["build", "--locked", "--workspace", "--bins"])?;
    stack::beside(with_site)
}

fn with_site() -> anyhow::Result<()> {
    let home = root().join("target/runbooks");
    let mut site = Site::start(&home)?;
    let watching = prometheus::start_beside(&site)?;
    site.register()?;
    site.export()?;
    let mut problems = Vec::new();
    for page in Page::all()? {
        match page.first().map(|first| run(first, &site)) {
            Some(Ok(line)) => say(&format!("{:26} {line}", page.name)),
            Some(Err(error)) => problems.push(format!("{}: {error:#}", page.name)),
            None => problems.push(format!("{}: nothing to run first", page.name)),
        }
    }
    if let Some(watching) = watching {
        problems.extend(watching.ask_all()?);
    }
    if !problems.is_empty() {
        bail!("not so:\n  {}", problems.join("\n  "));
    }
    Ok(())
}

/// Runs a page's block as its reader would paste it, and gives the first line of what it prints.
fn run(block: &str, site: &Site) -> anyhow::Result<String> {
    let programs = target().join("debug");
    let output = Command::new("sh")
        .args(["-euc", block])
        .envs(site.variables.iter().map(|(name, value)| (name, value)))
        .env("PATH", path_with(&programs)?)
        .current_dir(&site.home)
        .stdin(Stdio::null())
        .output()
        .context("starting sh")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let told = told.lines().next().unwrap_or_default();
        bail!("{block}\n    {}: {told}", output.status);
    }
    // That there is nothing of a kind is told beside what is printed.
    let mut lines = printed.lines().chain(told.lines());
    match lines.find(|line| !line.trim().is_empty()) {
        Some(line) => Ok(line.trim().chars().take(MOST_SHOWN).collect()),
        None => bail!("{block}\n    prints nothing"),
    }
}

/// Programs of this workspace come before those of the machine.
fn path_with(folder: &Path) -> anyhow::Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(all).context("putting a folder before the PATH")
}
