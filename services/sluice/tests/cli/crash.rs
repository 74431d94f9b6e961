//! `kill -9` at random moments: every accepted export completes, and nothing is lost or doubled.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use sluice_ports::Entropy;
use sluice_wiring::SystemEntropy;

use crate::folder::{assert_same, lines, sample};
use crate::server::{Site, export, said};

const DEATHS: usize = 10;

/// So many of them are to fall in the middle of an export; where the machine is slow or busy, more
/// deaths are died until they do.
const IN_THE_MIDDLE: usize = 6;

/// And so many are too many: then something else is wrong.
const ENOUGH: usize = 60;

/// Starts an export; answers its status URL.
fn kick_off(site: &Site) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", site.port)).unwrap();
    let request = "GET /default/fhir/$export HTTP/1.1\r\nHost: x\r\nPrefer: respond-async\r\n\
                   Connection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let location = answer
        .lines()
        .find_map(|line| line.strip_prefix("content-location: "));
    location.unwrap().to_owned()
}

/// Whether the export has receipts and no manifest: a death now is one in the middle.
fn is_in_the_middle(home: &Path, status_url: &str) -> bool {
    let job = status_url.rsplit('/').next().unwrap();
    let folder = home.join("server/objects/default").join(job);
    folder.join("receipt").exists() && !folder.join("manifest.json").exists()
}

fn number(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    SystemEntropy.fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes) % bound
}

#[test]
fn kill_9_ten_times_loses_and_doubles_nothing() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    sample(120, &data);
    // One slot, and files so small that there are many: there is a middle to die in.
    let site = Site::new(home.path(), &data)
        .with("SLUICE_WORKER__SLOTS", "1")
        .with("SLUICE_TENANTS__DEFAULT__CHUNK_MIB", "1");

    // How long an export takes here, so that deaths fall in all of it.
    let server = site.start();
    let begun = Instant::now();
    let whole = home.path().join("whole");
    let done = export(&site.base(), &whole, &["--system"]);
    assert!(done.status.success(), "{}", said(&done));
    let length = begun.elapsed();
    server.kill();

    let (mut jobs, mut in_the_middle) = (Vec::new(), 0);
    while jobs.len() < DEATHS || in_the_middle < IN_THE_MIDDLE {
        let deaths = jobs.len();
        assert!(
            deaths < ENOUGH,
            "only {in_the_middle} of {deaths} deaths fell in the middle of an export"
        );
        let server = site.start();
        jobs.push(kick_off(&site));
        // Some moment after the first receipt of some export: every other time at once, else by
        // chance, before its last one or after it.
        let is_open = || jobs.iter().any(|job| is_in_the_middle(home.path(), job));
        let begun = Instant::now();
        while !is_open() && begun.elapsed() < length * 4 {
            sleep(Duration::from_millis(2));
        }
        if deaths % 2 == 1 {
            let share = u32::try_from(number(1000)).unwrap();
            sleep(length * share / 2000);
        }
        server.kill();
        in_the_middle += usize::from(is_open());
    }

    let server = site.start();
    let expected = lines(&data);
    for (n, job) in jobs.iter().enumerate() {
        let out = home.path().join(format!("out-{n}"));
        let done = export(&site.base(), &out, &["--system", "--status-url", job]);
        assert!(done.status.success(), "{}", said(&done));
        assert_same(&lines(&out), &expected);
        fs::remove_dir_all(out).unwrap();
    }
    assert!(server.stop());
    println!(
        "{} deaths, {in_the_middle} in the middle of an export, {} lines each",
        jobs.len(),
        expected.len()
    );
}

/// A server that is asked to stop finishes what it has in hand.
#[test]
fn sigterm_ends_well_in_the_middle_of_an_export() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    sample(60, &data);
    let site = Site::new(home.path(), &data).with("SLUICE_WORKER__SLOTS", "1");
    let server = site.start();
    let job = kick_off(&site);
    sleep(Duration::from_millis(number(200)));
    assert!(server.stop());
    let server = site.start();
    let out = home.path().join("out");
    let done = export(&site.base(), &out, &["--system", "--status-url", &job]);
    assert!(done.status.success(), "{}", said(&done));
    assert_same(&lines(&out), &lines(&data));
    assert!(server.stop());
}
