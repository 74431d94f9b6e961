//! A TCP proxy between a process and a server, which can be told to misbehave: hang up, go silent,
//! or answer HTTP requests with 503.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
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
    /// Ends every connection, and answers the first request of each new one with 503.
    Unavailable,
}

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
        Behaviour::Unavailable => return unavailable(&mut client).await,
        // Until it is told otherwise.
        Behaviour::Silent => wait_for(&mut told, |now| now != Behaviour::Silent).await,
        Behaviour::Pass => {}
    }
    let mut server = TcpStream::connect(server).await?;
    tokio::select! {
        ended = copy_bidirectional(&mut client, &mut server) => return ended.map(|_| ()),
        () = wait_for(&mut told, |now| now != Behaviour::Pass) => {}
    }
    // What copying held in hand is lost, so a connection that fell silent ends afterwards.
    wait_for(&mut told, |now| now != Behaviour::Silent).await;
    Ok(())
}

async fn wait_for(told: &mut watch::Receiver<Behaviour>, is_it: impl Fn(Behaviour) -> bool) {
    let _or_the_proxy_is_gone = told.wait_for(|now| is_it(*now)).await;
}

async fn unavailable(client: &mut TcpStream) -> io::Result<()> {
    let mut request = vec![0; 16 * 1024];
    let _some_of_it = client.read(&mut request).await?;
    let body = "<Error><Code>SlowDown</Code><Message>told to by a test</Message></Error>";
    let answer = format!(
        "HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    client.write_all(answer.as_bytes()).await
}
