//! Benchmarks: they print figures and judge nothing. `memory` exports gigabytes and documents of
//! 60 MB from one process and prints the most memory it ever held; `postgres` loads a database and exports
//! it by the three services; `selection` prints what `_typeFilter` and `_elements` cost.

mod postgres;
mod selection;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::run::{cargo, program, root, say};

/// About 2 GiB of sample data.
const PATIENTS: &str = "4700";
const GIANTS: [&str; 2] = ["giant-1", "giant-2"];
const GIANT_MIB: u32 = 60;

/// Runs a benchmark by its name.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<()> {
    match words {
        ["memory"] => memory(),
        ["postgres"] => postgres::run(None),
        ["postgres", folder] => postgres::run(Some(folder)),
        ["selection"] => selection::run(),
        other => {
            bail!("there is no benchmark {other:?}; there are: memory, postgres [DIR], selection")
        }
    }
}

fn memory() -> anyhow::Result<()> {
    cargo(&["build", "--release", "--locked", "-p", "sluice"])?;
    let home = root().join("target/bench");
    let data = sample(&home, ("sample-with-giants", PATIENTS), giants)?;
    for left in ["server", "export"] {
        remove(&home.join(left))?;
    }
    // Indexed anew, so that loading is measured too.
    remove(&data.join(".sluice"))?;
    let begun = Instant::now();
    let mut server = Serving::start(&data, &home.join("server"), "off")?;
    let (loading, loaded) = (begun.elapsed(), server.peak_mib()?);
    let begun = Instant::now();
    let out = home.join("export").to_string_lossy().into_owned();
    let base = server.base.clone();
    let words = ["export", "--system", "--server", &base, "--out", &out];
    program(&sluice(), &words)?;
    let (exporting, exported) = (begun.elapsed(), server.peak_mib()?);
    server.stop()?;
    let mib = size(&home.join("export"))? >> 20;
    remove(&home.join("export"))?;
    remove(&home.join("server"))?;
    say(&format!(
        "\n{:24} {:>10} {:>10}\n{}\n{}",
        format!("{mib} MiB of NDJSON"),
        "seconds",
        "peak MiB",
        row("load and index", loading, loaded),
        row("export and download", exporting, exported),
    ));
    Ok(())
}

fn row(what: &str, took: Duration, mib: u64) -> String {
    format!("{what:24} {:>10.1} {mib:>10}", took.as_secs_f64())
}

pub(crate) fn sluice() -> String {
    let path = root().join("target/release/sluice");
    path.to_string_lossy().into_owned()
}

/// A folder of sample data below `home`, made once; `more` adds to it.
fn sample(
    home: &Path,
    (name, patients): (&str, &str),
    more: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let (data, made) = (home.join(name), home.join(format!("{name}.made")));
    if !made.exists() {
        remove(&data)?;
        let out = data.to_string_lossy().into_owned();
        program(
            &sluice(),
            &["sample", "--patients", patients, "--out", &out],
        )?;
        more(&data)?;
        fs::write(made, "made by cargo xtask bench\n")?;
    }
    Ok(data)
}

/// A few documents with scanned attachments.
fn giants(data: &Path) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(data.join("giants.ndjson"))?);
    let mebibyte = "QUJD".repeat(256 * 1024);
    for id in GIANTS {
        write!(
            file,
            r#"{{"resourceType":"DocumentReference","id":"{id}","content":[{{"attachment":{{"data":""#
        )?;
        for _ in 0..GIANT_MIB {
            file.write_all(mebibyte.as_bytes())?;
        }
        file.write_all(b"\"}}]}\n")?;
    }
    Ok(file.flush()?)
}

pub(crate) fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}

fn size(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

/// A server on any free port.
pub(crate) struct Serving {
    child: Child,
    pub(crate) base: String,
}

impl Serving {
    /// Returns once it answers.
    pub(crate) fn start(data: &Path, home: &Path, authorization: &str) -> anyhow::Result<Self> {
        Self::start_with(&sluice(), (data, home, authorization), &[])
    }

    /// The same of another build, with more of its settings set.
    pub(crate) fn start_with(
        program: &str,
        (data, home, authorization): (&Path, &Path, &str),
        more: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(["serve", "--data"])
            .arg(data)
            .env("SLUICE_DATA_DIR", home)
            .env("SLUICE_SERVER__LISTEN", "127.0.0.1:0")
            .env("SLUICE_SERVER__AUTHORIZATION", authorization)
            .env("SLUICE_LOG__FILTER", "warn")
            .envs(more.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting sluice serve")?;
        let stderr = child.stderr.take().context("no standard error")?;
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let base = lines.find_map(|line| line.strip_prefix("FHIR base: ").map(str::to_owned));
        let base = base.context("sluice serve did not start")?;
        // Whoever does not read it makes the server wait.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, base })
    }

    /// Processor time that it took so far.
    fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, after_name) = stat.rsplit_once(')').context("no name in /proc")?;
        let ticks = after_name.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(str::parse::<u64>).sum::<Result<_, _>>()?;
        // Linux counts a hundred ticks a second, whatever its kernel does.
        Ok(Duration::from_millis(ticks * 10))
    }

    fn peak_mib(&self) -> anyhow::Result<u64> {
        peak_mib(self.child.id())
    }

    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// The most memory that a process that runs ever held.
pub(crate) fn peak_mib(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|text| text.split_whitespace().next());
    let kib: u64 = kib.context("no peak in /proc")?.parse()?;
    Ok(kib >> 10)
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _has_ended = self.stop();
    }
}
