//! Fetches one file: whole or from where an earlier try ended, verified before it gets its name.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::write::MultiGzDecoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_RANGE, ETAG};
use reqwest::{Response, StatusCode};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::bulk::From;
use crate::check::{Check, Seen};
use crate::http::is_loopback;
use crate::manifest::Wanted;
use crate::{BulkClient, Event, ExportError, Observer};

/// Tries at one file whose connection breaks.
const TRIES: u32 = 6;
/// Bytes between two events of progress.
const STEP: u64 = 1 << 20;

/// How one try at a file ended.
pub(crate) enum Fetched {
    /// It is there, and right.
    Whole(Seen),
    /// The link does not work any more; the manifest has fresh ones.
    LinkExpired,
}

/// What every download of an export shares.
pub(crate) struct Downloads<'a> {
    pub(crate) client: &'a BulkClient,
    pub(crate) folder: &'a Path,
    pub(crate) with_token: bool,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) stop: &'a CancellationToken,
}

/// A try that ended early.
enum Broken {
    /// Another may end better, and goes on where this one stopped.
    Connection(ExportError),
    /// The bytes are wrong: begin again.
    Bytes(String),
    /// The server has no parts of this file, as one that keeps it packed: begin again, and whole.
    NoParts(ExportError),
    /// Nothing will help.
    Final(ExportError),
}

/// Where the parts go, and which version they are of.
struct Part {
    path: PathBuf,
    etag: Option<String>,
    /// The server has no parts of this file.
    whole_only: bool,
}

impl Downloads<'_> {
    /// Fetches a file, going on from its part. `etag` is the version of which the part is;
    /// `remember` is told when that changes.
    pub(crate) async fn fetch(
        &self,
        wanted: &Wanted,
        etag: Option<String>,
        remember: &(dyn Fn(Option<String>) -> Result<(), ExportError> + Sync),
    ) -> Result<Fetched, ExportError> {
        let path = self.folder.join(format!("{}.part", wanted.name));
        let mut part = Part {
            path,
            etag,
            whole_only: false,
        };
        let (mut tries, mut wrong_before) = (0, false);
        loop {
            match self.attempt(wanted, &mut part, remember).await {
                Ok(fetched) => return Ok(fetched),
                Err(Broken::Final(error)) => return Err(error),
                Err(Broken::Bytes(reason)) => {
                    let gone = tokio::fs::remove_file(&part.path).await;
                    gone.map_err(ExportError::local("removing a broken file"))?;
                    if wrong_before {
                        let file = wanted.name.clone();
                        return Err(ExportError::Verification { file, reason });
                    }
                    wrong_before = true;
                }
                Err(Broken::Connection(error) | Broken::NoParts(error)) => {
                    tries += 1;
                    if tries >= TRIES {
                        return Err(error);
                    }
                    self.wait(tries, &error).await?;
                }
            }
        }
    }

    async fn wait(&self, tries: u32, error: &ExportError) -> Result<(), ExportError> {
        let wait = Duration::from_secs(1 << (tries - 1));
        self.observer.event(&Event::Waiting {
            seconds: wait.as_secs(),
            reason: error.to_string(),
        });
        let slept = self
            .stop
            .run_until_cancelled(tokio::time::sleep(wait))
            .await;
        slept.ok_or(ExportError::Interrupted)
    }

    async fn attempt(
        &self,
        wanted: &Wanted,
        part: &mut Part,
        remember: &(dyn Fn(Option<String>) -> Result<(), ExportError> + Sync),
    ) -> Result<Fetched, Broken> {
        let url: Url = wanted.entry.url.parse().map_err(|_| {
            Broken::Final(ExportError::nonsense(
                "reading the manifest",
                "a file's url is no URL",
            ))
        })?;
        let check = self.what_is_there(wanted, part).await?;
        if wanted.entry.bytes() == Some(check.bytes()) && check.bytes() > 0 {
            return self.verify(wanted, part, check).await;
        }
        let from = From {
            byte: check.bytes(),
            etag: part.etag.clone(),
            // Over loopback, compressing costs more than it saves; and a part can only be gone on
            // with uncompressed.
            gzip: check.bytes() == 0 && !is_loopback(&url),
        };
        let opened = self.client.file(&url, self.with_token, &from);
        let opened = self.stop.run_until_cancelled(opened).await;
        let response = opened
            .ok_or(Broken::Final(ExportError::Interrupted))?
            .map_err(|error| match error {
                ExportError::Network { .. } => Broken::Connection(error),
                other => Broken::Final(other),
            })?;
        let check = match response.status() {
            StatusCode::PARTIAL_CONTENT
                if begins_at(&response, from.byte)
                    && !response.headers().contains_key(CONTENT_ENCODING) =>
            {
                check
            }
            StatusCode::OK => Check::default(),
            StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PARTIAL_CONTENT => {
                part.whole_only = true;
                let reason = "the server has no such part";
                let error = ExportError::broken_off("downloading a file", reason);
                return Err(Broken::NoParts(error));
            }
            StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::GONE => return Ok(Fetched::LinkExpired),
            status => {
                let error = ExportError::broken_off("downloading a file", status.to_string());
                return Err(Broken::Connection(error));
            }
        };
        part.etag = plain_etag(&response);
        remember(part.etag.clone()).map_err(Broken::Final)?;
        let check = self.copy(wanted, part, response, check).await?;
        self.verify(wanted, part, check).await
    }

    /// Sees again what an earlier try left, if it can be gone on with: its version must be known,
    /// or a hash that will tell in the end.
    async fn what_is_there(&self, wanted: &Wanted, part: &Part) -> Result<Check, Broken> {
        if part.whole_only || (part.etag.is_none() && wanted.entry.sha256().is_none()) {
            return Ok(Check::default());
        }
        match Check::of(&part.path).await {
            Ok(check) => Ok(check),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Check::default()),
            Err(error) => Err(Broken::Final(ExportError::local("reading a part")(error))),
        }
    }

    async fn copy(
        &self,
        wanted: &Wanted,
        part: &Part,
        mut response: Response,
        check: Check,
    ) -> Result<Check, Broken> {
        let failed = |error| Broken::Final(ExportError::local("writing a file")(error));
        let gzip = is_gzip(&response).map_err(Broken::Final)?;
        let mut sink = Sink::open(&part.path, check, gzip).await.map_err(failed)?;
        self.observer.event(&Event::FileStarted {
            name: wanted.name.clone(),
            from: sink.check.bytes(),
            bytes: wanted.entry.bytes(),
        });
        let mut told = sink.check.bytes();
        loop {
            let next = self.stop.run_until_cancelled(response.chunk()).await;
            let Some(next) = next else {
                sink.close().await.map_err(failed)?;
                return Err(Broken::Final(ExportError::Interrupted));
            };
            let chunk = match next {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return sink.finish().await,
                Err(error) => {
                    sink.close().await.map_err(failed)?;
                    let error = ExportError::network("downloading a file", &error);
                    return Err(Broken::Connection(error));
                }
            };
            sink.write(&chunk).await?;
            if sink.check.bytes() >= told + STEP {
                told = sink.check.bytes();
                self.observer.event(&Event::FileProgress {
                    name: wanted.name.clone(),
                    bytes: told,
                });
            }
        }
    }

    async fn verify(&self, wanted: &Wanted, part: &Part, check: Check) -> Result<Fetched, Broken> {
        if wanted
            .entry
            .bytes()
            .is_some_and(|bytes| check.bytes() < bytes)
        {
            let reason = "the connection ended early";
            let error = ExportError::broken_off("downloading a file", reason);
            return Err(Broken::Connection(error));
        }
        if !check.ends_well() {
            return Err(Broken::Bytes("its last line is cut off".to_owned()));
        }
        let seen = check.finish();
        if let Some(reason) = seen.differs_from(&wanted.entry) {
            return Err(Broken::Bytes(reason));
        }
        let whole = self.folder.join(&wanted.name);
        let named = tokio::fs::rename(&part.path, whole).await;
        named.map_err(|error| Broken::Final(ExportError::local("naming a file")(error)))?;
        self.observer.event(&Event::FileDone {
            name: wanted.name.clone(),
            count: seen.count,
            bytes: seen.bytes,
        });
        Ok(Fetched::Whole(seen))
    }
}

