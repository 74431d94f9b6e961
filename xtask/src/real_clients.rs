//! Two clients that others wrote, `smart-fetch` and `cumulus-etl` from PyPI, run unchanged against
//! `sluice serve` with authorization on. `xtask/real-clients/run.sh` installs and checks them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::run::{program, remove, root, say, sluice};
use crate::serving::Serving;

/// What the client is let at: less than smart-fetch asks for, which is 21 types.
const SCOPES: &str = "system/Patient.rs system/Condition.rs system/Observation.rs";
const GROUP: &str = "diabetes-registry";

/// Installs the clients (1.3 GB below `target/tools`, kept for the next run), serves made-up patients,
/// registers a client with a key made for it, and exports with each.
pub(crate) fn run() -> anyhow::Result<()> {
    crate::run::cargo(&["build", "--release", "--locked", "--package", "sluice"])?;
    let home = root().join("target/real-clients");
    remove(&home)?;
    fs::create_dir_all(&home).context("making a folder for the clients")?;
    let data = home.join("data");
    checked(
        Command::new(sluice())
            .args(["sample", "--patients", "60", "--out"])
            .arg(&data),
    )?;
    let serving = Serving::start(&sluice(), (&data, &home.join("server"), "on"), &[])?;
    let key = home.join("client.jwk");
    checked(
        Command::new(sluice())
            .args([
                "clients",
                "add",
                "--id",
                "real-clients",
                "--scope",
                SCOPES,
                "--generate",
            ])
            .arg("--key-out")
            .arg(&key)
            .arg("--data-dir")
            .arg(home.join("server")),
    )?;
    with_both(&serving.base, &key, &home)
}

fn with_both(base: &str, key: &Path, home: &Path) -> anyhow::Result<()> {
    let text = |path: &Path| path.display().to_string();
    let variables = [
        format!("BASE={base}"),
        "CLIENT_ID=real-clients".to_owned(),
        format!("KEY={}", text(key)),
        format!("GROUP={GROUP}"),
        format!("OUT={}", text(&home.join("out"))),
        format!("VENV={}", text(&root().join("target/tools/real-clients"))),
        "xtask/real-clients/run.sh".to_owned(),
    ];
    let mut words: Vec<&str> = variables.iter().map(String::as_str).collect();
    words.insert(words.len() - 1, "bash");
    program("env", &words)
}

fn checked(command: &mut Command) -> anyhow::Result<()> {
    say(&format!("$ {command:?}"));
    let status = command.status().context("starting sluice")?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}
