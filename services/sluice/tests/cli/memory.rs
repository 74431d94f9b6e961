//! Memory is bounded whatever the size of a resource or of an export.

use std::fs::{self, File};
use std::io::{BufWriter, Write};

use crate::folder::{assert_same, lines, sample};
use crate::server::{Site, export, said};

const MIB: u64 = 1 << 20;
/// What the server may ever hold.
const BOUND: u64 = 256 * MIB;

/// A document with a scanned attachment of `mib` MiB, written without holding it.
fn giant(path: &std::path::Path, ids: &[&str], mib: usize) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let block = "QUJD".repeat(256 * 1024);
    for id in ids {
        let head = format!(
            r#"{{"resourceType":"DocumentReference","id":"{id}","status":"current","subject":{{"reference":"Patient/giant"}},"content":[{{"attachment":{{"contentType":"image/tiff","data":""#
        );
        file.write_all(head.as_bytes()).unwrap();
        for _ in 0..mib {
            file.write_all(block.as_bytes()).unwrap();
        }
        file.write_all(b"\"}}]}\n").unwrap();
    }
    file.flush().unwrap();
}

/// A Group of so many members that its line is about 40 MB.
fn crowd(path: &std::path::Path) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    write!(
        file,
        r#"{{"resourceType":"Group","id":"crowd","type":"person","actual":true,"member":["#
    )
    .unwrap();
    for n in 0..700_000 {
        let comma = if n == 0 { "" } else { "," };
        write!(
            file,
            r#"{comma}{{"entity":{{"reference":"Patient/nobody-{n}"}}}}"#
        )
        .unwrap();
    }
    file.write_all(b"]}\n").unwrap();
    file.flush().unwrap();
}

/// Several at once ask for a Group and for a search that finds it.
fn ask_for_the_crowd(base: &str) {
    let askers: Vec<_> = (0..8)
        .map(|n| {
            let path = if n % 2 == 0 { "Group/crowd" } else { "Group" };
            let url = format!("{base}/{path}");
            std::thread::spawn(move || {
                let curl = std::process::Command::new("curl")
                    .args(["-sf", &url])
                    .output();
                let answer = curl.unwrap().stdout;
                assert!(!answer.is_empty(), "{url}");
            })
        })
        .collect();
    for asker in askers {
        asker.join().unwrap();
    }
}

#[test]
fn resources_of_60_mb_and_many_patients_stay_within_256_mib() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    sample(400, &data);
    fs::write(
        data.join("giant-patient.ndjson"),
        "{\"resourceType\":\"Patient\",\"id\":\"giant\"}\n",
    )
    .unwrap();
    crowd(&data.join("crowd.ndjson"));
    giant(&data.join("giants.ndjson"), &["one", "two", "three"], 60);

    let site = Site::new(home.path(), &data);
    let server = site.start();
    let loaded = server.peak_memory();
    let out = home.path().join("out");
    let done = export(&site.base(), &out, &["--system"]);
    assert!(done.status.success(), "{}", said(&done));
    ask_for_the_crowd(&site.base());
    let exported = server.peak_memory();
    println!(
        "peak memory: {} MiB after loading, {} MiB after the export",
        loaded / MIB,
        exported / MIB
    );
    assert_same(&lines(&out), &lines(&data));
    assert!(exported < BOUND, "{} MiB", exported / MIB);
}
