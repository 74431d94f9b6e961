//! A million Patients: how soon the work begins, and what their plan costs.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::told;
use crate::bench::data;
use crate::bench::figures::{Series, Table};
use crate::bench::fleet::{Database, Export, Fleet, Plan};
use crate::process::curl;
use crate::stack;

const PATIENTS: u32 = 1_000_000;
/// Patients of a file.
const FILE: u32 = 100_000;
/// Two of the processors of a small machine; their slots.
const WORKERS: u32 = 2;
const SLOTS: u32 = 2;
/// Of a chunk, in MiB: the default, and one of which there are many.
const CHUNKS: [u32; 2] = [128, 1];
const TURNS: usize = 3;
/// After which the broker has counted what was sent.
const COUNTED: Duration = Duration::from_secs(6);

/// What an export took, in each turn.
#[derive(Default)]
struct Seen {
    since_asked: Series,
    since_answered: Series,
    sealed: Series,
    whole: Series,
    chunks: Series,
    coordinator: Series,
    redis: Series,
    more_redis: Series,
    messages: Series,
}

pub(super) fn measure(table: &mut Table) -> anyhow::Result<()> {
    let sample = data::made(&format!("small-patients-{PATIENTS}"), make)?;
    let database = Database::make("million")?;
    let begun = Instant::now();
    database.load(&sample.folder)?;
    let loaded = begun.elapsed().as_secs_f64();
    let mut all = CHUNKS.map(|_| Seen::default());
    for _ in 0..TURNS {
        for (mebibytes, seen) in CHUNKS.iter().zip(&mut all) {
            seen.export(&database.uri, *mebibytes)?;
        }
    }
    for (mebibytes, seen) in CHUNKS.iter().zip(&all) {
        let about = format!("{PATIENTS} patients, chunk_mib = {mebibytes}");
        seen.tell(&about, table);
    }
    let about = format!("{PATIENTS} patients: `sluice load`, VACUUM ANALYZE and CHECKPOINT");
    table.row(&about, "s", &Series::from(loaded));
    Ok(())
}

/// Patients that differ in their ids, names and birth dates.
fn make(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    for first in (0..PATIENTS).step_by(usize::try_from(FILE)?) {
        let mut file = BufWriter::new(File::create(folder.join(format!("{first:08}.ndjson")))?);
        for number in first..PATIENTS.min(first + FILE) {
            let (year, month, day) = (1920 + number % 100, 1 + number % 12, 1 + number % 28);
            let gender = ["female", "male"][usize::try_from(number % 2)?];
            writeln!(
                file,
                r#"{{"resourceType":"Patient","id":"p-{number:08}","active":true,"name":[{{"use":"official","family":"Family-{number}","given":["Given-{number}"]}}],"gender":"{gender}","birthDate":"{year}-{month:02}-{day:02}"}}"#
            )?;
        }
        file.flush()?;
    }
    Ok(())
}

impl Seen {
    fn export(&mut self, database: &str, mebibytes: u32) -> anyhow::Result<()> {
        let set = |name: &'static str, value: u32| (name, value.to_string());
        let own = [
            set("SLUICE_TENANTS__DEFAULT__CHUNK_MIB", mebibytes),
            set("SLUICE_COORDINATOR__WINDOW", 4 * WORKERS * SLOTS),
            set("SLUICE_WORKER__SLOTS", SLOTS),
        ];
        let mut fleet = Fleet::start(&Plan {
            tenants: &[("default", database.to_owned())],
            workers: 0,
            more: &[&own[..], &told::settings()].concat(),
        })?;
        let workers = (0..WORKERS).map(|_| fleet.add_ready_worker(&[]));
        let workers: Vec<String> = workers.collect::<anyhow::Result<_>>()?;
        let (memory, published) = (redis_memory()?, published(&fleet.corner)?);
        let asked = Instant::now();
        let url = format!("{}/Patient/$export?_type=Patient", fleet.base("default"));
        let export = Export::begin(&url)?;
        let kick_off = asked.elapsed().as_secs_f64();
        let (mut begun, mut sealed, mut most) = (None, None, memory);
        loop {
            if begun.is_none()
                && told::sum(&workers, "messaging_client_consumed_messages_total")? > 0.0
            {
                begun = Some(asked.elapsed().as_secs_f64());
            }
            if sealed.is_none()
                && let Some(chunks) = told::planned()?
            {
                sealed = Some(asked.elapsed().as_secs_f64());
                self.chunks.push(chunks);
            }
            most = most.max(redis_memory()?);
            if export.has_ended()? {
                break;
            }
        }
        self.whole.push(asked.elapsed().as_secs_f64());
        let begun = begun.context("nobody began it")?;
        self.since_asked.push(begun);
        self.since_answered.push(begun - kick_off);
        self.sealed.push(sealed.context("its plan was not sealed")?);
        self.coordinator.push(fleet.coordinator.peak()?);
        self.redis.push(memory / 1024.0);
        self.more_redis.push((most - memory) / 1024.0);
        std::thread::sleep(COUNTED);
        self.messages
            .push(self::published(&fleet.corner)? - published);
        if export.resources()? != u64::from(PATIENTS) {
            bail!("some patients are missing");
        }
        export.delete()
    }

    fn tell(&self, about: &str, table: &mut Table) {
        let mut row = |what: &str, unit: &str, series: &Series, target: &str| {
            table.row_with_target(&format!("{about}: {what}"), unit, series, target);
        };
        let quick = "< 1 for 10 million";
        row(
            "kick-off's answer to first work",
            "s",
            &self.since_answered,
            quick,
        );
        row(
            "kick-off's request to first work",
            "s",
            &self.since_asked,
            "",
        );
        row("kick-off's request to plan sealed", "s", &self.sealed, "");
        row("kick-off's request to manifest", "s", &self.whole, "");
        row("chunks", "", &self.chunks, "");
        let little = "≤ 128 for 10 million";
        row("peak of the coordinator", "MiB", &self.coordinator, little);
        row("Redis before it", "KiB", &self.redis, "");
        row("Redis meanwhile, more", "KiB", &self.more_redis, "");
        row("messages published", "", &self.messages, "");
    }
}

/// What Redis holds now, in bytes.
fn redis_memory() -> anyhow::Result<f64> {
    let index = stack::setting(&stack::settings()?, "SLUICE_PORTS__INDEX")?;
    let output = Command::new("redis-cli")
        .args(["-u", &index, "info", "memory"])
        .output();
    let output = output.context("starting redis-cli")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let used = text
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    Ok(used
        .context("redis does not say what it uses")?
        .trim()
        .parse()?)
}

/// Messages that came to the queues of a corner so far.
fn published(corner: &str) -> anyhow::Result<f64> {
    let broker = stack::setting(&stack::settings()?, "STACK_RABBITMQ_MANAGEMENT")?;
    let queues = curl(&[
        "-sS",
        &format!("{broker}/api/queues?columns=name,message_stats.publish"),
    ])?;
    let queues: Vec<serde_json::Value> = serde_json::from_str(&queues)?;
    let own = queues.iter().filter(|queue| {
        queue["name"]
            .as_str()
            .is_some_and(|name| name.starts_with(corner))
    });
    Ok(own
        .filter_map(|queue| queue["message_stats"]["publish"].as_f64())
        .sum())
}
