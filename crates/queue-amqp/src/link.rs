//! One connection, kept up: lost, it is dialled again until it stands or the queue is closed.
//!
//! lapin's own recovery stays off: it hands one message to two executions without an error (T2)
//! and can leave a consumer pending for ever (T3).

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use sluice_ports::{PortError, PortKind};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backoff::Backoff;
use crate::broker::within;

/// How often a connection is looked at. Who uses it learns of its loss at once; this is for the
/// one that nobody uses.
const LOOK_EVERY: Duration = Duration::from_millis(200);

type Current = Option<Arc<Connection>>;

/// Where to dial, and as whom.
pub(crate) struct Dial {
    pub(crate) uri: AMQPUri,
    /// The connection's name, as the broker's operators see it.
    pub(crate) name: String,
    pub(crate) limit: Duration,
}

impl Dial {
    async fn connect(&self) -> Result<Arc<Connection>, PortError> {
        let properties =
            ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let connecting = Connection::connect_uri(self.uri.clone(), properties);
        let connection = within(self.limit, "connecting to the broker", connecting).await?;
        Ok(Arc::new(connection))
    }
}

/// A connection that comes back.
pub(crate) struct Link {
    name: String,
    limit: Duration,
    current: Arc<watch::Sender<Current>>,
}

impl Link {
    /// Dials once, and keeps the connection up until `stop`.
    pub(crate) async fn open(
        dial: Dial,
        backoff: Backoff,
        stop: CancellationToken,
        tasks: &TaskTracker,
    ) -> Result<Self, PortError> {
        let connection = dial.connect().await?;
        let current = Arc::new(watch::Sender::new(Some(Arc::clone(&connection))));
        let link = Self {
            name: dial.name.clone(),
            limit: dial.limit,
            current: Arc::clone(&current),
        };
        let upkeep = Upkeep {
            dial,
            backoff,
            stop,
            current,
        };
        tasks.spawn(upkeep.run(connection));
        Ok(link)
    }

    /// The connection, waited for when it is down.
    pub(crate) async fn connection(&self) -> Result<Arc<Connection>, PortError> {
        let mut current = self.current.subscribe();
        let up = current.wait_for(|current| current.as_ref().is_some_and(is_up));
        match tokio::time::timeout(self.limit, up).await {
            Ok(Ok(current)) => current.clone().ok_or_else(|| self.down()),
            Ok(Err(_)) | Err(_) => Err(self.down()),
        }
    }

    /// Whether the connection stands and the broker lets it publish.
    pub(crate) fn check(&self) -> Result<(), PortError> {
        match self.current.borrow().as_ref().filter(|c| is_up(c)) {
            None => Err(self.down()),
            Some(connection) => may_publish(connection),
        }
    }

    /// Gives up a connection that owes an answer: it is dialled anew. How the old one closes is
    /// not waited for, there may be nobody at the other end.
    pub(crate) fn condemn(&self, connection: &Arc<Connection>) {
        self.current.send_if_modified(|current| {
            let it = current.take_if(|current| Arc::ptr_eq(current, connection));
            it.is_some()
        });
        let _closes_by_itself = connection.close(200, "no answer".into()).now_or_never();
    }

    fn down(&self) -> PortError {
        let action = format!("using the connection {}, which is down", self.name);
        PortError::new(PortKind::Transient, action)
    }
}

fn is_up(connection: &Arc<Connection>) -> bool {
    connection.status().connected()
}

/// Refused at once while the broker is out of memory or disk: a publish would only hang (T4).
pub(crate) fn may_publish(connection: &Connection) -> Result<(), PortError> {
    if connection.status().blocked() {
        let action = "publishing while the broker is short of memory or disk";
        return Err(PortError::new(PortKind::Transient, action));
    }
    Ok(())
}

/// The task that dials again.
struct Upkeep {
    dial: Dial,
    backoff: Backoff,
    stop: CancellationToken,
    current: Arc<watch::Sender<Current>>,
}

impl Upkeep {
    async fn run(mut self, mut connection: Arc<Connection>) {
        let name = self.dial.name.clone();
        let stop = self.stop.clone();
        loop {
            let since = Instant::now();
            if stop
                .run_until_cancelled(self.lost(&connection))
                .await
                .is_none()
            {
                close(&connection, self.dial.limit).await;
                break;
            }
            self.current.send_replace(None);
            tracing::warn!(connection = name, "connection to the broker lost");
            let redialled = self.redial(since.elapsed());
            let Some(redialled) = stop.run_until_cancelled(redialled).await else {
                break;
            };
            connection = redialled;
            tracing::info!(connection = name, "connection to the broker is back");
            self.current.send_replace(Some(Arc::clone(&connection)));
        }
        self.current.send_replace(None);
    }

    async fn lost(&self, connection: &Arc<Connection>) {
        while is_up(connection) && self.current.borrow().is_some() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn redial(&mut self, lived: Duration) -> Arc<Connection> {
        let mut wait = self.backoff.after(lived);
        loop {
            tokio::time::sleep(wait).await;
            match self.dial.connect().await {
                Ok(connection) => return connection,
                Err(error) => {
                    let (connection, error) = (&self.dial.name, error.chain());
                    tracing::warn!(connection, error, "the broker cannot be reached");
                }
            }
            wait = self.backoff.after(Duration::ZERO);
        }
    }
}

async fn close(connection: &Connection, limit: Duration) {
    let closed = connection.close(200, "closed".into());
    if let Err(error) = within(limit, "closing a connection", closed).await {
        tracing::debug!(
            error = error.chain(),
            "a connection was not closed in order"
        );
    }
}
