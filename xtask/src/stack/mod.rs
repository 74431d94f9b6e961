//! Private RabbitMQ, Redis, PostgreSQL and S3 servers for tests and for trying things: on free
//! loopback ports, with everything they write under `target/stack`. They outlive this process.

mod install;
mod pids;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, bail};
use sluice_stack::{
    Postgres, PostgresOptions, Process, Rabbitmq, RabbitmqOptions, Redis, RedisOptions, SeaweedFs,
    Server, is_alive, stop,
};

use crate::run::{root, say};
use pids::{Pids, remember};

/// Where everything of the stack lies.
fn home() -> PathBuf {
    root().join("target/stack")
}

/// `NAME=VALUE` lines: settings of the services as environment variables. Tests read it, and a
/// shell can (`set -a; . target/stack/env`).
fn env_file() -> PathBuf {
    home().join("env")
}

/// Does what `cargo xtask stack WORD` asks for.
pub(crate) fn command(word: &str) -> anyhow::Result<()> {
    match word {
        "up" => up(),
        "down" => down(),
        "status" => {
            status();
            Ok(())
        }
        other => bail!("cargo xtask stack {other}: there are up, down and status"),
    }
}

/// Installs what is missing and starts what does not run. Running already is fine.
pub(crate) fn up() -> anyhow::Result<()> {
    if is_up() {
        say(&format!("stack: is up; {}", env_file().display()));
        return Ok(());
    }
    down()?;
    let tools = install::everything()?;
    fs::create_dir_all(home())?;
    let started = start(&tools);
    if started.is_err() {
        down()?;
    }
    let settings = started?;
    let lines: String = settings
        .iter()
        .flat_map(|(name, value)| [name.as_str(), "=", value, "\n"])
        .collect();
    fs::write(env_file(), lines)?;
    say(&format!("stack: up; {}", env_file().display()));
    Ok(())
}

fn start(tools: &install::Tools) -> anyhow::Result<Vec<(String, String)>> {
    // What tests ask of it: the management plugin closes connections and reads queues.
    let managed = RabbitmqOptions {
        management: true,
        ..RabbitmqOptions::default()
    };
    let mut broker = begin::<Rabbitmq>(&managed)?;
    let mut index = begin::<Redis>(&RedisOptions::default())?;
    let mut store = begin::<SeaweedFs>(&tools.seaweedfs)?;
    let mut database = begin::<Postgres>(&PostgresOptions::default())?;
    let mut settings = settings_of(&mut broker)?;
    settings.extend(settings_of(&mut index)?);
    settings.extend(settings_of(&mut database)?);
    settings.extend(settings_of(&mut store)?);
    Ok(settings)
}

/// Starts a server in a folder of its own.
fn begin<S: Server>(options: &S::Options) -> anyhow::Result<Process<S>> {
    let folder = home().join(S::NAME);
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let process = Process::start(S::prepare(&folder, options)?)?;
    remember(&home(), S::NAME, process.pid()?)?;
    Ok(process)
}

/// Waits until a server answers, and returns its settings.
fn settings_of<S: Server>(process: &mut Process<S>) -> anyhow::Result<Vec<(String, String)>> {
    let waited = process.wait();
    // Also of one that did not come up: what it left behind is stopped by its pid.
    for (name, pid) in process.server().companions() {
        remember(&home(), name, pid)?;
    }
    waited?;
    Ok(process.server().settings())
}

/// What it told: settings of the services, and where the database is.
pub(crate) fn settings() -> anyhow::Result<Vec<(String, String)>> {
    let text = fs::read_to_string(env_file()).context("reading the settings of the stack")?;
    let settings = text.lines().filter_map(|line| line.split_once('='));
    Ok(settings
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

/// The same, with all that is kept below a name of its own in each server.
pub(crate) fn settings_in(corner: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut settings = settings()?;
    for (name, value) in &mut settings {
        if name == "SLUICE_PORTS__BLOBS" {
            *value = format!("{value}/{corner}");
        }
    }
    let prefixes = ["SLUICE_REDIS__PREFIX", "SLUICE_AMQP__PREFIX"];
    settings.extend(prefixes.map(|name| (name.to_owned(), corner.to_owned())));
    Ok(settings)
}

/// Has the servers up for some work, and takes them down again if they were not up before.
pub(crate) fn beside<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let was_up = is_up();
    up()?;
    let done = work();
    if !was_up {
        down()?;
    }
    done
}

/// One of its settings.
pub(crate) fn setting(settings: &[(String, String)], wanted: &str) -> anyhow::Result<String> {
    let found = settings.iter().find(|(name, _)| name == wanted);
    let found = found.map(|(_, value)| value.clone());
    found.with_context(|| format!("{wanted} is not among the settings of the stack"))
}

/// Whether all of its servers run.
fn is_up() -> bool {
    let pids = Pids::read(&home());
    let complete = !pids.is_empty() && pids.are_complete();
    env_file().exists() && complete && pids.iter().all(|(_, pid)| is_alive(*pid))
}

/// Stops everything and removes what it wrote.
pub(crate) fn down() -> anyhow::Result<()> {
    let pids = Pids::read(&home());
    for (name, pid) in pids.iter() {
        stop(name, *pid)?;
    }
    match fs::remove_dir_all(home()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", home().display()))
        }
        _ => Ok(()),
    }
}

fn status() {
    let pids = Pids::read(&home());
    if pids.is_empty() {
        say("stack: down");
        return;
    }
    for (name, pid) in pids.iter() {
        let state = if is_alive(*pid) { "runs" } else { "is gone" };
        say(&format!("{name:12} {state}, pid {pid}"));
    }
    say(fs::read_to_string(env_file())
        .unwrap_or_default()
        .trim_end());
}
