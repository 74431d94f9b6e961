//! Events as lines at the end of a file.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use sluice_ports::{AuditSink, PortError};
use tokio::sync::Mutex;

use super::{blocking, lines};

/// Appends to a file. It is opened anew for each batch, so that it may be moved away meanwhile.
#[derive(Clone)]
pub struct FileSink {
    path: Arc<PathBuf>,
    /// One batch at a time, or a slow disk takes up all threads.
    turn: Arc<Mutex<()>>,
}

impl FileSink {
    /// Appends to the file at this path, and makes it and its folder if they are missing. Nothing is
    /// touched before the first write.
    pub fn new(path: &Path) -> Self {
        Self {
            path: Arc::new(path.to_owned()),
            turn: Arc::default(),
        }
    }
}

#[async_trait]
impl AuditSink for FileSink {
    async fn write(&self, events: &[Bytes]) -> Result<(), PortError> {
        let (path, events) = (Arc::clone(&self.path), events.to_vec());
        let turn = Arc::clone(&self.turn).lock_owned().await;
        blocking(move || {
            let written = append(&path, &events);
            drop(turn);
            written
        })
        .await
    }
}

fn append(path: &Path, events: &[Bytes]) -> io::Result<()> {
    let mut file = open(path)?;
    if events.is_empty() {
        return Ok(());
    }
    let lines = lines(events, is_cut_off(&file)?);
    file.write_all(&lines)?;
    file.sync_data()
}

/// A full disk or a power cut may have left a part of a line.
fn is_cut_off(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    // What is no file, such as a pipe, cannot be looked back at.
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.read_exact_at(&mut last, metadata.len() - 1)?;
    Ok(last != *b"\n")
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).read(true).mode(0o600);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        opened => return opened,
    }
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let file = options.create(true).open(path)?;
    // Or the file may be gone after a power cut, whole as it is.
    File::open(folder)?.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    async fn write(sink: &FileSink, event: &'static str) {
        let events = [Bytes::from_static(event.as_bytes())];
        sink.write(&events).await.unwrap();
    }

    #[tokio::test]
    async fn it_is_for_its_owner_only_and_goes_on_after_rotation() {
        let home = tempfile::tempdir().unwrap();
        let (folder, old) = (home.path().join("audit"), home.path().join("old"));
        let path = folder.join("events.ndjson");
        let sink = FileSink::new(&path);
        assert!(!folder.exists(), "nothing is touched before it is needed");
        write(&sink, "1").await;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
        std::fs::rename(&path, &old).unwrap();
        write(&sink, "2").await;
        let text = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert_eq!(
            (text(&old), text(&path)),
            ("1\n".to_owned(), "2\n".to_owned())
        );
        assert_eq!(mode(&path), 0o600);
    }

    #[tokio::test]
    async fn a_line_that_was_cut_off_spoils_no_other() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("events");
        let sink = FileSink::new(&path);
        write(&sink, "1").await;
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"resou").unwrap();
        write(&sink, "2").await;
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "1\n{\"resou\n2\n");
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_written_to_is_known_without_an_event() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("file"), "").unwrap();
        let sink = FileSink::new(&home.path().join("file/events"));
        assert!(sink.write(&[]).await.unwrap_err().is_transient());
    }
}
