//! `bench gateway`: how much one gateway answers, and what it spends on it.

mod paced;
mod site;
mod wrk;

use std::process::Command;

use anyhow::{Context, bail, ensure};

use super::Benchmark;
use super::data::float;
use super::figures::{Series, Table};
use crate::process::Running;
use crate::{stack, tools};
use paced::{Paced, Request};
use site::{Key, Site};
use wrk::{CONNECTIONS, Script};

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "gateway",
    what: "one gateway process with authorization on, over RabbitMQ, Redis and SeaweedFS, asked by wrk over 64 connections, beside a handler of actix that does nothing and a bare GET of Redis (redis-benchmark, as many connections). All of it, and what asks, has the same cores: processor time tells what a gateway with cores of its own could do. The first answer that is not as it should be would end it",
    run: || stack::beside(measure),
};

const TURNS: usize = 5;
/// Half of what a gateway should be able to answer in a second.
const HALF: u32 = 5_000;
/// Assertions signed for a turn: more than are asked with.
const ASSERTIONS: u32 = 8_000;
/// GETs of a turn.
const GETS: &str = "200000";
/// Kick-offs ask for what changed since so many seconds, and more each, after 1970.
const SINCE: usize = 1_000_000_000;

/// One thing that is asked, in each turn.
#[derive(Default)]
struct Seen {
    rate: Series,
    p50: Series,
    p99: Series,
    /// Microseconds of processors for each answer, of whoever answers and of Redis.
    own: Series,
    redis: Series,
}

/// All that is measured.
#[derive(Default)]
struct All {
    running: Seen,
    complete: Seen,
    kickoffs: Seen,
    es384: Seen,
    rs384: Seen,
    empty: Seen,
    get: Series,
    /// Answers a second, p50 and p99 when half as much is asked as there should be, of polls and of the empty handler.
    paced: [Series; 3],
    paced_empty: [Series; 3],
}

fn measure() -> anyhow::Result<Table> {
    tools::debian(
        "bench gateway",
        &["wrk", "redis-tools", "openssl", "rclone"],
    )?;
    let site = Site::start()?;
    let mut all = All::default();
    for turn in 0..TURNS {
        all.turn(&site, turn)?;
    }
    Ok(all.table())
}

impl All {
    fn turn(&mut self, site: &Site, turn: usize) -> anyhow::Result<()> {
        site.empty_outbox()?;
        let bearer = site.bearer()?;
        let gateway = &site.fleet.gateway;
        let ask =
            |seen: &mut Seen,
             who: &Running,
             url: &str,
             headers: &[&str],
             script: (Script, &str)| { seen.ask(site, who, (url, headers, script)) };
        let nothing = (Script::Nothing, "");
        ask(&mut self.empty, &site.empty, &site.empty_url, &[], nothing)?;
        // First of those that write to the audit: an outbox that grows is counted in between.
        let url = format!("{}?_type=Patient&_since=", site.export_url());
        let since = (SINCE + turn * 1_000_000).to_string();
        let script = (Script::Kickoffs, since.as_str());
        ask(&mut self.kickoffs, gateway, &url, &[&bearer], script)?;
        for (seen, url, status) in [
            (&mut self.running, &site.running, "202"),
            (&mut self.complete, &site.complete, "200"),
        ] {
            let is = site::polled(url, &bearer)?;
            ensure!(is == status, "a poll is answered with {is}, not {status}");
            ask(seen, gateway, url, &[&bearer], nothing)?;
        }
        for (seen, key) in [(&mut self.es384, Key::Es384), (&mut self.rs384, Key::Rs384)] {
            let file = site.assertions(key, ASSERTIONS)?;
            let form = "Content-Type: application/x-www-form-urlencoded";
            let script = (Script::Tokens, &*file.to_string_lossy());
            ask(seen, gateway, &site.token_url(), &[form], script)?;
        }
        self.get.push(gets(&site.redis)?);
        // The first may have been good for no longer, if the machine is busy.
        let bearer = site.bearer()?;
        let poll = get(&site.running, &bearer, ("HTTP/1.1 202 ", "\r\n\r\n"))?;
        let nothing = get(&site.empty_url, &bearer, ("HTTP/1.1 200 ", "\r\n\r\nok"))?;
        for (seen, request) in [(&mut self.paced, &poll), (&mut self.paced_empty, &nothing)] {
            let Paced { rate, p50, p99 } = paced::ask(request, HALF)?;
            for (series, figure) in seen.iter_mut().zip([rate, p50, p99]) {
                series.push(figure);
            }
        }
        Ok(())
    }

