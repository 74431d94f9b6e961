//! The S3 server of the stack, as rclone reaches it.

use std::process::Command;

use anyhow::Context;

use crate::stack;

/// rclone, told where the server is; what lies there is called `bench:BUCKET/KEY`.
pub(super) fn rclone(words: &[&str]) -> anyhow::Result<Command> {
    let settings = stack::settings()?;
    let find = |name: &str| stack::setting(&settings, name);
    let mut rclone = Command::new("rclone");
    rclone
        .args(["--config", "/dev/null"])
        .args(words)
        .env("RCLONE_CONFIG_BENCH_TYPE", "s3")
        .env("RCLONE_CONFIG_BENCH_PROVIDER", "Other")
        .env("RCLONE_CONFIG_BENCH_ENDPOINT", find("SLUICE_S3__ENDPOINT")?)
        .env(
            "RCLONE_CONFIG_BENCH_ACCESS_KEY_ID",
            find("SLUICE_S3__ACCESS_KEY_ID")?,
        )
        .env(
            "RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY",
            find("SLUICE_S3__SECRET_ACCESS_KEY")?,
        )
        .env("RCLONE_S3_NO_CHECK_BUCKET", "true")
        // A bundle that the machine sets for its own ends is one that it cannot load.
        .env_remove("AWS_CA_BUNDLE");
    Ok(rclone)
}

/// The bucket of the stack.
pub(super) fn bucket() -> anyhow::Result<String> {
    let uri = stack::setting(&stack::settings()?, "SLUICE_PORTS__BLOBS")?;
    Ok(uri.strip_prefix("s3://").context("no bucket")?.to_owned())
}
