//! The first words of PostgreSQL's protocol: whether a server takes statements yet.

use std::io::{self, Read, Write};

use super::{DATABASE, USER};
use crate::ports::connect;

/// Version 3.0 of the protocol.
const VERSION: [u8; 4] = [0, 3, 0, 0];

/// "The connection ends here."
const TERMINATE: &[u8] = b"X\0\0\0\x04";

/// Logs in, and waits for "ready for query". A server that starts answers with an error first.
pub(crate) fn is_ready(port: u16) -> io::Result<bool> {
    let mut stream = connect(port)?;
    let words = format!("user\0{USER}\0database\0{DATABASE}\0\0");
    let length = u32::try_from(words.len() + 8).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), &VERSION[..], words.as_bytes()].concat())?;
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head)?;
        match head[0] {
            b'Z' => return stream.write_all(TERMINATE).map(|()| true),
            b'E' => return Ok(false),
            _ => {}
        }
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let body = u64::from(length.saturating_sub(4));
        io::copy(&mut (&mut stream).take(body), &mut io::sink())?;
    }
}
