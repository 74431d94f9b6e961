//! Events as lines on standard output.

use std::io::{self, Write};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use sluice_ports::{AuditSink, PortError};
use tokio::sync::Mutex;

use super::{blocking, lines};

/// Writes to standard output. What is durable there is up to its reader.
#[derive(Clone)]
pub struct StdoutSink {
    /// Held while it is written to: a reader that does not read takes up one thread and not all.
    output: Arc<Mutex<Output>>,
}

struct Output {
    to: Box<dyn Write + Send>,
    is_cut_off: bool,
}

impl Default for StdoutSink {
    fn default() -> Self {
        Self::writing_to(io::stdout())
    }
}

impl StdoutSink {
    /// The same to something else.
    pub fn writing_to(output: impl Write + Send + 'static) -> Self {
        let output = Output {
            to: Box::new(output),
            is_cut_off: false,
        };
        Self {
            output: Arc::new(Mutex::new(output)),
        }
    }
}

#[async_trait]
impl AuditSink for StdoutSink {
    async fn write(&self, events: &[Bytes]) -> Result<(), PortError> {
        if events.is_empty() {
            return Ok(());
        }
        let events = events.to_vec();
        let mut output = Arc::clone(&self.output).lock_owned().await;
        blocking(move || {
            let lines = lines(&events, output.is_cut_off);
            let to = &mut output.to;
            let written = to.write_all(&lines).and_then(|()| to.flush());
            output.is_cut_off = written.is_err();
            written
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as Shared;

    use super::*;

    /// Takes a few bytes, then fails once.
    struct Pipe(Arc<Shared<(Vec<u8>, bool)>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut pipe = self.0.lock().unwrap();
            let (written, is_broken) = &mut *pipe;
            if *is_broken {
                *is_broken = false;
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            *is_broken = written.is_empty();
            let taken = bytes.len().min(2);
            written.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn after_a_broken_pipe_the_batch_comes_again_on_lines_of_its_own() {
        let written = Arc::<Shared<(Vec<u8>, bool)>>::default();
        let sink = StdoutSink::writing_to(Pipe(Arc::clone(&written)));
        let events = [Bytes::from_static(b"first"), Bytes::from_static(b"second")];
        assert!(sink.write(&events).await.unwrap_err().is_transient());
        sink.write(&events).await.unwrap();
        sink.write(&[]).await.unwrap();
        let (written, _) = &*written.lock().unwrap();
        assert_eq!(written.as_slice(), b"fi\nfirst\nsecond\n");
    }
}
