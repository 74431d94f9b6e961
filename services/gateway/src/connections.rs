//! Closes connections on which nothing is answered any more, whatever comes on them.
//!
//! actix has a time for the first head of a connection and one for a connection on which nothing
//! comes. A client that is answered once, and then sends a byte of a head now and then, is under
//! neither; with enough of these it would keep all others out.

use std::any::Any;
use std::cell::Cell;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{rt, web};

/// What is known of one connection. It lives as long as that: the copy of the socket would keep it
/// open.
struct Connection {
    socket: TcpStream,
    /// Requests that are not wholly answered.
    open: Cell<usize>,
    /// When the last of them was.
    quiet: Cell<Instant>,
}

impl Connection {
    /// How much of a time without a request is left.
    fn left(&self, time: Duration) -> Duration {
        if self.open.get() > 0 {
            return time;
        }
        time.saturating_sub(self.quiet.get().elapsed())
    }
}

/// Remembers a connection that is opened, and closes it after such a time without a request.
pub(crate) fn opened(io: &dyn Any, data: &mut Extensions, time: Duration) {
    let Some(socket) = copy(io) else {
        return;
    };
    let connection = Rc::new(Connection {
        socket,
        open: Cell::new(0),
        quiet: Cell::new(Instant::now()),
    });
    rt::spawn(close(Rc::downgrade(&connection), time));
    data.insert(connection);
}

/// A second handle, because actix owns the first and does not lend it.
fn copy(io: &dyn Any) -> Option<TcpStream> {
    let plain = io.downcast_ref::<rt::net::TcpStream>();
    let socket = plain.or_else(|| {
        let tls = io.downcast_ref::<TlsStream<rt::net::TcpStream>>()?;
        Some(tls.get_ref().0)
    })?;
    Some(socket.as_fd().try_clone_to_owned().ok()?.into())
}

async fn close(connection: Weak<Connection>, time: Duration) {
    let mut wait = time;
    while !wait.is_zero() {
        tokio::time::sleep(wait).await;
        let Some(connection) = connection.upgrade() else {
            return;
        };
        wait = connection.left(time);
        if wait.is_zero() {
            let _it_may_be_closed_already = connection.socket.shutdown(Shutdown::Both);
        }
    }
}

/// Counts a request until the last of its answer is taken.
pub(crate) async fn wrap(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<Answer>, actix_web::Error> {
    let open = request.conn_data::<Rc<Connection>>().map(Open::new);
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| Answer {
        body: body.boxed(),
        _open: open,
    }))
}

/// A request that is not wholly answered.
struct Open(Rc<Connection>);

impl Open {
    fn new(connection: &Rc<Connection>) -> Self {
        connection.open.set(connection.open.get() + 1);
        Self(connection.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get().saturating_sub(1));
        self.0.quiet.set(Instant::now());
    }
}

/// A body with the request that it answers.
pub(crate) struct Answer {
    body: BoxBody,
    _open: Option<Open>,
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<web::Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
