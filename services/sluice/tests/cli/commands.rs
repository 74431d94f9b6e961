//! Commands from the outside: what they say, and how they end.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use crate::folder::sample;
use crate::server::{Site, export, free_port, said, sluice};

fn run(words: &[&str], in_folder: &Path) -> Output {
    let mut command = sluice();
    command.env(
        "SLUICE_SERVER__LISTEN",
        format!("127.0.0.1:{}", free_port()),
    );
    command.args(words).current_dir(in_folder).output().unwrap()
}

#[test]
fn the_demo_ends_with_verified_files_and_says_where_they_are() {
    let home = tempfile::tempdir().unwrap();
    let words = ["demo", "--patients", "40"];
    // Twice: an earlier demo is replaced.
    for _ in 0..2 {
        let done = run(&words, home.path());
        let text = said(&done);
        assert!(done.status.success(), "{text}");
        assert!(text.contains("all verified"), "{text}");
        assert!(text.contains("current members are there, and nobody else"));
        assert!(text.contains("curl -si"), "{text}");
    }
    let demo = home.path().join("sluice-demo");
    assert!(demo.join("export/Patient.1.ndjson").exists());
    // Something else's folder is left alone.
    fs::remove_file(demo.join(".sluice-demo")).unwrap();
    let refused = run(&words, home.path());
    assert!(said(&refused).contains("holds something else"));
    assert!(demo.join("export/Patient.1.ndjson").exists());
}

#[test]
fn folders_that_cannot_be_served_are_refused_with_file_line_and_reason() {
    let patient = "{\"resourceType\":\"Patient\",\"id\":\"p\"}\n";
    let other = patient.replace("\"p\"", "\"o\"");
    let cut = format!("{other}{{\"resourceType\":\"Patient\",\"id\":\"secr");
    let cases: [(&str, &[u8], &str); 4] = [
        (
            "cut.ndjson",
            cut.as_bytes(),
            "cut.ndjson, line 2: not valid JSON (cut off",
        ),
        ("empty.ndjson", b"", "empty.ndjson is empty"),
        (
            "twice.ndjson",
            patient.as_bytes(),
            "the same resource is at a.ndjson:1 and at twice.ndjson:1",
        ),
        (
            "bytes.ndjson",
            b"{\"resourceType\":\"Patient\",\"id\":\"q\",\"x\":\"\xff\xfe\"}\n",
            "bytes.ndjson, line 1: not UTF-8",
        ),
    ];
    for (name, bytes, reason) in cases {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("a.ndjson"), patient).unwrap();
        fs::write(data.join(name), bytes).unwrap();
        for command in ["serve", "doctor"] {
            let refused = run(&[command, "--data", "data"], home.path());
            let text = said(&refused);
            assert_eq!(refused.status.code(), Some(1), "{text}");
            assert!(text.contains(reason), "{text}");
            assert!(!text.contains("secr"), "content is shown: {text}");
        }
        let done = run(&["doctor", "--data", "data", "--lenient"], home.path());
        let text = said(&done);
        assert!(done.status.success(), "{text}");
        assert!(text.contains("in 2 files, 1 lines skipped"), "{text}");
    }
}

#[test]
fn the_doctor_says_what_is_wrong() {
    let home = tempfile::tempdir().unwrap();
    let text = said(&run(&["doctor"], home.path()));
    assert!(text.contains("none is set; use --data DIR"), "{text}");
    fs::write(home.path().join("log.toml"), "[log]\nfilter = \"a=b=c\"\n").unwrap();
    let text = said(&run(&["doctor", "--config", "log.toml"], home.path()));
    assert!(text.contains("log.filter"), "{text}");
    let text = said(&run(&["doctor", "--data", "nowhere"], home.path()));
    assert!(text.contains("WRONG source of default"), "{text}");
    fs::write(home.path().join("bad.toml"), "[server]\nlissten = 1\n").unwrap();
    let text = said(&run(&["doctor", "--config", "bad.toml"], home.path()));
    assert!(
        text.contains("line 2") && text.contains("lissten"),
        "{text}"
    );
}

/// As somebody does who was woken: what runs stays up, and its servers are tried all the same.
#[test]
fn the_doctor_sees_what_it_can_beside_a_server_that_runs() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    sample(3, &data);
    let site = Site::new(home.path(), &data);
    let server = site.start();
    let mut doctor = sluice();
    doctor.args(["doctor", "--data"]).arg(&data);
    doctor.env("SLUICE_DATA_DIR", home.path().join("server"));
    let done = doctor
        .env("SLUICE_SERVER__LISTEN", format!("127.0.0.1:{}", site.port))
        .output()
        .unwrap();
    let text = said(&done);
    assert!(done.status.success(), "{text}");
    for told in [
        "is in use, by a sluice that runs",
        "a second create was refused",
        "source of default",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    assert_eq!(
        export(&site.base(), &home.path().join("out"), &[])
            .status
            .code(),
        Some(0)
    );
    drop(server);
}

