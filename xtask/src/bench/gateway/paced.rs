//! Requests at a fixed rate, whether or not those before were answered: each has its time, and what it takes counts from
//! then, so that a server that stands still is not spared the requests that it keeps from being sent.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};

/// Each is a thread with a connection, which asks when it is its turn.
const LANES: u32 = 64;
/// How long they ask.
const TIME: Duration = Duration::from_secs(4);
/// No answer that is waited for has a longer head.
const HEAD: usize = 4096;

/// What is asked.
#[derive(Clone)]
pub(super) struct Request {
    /// Host and port.
    pub(super) address: String,
    /// Method, path and headers as they are sent.
    pub(super) head: String,
    /// How each answer begins.
    pub(super) answer: &'static str,
}

/// What came of it.
pub(super) struct Paced {
    /// Answers a second: what was asked for, if the server could.
    pub(super) rate: f64,
    /// Milliseconds from when a request was due until it was answered.
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// Asks so many times a second.
pub(super) fn ask(request: &Request, per_second: u32) -> anyhow::Result<Paced> {
    let (step, begun) = (Duration::from_secs(1) / per_second, Instant::now());
    let lanes: Vec<JoinHandle<anyhow::Result<Vec<Duration>>>> = (0..LANES)
        .map(|lane| {
            let (request, first) = (request.clone(), begun + step * lane);
            thread::spawn(move || one(&request, first, step * LANES))
        })
        .collect();
    let mut took = Vec::new();
    for lane in lanes {
        took.extend(lane.join().map_err(|_| anyhow!("a lane broke down"))??);
    }
    let all = begun.elapsed().as_secs_f64();
    took.sort_unstable();
    let at = |per_cent: usize| -> anyhow::Result<f64> {
        let at = (took.len() * per_cent / 100).min(took.len().saturating_sub(1));
        Ok(took.get(at).context("nothing was asked")?.as_secs_f64() * 1e3)
    };
    Ok(Paced {
        rate: f64::from(u32::try_from(took.len())?) / all,
        p50: at(50)?,
        p99: at(99)?,
    })
}

fn one(request: &Request, first: Instant, step: Duration) -> anyhow::Result<Vec<Duration>> {
    let mut connection = TcpStream::connect(&request.address)?;
    connection.set_nodelay(true)?;
    let (mut due, end, mut took) = (first, first + TIME, Vec::new());
    while due < end {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        connection.write_all(request.head.as_bytes())?;
        answered(&mut connection, request.answer)?;
        took.push(due.elapsed());
        due += step;
    }
    Ok(took)
}

/// Reads an answer without a body.
fn answered(connection: &mut TcpStream, wanted: &str) -> anyhow::Result<()> {
    let (mut head, mut length) = ([0; HEAD], 0);
    while !head[..length].ends_with(b"\r\n\r\n") {
        match connection.read(&mut head[length..])? {
            0 => bail!("a connection was closed before the end of an answer"),
            read => length += read,
        }
    }
    if !head.starts_with(wanted.as_bytes()) {
        bail!(
            "another answer: {}",
            String::from_utf8_lossy(&head[..length])
        );
    }
    Ok(())
}
