//! The same export by ever more workers, over a source whose every answer takes a while.

use std::time::Duration;

use anyhow::Context;

use super::{slow, told};
use crate::bench::data;
use crate::bench::figures::{Series, Table};
use crate::bench::fleet::{Database, Export, Fleet, Plan};
use crate::bench::machine::Since;
use crate::process::Running;
use crate::run::say;

/// A little less than ten chunks for each of sixteen.
const PATIENTS: u32 = 336;
const LATENCY: Duration = Duration::from_millis(50);
const TURNS: usize = 2;
/// Workers, and the slots of each.
const WIDTHS: [(u32, u32); 6] = [(1, 1), (2, 1), (4, 1), (8, 1), (16, 1), (1, 16)];
const TARGET: &str = "≥ 0.90";

/// What one of them took, in each turn.
#[derive(Default)]
struct Width {
    /// Seconds of the whole export.
    wall: Series,
    /// Processors that were busy on the average.
    processors: Series,
    chunks: Series,
    /// Seconds of a chunk in a slot.
    chunk: Series,
    /// Milliseconds of processors that workers, and the coordinator, took for a chunk.
    workers: Series,
    coordinator: Series,
    /// Of a hundred seconds of a slot, those in which it had a chunk.
    worked: Series,
}

pub(super) fn measure(table: &mut Table) -> anyhow::Result<()> {
    let sample = data::patients(PATIENTS)?;
    let database = Database::make("widths")?;
    database.load(&sample.folder)?;
    let slow = slow::way(&database.uri, LATENCY)?;
    let mut widths = WIDTHS.map(|_| Width::default());
    for _ in 0..TURNS {
        for ((workers, slots), width) in WIDTHS.iter().zip(&mut widths) {
            width.export((&database.uri, &slow), (*workers, *slots))?;
        }
    }
    let [one, ..] = &widths;
    let speed_up = |width: &Width| one.wall.over(&width.wall);
    let named = || WIDTHS.into_iter().map(name).zip(&widths);
    let by = WIDTHS.map(|(workers, slots)| f64::from(workers * slots));
    for ((name, width), size) in named().zip(by).skip(1) {
        let part = speed_up(width).map(|times| times / size);
        table.row_with_target(&format!("{name}: of linear"), "x", &part, TARGET);
    }
    for (name, width) in named().skip(1) {
        table.row(&format!("{name}: speed-up"), "x", &speed_up(width));
    }
    for (name, width) in named() {
        let mut row = |what, unit, series| table.row(&format!("{name}: {what}"), unit, series);
        row("whole export", "s", &width.wall);
        row("slots that have a chunk", "%", &width.worked);
        row("a chunk in a slot", "s", &width.chunk);
        row("workers' processor time of a chunk", "ms", &width.workers);
        let coordinator = &width.coordinator;
        row("coordinator's processor time of a chunk", "ms", coordinator);
        row("processors busy", "", &width.processors);
    }
    table.row("chunks of each", "", &one.chunks);
    Ok(())
}

fn name((workers, slots): (u32, u32)) -> String {
    match (workers, slots) {
        (1, 1) => "1 worker of 1 slot".to_owned(),
        (1, slots) => format!("1 worker of {slots} slots"),
        (workers, _) => format!("{workers} workers of 1 slot"),
    }
}

impl Width {
    /// One export by workers that are there when it is asked for.
    fn export(
        &mut self,
        (direct, slow): (&str, &str),
        (workers, slots): (u32, u32),
    ) -> anyhow::Result<()> {
        let set = |name: &'static str, value: u32| (name, value.to_string());
        let own = [
            set("SLUICE_TENANTS__DEFAULT__CHUNK_MIB", 1),
            // Four times the slots, as deploy/sluice.toml advises.
            set("SLUICE_COORDINATOR__WINDOW", 4 * workers * slots),
            set("SLUICE_WORKER__SLOTS", slots),
            set("SLUICE_TENANTS__DEFAULT__POSTGRES__CONNECTIONS", slots + 4),
            set("SLUICE_TENANTS__DEFAULT__POSTGRES__READS", slots),
        ];
        let mut fleet = Fleet::start(&Plan {
            tenants: &[("default", direct.to_owned())],
            workers: 0,
            more: &[&own[..], &told::settings()].concat(),
        })?;
        let source = [("SLUICE_TENANTS__DEFAULT__SOURCE", slow.to_owned())];
        let started = (0..workers).map(|_| fleet.add_ready_worker(&source));
        let started: Vec<String> = started.collect::<anyhow::Result<_>>()?;
        let before = cpu(&fleet)?;
        let since = Since::now()?;
        let export = Export::begin(&format!("{}/$export", fleet.base("default")))?;
        export.wait()?;
        let (took, after) = (since.took()?, cpu(&fleet)?);
        let chunks = told::planned()?.context("its plan was not sealed")?;
        let worked = told::sum(&started, "messaging_process_duration_seconds_sum")?;
        let name = name((workers, slots));
        say(&format!(
            "scale: {name}: {chunks} chunks in {:.1} s",
            took.wall
        ));
        self.wall.push(took.wall);
        self.processors.push(took.machine / took.wall);
        self.chunks.push(chunks);
        self.chunk.push(worked / chunks);
        self.workers.push((after.0 - before.0) * 1e3 / chunks);
        self.coordinator.push((after.1 - before.1) * 1e3 / chunks);
        self.worked
            .push(100.0 * worked / took.wall / f64::from(workers * slots));
        export.delete()
    }
}

/// Seconds of processors that workers, and the coordinator, took so far.
fn cpu(fleet: &Fleet) -> anyhow::Result<(f64, f64)> {
    let workers = fleet.workers.iter().map(Running::cpu);
    Ok((
        workers.sum::<anyhow::Result<f64>>()?,
        fleet.coordinator.cpu()?,
    ))
}
