//! `sluice jobs`, `dispatch`, `worker`, `log-filter` and `health` against a server that runs, as an operator uses them.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::folder::sample;
use crate::server::{Server, Site, export, free_port, said, sluice};

const SECRET: &str = "a secret of more than thirty-two bytes";

/// A server with an admin port, and who knows its secret.
struct Desk {
    site: Site,
    admin: String,
    home: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        sample(20, &data);
        fs::write(home.path().join("secret"), format!("{SECRET}\n")).unwrap();
        let admin = format!("127.0.0.1:{}", free_port());
        let site = Site::new(home.path(), &data)
            .with("SLUICE_ADMIN__LISTEN", &admin)
            .with("SLUICE_ADMIN__SECRET", SECRET)
            .with("SLUICE_LOG__FORMAT", "json");
        Self { site, admin, home }
    }

    /// By `--admin`.
    fn run(&self, words: &str) -> Output {
        let mut command = sluice();
        command.args(words.split_whitespace());
        command.args(["--admin", &format!("http://{}", self.admin)]);
        command.args(["--admin-secret-file", "secret"]);
        command.current_dir(self.home.path()).output().unwrap()
    }

    fn ok(&self, words: &str) -> String {
        let done = self.run(words);
        assert!(done.status.success(), "{words}: {}", said(&done));
        String::from_utf8(done.stdout).unwrap()
    }

    fn json(&self, words: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("{words} --json"))).unwrap()
    }

    /// By the settings, as beside the server.
    fn here(&self, words: &str) -> Output {
        let mut command = sluice();
        command.args(words.split_whitespace());
        command.env(
            "SLUICE_ADMIN__LISTEN",
            self.admin.replace("127.0.0.1", "0.0.0.0"),
        );
        command.env("SLUICE_ADMIN__SECRET", SECRET);
        command.output().unwrap()
    }
}

