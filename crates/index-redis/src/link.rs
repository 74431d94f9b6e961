//! The connections: every call ends in time, and a connection that went bad is replaced.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{
    Client, Cmd, FromRedisValue, IntoConnectionInfo, Pipeline, RedisResult, Script,
    ScriptInvocation, ToRedisArgs,
};
use sluice_ports::PortError;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::RedisOptions;
use crate::fault;

/// Tries to connect before a call is given up; with their pauses they fit into its deadline when
/// the server refuses, which is what it does while it restarts.
const RETRIES: usize = 3;
/// The pause before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(50);
/// Calls at work on the connection at once. More wait, each for its own deadline.
const AT_ONCE: usize = 512;

/// Connections to Redis, each shared by many calls.
pub(crate) struct Link {
    client: Client,
    config: ConnectionManagerConfig,
    current: Mutex<HashMap<Place, Current>>,
    deadline: Duration,
}

/// Who shares a connection: each thread with a runtime of its own, as those that answer HTTP have, or
/// all threads of a runtime together. What reads and writes a connection runs where it was opened, and
/// a call from the runtime of another thread would have to wake that thread and be woken by it.
type Place = Option<ThreadId>;

fn place() -> Place {
    let alone = Handle::try_current()
        .is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::CurrentThread);
    alone.then(|| std::thread::current().id())
}

/// A connection in use. Its number tells it from the one that a failed call had.
#[derive(Clone)]
struct Current {
    number: u64,
    manager: ConnectionManager,
}

/// What can be sent.
enum Request<'a> {
    Script(&'a ScriptInvocation<'a>),
    Command(&'a Cmd),
    Pipeline(&'a Pipeline),
}

impl Request<'_> {
    async fn send<T: FromRedisValue>(&self, manager: &mut ConnectionManager) -> RedisResult<T> {
        match self {
            Self::Script(script) => script.invoke_async(manager).await,
            Self::Command(command) => command.query_async(manager).await,
            Self::Pipeline(pipeline) => pipeline.query_async(manager).await,
        }
    }
}

impl Link {
    pub(crate) async fn connect(options: &RedisOptions) -> Result<Self, PortError> {
        let address = options.url.as_str().into_connection_info();
        // Calls are small and many: waiting to fill a packet would only delay them.
        let client = address.and_then(|address| {
            let settings = TcpSettings::default().set_nodelay(true);
            Client::open(address.set_tcp_settings(settings))
        });
        let client =
            client.map_err(|error| fault::port_error("reading the address of redis", error))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(Some(options.response_timeout))
            .set_number_of_retries(RETRIES)
            .set_min_delay(PAUSE)
            .set_concurrency_limit(AT_ONCE);
        let link = Self {
            client,
            config,
            current: Mutex::default(),
            deadline: options
                .connect_timeout
                .saturating_add(options.response_timeout),
        };
        link.command::<String>("connecting to redis", &redis::cmd("PING"))
            .await?;
        Ok(link)
    }

    pub(crate) async fn script<T: FromRedisValue>(
        &self,
        action: &str,
        script: &Script,
        keys: &[String],
        args: &[impl ToRedisArgs],
    ) -> Result<T, PortError> {
        let mut call = script.prepare_invoke();
        call.key(keys).arg(args);
        self.send(action, &Request::Script(&call)).await
    }

    pub(crate) async fn command<T: FromRedisValue>(
        &self,
        action: &str,
        command: &Cmd,
    ) -> Result<T, PortError> {
        self.send(action, &Request::Command(command)).await
    }

    pub(crate) async fn pipeline<T: FromRedisValue>(
        &self,
        action: &str,
        pipeline: &Pipeline,
    ) -> Result<T, PortError> {
        self.send(action, &Request::Pipeline(pipeline)).await
    }

    async fn send<T: FromRedisValue>(
        &self,
        action: &str,
        request: &Request<'_>,
    ) -> Result<T, PortError> {
        let number = self
            .current()
            .map_err(|error| fault::port_error(action, error))?
            .number;
        match tokio::time::timeout(self.deadline, self.try_twice(request)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(fault::port_error(action, error)),
            Err(late) => {
                self.hang_up(number);
                Err(PortError::transient(action, late))
            }
        }
    }

    /// Every operation may be repeated (E5), so a connection found broken costs no error.
    async fn try_twice<T: FromRedisValue>(&self, request: &Request<'_>) -> RedisResult<T> {
        match self.try_once(request).await {
            Err(error) if fault::is_worth_another_try(&error) => self.try_once(request).await,
            result => result,
        }
    }

    async fn try_once<T: FromRedisValue>(&self, request: &Request<'_>) -> RedisResult<T> {
        let Current {
            number,
            mut manager,
        } = self.current()?;
        let result = request.send(&mut manager).await;
        if result.as_ref().is_err_and(fault::ends_the_connection) {
            self.hang_up(number);
        }
        result
    }

    fn current(&self) -> RedisResult<Current> {
        let place = place();
        let mut all = self.lock();
        if let Some(current) = all.get(&place) {
            return Ok(current.clone());
        }
        let manager = self.fresh()?;
        let current = Current { number: 0, manager };
        all.insert(place, current.clone());
        Ok(current)
    }

    /// One that connects when it is first used.
    fn fresh(&self) -> RedisResult<ConnectionManager> {
        self.client.get_connection_manager_lazy(self.config.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Place, Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces a connection for all later calls; calls already on it may still finish there. What
    /// a slow server has not yet read goes with it, so that nothing piles up (E9).
    fn hang_up(&self, number: u64) {
        let mut all = self.lock();
        let current = all.get_mut(&place());
        let Some(current) = current.filter(|current| current.number == number) else {
            return;
        };
        if let Ok(manager) = self.fresh() {
            tracing::debug!("connecting to redis again");
            *current = Current {
                number: number.wrapping_add(1),
                manager,
            };
        }
    }
}
