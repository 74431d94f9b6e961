//! Connections: how they are made, how many there are, and how a statement on one is ended early.
//!
//! Nothing is left on a connection between two transactions, so that a pooler may stand between
//! (`PgBouncer` in transaction mode): settings are local to a transaction, statements have no name that
//! outlives it.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sluice_ports::{PortError, PortKind};
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{CancelToken, Config, CopyOutStream, Row, RowStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::failure::{failed, no_connection};
use crate::options::PostgresOptions;

/// How long making a connection, or waiting for one, may take.
const PATIENCE: Duration = Duration::from_secs(10);
const BEGINNING: &str = "beginning a transaction";
const ENDING: &str = "ending a transaction";

/// Connections to one database.
#[derive(Clone)]
pub(crate) struct Connections {
    pool: Pool,
    tls: MakeRustlsConnect,
    statement_timeout: Duration,
    read_timeout: Duration,
}

/// What connections are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolState {
    /// At most so many.
    pub most: usize,
    /// In use.
    pub used: usize,
    /// Made and not in use.
    pub idle: usize,
    /// Callers that wait for one.
    pub waiting: usize,
}

/// What a transaction is for: it says how long a statement in it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To look something up.
    Ask,
    /// To read a slice.
    Read,
    /// To write.
    Write,
}

