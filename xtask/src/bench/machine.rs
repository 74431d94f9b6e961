//! The machine that figures were taken on, and how much of it something took.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;

/// Linux counts a hundred ticks a second, whatever its kernel does.
const TICK: Duration = Duration::from_millis(10);

/// One line about processors, memory, system, compiler and revision.
pub(super) fn described() -> anyhow::Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':']));
    let has_sha = cpu
        .lines()
        .any(|line| line.starts_with("flags") && line.contains(" sha_ni"));
    let cores = std::thread::available_parallelism()?;
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kib = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = kib
        .and_then(|text| text.split_whitespace().next())
        .context("no memory in /proc")?;
    let gib = kib.parse::<u64>()? >> 20;
    let sha = if has_sha {
        "with SHA instructions"
    } else {
        "without SHA instructions"
    };
    let kernel = first_line("uname", &["-sr"])?;
    let rustc = first_line("rustc", &["--version"])?;
    // The table of the benchmark before this one is no change of what is measured.
    let changes = Command::new("git")
        .args(["diff", "--quiet", "HEAD", "--", ".", ":!docs/BENCHMARKS.md"])
        .current_dir(crate::run::root())
        .status()?;
    let dirty = if changes.success() { "" } else { "-dirty" };
    let revision = first_line("git", &["describe", "--always"])?;
    let day = first_line("date", &["+%Y-%m-%d"])?;
    Ok(format!(
        "{day}, revision {revision}{dirty}: {cores} cores of {model} {sha}, {gib} GiB, {kernel}, {rustc}, release build"
    ))
}

/// The first line that a program prints.
pub(super) fn first_line(program: &str, words: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(words)
        .current_dir(crate::run::root())
        .output();
    let output = output.with_context(|| format!("starting {program}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// Processor time of a process so far, with that of its threads.
pub(super) fn cpu_of(pid: u32) -> anyhow::Result<Duration> {
    // utime and stime.
    fields(&pid.to_string(), 11)
}

/// The same of all processes that this one has waited for.
pub(super) fn cpu_of_ended() -> anyhow::Result<Duration> {
    // cutime and cstime.
    fields("self", 13)
}

fn fields(process: &str, first: usize) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, after_name) = stat.rsplit_once(')').context("no name in /proc")?;
    let ticks = after_name.split_whitespace().skip(first).take(2);
    let ticks: u32 = ticks.map(str::parse::<u32>).sum::<Result<_, _>>()?;
    Ok(TICK * ticks)
}

/// The most memory that a process that runs ever held.
pub(super) fn peak_mib(pid: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|text| text.split_whitespace().next());
    let kib: f64 = kib.context("no peak in /proc")?.parse()?;
    Ok(kib / 1024.0)
}

/// Since when something runs, on the wall and on all processors of the machine.
pub(super) struct Since {
    begun: Instant,
    busy: Duration,
}

/// What something took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    /// Seconds.
    pub(super) wall: f64,
    /// Seconds of processors, of everything on the machine.
    pub(super) machine: f64,
}

impl Since {
    pub(super) fn now() -> anyhow::Result<Self> {
        Ok(Self {
            busy: busy()?,
            begun: Instant::now(),
        })
    }

    pub(super) fn took(&self) -> anyhow::Result<Took> {
        Ok(Took {
            wall: self.begun.elapsed().as_secs_f64(),
            machine: busy()?.saturating_sub(self.busy).as_secs_f64(),
        })
    }
}

/// Time that all processors together were not idle.
fn busy() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let first = stat.lines().next().context("nothing in /proc/stat")?;
    let ticks: Vec<u32> = first
        .split_whitespace()
        .skip(1)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    // user, nice, system, then idle and waiting, then interrupts.
    let counted = ticks
        .iter()
        .take(7)
        .enumerate()
        .filter(|(at, _)| ![3, 4].contains(at));
    Ok(TICK * counted.map(|(_, ticks)| *ticks).sum::<u32>())
}
