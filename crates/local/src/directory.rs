//! Objects as files below a directory.
//!
//! A file is written under a temporary name, flushed, and linked to its own name without
//! replacing; then the folder is flushed. So an object is there whole or not at all after a power
//! cut, and of racing writers exactly one wins.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use sluice_ports::{
    BlobInfo, BlobWriter, Blobs, ByteStream, Creation, Entropy, Link, PortError, PortKind,
};

/// Uploads on their way live here; no key begins with a dot.
const UPLOADS: &str = ".uploads";
/// And those of processes beside the one that clears the other folder when it starts.
const BESIDE: &str = ".beside";
/// Bytes read at a time.
const READ: u64 = 1 << 20;

/// Objects below a directory.
#[derive(Clone)]
pub struct DirectoryBlobs {
    root: Arc<PathBuf>,
    /// Where uploads on their way live, and how their names begin.
    temporary: Arc<(PathBuf, String)>,
    uploads: Arc<AtomicU64>,
}

impl DirectoryBlobs {
    /// Opens or makes the directory and clears what a crash left of unfinished uploads. The caller
    /// sees to it that one process at a time does this.
    pub fn open(root: &Path) -> Result<Self, PortError> {
        let prepare = || -> io::Result<()> {
            fs::create_dir_all(root)?;
            match fs::remove_dir_all(root.join(UPLOADS)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            fs::create_dir(root.join(UPLOADS))
        };
        prepare().map_err(|error| PortError::permanent("opening the object directory", error))?;
        Ok(Self::at(root, (root.join(UPLOADS), String::new())))
    }

    /// Opens the directory beside a process that may have it open, and makes it when something is
    /// written. What a crash leaves of an upload stays, so this is for a few small objects.
    pub fn beside(root: &Path, entropy: &dyn Entropy) -> Result<Self, PortError> {
        let mut own = [0; 8];
        entropy.fill(&mut own)?;
        let own = format!("{:016x}-", u64::from_le_bytes(own));
        Ok(Self::at(root, (root.join(BESIDE), own)))
    }

    fn at(root: &Path, temporary: (PathBuf, String)) -> Self {
        Self {
            root: Arc::new(root.to_owned()),
            temporary: Arc::new(temporary),
            uploads: Arc::default(),
        }
    }

    fn path(&self, key: &str) -> Result<PathBuf, PortError> {
        let plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains('\\');
        if key.split('/').all(plain) {
            Ok(self.root.join(key))
        } else {
            Err(PortError::new(
                PortKind::Permanent,
                "using a malformed object key",
            ))
        }
    }

    fn upload(&self, key: &str) -> Result<Upload, PortError> {
        let path = self.path(key)?;
        let number = self.uploads.fetch_add(1, Ordering::Relaxed);
        let (folder, own) = self.temporary.as_ref();
        let temporary = folder.join(format!("{own}{number}"));
        let file = match File::create_new(&temporary) {
            // Who only reads makes no folder.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(folder).and_then(|()| File::create_new(&temporary))
            }
            created => created,
        };
        let file = file.map_err(failed("starting an upload"))?;
        Ok(Upload {
            file: Arc::new(file),
            root: Arc::clone(&self.root),
            temporary,
            path,
        })
    }
}

/// Disk trouble may pass: a full disk is emptied, a lost mount comes back.
fn failed(action: &'static str) -> impl Fn(io::Error) -> PortError {
    move |error| PortError::transient(action, error)
}

async fn blocking<T, F>(action: &'static str, work: F) -> Result<T, PortError>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(failed(action)),
        Err(error) => Err(PortError::transient(action, error)),
    }
}

struct Upload {
    file: Arc<File>,
    root: Arc<PathBuf>,
    temporary: PathBuf,
    path: PathBuf,
}

