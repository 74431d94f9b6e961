//! Requests that `schemathesis` from PyPI makes up from `docs/openapi.json`, sent to `sluice serve` with and without
//! authorization, and to its admin port. `xtask/schemathesis/run.sh` installs it and judges the answers.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use anyhow::Context;

use crate::run::{cargo, program, remove, root, say, target};
use crate::serving::Serving;

const SECRET: &str = "of-an-admin-port-on-loopback-that-lives-for-minutes";

/// Installs it (110 MB below `target/tools`, kept for the next run) and sends about 10,000 requests, the same ones
/// every time. The build is a debug build, in which a number that overflows is a panic.
pub(crate) fn run() -> anyhow::Result<()> {
    cargo(&["build", "--locked", "--package", "sluice"])?;
    let sluice = target().join("debug/sluice").display().to_string();
    let home = root().join("target/schemathesis");
    remove(&home)?;
    fs::create_dir_all(&home).context("making a folder for schemathesis")?;
    let data = home.join("data");
    let out = data.display().to_string();
    program(&sluice, &["sample", "--patients", "10", "--out", &out])?;
    for authorization in ["off", "on"] {
        let place = home.join(authorization);
        fs::create_dir(&place).context("making a folder for a server")?;
        one(&sluice, (&data, &place, authorization))
            .with_context(|| format!("with authorization {authorization}"))?;
    }
    say("schemathesis: every answer is as docs/openapi.json has it");
    Ok(())
}

fn one(sluice: &str, (data, place, authorization): (&Path, &Path, &str)) -> anyhow::Result<()> {
    let admin = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let (server, text) = (place.join("server"), |path: &Path| {
        path.display().to_string()
    });
    let more = [
        ("SLUICE_ADMIN__LISTEN", admin.as_str()),
        ("SLUICE_ADMIN__SECRET", SECRET),
        // One finished export is polled again and again.
        ("SLUICE_SERVER__POLL_BURST", "1000000"),
    ];
    let serving = Serving::start(sluice, (data, &server, authorization), &more)?;
    let base = serving.base.clone();
    let url = base.strip_suffix("/default/fhir").context("another base")?;
    let (out, admin) = (text(place), format!("http://{admin}"));
    let base = format!("BASE={base}");
    // A worker of its own has `drain` too; this server has not.
    let tags = ["probes", "clients", "jobs", "dispatch", "log"];
    let admins = tags.map(|tag| ["--include-tag", tag]).concat();
    let others = tags.into_iter().chain(["drain"]);
    let but_admins: Vec<&str> = others.flat_map(|tag| ["--exclude-tag", tag]).collect();
    let ran = if authorization == "on" {
        let (key, server) = (text(&place.join("client.jwk")), text(&server));
        program(sluice, &client(&key, &server))?;
        let key = format!("KEY={key}");
        requests((url, &out), &[&base, &key], &but_admins)?;
        let secret = format!("SECRET={SECRET}");
        requests((&admin, &out), &[&secret], &admins)
    } else {
        requests((url, &out), &[&base], &but_admins)
    };
    drop(serving);
    ran
}

fn client<'a>(key: &'a str, server: &'a str) -> [&'a str; 11] {
    let scope = "system/*.rs";
    [
        "clients",
        "add",
        "--id",
        "schemathesis",
        "--scope",
        scope,
        "--generate",
        "--key-out",
        key,
        "--data-dir",
        server,
    ]
}

fn requests((url, out): (&str, &str), known: &[&str], which: &[&str]) -> anyhow::Result<()> {
    let venv = root().join("target/tools/schemathesis");
    let variables = [
        "DOCUMENT=docs/openapi.json".to_owned(),
        format!("URL={url}"),
        format!("OUT={out}"),
        format!("VENV={}", venv.display()),
    ];
    let variables = variables.iter().map(String::as_str);
    let mut words: Vec<&str> = variables.chain(known.iter().copied()).collect();
    words.extend(["bash", "xtask/schemathesis/run.sh"]);
    words.extend(which);
    program("env", &words)
}
