//! What is asked: a gateway with authorization, a client that is registered with it, an export that is complete and one
//! that never will be. Nothing but the gateway and the servers that it needs runs while it is measured.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::super::fleet::{Fleet, Plan};
use super::super::{data, home, store};
use crate::process::{Running, accepted, curl, wait};
use crate::run::{program, remove, root};
use crate::stack;

const CLIENT: &str = "bench";
const TENANT: &str = "default";
/// For as long as a benchmark takes, on loopback.
const SECRET: &str = "a secret of benchmarks, with thirty-two bytes and more";
const PATIENTS: u32 = 20;
/// Events of the audit that may wait: more than a turn has. The coordinator, which would deliver them, does not run.
const MOST_WAITING: &str = "200000";
/// Moments of 50 ms in which the export must be complete.
const MOMENTS: u32 = 1200;

/// All of it.
pub(super) struct Site {
    pub(super) fleet: Fleet,
    /// The handler that does nothing.
    pub(super) empty: Running,
    pub(super) empty_url: String,
    /// Where Redis is.
    pub(super) redis: String,
    /// An export that no worker takes up, and one that is complete.
    pub(super) running: String,
    pub(super) complete: String,
    keys: PathBuf,
}

/// How the client signs.
#[derive(Clone, Copy)]
pub(super) enum Key {
    Es384,
    Rs384,
}

impl Key {
    const fn file(self) -> &'static str {
        match self {
            Self::Es384 => "es384.pem",
            Self::Rs384 => "rs384.pem",
        }
    }

    /// What openssl makes it by.
    const fn words(self) -> [&'static str; 4] {
        match self {
            Self::Es384 => ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
            Self::Rs384 => ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        }
    }
}

impl Site {
    /// Starts it.
    pub(super) fn start() -> anyhow::Result<Self> {
        let sample = data::patients(PATIENTS)?;
        let keys = keys()?;
        let own = |name: &'static str, value: &str| (name, value.to_owned());
        let fleet = Fleet::start(&Plan {
            tenants: &[(TENANT, format!("ndjson:{}", sample.folder.display()))],
            workers: 1,
            more: &[
                own("SLUICE_SERVER__AUTHORIZATION", "on"),
                own("SLUICE_AUTH__SECRET", SECRET),
                own("SLUICE_AUDIT__MOST_WAITING", MOST_WAITING),
            ],
        })?;
        fleet.sluice(&[
            "clients",
            "add",
            "--id",
            CLIENT,
            "--jwks",
            &keys.join("jwks.json").to_string_lossy(),
        ])?;
        let [port] = sluice_stack::free_ports::<1>()?;
        let empty_url = format!("http://127.0.0.1:{port}/");
        let mut empty = Command::new(root().join("target/release/empty"));
        let empty = empty.arg(format!("127.0.0.1:{port}")).stdin(Stdio::null());
        let empty = Running(empty.spawn().context("starting the empty handler")?);
        wait(&empty_url)?;
        let redis = stack::setting(&stack::settings()?, "SLUICE_PORTS__INDEX")?;
        let mut site = Self {
            fleet,
            empty,
            empty_url,
            redis,
            running: String::new(),
            complete: String::new(),
            keys,
        };
        let bearer = site.bearer()?;
        site.complete = site.kick_off(&bearer)?;
        site.until_complete(&bearer)?;
        site.fleet.workers.clear();
        site.running = site.kick_off(&bearer)?;
        site.fleet.coordinator.0.kill()?;
        Ok(site)
    }

    /// Where exports are asked for.
    pub(super) fn export_url(&self) -> String {
        format!("{}/$export", self.fleet.base(TENANT))
    }

    pub(super) fn token_url(&self) -> String {
        format!("{}/{TENANT}/oauth2/token", self.fleet.origin)
    }

    /// A file of so many assertions, signed now.
    pub(super) fn assertions(&self, key: Key, count: u32) -> anyhow::Result<PathBuf> {
        let file = self.keys.join("assertions");
        let mut signer = Command::new(root().join("target/release/assertions"));
        let signer = signer.arg("sign").arg(self.keys.join(key.file()));
        signer.args([CLIENT, &self.token_url(), &count.to_string()]);
        checked(signer.stdout(File::create(&file)?))?;
        Ok(file)
    }

    /// A header with an access token, good for five minutes.
    pub(super) fn bearer(&self) -> anyhow::Result<String> {
        let assertion = fs::read_to_string(self.assertions(Key::Es384, 1)?)?;
        let form = |name: &str, value: &str| format!("{name}={value}");
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let answer = curl(&[
            "-sS",
            "--data-urlencode",
            "grant_type=client_credentials",
            "--data-urlencode",
            "scope=system/*.rs",
            "--data-urlencode",
            &form("client_assertion_type", kind),
            "--data-urlencode",
            &form("client_assertion", assertion.trim()),
            &self.token_url(),
        ])?;
        let read: serde_json::Value = serde_json::from_str(&answer)?;
        let token = read["access_token"].as_str();
        let token = token.with_context(|| format!("no token: {answer}"))?;
        Ok(format!("Authorization: Bearer {token}"))
    }

    /// Empties the outbox of the audit, as the coordinator would.
    pub(super) fn empty_outbox(&self) -> anyhow::Result<()> {
        let outbox = format!(
            "bench:{}/{}/_audit/outbox",
            store::bucket()?,
            self.fleet.corner
        );
        checked(&mut store::rclone(&[
            "delete",
            "--checkers",
            "32",
            "--transfers",
            "32",
            &outbox,
        ])?)
    }

    fn kick_off(&self, bearer: &str) -> anyhow::Result<String> {
        let head = curl(&["-sS", "-D", "-", "-H", bearer, &self.export_url()])?;
        accepted(&head)
    }

    fn until_complete(&self, bearer: &str) -> anyhow::Result<()> {
        for _ in 0..MOMENTS {
            match polled(&self.complete, bearer)?.as_str() {
                "200" => return Ok(()),
                "202" => std::thread::sleep(std::time::Duration::from_millis(50)),
                other => bail!("the export failed with {other}"),
            }
        }
        bail!("the export does not end")
    }
}

/// The client's keys and the set of their public halves, in a folder.
fn keys() -> anyhow::Result<PathBuf> {
    let folder = home().join("gateway");
    remove(&folder)?;
    fs::create_dir_all(&folder)?;
    let mut signer = Command::new(root().join("target/release/assertions"));
    signer.arg("keys");
    for key in [Key::Es384, Key::Rs384] {
        let file = folder.join(key.file());
        let out = file.to_string_lossy();
        program(
            "openssl",
            &[&["genpkey", "-quiet", "-out", &out], &key.words()[..]].concat(),
        )?;
        signer.arg(&file);
    }
    checked(signer.stdout(File::create(folder.join("jwks.json"))?))?;
    Ok(folder)
}

fn checked(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status();
    let status = status.with_context(|| format!("starting {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}

/// The status that a poll is answered with.
pub(super) fn polled(url: &str, bearer: &str) -> anyhow::Result<String> {
    let words = ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H"];
    curl(&[&words[..], &[bearer, url]].concat())
}
