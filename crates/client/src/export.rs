//! A whole export: start it or go on with it, wait, fetch every file, verify, and tidy up.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::bulk::Poll;
use crate::check::{Check, Seen};
use crate::download::{Downloads, Fetched};
use crate::event::Teller;
use crate::manifest::Wanted;
use crate::retry_after::untold;
use crate::state::{self, FileState, State};
use crate::{BulkClient, Event, ExportError, ExportOptions, Manifest, Observer};

/// Tries at a request whose failure may pass.
const TRIES: u32 = 8;
/// Fresh links fetched for one file.
const REFRESHES: u32 = 3;

/// What an export came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Files.
    pub files: usize,
    /// Resources, what is in the error and deleted files not counted; the header of each block is one, if files are
    /// organized in such.
    pub resources: u64,
    /// Bytes in all files.
    pub bytes: u64,
    /// Resources by type, from the names of the files; of files of blocks, by what these are about.
    pub per_type: BTreeMap<String, u64>,
    /// Lines of the error files.
    pub outcomes: u64,
    /// Files whose entry has no count, size or hash that they could be held against.
    pub unchecked: usize,
    /// False when an earlier run had already fetched everything.
    pub is_new: bool,
    /// Bundles of deletions.
    pub deletions: u64,
    /// T: the `--since` of the next export.
    pub transaction_time: String,
    /// Where the export is, or was, on the server.
    pub status_url: String,
    /// Whether it is deleted there.
    pub deleted: bool,
}

/// Exports, or goes on with what the folder knows. Cancelled, it stops between two bytes and loses
/// none.
pub async fn export(
    options: &ExportOptions,
    observer: &dyn Observer,
    stop: CancellationToken,
) -> Result<Summary, ExportError> {
    let (teller, mut told) = Teller::new();
    let client = BulkClient::telling(options, teller)?;
    let _held = hold(&options.out)?;
    let run = Run {
        options,
        observer,
        client: &client,
        stop: &stop,
        state: Mutex::new(known(options)?),
        went_on: Mutex::default(),
    };
    let whole = async {
        run.begin().await?;
        run.fetch_all().await?;
        run.tidy_up().await?;
        Ok(run.summary())
    };
    let pass_on = async {
        while let Some(event) = told.recv().await {
            observer.event(&event);
        }
        std::future::pending().await
    };
    tokio::select! {
        ended = whole => ended,
        never = pass_on => never,
    }
}

/// Makes the folder, for this user only as it is to hold patients' data, and takes it.
fn hold(folder: &Path) -> Result<File, ExportError> {
    let failed = |action: &str| ExportError::local(format!("{action} {}", folder.display()));
    let mut make = std::fs::DirBuilder::new();
    make.recursive(true).mode(0o700);
    make.create(folder).map_err(failed("making the folder"))?;
    state::take(folder).map_err(failed("using the folder"))
}

/// What the folder knows of this very export; `--restart` makes it forget.
fn known(options: &ExportOptions) -> Result<State, ExportError> {
    let folder = &options.out;
    if options.restart {
        state::forget(folder).map_err(ExportError::local("removing the earlier export"))?;
    }
    let request = options.request()?;
    let found = state::read(folder).map_err(ExportError::local(
        "reading .sluice-export.json, which --restart replaces",
    ))?;
    match found {
        Some(state) if state.request == request => Ok(state),
        Some(state) => Err(ExportError::OtherRequest {
            found: state.request,
        }),
        None => Ok(State {
            request,
            ..State::default()
        }),
    }
}

struct Run<'a> {
    options: &'a ExportOptions,
    observer: &'a dyn Observer,
    client: &'a BulkClient,
    stop: &'a CancellationToken,
    state: Mutex<State>,
    went_on: Mutex<bool>,
}

/// The manifest with the freshest links.
type Links = tokio::sync::Mutex<Manifest>;