impl Connections {
    /// Prepares to connect; the first use does.
    pub(crate) fn open(options: &PostgresOptions) -> Result<Self, PortError> {
        let mut config = Config::from_str(&options.uri).map_err(|_| {
            // What is wrong with it may quote the password.
            PortError::new(
                PortKind::Permanent,
                "reading the address of the database: it is no postgres:// URI",
            )
        })?;
        if let Some(password) = &options.password {
            config.password(password);
        }
        config.application_name("sluice");
        config.connect_timeout(PATIENCE);
        config.keepalives_idle(Duration::from_secs(30));
        let tls = MakeRustlsConnect::new(tls(options, config.get_ssl_mode())?);
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(config, tls.clone(), recycling);
        let pool = Pool::builder(manager)
            .max_size(options.connections.max(1))
            .wait_timeout(Some(options.statement_timeout))
            .create_timeout(Some(PATIENCE))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| PortError::permanent("preparing connections", error))?;
        Ok(Self {
            pool,
            tls,
            statement_timeout: options.statement_timeout,
            read_timeout: options.read_timeout,
        })
    }

    /// What the connections are doing now.
    pub(crate) fn state(&self) -> PoolState {
        let status = self.pool.status();
        let idle = status.available.min(status.size);
        PoolState {
            most: status.max_size,
            used: status.size - idle,
            idle,
            waiting: status.waiting,
        }
    }

    /// A connection with a transaction begun on it.
    pub(crate) async fn begin(&self, purpose: Purpose) -> Result<Session, PortError> {
        let session = self.session().await?;
        let begun = session.batch_execute(&self.beginning(purpose)).await;
        begun.map_err(failed(BEGINNING))?;
        Ok(session)
    }

    /// What one statement finds, in a transaction of its own and in one round trip: the beginning, the statement and
    /// the end are sent before any of them is answered.
    pub(crate) async fn ask(
        &self,
        (purpose, action): (Purpose, &'static str),
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, PortError> {
        let session = self.session().await?;
        let beginning = self.beginning(purpose);
        // They are sent in this order, for that is how they are polled.
        let (begun, found, ended) = futures::join!(
            session.batch_execute(&beginning),
            session.query_typed(sql, parameters),
            session.batch_execute("COMMIT"),
        );
        begun.map_err(failed(BEGINNING))?;
        let found = found.map_err(failed(action))?;
        ended.map_err(failed(ENDING))?;
        session.release();
        Ok(found)
    }

    /// The same of a statement that finds one row.
    pub(crate) async fn ask_one(
        &self,
        (purpose, action): (Purpose, &'static str),
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Row, PortError> {
        let mut found = self.ask((purpose, action), sql, parameters).await?;
        let only = found.pop().filter(|_| found.is_empty());
        only.ok_or_else(|| PortError::transient(action, "this is not one row"))
    }

    /// What two statements find, in one transaction and one round trip.
    pub(crate) async fn ask_two(
        &self,
        (purpose, action): (Purpose, &'static str),
        (one, two): (&str, &str),
    ) -> Result<(Vec<Row>, Vec<Row>), PortError> {
        let session = self.session().await?;
        let beginning = self.beginning(purpose);
        let (begun, first, second, ended) = futures::join!(
            session.batch_execute(&beginning),
            session.query_typed(one, &[]),
            session.query_typed(two, &[]),
            session.batch_execute("COMMIT"),
        );
        begun.map_err(failed(BEGINNING))?;
        let first = first.map_err(failed(action))?;
        let second = second.map_err(failed(action))?;
        ended.map_err(failed(ENDING))?;
        session.release();
        Ok((first, second))
    }

    /// A copy with its transaction begun on the connection that it comes from; `settings` are local to it.
    pub(crate) async fn copy(
        &self,
        action: &'static str,
        settings: &str,
        copy: &str,
    ) -> Result<(Session, CopyOutStream), PortError> {
        let session = self.session().await?;
        let beginning = format!("{}; {settings}", self.beginning(Purpose::Read));
        let (begun, stream) =
            futures::join!(session.batch_execute(&beginning), session.copy_out(copy));
        begun.map_err(failed(BEGINNING))?;
        let stream = stream.map_err(failed(action))?;
        Ok((session, stream))
    }

    /// Rows of a statement, with its transaction begun.
    pub(crate) async fn rows(
        &self,
        (purpose, action): (Purpose, &'static str),
        sql: &str,
    ) -> Result<(Session, RowStream), PortError> {
        let session = self.session().await?;
        let beginning = self.beginning(purpose);
        let none = std::iter::empty::<(i64, Type)>();
        let (begun, rows) = futures::join!(
            session.batch_execute(&beginning),
            session.query_typed_raw(sql, none)
        );
        begun.map_err(failed(BEGINNING))?;
        let rows = rows.map_err(failed(action))?;
        Ok((session, rows))
    }

    fn beginning(&self, purpose: Purpose) -> String {
        let (mode, timeout) = match purpose {
            Purpose::Ask => ("READ ONLY", self.statement_timeout),
            Purpose::Read => ("READ ONLY", self.read_timeout),
            Purpose::Write => ("READ WRITE", self.read_timeout),
        };
        // Without JIT: it costs more than these statements take. Written so that a hot standby
        // takes it too.
        format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED {mode}; SET LOCAL statement_timeout = {}; \
             SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0; \
             SET LOCAL idle_in_transaction_session_timeout = {}",
            timeout.as_millis(),
            self.read_timeout.as_millis(),
        )
    }

    /// A connection as it is.
    pub(crate) async fn session(&self) -> Result<Session, PortError> {
        let object = self.pool.get().await.map_err(no_connection)?;
        Ok(Session {
            cancel: object.cancel_token(),
            tls: self.tls.clone(),
            object: Arc::new(object),
            is_clean: false,
        })
    }
}

/// A connection in use. It goes back to the pool by [`Session::done`] and its like; dropped before
/// that, whatever runs on it is cancelled in the database and the connection is closed.
pub(crate) struct Session {
    object: Arc<Object>,
    is_clean: bool,
    cancel: CancelToken,
    tls: MakeRustlsConnect,
}

impl Session {
    /// Ends the transaction and gives the connection back.
    pub(crate) async fn done(mut self) -> Result<(), PortError> {
        let ended = self.batch_execute("COMMIT").await;
        ended.map_err(failed(ENDING))?;
        self.is_clean = true;
        Ok(())
    }

    /// Ends the transaction once its last rows are read, and gives the connection back. The end is sent ahead and
    /// answered right behind them, which saves a round trip.
    pub(crate) async fn done_after<E: From<PortError>>(
        mut self,
        read: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        let end = async {
            let ended = self.batch_execute("COMMIT").await;
            ended.map_err(failed(ENDING)).map_err(E::from)
        };
        // Should reading end early, nobody waits for the answer that is behind the rows.
        futures::try_join!(read, end)?;
        self.is_clean = true;
        Ok(())
    }

    /// Undoes the transaction and gives the connection back.
    pub(crate) async fn undo(mut self) -> Result<(), PortError> {
        let ended = self.batch_execute("ROLLBACK").await;
        ended.map_err(failed("undoing a transaction"))?;
        self.is_clean = true;
        Ok(())
    }

    /// Gives the connection back on which no transaction is open.
    pub(crate) fn release(mut self) {
        self.is_clean = true;
    }
}

impl std::ops::Deref for Session {
    type Target = tokio_postgres::Client;

    fn deref(&self) -> &Self::Target {
        &self.object
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if self.is_clean {
            return;
        }
        let (object, cancel, tls) = (
            Arc::clone(&self.object),
            self.cancel.clone(),
            self.tls.clone(),
        );
        runtime.spawn(async move {
            let cancelled = tokio::time::timeout(PATIENCE, cancel.cancel_query(tls)).await;
            if !matches!(cancelled, Ok(Ok(()))) {
                tracing::debug!("a statement that nobody waits for could not be cancelled");
            }
            // Out of the pool: nobody knows what state it is in.
            if let Some(object) = Arc::into_inner(object) {
                drop(Object::take(object));
            }
        });
    }
}

fn tls(options: &PostgresOptions, mode: SslMode) -> Result<ClientConfig, PortError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &options.authorities {
        for certificate in certificates(path)? {
            let added = roots.add(certificate);
            added.map_err(|error| PortError::permanent("trusting an authority", error))?;
        }
    } else if mode != SslMode::Disable {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| PortError::permanent("preparing TLS", error))?
        .with_root_certificates(roots);
    match &options.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => {
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| PortError::permanent("reading the client's key", error))?;
            builder
                .with_client_auth_cert(certificates(chain)?, key)
                .map_err(|error| PortError::permanent("using the client's certificate", error))
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PortError> {
    let broken = |error| PortError::permanent("reading certificates", error);
    let found = CertificateDer::pem_file_iter(path).map_err(broken)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(broken)?;
    if found.is_empty() {
        return Err(PortError::new(
            PortKind::Permanent,
            "reading certificates: the file holds none",
        ));
    }
    Ok(found)
}