fn is_gzip(response: &Response) -> Result<bool, ExportError> {
    let Some(coding) = response.headers().get(CONTENT_ENCODING) else {
        return Ok(false);
    };
    match coding.to_str().unwrap_or("?").to_ascii_lowercase().as_str() {
        "identity" => Ok(false),
        "gzip" | "x-gzip" => Ok(true),
        other => Err(ExportError::nonsense(
            "downloading a file",
            format!("its Content-Encoding is {other}, which was not asked for"),
        )),
    }
}

fn begins_at(response: &Response, byte: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE);
    let range = range.and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {byte}-")))
}

/// A weak tag, or one of a compressed form, is of no use for parts.
fn plain_etag(response: &Response) -> Option<String> {
    if response.headers().contains_key(CONTENT_ENCODING) {
        return None;
    }
    let etag = response.headers().get(ETAG)?.to_str().ok()?;
    (!etag.starts_with("W/")).then(|| etag.to_owned())
}

/// Where the bytes of a body go: decoded, seen, and to the part.
struct Sink {
    file: File,
    check: Check,
    decoder: Option<MultiGzDecoder<Vec<u8>>>,
}

impl Sink {
    /// Goes on after what `check` saw.
    async fn open(path: &Path, check: Check, gzip: bool) -> std::io::Result<Self> {
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder).await?;
        }
        let mut options = File::options();
        let file = options.create(true).write(true).truncate(false).open(path);
        let mut file = file.await?;
        file.set_len(check.bytes()).await?;
        tokio::io::AsyncSeekExt::seek(&mut file, std::io::SeekFrom::End(0)).await?;
        Ok(Self {
            file,
            check,
            decoder: gzip.then(|| MultiGzDecoder::new(Vec::new())),
        })
    }

    async fn write(&mut self, chunk: &[u8]) -> Result<(), Broken> {
        let failed = |error| Broken::Final(ExportError::local("writing a file")(error));
        let Some(decoder) = &mut self.decoder else {
            self.check.see(chunk);
            return self.file.write_all(chunk).await.map_err(failed);
        };
        let wrong = |error: std::io::Error| Broken::Bytes(format!("broken gzip: {error}"));
        decoder.write_all(chunk).map_err(wrong)?;
        decoder.flush().map_err(wrong)?;
        let plain = std::mem::take(decoder.get_mut());
        self.check.see(&plain);
        self.file.write_all(&plain).await.map_err(failed)
    }

    /// The body came to its end; a packed one must have come to its own.
    async fn finish(mut self) -> Result<Check, Broken> {
        let failed = |error| Broken::Final(ExportError::local("writing a file")(error));
        if let Some(mut decoder) = self.decoder.take() {
            let ended = decoder.try_finish();
            let rest = std::mem::take(decoder.get_mut());
            self.check.see(&rest);
            self.file.write_all(&rest).await.map_err(failed)?;
            ended.map_err(|error| Broken::Bytes(format!("broken gzip: {error}")))?;
        }
        self.close().await.map_err(failed)
    }

    /// Keeps what came so far.
    async fn close(mut self) -> std::io::Result<Check> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        Ok(self.check)
    }
}