#[test]
fn the_client_ends_with_a_code_for_each_kind_of_failure() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    sample(3, &data);
    let site = Site::new(home.path(), &data);
    let base = site.base();
    let out = |name: &str| home.path().join(name);
    let code = |base: &str, name: &str, words: &[&str]| {
        let ended = export(base, &out(name), words);
        (ended.status.code().unwrap(), said(&ended))
    };
    let server = site.start();
    let (refused, text) = code(&base, "a", &["--group", "nobody"]);
    assert_eq!(refused, 2, "{text}");
    assert!(text.contains("there is no such group"), "{text}");
    let (refused, text) = code(&base, "b", &["--type", "Patient,Foo"]);
    assert_eq!(refused, 2, "{text}");
    assert!(text.contains("Foo"), "{text}");
    let gone = format!("{base}/bulk-export/jobs/{}", "0".repeat(32));
    assert_eq!(code(&base, "c", &["--status-url", &gone]).0, 4);
    assert_eq!(code(&base, "d", &["--since", "2026-01-01"]).0, 2);
    assert_eq!(code(&base, "e", &["--no-such-option"]).0, 2);
    let (done, text) = code(&base, "f", &["--type", "Patient", "--delete"]);
    assert_eq!(done, 0, "{text}");
    assert_eq!(
        code(&base, "f", &["--system"]).0,
        7,
        "another request's folder"
    );
    let (lenient, text) = code(&base, "g", &["--type", "Patient,Foo", "--lenient"]);
    assert_eq!(lenient, 0, "{text}");
    assert!(text.contains("1 messages of the server"), "{text}");
    assert!(server.stop());
}

/// The words of the command line that say who the client is; nobody is asked yet.
#[test]
fn a_client_needs_its_key_and_a_key_that_can_be_used() {
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("key.pem");
    let export = |words: &[&str]| {
        let nowhere = [
            "export",
            "--server",
            "http://127.0.0.1:1/fhir",
            "--out",
            "o",
        ];
        let done = run(&[&nowhere, words].concat(), home.path());
        (done.status.code().unwrap(), said(&done))
    };
    let as_client = ["--client-id", "etl-7", "--key", "key.pem"];
    for wrong in [
        &as_client[..2],
        &as_client[2..],
        &["--key-id", "a"],
        &["--scope", "system/*.rs"],
        &[&as_client[..], &["--bearer-token-file", "key.pem"]].concat(),
    ] {
        assert_eq!(export(wrong).0, 2, "{wrong:?}");
    }
    assert_eq!(export(&as_client).0, 7, "there is no such file");
    fs::write(&key, "secret").unwrap();
    for (mode, is_open) in [(0o600, false), (0o644, true)] {
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        let (code, text) = export(&as_client);
        assert_eq!(code, 7, "{text}");
        assert!(
            text.contains("key.pem cannot be used: it holds no private"),
            "{text}"
        );
        assert_eq!(text.contains("others may read key.pem"), is_open, "{text}");
    }
    let (code, text) = export(&[&as_client[..], &["--json"]].concat());
    assert_eq!(code, 7);
    assert!(text.contains("\"event\":\"failed\""), "{text}");
}

/// Undated resources pass `_since` unless their files' times shall stand in.
#[test]
fn since_the_last_transaction_time_gives_nothing() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(
        data.join("p.ndjson"),
        "{\"resourceType\":\"Patient\",\"id\":\"p\"}\n",
    )
    .unwrap();
    for (undated, exported) in [("include", "1 resources"), ("file-time", "0 resources")] {
        let server_home = home.path().join(undated);
        let site = Site::new(&server_home, &data).undated(undated);
        let server = site.start();
        let out = server_home.join("out");
        let first = export(&site.base(), &out, &[]);
        let text = said(&first);
        let since = text.split("--since ").nth(1).unwrap().trim();
        let next = export(&site.base(), &server_home.join("next"), &["--since", since]);
        let text = said(&next);
        assert!(text.starts_with(exported), "{text}");
        assert!(text.contains("1 messages of the server"), "{text}");
        assert!(server.stop());
    }
}
