//! SeaweedFS as the S3 server: it refuses a second create, also of a multipart upload.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use super::process::{free_ports, start as start_process, wait};

const BUCKET: &str = "sluice";
const ACCESS_KEY: &str = "stack-access-key";
const SECRET_KEY: &str = "stack-secret-key";

/// A server on its way.
pub(super) struct Store {
    port: u16,
}

/// Starts a server with one bucket. Without its settings file it would be open to all.
pub(super) fn start(weed: &Path, folder: &Path) -> anyhow::Result<Store> {
    super::fresh(folder)?;
    let identities = folder.join("identities.json");
    fs::write(
        &identities,
        format!(
            r#"{{"identities":[{{"name":"stack","credentials":[{{"accessKey":"{ACCESS_KEY}","secretKey":"{SECRET_KEY}"}}],"actions":["Admin","Read","List","Tagging","Write"]}}]}}"#
        ),
    )?;
    let data = folder.join("data");
    fs::create_dir_all(&data)?;
    let ports: [u16; 10] = free_ports()?;
    let mut command = Command::new(weed);
    command
        .arg("mini")
        .arg(format!("-dir={}", data.display()))
        .arg(format!("-s3.config={}", identities.display()))
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
    let names = ["s3", "master", "volume", "filer", "admin"];
    for (name, pair) in names.iter().zip(ports.chunks(2)) {
        command.arg(format!("-{name}.port={}", pair[0]));
        command.arg(format!("-{name}.port.grpc={}", pair[1]));
    }
    command.current_dir(folder);
    start_process("seaweedfs", folder, &mut command)?;
    Ok(Store { port: ports[0] })
}

impl Store {
    pub(super) fn wait(&self) -> anyhow::Result<()> {
        wait("seaweedfs", || is_healthy(self.port).unwrap_or(false))
    }

    pub(super) fn settings(&self) -> Vec<(String, String)> {
        let pairs = [
            ("SLUICE_PORTS__BLOBS", format!("s3://{BUCKET}")),
            (
                "SLUICE_S3__ENDPOINT",
                format!("http://127.0.0.1:{}", self.port),
            ),
            ("SLUICE_S3__REGION", "us-east-1".to_owned()),
            ("SLUICE_S3__PATH_STYLE", "true".to_owned()),
            ("SLUICE_S3__ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("SLUICE_S3__SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

fn is_healthy(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET /healthz HTTP/1.0\r\nHost: x\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let first = answer.lines().next().unwrap_or_default();
    Ok(first.contains(" 200"))
}
