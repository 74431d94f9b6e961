//! A deployment of its own on the shared servers: own queues, own keys, own part of the bucket.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};
use sluice_blobs_s3::{S3Blobs, S3Credentials, S3Options};
use sluice_ports::Blobs;
use sluice_testkit::{program, stack};
use tokio::sync::OnceCell;

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    Gateway,
    Coordinator,
    Worker,
}

impl Service {
    /// Its word.
    pub(crate) fn name(self) -> &'static str {
        self.program().trim_start_matches("sluice-")
    }

    fn program(self) -> &'static str {
        match self {
            Self::Gateway => "sluice-gateway",
            Self::Coordinator => "sluice-coordinator",
            Self::Worker => "sluice-worker",
        }
    }
}

/// One process: a service and its number.
pub(crate) type Name = (Service, usize);

/// A process and where it says how it is.
struct Running {
    child: Child,
    admin: u16,
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let [port] = sluice_stack::free_ports().unwrap();
    port
}

/// Processes and what they are told.
pub(crate) struct Site {
    pub(crate) name: String,
    port: u16,
    variables: BTreeMap<String, String>,
    running: Mutex<BTreeMap<Name, Running>>,
    home: tempfile::TempDir,
    store: OnceCell<S3Blobs>,
}

/// The stack's settings that services read as they are.
const FROM_STACK: [&str; 7] = [
    "SLUICE_PORTS__QUEUE",
    "SLUICE_PORTS__INDEX",
    "SLUICE_S3__ENDPOINT",
    "SLUICE_S3__REGION",
    "SLUICE_S3__PATH_STYLE",
    "SLUICE_S3__ACCESS_KEY_ID",
    "SLUICE_S3__SECRET_ACCESS_KEY",
];

#[expect(
    clippy::disallowed_methods,
    reason = "a name that no earlier run had needs the real time"
)]
fn nanos() -> u128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_nanos())
}

impl Site {
    /// A deployment whose tenants have these folders.
    pub(crate) fn new(name: &str, tenants: &[(&str, &Path)]) -> Self {
        let name = format!("{name}-{}", nanos());
        let mut site = Self {
            port: free_port(),
            variables: BTreeMap::new(),
            running: Mutex::default(),
            home: tempfile::tempdir().unwrap(),
            store: OnceCell::new(),
            name: name.clone(),
        };
        for setting in FROM_STACK {
            site.set(setting, &stack(setting));
        }
        let bucket = stack("SLUICE_PORTS__BLOBS");
        site.set("SLUICE_PORTS__BLOBS", &format!("{bucket}/{name}"));
        site.set("SLUICE_REDIS__PREFIX", &name);
        site.set("SLUICE_AMQP__PREFIX", &name);
        site.set("SLUICE_SERVER__LISTEN", &format!("127.0.0.1:{}", site.port));
        site.set("SLUICE_SERVER__AUTHORIZATION", "off");
        // Clients ask again soon, so that a test ends when its export does.
        site.set("SLUICE_SERVER__LONGEST_POLL_SECONDS", "2");
        site.set("SLUICE_COORDINATOR__SWEEP_SECONDS", "2");
        site.set("SLUICE_COORDINATOR__STALE_SECONDS", "6");
        site.set("SLUICE_WORKER__LEASE_SECONDS", "4");
        site.set("SLUICE_WORKER__SLOTS", "1");
        site.set("SLUICE_WORKER__DRAIN_SECONDS", "10");
        for (tenant, folder) in tenants {
            let tenant = tenant.to_uppercase();
            let source = format!("ndjson:{}", folder.display());
            site.set(&format!("SLUICE_TENANTS__{tenant}__SOURCE"), &source);
            site.set(&format!("SLUICE_TENANTS__{tenant}__CHUNK_MIB"), "1");
        }
        site
    }

    /// Sets a variable of every process that is started from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// The FHIR base of a tenant.
    pub(crate) fn base(&self, tenant: &str) -> String {
        format!("http://127.0.0.1:{}/{tenant}/fhir", self.port)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Name, Running>> {
        self.running.lock().unwrap()
    }

    /// Starts a process.
    pub(crate) fn start(&self, name: Name) {
        self.start_with(name, &[]);
    }

    /// Starts a process that is told something more.
    pub(crate) fn start_with(&self, name: Name, more: &[(&str, &str)]) {
        self.start_from(None, name, more);
    }

    /// The same with the program in this folder.
    pub(crate) fn start_from(
        &self,
        programs: Option<&Path>,
        (service, number): Name,
        more: &[(&str, &str)],
    ) {
        let program = programs.map_or_else(
            || program(service.program()),
            |folder| folder.join(service.program()),
        );
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_path((service, number)))
            .unwrap();
        let data = self.home.path().join(format!("{service:?}-{number}"));
        let admin = free_port();
        let child = Command::new(program)
            .envs(&self.variables)
            .env("SLUICE_ADMIN__LISTEN", format!("127.0.0.1:{admin}"))
            .env("SLUICE_DATA_DIR", data)
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.running()
            .insert((service, number), Running { child, admin });
    }