fn export_begun(desk: &Desk, out: &Path) -> std::process::Child {
    let mut command = sluice();
    command.args(["export", "--server", &desk.site.base(), "--out"]);
    command.arg(out).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// The only export that runs, once there is one and it is planned.
fn running(desk: &Desk) -> Value {
    loop {
        let listed = desk.json("jobs list --state running");
        let job = &listed["jobs"][0];
        if job["chunks"]["sealed"] == true {
            return job.clone();
        }
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_operator_pauses_looks_cancels_and_resumes() {
    let desk = Desk::new();
    let server = desk.site.start();
    assert!(
        desk.ok("dispatch pause")
            .contains("everything  paused since")
    );
    // For so long a coordinator may believe that it is not.
    sleep(Duration::from_millis(1_100));
    let cancelled = desk.home.path().join("cancelled");
    let mut export_of = export_begun(&desk, &cancelled);
    let job = running(&desk);
    let name = format!("default/{}", job["job"].as_str().unwrap());
    assert_eq!(
        (&job["state"], &job["level"]),
        (&json!("exporting"), &json!("patient"))
    );
    assert_eq!(job["chunks"]["handed_out"], 0);
    let table = desk.ok("jobs list");
    assert!(table.starts_with("JOB") && table.contains(&name), "{table}");
    let shown = desk.ok(&format!("jobs show {name}"));
    assert!(shown.contains("paused           yes"), "{shown}");
    let chunks = desk.json(&format!("jobs chunks {name}"));
    let chunks = chunks["chunks"].as_array().unwrap();
    assert!(chunks.iter().all(|chunk| chunk["state"] == "waiting") && !chunks.is_empty());
    assert!(
        desk.ok(&format!("jobs chunks {name} --state waiting"))
            .contains("00001-00")
    );

    // A pause outlives the server.
    server.kill();
    let server = desk.site.start();
    assert_eq!(desk.json("dispatch show")["paused"], true);
    assert_eq!(running(&desk)["chunks"]["done"], 0);

    assert!(
        desk.ok(&format!("jobs cancel {name}"))
            .contains("is cancelled")
    );
    assert!(!export_of.wait().unwrap().success());
    assert_eq!(
        desk.json(&format!("jobs show {name}"))["withdrawn"],
        "deleted"
    );
    let again = desk.run(&format!("jobs cancel {name}"));
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));

    let resumed = desk.json("dispatch resume");
    assert_eq!(
        (&resumed["paused"], &resumed["waiting"]["dead"]),
        (&json!(false), &json!(0))
    );
    let out = desk.home.path().join("out");
    let done = export(&desk.site.base(), &out, &[]);
    assert!(done.status.success(), "{}", said(&done));
    let listed = desk.json("jobs list --state complete --tenant default");
    let job = &listed["jobs"][0];
    assert_eq!(job["chunks"]["done"], job["chunks"]["planned"]);
    assert!(job["written"]["resources"].as_u64() > Some(20));
    assert_eq!(desk.ok("jobs requeue-dead").trim(), "0 are tried again");
    assert!(server.stop());
}

#[test]
fn what_is_logged_can_be_changed_and_carries_ids() {
    let desk = Desk::new();
    let server = desk.site.start();
    assert_eq!(desk.ok("log-filter get").trim(), "info");
    let wrong = desk.run("log-filter set sluice=loud");
    assert!(said(&wrong).contains("filter: "), "{}", said(&wrong));
    let set = desk.json("log-filter set info,sluice=debug --minutes 3");
    assert_eq!(
        (&set["filter"], &set["configured"]),
        (&json!("info,sluice=debug"), &json!("info"))
    );
    let done = export(&desk.site.base(), &desk.home.path().join("out"), &[]);
    assert!(done.status.success(), "{}", said(&done));
    let listed = desk.json("jobs list");
    let job = format!("default/{}", listed["jobs"][0]["job"].as_str().unwrap());
    assert_eq!(desk.ok("log-filter reset").trim(), "info");
    let line = |message: &str| found(&server, message);
    let accepted = line("job accepted");
    assert_eq!(accepted["fields"]["job"], job);
    let spans = accepted["spans"].as_array().unwrap();
    assert!(
        spans.iter().any(|span| span["request_id"].is_string()),
        "{accepted}"
    );
    let exported = line("chunk exported");
    assert_eq!(
        (&exported["span"]["job"], &exported["fields"]["job"]),
        (&json!(job), &json!(job))
    );
    assert_eq!(exported["span"]["chunk"], exported["fields"]["chunk"]);
    assert_eq!(line("plan sealed")["span"]["job"], job);
    assert_eq!(line("job ended")["fields"]["job"], job);
}

/// A line with this message, once it is there.
fn found(server: &Server, message: &str) -> Value {
    loop {
        let log = server.log();
        let lines = log
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        if let Some(line) = lines
            .into_iter()
            .find(|line| line["fields"]["message"] == message)
        {
            return line;
        }
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn health_and_the_rest_find_the_port_in_the_settings() {
    let desk = Desk::new();
    let down = desk.here("health");
    assert_eq!(down.status.code(), Some(1), "{}", said(&down));
    let server = desk.site.start();
    let up = desk.here("health");
    assert_eq!((up.status.code(), said(&up).trim()), (Some(0), "ready"));
    assert_eq!(said(&desk.here("log-filter get")).trim(), "info");
    assert!(said(&desk.here("jobs list")).contains("no such exports"));
    // This server's worker is part of it.
    let none = desk.run("worker show");
    assert_eq!(none.status.code(), Some(1), "{}", said(&none));
    fs::write(
        desk.home.path().join("secret"),
        "another secret of thirty-two bytes",
    )
    .unwrap();
    assert!(said(&desk.run("jobs list")).contains("admin.secret"));
    assert!(server.stop());
    let nowhere = sluice().arg("health").output().unwrap();
    assert!(
        said(&nowhere).contains("admin.listen is not set"),
        "{}",
        said(&nowhere)
    );
    let nowhere = sluice().args(["jobs", "list"]).output().unwrap();
    assert!(said(&nowhere).contains("--admin"), "{}", said(&nowhere));
}
