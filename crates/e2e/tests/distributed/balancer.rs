//! What stands before gateways, as a Service of Kubernetes does: a connection goes to one of those that are
//! announced, and stays there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// Listens until it is dropped.
pub(crate) struct Balancer {
    announced: Arc<Mutex<Vec<u16>>>,
    listening: tokio::task::JoinHandle<()>,
}

impl Balancer {
    /// Listens at a port of this machine.
    pub(crate) async fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let announced = Arc::<Mutex<Vec<u16>>>::default();
        let (known, turns) = (Arc::clone(&announced), AtomicUsize::new(0));
        let listening = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let turn = turns.fetch_add(1, Ordering::SeqCst);
                let chosen = {
                    let known = known.lock().unwrap();
                    known.get(turn % known.len().max(1)).copied()
                };
                tokio::spawn(async move {
                    let Some(port) = chosen else { return };
                    let Ok(mut gateway) = TcpStream::connect(("127.0.0.1", port)).await else {
                        return;
                    };
                    let _either_hung_up = copy_bidirectional(&mut client, &mut gateway).await;
                });
            }
        });
        Self {
            announced,
            listening,
        }
    }

    /// New connections may go there.
    pub(crate) fn announce(&self, port: u16) {
        self.announced.lock().unwrap().push(port);
    }

    /// New connections go there no more.
    pub(crate) fn withdraw(&self, port: u16) {
        self.announced
            .lock()
            .unwrap()
            .retain(|known| *known != port);
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
