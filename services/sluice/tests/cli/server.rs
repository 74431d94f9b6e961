//! A `sluice serve` of its own for a test, killed when dropped.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};

/// The program under test.
pub(crate) fn sluice() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sluice"))
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Sends a signal to a child that runs.
pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// How to start a server, again and again on the same address and data directory.
pub(crate) struct Site {
    pub(crate) port: u16,
    home: PathBuf,
    /// A folder, unless a setting names another source.
    data: Option<PathBuf>,
    variables: Vec<(&'static str, String)>,
    undated: &'static str,
}

impl Site {
    /// Serves `data`, and keeps what it needs in `home`.
    pub(crate) fn new(home: &Path, data: &Path) -> Self {
        Self {
            port: free_port(),
            home: home.to_owned(),
            data: Some(data.to_owned()),
            variables: Vec::new(),
            undated: "include",
        }
    }

    /// Serves a source by its address.
    pub(crate) fn of_source(home: &Path, source: &str) -> Self {
        let site = Self {
            data: None,
            ..Self::new(home, home)
        };
        site.with("SLUICE_TENANTS__DEFAULT__SOURCE", source)
    }

    /// With a setting, by its environment variable.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// With another meaning of a missing `meta.lastUpdated`.
    pub(crate) fn undated(mut self, how: &'static str) -> Self {
        self.undated = how;
        self
    }

    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}/default/fhir", self.port)
    }

    fn command(&self) -> Command {
        let mut command = sluice();
        command.args(["serve", "--no-authorization"]);
        if let Some(data) = &self.data {
            command.arg("--data").arg(data);
            command.args(["--undated", self.undated]);
        }
        command
            .env("SLUICE_DATA_DIR", self.home.join("server"))
            .env("SLUICE_SERVER__LISTEN", format!("127.0.0.1:{}", self.port))
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// What a server says that does not even start.
    pub(crate) fn refused(&self) -> String {
        let ended = self.command().output().unwrap();
        assert!(!ended.status.success());
        said(&ended)
    }

    /// Starts a server and waits until it answers.
    pub(crate) fn start(&self) -> Server {
        let mut child = self.command().stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut log = Vec::new();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| {
            let is_ready = line.starts_with("FHIR base:");
            log.push(line);
            is_ready
        });
        assert!(ready, "the server did not start:\n{}", log.join("\n"));
        let log = Arc::new(Mutex::new(log));
        let told = Arc::clone(&log);
        // Whoever does not read it makes the server wait.
        std::thread::spawn(move || {
            let lines = lines.map_while(Result::ok);
            lines.for_each(|line| told.lock().unwrap().push(line));
        });
        Server { child, log }
    }
}

/// A server that answers.
pub(crate) struct Server {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// What it has logged so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The most memory it ever held, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = File::open(format!("/proc/{}/status", self.child.id())).unwrap();
        let mut lines = BufReader::new(status).lines().map_while(Result::ok);
        let peak = lines
            .find_map(|line| line.strip_prefix("VmHWM:").map(str::to_owned))
            .unwrap();
        let kilobytes: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
        kilobytes * 1024
    }

    /// SIGTERM, and how it ends.
    pub(crate) fn stop(mut self) -> bool {
        signal(&self.child, Signal::TERM);
        self.child.wait().unwrap().success()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _has_ended = self.child.kill();
        let _has_ended = self.child.wait();
    }
}

/// Runs `sluice export` to its end.
pub(crate) fn export(base: &str, out: &Path, words: &[&str]) -> Output {
    let mut command = sluice();
    command.args(["export", "--server", base, "--out"]).arg(out);
    command.args(words).output().unwrap()
}

/// What a program said, for when it should not have.
pub(crate) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}
