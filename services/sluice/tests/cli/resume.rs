//! `sluice export` interrupted by Ctrl-C in mid-download goes on where it was.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::folder::{assert_same, lines, sample};
use crate::gate::Gate;
use crate::server::{Site, export, said, signal, sluice};

const MIB: u64 = 1 << 20;

/// Bytes of files that are not whole yet.
fn parts(out: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(out) else {
        return 0;
    };
    let sizes = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_part = name.ends_with(".ndjson.part");
        is_part.then(|| entry.metadata().map_or(0, |found| found.len()))
    });
    sizes.sum()
}

fn start(base: &str, out: &Path) -> Child {
    let mut command = sluice();
    command.args(["export", "--system", "--server", base, "--out"]);
    command.arg(out).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn ctrl_c_in_mid_download_and_again_ends_verified() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    sample(60, &data);
    let site = Site::new(home.path(), &data);
    let gate = Gate::before(site.port, 6 * MIB);
    let public = format!("http://127.0.0.1:{}", gate.port);
    let site = site.with("SLUICE_SERVER__PUBLIC_URL", &public);
    let _server = site.start();
    let base = format!("{public}/default/fhir");
    let out = home.path().join("out");

    let mut client = start(&base, &out);
    // Once the gate is shut, whatever is there stays a part.
    let mut sizes = (0..300).map(|_| {
        sleep(Duration::from_millis(200));
        assert!(client.try_wait().unwrap().is_none(), "it is not held");
        parts(&out)
    });
    let mut before = 0;
    let held = sizes.any(|now| now > 0 && std::mem::replace(&mut before, now) == now);
    assert!(held, "no part came to be");
    signal(&client, Signal::INT);
    assert_eq!(client.wait().unwrap().code(), Some(130));
    let kept = parts(&out);
    assert!(kept > 0, "what was fetched is kept");

    gate.open();
    let done = export(&base, &out, &["--system", "--json"]);
    assert!(done.status.success(), "{}", said(&done));
    let events: Vec<Value> = String::from_utf8_lossy(&done.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events[0]["event"], "resumed");
    let gone_on_with: u64 = events
        .iter()
        .filter(|event| event["event"] == "file-started")
        .map(|event| event["from"].as_u64().unwrap())
        .sum();
    assert_eq!(gone_on_with, kept, "no byte is fetched twice");
    assert_eq!(parts(&out), 0);
    assert_same(&lines(&out), &lines(&data));

    // Once more: nothing is left to do, and everything is looked at again.
    let done = export(&base, &out, &["--system"]);
    assert!(done.status.success(), "{}", said(&done));
    fs::write(out.join("Patient.1.ndjson"), "damaged").unwrap();
    let done = export(&base, &out, &["--system"]);
    assert!(done.status.success(), "{}", said(&done));
    assert_same(&lines(&out), &lines(&data));
}
