//! Ports for servers that are about to start, and the first words with those that have.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use anyhow::Context;

/// Below this the system's own services are.
const LOWEST: u16 = 10_000;

/// Ports that are free now. None is among those that the kernel gives to outgoing connections, if
/// it leaves others: such a connection could take it while a server is down, even one that dials
/// this very port. All are held until the last is found, so that they differ.
pub fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let mut held = Vec::new();
    let mut ports = [0; N];
    let mut candidates = candidates();
    for port in &mut ports {
        let listener = candidates.find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
        let listener = match listener {
            Some(listener) => listener,
            None => TcpListener::bind("127.0.0.1:0").context("finding a free port")?,
        };
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// All that may be used, from anywhere among them on, so that processes do not meet.
fn candidates() -> impl Iterator<Item = u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let outgoing = range.split_whitespace().next();
    let end = outgoing
        .and_then(|first| first.parse().ok())
        .unwrap_or(32_768);
    let count = u64::from(u16::saturating_sub(end, LOWEST));
    let first = RandomState::new().build_hasher().finish() % count.max(1);
    (first..count)
        .chain(0..first)
        .filter_map(|offset| LOWEST.checked_add(u16::try_from(offset).ok()?))
}

/// A connection that does not wait for ever: a stranger may have taken the port.
pub(crate) fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_are_not_the_systems_own() {
        let mut ports: [u16; 20] = free_ports().unwrap();
        ports.sort_unstable();
        assert!(ports.windows(2).all(|pair| pair[0] < pair[1]), "{ports:?}");
        assert!(ports[0] >= LOWEST, "{ports:?}");
    }
}