    /// The most memory that a process ever held.
    pub(crate) fn peak_mib(&self, name: Name) -> u64 {
        let path = format!("/proc/{}/status", self.running()[&name].child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak
            .and_then(|text| text.split_whitespace().next())
            .unwrap();
        kib.parse::<u64>().unwrap() >> 10
    }

    /// A path on the admin port of a process.
    pub(crate) fn admin(&self, name: Name, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.running()[&name].admin)
    }

    /// Starts so many of each, and waits until all are ready.
    pub(crate) fn start_all(&self, gateways: usize, coordinators: usize, workers: usize) {
        for (service, count) in [
            (Service::Gateway, gateways),
            (Service::Coordinator, coordinators),
            (Service::Worker, workers),
        ] {
            for number in 0..count {
                self.start((service, number));
            }
        }
        let admins: Vec<u16> = self.running().values().map(|one| one.admin).collect();
        for admin in admins {
            self.wait_for(&format!("http://127.0.0.1:{admin}/readyz"));
        }
        self.wait_for_gateway();
    }

    /// Waits until requests are answered.
    pub(crate) fn wait_for_gateway(&self) {
        self.wait_for(&format!("{}/metadata", self.base("one")));
    }

    pub(crate) fn wait_for(&self, url: &str) {
        for _ in 0..1200 {
            if status(url) == "200" {
                return;
            }
            sleep(Duration::from_millis(100));
        }
        panic!("{url} does not answer:\n{}", self.logs());
    }

