//! SeaweedFS as the S3 server: it refuses a second create, also of a multipart upload.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::ports::{connect, free_ports};
use crate::server::Server;

const BUCKET: &str = "sluice";
const ACCESS_KEY: &str = "stack-access-key";
const SECRET_KEY: &str = "stack-secret-key";

/// Its parts; each has a port, and one for gRPC.
const PARTS: [&str; 5] = ["s3", "master", "volume", "filer", "admin"];

/// What there must be to start one.
#[derive(Clone, Debug)]
pub struct SeaweedFsOptions {
    /// Its program.
    pub weed: PathBuf,
}

/// A server with one bucket.
pub struct SeaweedFs {
    folder: PathBuf,
    weed: PathBuf,
    ports: [u16; 2 * PARTS.len()],
}

impl Server for SeaweedFs {
    type Options = SeaweedFsOptions;

    const NAME: &'static str = "seaweedfs";

    /// Without its settings file it would be open to all.
    fn prepare(folder: &Path, options: &SeaweedFsOptions) -> anyhow::Result<Self> {
        fs::create_dir_all(folder.join("data")).context("making a folder for seaweedfs")?;
        let identities = format!(
            r#"{{"identities":[{{"name":"stack","credentials":[{{"accessKey":"{ACCESS_KEY}","secretKey":"{SECRET_KEY}"}}],"actions":["Admin","Read","List","Tagging","Write"]}}]}}"#
        );
        fs::write(folder.join("identities.json"), identities)?;
        Ok(Self {
            folder: folder.to_owned(),
            weed: options.weed.clone(),
            ports: free_ports()?,
        })
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn command(&self) -> Command {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let mut command = Command::new(&self.weed);
        command
            .arg("mini")
            .arg(format!("-dir={}", path("data")))
            .arg(format!("-s3.config={}", path("identities.json")))
            .arg(format!("-bucket={BUCKET}"))
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1"])
            .args([
                "-master.telemetry=false",
                "-admin.ui=false",
                "-webdav=false",
            ])
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
            // Small volumes: each is a file that is made at once.
            .arg("-master.volumeSizeLimitMB=256");
        for (name, pair) in PARTS.iter().zip(self.ports.chunks(2)) {
            command.arg(format!("-{name}.port={}", pair[0]));
            command.arg(format!("-{name}.port.grpc={}", pair[1]));
        }
        command
    }

    fn answers(&self) -> bool {
        is_healthy(self.ports[0]).unwrap_or(false)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    fn settings(&self) -> Vec<(String, String)> {
        let pairs = [
            ("SLUICE_PORTS__BLOBS", format!("s3://{BUCKET}")),
            ("SLUICE_S3__ENDPOINT", self.url()),
            ("SLUICE_S3__REGION", "us-east-1".to_owned()),
            ("SLUICE_S3__PATH_STYLE", "true".to_owned()),
            ("SLUICE_S3__ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("SLUICE_S3__SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

fn is_healthy(port: u16) -> std::io::Result<bool> {
    let mut stream = connect(port)?;
    stream.write_all(b"GET /healthz HTTP/1.0\r\nHost: x\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let first = answer.lines().next().unwrap_or_default();
    Ok(first.contains(" 200"))
}
