//! A gateway on a real socket, for what only a connection shows.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::Site;
use crate::GatewaySettings;

/// What an honest client asks.
pub(super) const ASK: &str = "GET /default/fhir/metadata HTTP/1.1\r\nHost: localhost\r\n\r\n";

pub(super) struct Live {
    pub(super) address: SocketAddr,
    stop: CancellationToken,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Live {
    /// Connections are taken from now on, and served as soon as it is up.
    pub(super) fn start(change: impl FnOnce(&mut GatewaySettings)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let gateway = Site::quiet().another(change);
        tokio::spawn(crate::run(gateway, listener, stop.clone()));
        Self { address, stop }
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// Far longer than anything here takes, so that a test that waits in vain ends.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    let limit = Duration::from_mins(1);
    tokio::time::timeout(limit, what).await.expect("in time")
}

/// Asks, and reads one answer and no more.
pub(super) async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> String {
    stream.write_all(ASK.as_bytes()).await.unwrap();
    answer(stream).await
}

/// One answer: its head, and as much of a body as that promises.
pub(super) async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(soon(stream.read_u8()).await.unwrap()));
    }
    let lower = head.to_ascii_lowercase();
    let mut lines = lower.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    soon(stream.read_exact(&mut body)).await.unwrap();
    head + &String::from_utf8(body).unwrap()
}

/// What still comes until the other side closes.
pub(super) async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut read = Vec::new();
    // A reset is an end, too.
    let _end = soon(stream.read_to_end(&mut read)).await;
    read
}