impl Upload {
    /// Flushes and links. A folder may vanish under us when the last object in it is deleted.
    fn publish(&self) -> io::Result<Creation> {
        self.file.sync_all()?;
        let parent = self.path.parent().unwrap_or(&self.root);
        for _ in 0..8 {
            make_folders(&self.root, parent)?;
            match fs::hard_link(&self.temporary, &self.path) {
                Ok(()) => {
                    sync_folder(parent)?;
                    return Ok(Creation::Created);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    // The winner may not have flushed the folder yet, and we are about to rely on it.
                    sync_folder(parent)?;
                    return Ok(Creation::Exists);
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(
            ErrorKind::NotFound,
            "the folder is removed again and again",
        ))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let _cleared_at_the_next_start = fs::remove_file(&self.temporary);
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn make_folders(root: &Path, folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(root);
    make_folders(root, parent)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(parent),
    }
}

#[async_trait]
impl Blobs for DirectoryBlobs {
    async fn create(&self, key: &str, body: Bytes) -> Result<Creation, PortError> {
        let (store, key) = (self.clone(), key.to_owned());
        let create = move || {
            let upload = store.upload(&key)?;
            upload
                .file
                .as_ref()
                .write_all(&body)
                .map_err(failed("writing an object"))?;
            upload.publish().map_err(failed("publishing an object"))
        };
        match tokio::task::spawn_blocking(create).await {
            Ok(done) => done,
            Err(error) => Err(PortError::transient("writing an object", error)),
        }
    }

    async fn start(&self, key: &str) -> Result<Box<dyn BlobWriter>, PortError> {
        Ok(Box::new(DirectoryWriter {
            upload: Arc::new(self.upload(key)?),
            at: 0,
        }))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, PortError> {
        let path = self.path(key)?;
        blocking("reading an object", move || match fs::read(path) {
            Ok(body) => Ok(Some(body.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    async fn head(&self, key: &str) -> Result<Option<BlobInfo>, PortError> {
        let (path, key) = (self.path(key)?, key.to_owned());
        blocking("looking at an object", move || match fs::metadata(path) {
            Ok(found) if found.is_file() => Ok(Some(BlobInfo {
                key,
                size: found.len(),
            })),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    async fn read(&self, key: &str, range: Range<u64>) -> Result<ByteStream, PortError> {
        let path = self.path(key)?;
        let open = move || match File::open(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let Some(file) = blocking("opening an object", open).await? else {
            return Err(PortError::new(PortKind::NotFound, "reading an object"));
        };
        Ok(chunks(Arc::new(file), range))
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<BlobInfo>, PortError> {
        let (root, prefix) = (Arc::clone(&self.root), prefix.to_owned());
        let after = after.unwrap_or_default().to_owned();
        blocking("listing objects", move || {
            let mut listing = Listing {
                after,
                limit,
                found: Vec::new(),
            };
            listing.walk(&root.join(&prefix), &prefix)?;
            Ok(listing.found)
        })
        .await
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, PortError> {
        let folder = self.root.join(prefix);
        blocking("listing folders", move || {
            let names = entries(&folder)?.into_iter();
            Ok(names
                .filter_map(|name| name.strip_suffix('/').map(str::to_owned))
                .collect())
        })
        .await
    }

    /// Files are fetched through the gateway.
    async fn link(&self, _key: &str, _life: Duration) -> Result<Option<Link>, PortError> {
        Ok(None)
    }

    async fn delete(&self, keys: &[String]) -> Result<(), PortError> {
        let paths = keys
            .iter()
            .map(|key| self.path(key))
            .collect::<Result<Vec<_>, _>>()?;
        let root = Arc::clone(&self.root);
        blocking("deleting objects", move || {
            paths.iter().try_for_each(|path| remove(&root, path))
        })
        .await
    }
}

/// Removes a file and the folders that it leaves empty.
fn remove(root: &Path, path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut folder = path.parent();
    while let Some(empty) = folder.filter(|folder| *folder != root && folder.starts_with(root)) {
        if fs::remove_dir(empty).is_err() {
            break;
        }
        folder = empty.parent();
    }
    Ok(())
}

/// Names in a folder in the order of the keys they begin: folders end in a slash.
fn entries(folder: &Path) -> io::Result<Vec<String>> {
    let read = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let mut names = Vec::new();
    for entry in read {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(if entry.file_type()?.is_dir() {
                format!("{name}/")
            } else {
                name
            });
        }
    }
    names.sort_unstable();
    Ok(names)
}

struct Listing {
    after: String,
    limit: usize,
    found: Vec<BlobInfo>,
}

impl Listing {
    fn walk(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        for name in entries(folder)? {
            if self.found.len() >= self.limit {
                return Ok(());
            }
            let key = format!("{prefix}{name}");
            if name.ends_with('/') {
                // Everything below sorts between the folder's own name and the next one's.
                if key > self.after || self.after.starts_with(&key) {
                    self.walk(&folder.join(&name), &key)?;
                }
            } else if key > self.after {
                match fs::metadata(folder.join(&name)) {
                    Ok(found) => self.found.push(BlobInfo {
                        key,
                        size: found.len(),
                    }),
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

fn chunks(file: Arc<File>, range: Range<u64>) -> ByteStream {
    let step = move |at: u64| {
        let (file, end) = (Arc::clone(&file), range.end.min(at.saturating_add(READ)));
        async move {
            if at >= end {
                return None;
            }
            let read = blocking("reading an object", move || {
                let mut bytes = vec![0; usize::try_from(end - at).unwrap_or(0)];
                file.read_exact_at(&mut bytes, at)?;
                Ok(Bytes::from(bytes))
            });
            match read.await {
                Ok(bytes) => Some((Ok(bytes), end)),
                Err(error) => Some((Err(error), u64::MAX)),
            }
        }
    };
    futures::stream::unfold(range.start, step).boxed()
}

struct DirectoryWriter {
    upload: Arc<Upload>,
    at: u64,
}

#[async_trait]
impl BlobWriter for DirectoryWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), PortError> {
        let (file, at) = (Arc::clone(&self.upload.file), self.at);
        self.at += u64::try_from(bytes.len()).unwrap_or(0);
        blocking("writing an object", move || file.write_all_at(&bytes, at)).await
    }

    async fn finish(self: Box<Self>) -> Result<Creation, PortError> {
        let upload = Arc::clone(&self.upload);
        blocking("publishing an object", move || upload.publish()).await
    }

    async fn abort(self: Box<Self>) -> Result<(), PortError> {
        Ok(())
    }
}