impl Run<'_> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> Result<(), ExportError> {
        let mut state = self.state();
        change(&mut state);
        let failed = ExportError::local("writing .sluice-export.json");
        state::write(&self.options.out, &state).map_err(failed)
    }

    async fn pause(&self, wait: Duration, reason: &str) -> Result<(), ExportError> {
        self.observer.event(&Event::Waiting {
            seconds: wait.as_secs(),
            reason: reason.to_owned(),
        });
        let slept = self
            .stop
            .run_until_cancelled(tokio::time::sleep(wait))
            .await;
        slept.ok_or(ExportError::Interrupted)
    }

    async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, ExportError>>,
    ) -> Result<T, ExportError> {
        let done = self.stop.run_until_cancelled(work).await;
        done.unwrap_or(Err(ExportError::Interrupted))
    }

    /// Finds the status URL: the folder knows it, the caller gives it, or the server does.
    async fn begin(&self) -> Result<(), ExportError> {
        let known = self.state().status_url.clone();
        let given = self.options.status_url.as_ref().map(Url::to_string);
        if let Some(given) = given.as_ref().filter(|_| !known.is_empty())
            && *given != known
        {
            return Err(ExportError::OtherRequest { found: known });
        }
        if let Some(status_url) = Some(known).filter(|url| !url.is_empty()).or(given) {
            self.change(|state| state.status_url.clone_from(&status_url))?;
            self.observer.event(&Event::Resumed { status_url });
            return Ok(());
        }
        let status_url = self.kick_off().await?.to_string();
        self.change(|state| state.status_url.clone_from(&status_url))?;
        self.observer.event(&Event::KickedOff { status_url });
        Ok(())
    }

    /// A kick-off whose answer got lost is not repeated: it may have started an export.
    async fn kick_off(&self) -> Result<Url, ExportError> {
        for tries in 1..=TRIES {
            let wait = match self
                .unless_stopped(self.client.kick_off(self.options))
                .await?
            {
                Ok(url) => return Ok(url),
                Err(told) => told.unwrap_or_else(|| untold(tries)),
            };
            self.pause(wait, "the server is busy").await?;
        }
        Err(ExportError::Refused {
            status: 503,
            text: "the server stayed busy".to_owned(),
        })
    }

    fn status_url(&self) -> Result<Url, ExportError> {
        let text = self.state().status_url.clone();
        let wrong = || ExportError::BadOption("the status URL is no URL".to_owned());
        text.parse().map_err(|_| wrong())
    }

    /// The manifest with all of its pages.
    async fn manifest(&self) -> Result<Manifest, ExportError> {
        let mut manifest = self.page(self.status_url()?).await?;
        let mut seen = HashSet::new();
        while let Some(next) = manifest.next() {
            let wrong = |reason: &str| ExportError::nonsense("reading the manifest", reason);
            let url: Url = next
                .parse()
                .map_err(|_| wrong("the link to its next page is no URL"))?;
            if !seen.insert(url.clone()) {
                return Err(wrong("its pages lead in a circle"));
            }
            let page = self.page(url).await?;
            manifest.add_page(page);
        }
        Ok(manifest)
    }

    /// Polls as told until there is a manifest.
    async fn page(&self, url: Url) -> Result<Manifest, ExportError> {
        let (mut polls, mut failures) = (0, 0);
        loop {
            polls += 1;
            let polled = match self.unless_stopped(self.client.poll(&url)).await {
                Err(error @ ExportError::Network { .. }) if failures < TRIES => {
                    failures += 1;
                    self.pause(untold(failures), &error.to_string()).await?;
                    continue;
                }
                polled => polled?,
            };
            failures = 0;
            let (wait, reason) = match polled {
                Poll::Done(manifest) => return Ok(manifest),
                Poll::Gone(text) => return Err(ExportError::Gone { text }),
                Poll::Failed { status, text } => {
                    return Err(ExportError::JobFailed { status, text });
                }
                Poll::Busy { wait, text } => (wait, text),
                Poll::Running { progress, wait } => {
                    self.tell_progress(progress.as_deref().unwrap_or("running"));
                    (wait, "the export is running".to_owned())
                }
            };
            self.pause(wait.unwrap_or_else(|| untold(polls)), &reason)
                .await?;
        }
    }

    fn tell_progress(&self, text: &str) {
        let digits = text.trim_start_matches('"');
        let end = digits.find(|letter: char| !letter.is_ascii_digit());
        let percent = digits[..end.unwrap_or(digits.len())].parse().ok();
        self.observer.event(&Event::Progress {
            text: text.to_owned(),
            percent,
        });
    }

    async fn fetch_all(&self) -> Result<(), ExportError> {
        self.verify_what_is_there().await?;
        if self.state().finished.is_some() {
            return Ok(());
        }
        let manifest = self.manifest().await?;
        let wanted = manifest.wanted()?;
        self.tell_manifest(&wanted);
        let unchecked = wanted.iter().filter(|file| !file.entry.can_be_checked());
        let unchecked = unchecked.count();
        self.change(|state| state.unchecked = unchecked)?;
        let time = manifest.transaction_time.clone();
        let links = Links::new(manifest);
        let missing: Vec<(usize, Wanted)> = {
            let state = self.state();
            let is_done = |name: &str| {
                let file = state.files.get(name);
                file.is_some_and(|file| file.done.is_some())
            };
            let all = wanted.into_iter().enumerate();
            all.filter(|(_, file)| !is_done(&file.name)).collect()
        };
        let fetches = futures::stream::iter(missing)
            .map(|(at, file)| self.fetch(at, file, &links))
            .buffer_unordered(self.options.parallel.max(1));
        fetches.try_collect::<Vec<()>>().await?;
        self.change(|state| state.finished = Some(time))?;
        *self.went_on() = true;
        Ok(())
    }

    /// Whether anything was left to do.
    fn went_on(&self) -> MutexGuard<'_, bool> {
        self.went_on.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_manifest(&self, wanted: &[Wanted]) {
        let sizes: Option<Vec<u64>> = wanted.iter().map(|file| file.entry.bytes()).collect();
        let data = wanted.iter().filter(|file| file.is_data());
        self.observer.event(&Event::Manifest {
            files: wanted.len(),
            resources: data.filter_map(|file| file.entry.count).sum(),
            bytes: sizes.map(|sizes| sizes.iter().sum()),
        });
    }

    async fn fetch(&self, at: usize, mut file: Wanted, links: &Links) -> Result<(), ExportError> {
        let name = file.name.clone();
        let remember = |etag: Option<String>| {
            self.change(|state| state.files.entry(name.clone()).or_default().etag = etag)
        };
        for _ in 0..=REFRESHES {
            let known = self.state().files.get(&name).cloned();
            let etag = known.and_then(|known| known.etag);
            let with_token = links.lock().await.requires_access_token;
            let downloads = Downloads {
                client: self.client,
                folder: &self.options.out,
                with_token,
                observer: self.observer,
                stop: self.stop,
            };
            match downloads.fetch(&file, etag, &remember).await? {
                Fetched::Whole(seen) => {
                    return self.change(|state| {
                        let done = FileState {
                            etag: None,
                            done: Some(seen),
                        };
                        state.files.insert(name.clone(), done);
                    });
                }
                Fetched::LinkExpired => {
                    file = self.fresh_link(at, &file, links).await?;
                }
            }
        }
        let reason = "its link is refused, fresh ones too";
        Err(ExportError::nonsense(
            &format!("downloading {name}"),
            reason,
        ))
    }

    /// One download asks for fresh links, the others use its answer.
    async fn fresh_link(
        &self,
        at: usize,
        file: &Wanted,
        links: &Links,
    ) -> Result<Wanted, ExportError> {
        let mut manifest = links.lock().await;
        let same = |manifest: &Manifest| -> Result<Wanted, ExportError> {
            let found = manifest.wanted()?.into_iter().nth(at);
            found
                .filter(|found| found.name == file.name)
                .ok_or_else(|| {
                    ExportError::nonsense("renewing links", "the manifest is another one now")
                })
        };
        let found = same(&manifest)?;
        if found.entry.url != file.entry.url {
            return Ok(found);
        }
        *manifest = self.manifest().await?;
        same(&manifest)
    }

    /// Files of earlier runs count only if they are still what they were.
    async fn verify_what_is_there(&self) -> Result<(), ExportError> {
        let files = self.state().files.clone();
        for (name, file) in files {
            let Some(done) = file.done else { continue };
            if !is_still(&self.options.out.join(&name), &done).await {
                self.change(|state| {
                    state.files.remove(&name);
                    state.finished = None;
                })?;
            }
        }
        Ok(())
    }

    async fn tidy_up(&self) -> Result<(), ExportError> {
        if self.options.delete && !self.state().deleted {
            let status_url = self.status_url()?;
            self.unless_stopped(self.client.delete(&status_url)).await?;
            self.change(|state| state.deleted = true)?;
            self.observer.event(&Event::Deleted);
        }
        let Summary {
            files,
            resources,
            bytes,
            ..
        } = self.summary();
        self.observer.event(&Event::Done {
            files,
            resources,
            bytes,
        });
        Ok(())
    }

    fn summary(&self) -> Summary {
        let state = self.state();
        let mut summary = Summary {
            files: state.files.len(),
            resources: 0,
            bytes: 0,
            per_type: BTreeMap::new(),
            outcomes: 0,
            deletions: 0,
            unchecked: state.unchecked,
            is_new: *self.went_on(),
            transaction_time: state.finished.clone().unwrap_or_default(),
            status_url: state.status_url.clone(),
            deleted: state.deleted,
        };
        for (name, file) in &state.files {
            let Some(done) = &file.done else { continue };
            summary.bytes += done.bytes;
            if name.starts_with("error/") {
                summary.outcomes += done.count;
            } else if name.starts_with("deleted/") {
                summary.deletions += done.count;
            } else if let Some((kind, _)) = name.split_once('.') {
                summary.resources += done.count;
                *summary.per_type.entry(kind.to_owned()).or_default() += done.count;
            }
        }
        summary
    }
}

async fn is_still(path: &Path, done: &Seen) -> bool {
    let seen = Check::of(path).await.map(Check::finish);
    seen.is_ok_and(|seen| seen == *done)
}