    /// The last lines that every process wrote.
    pub(crate) fn logs(&self) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(self.home.path()).unwrap().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|ending| ending == "log") {
                let log = std::fs::read_to_string(&path).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let last = lines[lines.len().saturating_sub(40)..].join("\n");
                let name = path.display().to_string();
                text.extend(["== ", &name, "\n", last.as_str(), "\n"]);
            }
        }
        text
    }

    /// Where logs and data directories of the processes are.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Everything that a process wrote.
    pub(crate) fn log(&self, name: Name) -> String {
        std::fs::read_to_string(self.log_path(name)).unwrap()
    }

    fn log_path(&self, (service, number): Name) -> PathBuf {
        self.home.path().join(format!("{service:?}-{number}.log"))
    }

    /// `kill -9`.
    pub(crate) fn kill(&self, name: Name) {
        let mut killed = self.running().remove(&name).unwrap();
        killed.child.kill().unwrap();
        killed.child.wait().unwrap();
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: Name, signal: Signal) {
        let running = self.running();
        kill_process(Pid::from_child(&running[&name].child), signal).unwrap();
    }

    /// Asks a process to stop; whether it ended well.
    pub(crate) fn stop(&self, name: Name) -> bool {
        self.signal(name, Signal::TERM);
        let mut stopped = self.running().remove(&name).unwrap();
        stopped.child.wait().unwrap().success()
    }

    /// The same for whoever has something else to do meanwhile.
    pub(crate) async fn stopped(&self, name: Name) -> bool {
        self.signal(name, Signal::TERM);
        let mut stopped = self.running().remove(&name).unwrap();
        loop {
            if let Some(status) = stopped.child.try_wait().unwrap() {
                return status.success();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The processes that run.
    pub(crate) fn names(&self) -> Vec<Name> {
        self.running().keys().copied().collect()
    }

    /// Removes everything of this deployment from Redis: what FLUSHALL would, were it alone there.
    pub(crate) fn flush_index(&self) {
        let url = stack("SLUICE_PORTS__INDEX");
        let script = "local cursor = '0' repeat local found = redis.call('SCAN', cursor, 'MATCH', \
                      ARGV[1], 'COUNT', 1000) cursor = found[1] for _, key in ipairs(found[2]) do \
                      redis.call('DEL', key) end until cursor == '0'";
        let pattern = format!("{}*", self.name);
        let done = Command::new("redis-cli")
            .args(["-u", &url, "EVAL", script, "0", &pattern])
            .output()
            .unwrap();
        assert!(done.status.success());
    }

    /// Has the broker close every connection of this deployment.
    pub(crate) fn close_connections(&self) {
        let management = stack("STACK_RABBITMQ_MANAGEMENT");
        let columns = "columns=name,client_properties.connection_name";
        let list = curl(&["-s", &format!("{management}/api/connections?{columns}")]);
        let connections: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap();
        for connection in connections {
            let given = &connection["client_properties"]["connection_name"];
            if given
                .as_str()
                .is_some_and(|given| given.starts_with(&self.name))
            {
                let name = connection["name"].as_str().unwrap();
                let name = name.replace(' ', "%20").replace('>', "%3E");
                curl(&[
                    "-s",
                    "-X",
                    "DELETE",
                    &format!("{management}/api/connections/{name}"),
                ]);
            }
        }
    }

    /// The first thousand keys below a prefix in this deployment's part of the bucket.
    pub(crate) async fn objects(&self, prefix: &str) -> Vec<String> {
        let store = self.store.get_or_init(|| Box::pin(self.connect())).await;
        let found = store.list(prefix, None, 1000).await.unwrap();
        found.into_iter().map(|found| found.key).collect()
    }

    /// The keys of all objects below a prefix.
    pub(crate) async fn all_objects(&self, prefix: &str) -> Vec<String> {
        let store = self.store.get_or_init(|| Box::pin(self.connect())).await;
        let mut all: Vec<String> = Vec::new();
        loop {
            let after = all.last().map(String::as_str);
            let found = store.list(prefix, after, 1000).await.unwrap();
            if found.is_empty() {
                return all;
            }
            all.extend(found.into_iter().map(|found| found.key));
        }
    }

    /// What an object holds; nothing if it is gone by now.
    pub(crate) async fn object(&self, key: &str) -> Vec<u8> {
        let store = self.store.get_or_init(|| Box::pin(self.connect())).await;
        let found = store.get(key).await.unwrap();
        found.map(|body| body.to_vec()).unwrap_or_default()
    }

    async fn connect(&self) -> S3Blobs {
        let options = S3Options {
            prefix: self.name.clone(),
            endpoint: Some(stack("SLUICE_S3__ENDPOINT")),
            path_style: true,
            credentials: S3Credentials::Static {
                access_key_id: stack("SLUICE_S3__ACCESS_KEY_ID"),
                secret_access_key: stack("SLUICE_S3__SECRET_ACCESS_KEY"),
                session_token: None,
            },
            ..S3Options::new("sluice", stack("SLUICE_S3__REGION"))
        };
        S3Blobs::connect(options).await.unwrap()
    }

    /// The queues of this deployment.
    pub(crate) fn queues(&self) -> Vec<String> {
        let management = stack("STACK_RABBITMQ_MANAGEMENT");
        let list = curl(&["-s", &format!("{management}/api/queues/%2f?columns=name")]);
        let queues: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap();
        let names = queues.iter().map(|queue| queue["name"].as_str().unwrap());
        let ours = names.filter(|name| name.starts_with(&self.name));
        ours.map(str::to_owned).collect()
    }

    /// Whether a message waits on a lane, whose queue there may not be.
    pub(crate) fn holds_a_message(&self, lane: &str) -> bool {
        let management = stack("STACK_RABBITMQ_MANAGEMENT");
        let url = format!("{management}/api/queues/%2f/{}.{lane}/get", self.name);
        let how = r#"{"count":1,"ackmode":"ack_requeue_true","encoding":"auto"}"#;
        let found = curl(&["-s", "-X", "POST", "-d", how, &url]);
        serde_json::from_str::<Vec<serde_json::Value>>(&found).is_ok_and(|found| !found.is_empty())
    }

    /// Takes a message off a lane; `None` when there is none.
    pub(crate) fn take_message(&self, lane: &str) -> Option<String> {
        let management = stack("STACK_RABBITMQ_MANAGEMENT");
        let url = format!("{management}/api/queues/%2f/{}.{lane}/get", self.name);
        let how = r#"{"count":1,"ackmode":"ack_requeue_false","encoding":"auto"}"#;
        let found = curl(&["-s", "-X", "POST", "-d", how, &url]);
        let found: serde_json::Value = serde_json::from_str(&found).ok()?;
        found[0]["payload"].as_str().map(str::to_owned)
    }

    /// Puts a message on a lane.
    pub(crate) fn put_message(&self, lane: &str, body: &str) {
        let management = stack("STACK_RABBITMQ_MANAGEMENT");
        let url = format!("{management}/api/exchanges/%2f/amq.default/publish");
        let message = serde_json::json!({
            "routing_key": format!("{}.{lane}", self.name),
            "payload": body,
            "payload_encoding": "string",
            "properties": { "delivery_mode": 2 },
        });
        let put = curl(&["-s", "-X", "POST", "-d", &message.to_string(), &url]);
        assert!(put.contains("\"routed\":true"), "{put}");
    }

    /// Deletes every queue of this deployment with what is in it.
    pub(crate) fn delete_queues(&self) {
        let management = stack("STACK_RABBITMQ_MANAGEMENT");
        for queue in self.queues() {
            let url = format!("{management}/api/queues/%2f/{queue}");
            curl(&["-s", "-X", "DELETE", &url]);
        }
    }
}

/// What curl prints.
pub(crate) fn curl(words: &[&str]) -> String {
    let done = Command::new("curl").args(words).output().unwrap();
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// The HTTP status of a GET.
pub(crate) fn status(url: &str) -> String {
    curl(&["-s", "-o", "/dev/null", "-w", "%{http_code}", url])
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _nobody_listens = writeln!(std::io::stderr(), "{}", self.logs());
        }
        for (_, mut running) in std::mem::take(&mut *self.running()) {
            let _has_ended = running.child.kill();
            let _has_ended = running.child.wait();
        }
        self.delete_queues();
        self.flush_index();
    }
}