    fn table(&self) -> Table {
        let mut table = Table::default();
        let by_core = |seen: &Seen| seen.own.map(|micros| 2e6 / micros);
        let (polls, empty) = (&self.running, &self.empty);
        table.row(
            "polls of a running export, by answers of the empty handler",
            "x",
            &polls.rate.over(&empty.rate),
        );
        table.row(
            "processor time of a poll, by that of the empty handler",
            "x",
            &polls.own.over(&empty.own),
        );
        table.row(
            "polls of a running export, by bare GETs of Redis",
            "x",
            &polls.rate.over(&self.get),
        );
        let row = "polls of a running export by two cores of gateway, were they its own";
        table.row_with_target(row, "1/s", &by_core(polls), "≥ 10,000");
        let [rate, p50, p99] = &self.paced;
        table.row(&format!("{HALF} polls a second: answered"), "1/s", rate);
        table.row(&format!("{HALF} polls a second: p50"), "ms", p50);
        table.row_with_target(&format!("{HALF} polls a second: p99"), "ms", p99, "≤ 10");
        let [_, p50, p99] = &self.paced_empty;
        table.row(
            &format!("{HALF} a second of the empty handler: p50"),
            "ms",
            p50,
        );
        table.row(
            &format!("{HALF} a second of the empty handler: p99"),
            "ms",
            p99,
        );
        for (what, seen) in [
            ("polls of a running export", polls),
            (
                "polls of a complete export, each written to the audit in S3",
                &self.complete,
            ),
            ("kick-offs", &self.kickoffs),
            ("tokens for ES384", &self.es384),
            ("tokens for RS384", &self.rs384),
            ("the empty handler", empty),
        ] {
            seen.rows(what, &mut table);
        }
        table.row("bare GETs of Redis", "1/s", &self.get);
        table
    }
}

impl Seen {
    /// Asks for a while; fails if an answer is wrong.
    fn ask(
        &mut self,
        site: &Site,
        who: &Running,
        (url, headers, script): (&str, &[&str], (Script, &str)),
    ) -> anyhow::Result<()> {
        let before = (who.cpu()?, redis_cpu(&site.redis)?);
        let told = wrk::ask(url, headers, script)?;
        let after = (who.cpu()?, redis_cpu(&site.redis)?);
        ensure!(told.answers > 0, "{url} is not answered");
        ensure!(
            told.wrong == 0,
            "{} of {} answers of {url} were wrong",
            told.wrong,
            told.answers
        );
        let micros = |seconds: f64| seconds * 1e6 / float(told.answers);
        self.own.push(micros(after.0 - before.0));
        self.redis.push(micros(after.1 - before.1));
        self.rate.push(told.rate());
        self.p50.push(f64::from(told.p50) / 1e3);
        self.p99.push(f64::from(told.p99) / 1e3);
        Ok(())
    }

    fn rows(&self, what: &str, table: &mut Table) {
        table.row(what, "1/s", &self.rate);
        table.row(&format!("{what}: p50"), "ms", &self.p50);
        table.row(&format!("{what}: p99"), "ms", &self.p99);
        table.row(
            &format!("{what}: processor time of its process"),
            "µs",
            &self.own,
        );
        table.row(
            &format!("{what}: processor time of Redis"),
            "µs",
            &self.redis,
        );
    }
}

/// A GET as it is sent, and how its answer begins and ends.
fn get(
    url: &str,
    header: &str,
    (begins, ends): (&'static str, &'static str),
) -> anyhow::Result<Request> {
    let rest = url.strip_prefix("http://").context("no plain HTTP")?;
    let (address, path) = rest.split_once('/').context("no path")?;
    Ok(Request {
        address: address.to_owned(),
        head: format!("GET /{path} HTTP/1.1\r\nHost: {address}\r\n{header}\r\n\r\n"),
        begins,
        ends,
    })
}

/// Seconds of processors that Redis took so far.
fn redis_cpu(redis: &str) -> anyhow::Result<f64> {
    let told = output("redis-cli", &["-u", redis, "INFO", "cpu"])?;
    let figure = |name: &str| -> anyhow::Result<f64> {
        let found = told.lines().find_map(|line| line.strip_prefix(name));
        Ok(found
            .context("redis tells of no processor time")?
            .trim()
            .parse()?)
    };
    Ok(figure("used_cpu_user:")? + figure("used_cpu_sys:")?)
}

/// GETs a second.
fn gets(redis: &str) -> anyhow::Result<f64> {
    let connections = CONNECTIONS.to_string();
    let words = [
        "-u",
        redis,
        "-c",
        &connections,
        "-n",
        GETS,
        "--csv",
        "GET",
        "sluice",
    ];
    let told = output("redis-benchmark", &words)?;
    let last = told
        .lines()
        .last()
        .and_then(|line| line.split("\",\"").nth(1));
    Ok(last
        .with_context(|| format!("redis-benchmark: {told}"))?
        .parse()?)
}

fn output(name: &str, words: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(name).args(words).output();
    let output = output.with_context(|| format!("starting {name}"))?;
    if !output.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
