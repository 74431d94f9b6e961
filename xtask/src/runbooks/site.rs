//! A gateway, a coordinator and two workers over the stack, with made-up data, and one export that they did.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::process::{Running, accepted, curl, wait};
use crate::run::{remove, say, target};
use crate::stack;

/// What the pages call the admin ports of those that are started, in this order.
const PROCESSES: [(&str, &str); 4] = [
    ("sluice-gateway", "ADMIN"),
    ("sluice-coordinator", "COORDINATOR_ADMIN"),
    ("sluice-worker", "WORKER_ADMIN"),
    ("sluice-worker", "OTHER_WORKER_ADMIN"),
];
/// On loopback, for a minute.
const SECRET: &str = "for as long as the runbooks are walked";
const SECRET_FILE: &str = "admin-secret";
/// Tries to reach something, each after a moment.
const TRIES: u32 = 300;
const MOMENT: Duration = Duration::from_millis(200);

/// What runs, and how the pages call it.
pub(super) struct Site {
    /// Where everything lies.
    pub(super) home: PathBuf,
    /// What a reader of the pages has set.
    pub(super) variables: Vec<(String, String)>,
    /// Programs and their admin ports.
    pub(super) ports: Vec<(&'static str, u16)>,
    base: String,
    _running: Vec<Running>,
}

impl Site {
    /// Starts all of it and waits until it is ready.
    pub(super) fn start(home: &Path) -> anyhow::Result<Self> {
        remove(home)?;
        fs::create_dir_all(home)?;
        let data = home.join("data");
        let mut sample = Command::new(target().join("debug/sluice"));
        sample
            .args(["sample", "--patients", "60", "--out"])
            .arg(&data);
        checked(sample.stdout(Stdio::null()))?;
        let [port, admins @ ..] = sluice_stack::free_ports::<5>()?;
        let secret = home.join(SECRET_FILE);
        fs::write(&secret, SECRET).context("writing a secret")?;
        let settings = settings(home, &data, &secret, port)?;
        let (mut running, mut ports) = (Vec::new(), Vec::new());
        for ((program, _), admin) in PROCESSES.into_iter().zip(admins) {
            let name = format!("{program}-{admin}");
            let mut command = Command::new(target().join("debug").join(program));
            command
                .envs(settings.iter().map(|(name, value)| (name, value)))
                .env("SLUICE_ADMIN__LISTEN", format!("127.0.0.1:{admin}"))
                .env("SLUICE_DATA_DIR", home.join(&name));
            running.push(start(&mut command, &home.join(name + ".log"))?);
            ports.push((program, admin));
        }
        for admin in admins {
            wait(&format!("http://127.0.0.1:{admin}/readyz"))?;
        }
        let base = format!("http://127.0.0.1:{port}/default/fhir");
        wait(&format!("{base}/metadata"))?;
        Ok(Self {
            home: home.to_owned(),
            variables: variables(settings, &secret, admins, &base)?,
            ports,
            base,
            _running: running,
        })
    }

    /// Registers a client over the admin port, so that the pages find one.
    pub(super) fn register(&self) -> anyhow::Result<()> {
        let [(_, admin), ..] = self.ports[..] else {
            bail!("nothing runs");
        };
        let mut add = Command::new(target().join("debug/sluice"));
        add.args(["clients", "add", "--id", "registry-etl", "--generate"])
            .args(["--admin", &format!("http://127.0.0.1:{admin}")])
            .arg("--admin-secret-file")
            .arg(self.home.join(SECRET_FILE))
            .arg("--key-out")
            .arg(self.home.join("client.jwk"));
        checked(add.stdout(Stdio::null()))
    }

    /// Exports a group, so that there is something to be seen, and tells the pages its id.
    pub(super) fn export(&mut self) -> anyhow::Result<()> {
        let url = format!("{}/Group/diabetes-registry/$export", self.base);
        let answer = curl(&["-sSi", "-H", "Prefer: respond-async", &url])?;
        let status = accepted(&answer)?;
        let job = status.rsplit('/').next().unwrap_or_default();
        for _ in 0..TRIES {
            if curl(&["-s", "-o", "/dev/null", "-w", "%{http_code}", &status])? == "200" {
                say(&format!("exported, job {job}"));
                self.variables.push(("JOB".to_owned(), job.to_owned()));
                return Ok(());
            }
            std::thread::sleep(MOMENT);
        }
        bail!("the export does not end")
    }
}

/// What all processes are told: the stack's settings, in a corner of its own.
fn settings(
    home: &Path,
    data: &Path,
    secret: &Path,
    port: u16,
) -> anyhow::Result<Vec<(String, String)>> {
    let mut settings = stack::settings_in(&format!("runbooks-{}", std::process::id()))?;
    let own = [
        ("SLUICE_SERVER__LISTEN", format!("127.0.0.1:{port}")),
        ("SLUICE_SERVER__AUTHORIZATION", "off".to_owned()),
        ("SLUICE_ADMIN__SECRET_FILE", secret.display().to_string()),
        (
            "SLUICE_TENANTS__DEFAULT__SOURCE",
            format!("ndjson:{}", data.display()),
        ),
        ("SLUICE_TENANTS__DEFAULT__CHUNK_MIB", "1".to_owned()),
        ("SLUICE_COORDINATOR__SWEEP_SECONDS", "2".to_owned()),
        ("SLUICE_LOG__FORMAT", "json".to_owned()),
        // Of commands that are run in place of a service.
        (
            "SLUICE_DATA_DIR",
            home.join("commands").display().to_string(),
        ),
    ];
    settings.extend(own.map(|(name, value)| (name.to_owned(), value)));
    Ok(settings)
}

/// As docs/runbooks/README.md lists them, and what the services are told.
fn variables(
    settings: Vec<(String, String)>,
    secret: &Path,
    admins: [u16; 4],
    base: &str,
) -> anyhow::Result<Vec<(String, String)>> {
    let find = |wanted: &str| stack::setting(&settings, wanted);
    let mut variables = vec![
        ("RABBITMQ".to_owned(), find("STACK_RABBITMQ_MANAGEMENT")?),
        ("REDIS".to_owned(), find("SLUICE_PORTS__INDEX")?),
        ("ADMIN_SECRET_FILE".to_owned(), secret.display().to_string()),
        ("BASE".to_owned(), base.to_owned()),
        ("TENANT".to_owned(), "default".to_owned()),
    ];
    for ((_, name), admin) in PROCESSES.into_iter().zip(admins) {
        variables.push((name.to_owned(), format!("http://127.0.0.1:{admin}")));
    }
    let [gateway, ..] = admins;
    let listen = (
        "SLUICE_ADMIN__LISTEN".to_owned(),
        format!("127.0.0.1:{gateway}"),
    );
    variables.extend(settings.into_iter().chain([listen]));
    Ok(variables)
}

/// Starts a program that says what it has to say to a file.
pub(super) fn start(command: &mut Command, log: &Path) -> anyhow::Result<Running> {
    let file = File::create(log).with_context(|| format!("writing {}", log.display()))?;
    let also = file.try_clone()?;
    let quiet = command.stdin(Stdio::null()).stdout(also).stderr(file);
    let child = quiet.spawn();
    Ok(Running(
        child.with_context(|| format!("starting {command:?}"))?,
    ))
}

fn checked(command: &mut Command) -> anyhow::Result<()> {
    let status = command
        .status()
        .with_context(|| format!("starting {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}
