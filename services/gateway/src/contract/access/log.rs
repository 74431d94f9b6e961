//! Everything that a test logs, for it to look at.
//!
//! One subscriber serves all tests of the program, as tracing remembers which places log at all; what is
//! logged stays with the thread, and each of these tests has one of its own.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

use tracing_subscriber::fmt::MakeWriter;

thread_local! {
    static LOGGED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What this thread logs, at every level.
pub(super) struct Log;

impl Log {
    /// Listens from now on.
    pub(super) fn listen() -> Self {
        static LISTENING: Once = Once::new();
        LISTENING.call_once(|| {
            let subscriber = tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_writer(ToThread)
                .finish();
            tracing::subscriber::set_global_default(subscriber).unwrap();
        });
        LOGGED.with_borrow_mut(Vec::clear);
        Self
    }

    /// What was logged so far.
    #[expect(clippy::unused_self, reason = "only who listens has something to read")]
    pub(super) fn text(&self) -> String {
        LOGGED.with_borrow(|logged| String::from_utf8_lossy(logged).into_owned())
    }
}

struct ToThread;

impl Write for ToThread {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for ToThread {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}
