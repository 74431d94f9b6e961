//! A TCP proxy between a process and a server, which can be told to misbehave: hang up, go silent,
//! be slow, or answer HTTP requests with an error.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the proxy behaves from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Passes everything on.
    Pass,
    /// Ends every connection, and takes no new ones for longer than it takes to end them.
    HangUp,
    /// Keeps every connection and passes nothing on.
    Silent,
    /// Passes everything on, 8 KiB at a time and each time after 100 ms.
    Slow,
    /// Ends every connection, and answers the first request of each new one with this status.
    Answers(u16),
}

/// What a slow connection passes on at a time.
const SLOW_BYTES: usize = 8 * 1024;
/// How long that takes.
const SLOW_WAIT: Duration = Duration::from_millis(100);

/// A proxy on a port of its own, until it is dropped.
pub struct FaultProxy {
    address: SocketAddr,
    behaviour: Arc<watch::Sender<Behaviour>>,
    serving: tokio::task::JoinHandle<()>,
}

impl FaultProxy {
    /// Stands before a server such as `127.0.0.1:5672`, and passes everything on at first.
    pub async fn before(server: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let behaviour = Arc::new(watch::Sender::new(Behaviour::Pass));
        let (told, server) = (Arc::clone(&behaviour), server.to_owned());
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (told, server) = (told.subscribe(), server.clone());
                tokio::spawn(async move {
                    let _either_may_hang_up = connection(client, &server, told).await;
                });
            }
        });
        Ok(Self {
            address,
            behaviour,
            serving,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Behaves like this from now on, on connections that are open too.
    pub fn behave(&self, behaviour: Behaviour) {
        self.behaviour.send_replace(behaviour);
    }

    /// Behaves like this for a while, and then well.
    pub async fn misbehave(&self, behaviour: Behaviour, time: Duration) {
        self.behave(behaviour);
        tokio::time::sleep(time).await;
        self.behave(Behaviour::Pass);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn connection(
    mut client: TcpStream,
    server: &str,
    mut told: watch::Receiver<Behaviour>,
) -> io::Result<()> {
    let now = *told.borrow_and_update();
    match now {
        Behaviour::HangUp => return Ok(()),
        Behaviour::Answers(status) => return answer(&mut client, status).await,
        // Until it is told otherwise.
        Behaviour::Silent => wait_for(&mut told, |now| now != Behaviour::Silent).await,
        Behaviour::Pass | Behaviour::Slow => {}
    }
    let server = TcpStream::connect(server).await?;
    let (client, server) = (client.into_split(), server.into_split());
    let pace = told.clone();
    let both_ways = async {
        tokio::try_join!(
            copy(client.0, server.1, &pace),
            copy(server.0, client.1, &pace)
        )
    };
    tokio::select! {
        ended = both_ways => return ended.map(|_| ()),
        () = wait_for(&mut told, |now| !passes(now)) => {}
    }
    // What copying held in hand is lost, so a connection that fell silent ends afterwards.
    wait_for(&mut told, |now| now != Behaviour::Silent).await;
    Ok(())
}

async fn wait_for(told: &mut watch::Receiver<Behaviour>, is_it: impl Fn(Behaviour) -> bool) {
    let _or_the_proxy_is_gone = told.wait_for(|now| is_it(*now)).await;
}

fn passes(now: Behaviour) -> bool {
    matches!(now, Behaviour::Pass | Behaviour::Slow)
}

/// Copies one way, at the pace told, until that way ends.
async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    told: &watch::Receiver<Behaviour>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let slow = *told.borrow() == Behaviour::Slow;
        let most = if slow { SLOW_BYTES } else { buffer.len() };
        let read = from.read(&mut buffer[..most]).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        if slow {
            tokio::time::sleep(SLOW_WAIT).await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}

async fn answer(client: &mut TcpStream, status: u16) -> io::Result<()> {
    let mut request = vec![0; 16 * 1024];
    let _some_of_it = client.read(&mut request).await?;
    let code = if status == 503 {
        "SlowDown"
    } else {
        "InternalError"
    };
    let body = format!("<Error><Code>{code}</Code><Message>told to by a test</Message></Error>");
    let answer = format!(
        "HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    client.write_all(answer.as_bytes()).await
}
