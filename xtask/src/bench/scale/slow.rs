//! A slow way to a server: what the server says arrives a while after it was said, and no more than a piece in as much
//! time again: as over a long line, whose far end waits to hear that a window has arrived before it sends the next.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

/// So much of an answer arrives in each latency, on each connection.
const WINDOW: u32 = 64 * 1024;

/// Pieces, after which the far end waits.
const UNDERWAY: usize = 16;

/// A piece, and when it arrives.
type Underway = (Instant, Vec<u8>);

/// Opens one to where a `postgres://` address leads, and gives the address of its near end. It lasts as long as this
/// process.
pub(super) fn way(address: &str, latency: Duration) -> anyhow::Result<String> {
    let unclear = || format!("no host and port in {address}");
    let (_, after) = address.split_once('@').with_context(unclear)?;
    let (server, _) = after.split_once('/').with_context(unclear)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let near = listener.local_addr()?.to_string();
    let far = server.to_owned();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let far = far.clone();
            // One that fails ends, and both ends see it.
            thread::spawn(move || carry(client, &far, latency));
        }
    });
    Ok(address.replacen(server, &near, 1))
}

/// Carries a connection until both ends are done.
fn carry(client: TcpStream, far: &str, latency: Duration) -> io::Result<()> {
    let server = TcpStream::connect(far)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (asked, answers) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || ask(asked, server));
    let (sender, receiver) = sync_channel(UNDERWAY);
    thread::spawn(move || listen(answers, &sender, latency));
    deliver(&receiver, client)
}

/// What the client says goes on at once.
fn ask(mut client: TcpStream, mut server: TcpStream) -> io::Result<()> {
    let carried = io::copy(&mut client, &mut server);
    server.shutdown(Shutdown::Write)?;
    carried.map(|_| ())
}

/// Notes when each piece arrives.
fn listen(
    mut server: TcpStream,
    underway: &SyncSender<Underway>,
    latency: Duration,
) -> io::Result<()> {
    let mut piece = vec![0; WINDOW as usize];
    let mut free = Instant::now();
    loop {
        let length = server.read(&mut piece)?;
        let now = Instant::now();
        let takes = latency * u32::try_from(length).unwrap_or(WINDOW) / WINDOW;
        free = free.max(now) + takes;
        let arrives = free.max(now + latency);
        let is_wanted = underway.send((arrives, piece[..length].to_vec()));
        if length == 0 || is_wanted.is_err() {
            return Ok(());
        }
    }
}

/// Hands each piece over when it is time; an empty one is the end.
fn deliver(underway: &Receiver<Underway>, mut client: TcpStream) -> io::Result<()> {
    for (arrives, piece) in underway {
        thread::sleep(arrives.saturating_duration_since(Instant::now()));
        if piece.is_empty() {
            break;
        }
        client.write_all(&piece)?;
    }
    client.shutdown(Shutdown::Both)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_arrives_in_order_and_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("postgres://me@{}/db", listener.local_addr().unwrap());
        let said: Vec<u8> = (0..300_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let answer = said.clone();
        thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            client.read_to_end(&mut asked).unwrap();
            assert_eq!(asked, b"what?");
            client.write_all(&answer).unwrap();
        });
        let near = way(&address, Duration::from_millis(1)).unwrap();
        assert!(near.starts_with("postgres://me@127.0.0.1:") && near.ends_with("/db"));
        let near = near
            .trim_start_matches("postgres://me@")
            .trim_end_matches("/db");
        let mut client = TcpStream::connect(near).unwrap();
        client.write_all(b"what?").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, said);
    }
}
