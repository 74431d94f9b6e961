//! Step 6. Answers a poll and finds the files of a job that is finished, or offers them while it runs.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use sluice_fhir::{Issue, ResourceType};
use sluice_model::{Form, JobRef, JobState, Manifest, ManifestFile, Tally, layout};
use sluice_ports::{JobStatus, PortError, Rate};

use crate::pages::Pages;
use crate::{Caller, Journal, Ports, Rebuild, Tenants};

/// Pages whose reading is counted one by one; no job has more.
const MOST_COUNTED: u32 = 100;
/// Jobs whose owners are kept at hand, those who were asked for least going first. They do not change.
const OWNERS: usize = 10_000;

/// How often a client may ask.
#[derive(Clone, Copy, Debug)]
pub struct PollLimits {
    /// The shortest wait told.
    pub shortest: Duration,
    /// The longest wait told.
    pub longest: Duration,
    /// Polls allowed at once on top of what was told.
    pub burst: u32,
}

impl Default for PollLimits {
    fn default() -> Self {
        Self {
            shortest: Duration::from_secs(1),
            longest: Duration::from_mins(1),
            burst: 10,
        }
    }
}

/// How far a running job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// 0 to 99.
    pub percent: u8,
    /// Resources written so far.
    pub resources: u64,
    /// Resources a second, since it was accepted.
    pub per_second: u64,
    /// When to ask again.
    pub retry_after: Duration,
}

/// What a poll hears.
#[derive(Clone, Debug)]
pub enum Answer {
    /// There is no such job.
    Unknown,
    /// It is another's, who asks must not learn that it exists.
    NotYours,
    /// There was, and it was deleted or its time was up.
    Gone,
    /// Asked too often; wait this long.
    TooFast(Duration),
    /// Still running.
    Running(Progress),
    /// The token does not open all that is exported.
    Forbidden,
    /// Finished.
    Complete(Arc<Manifest>),
    /// Failed as a whole.
    Failed(Issue),
}

/// Where a job stands, and how its client wants to be told.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Where it stands.
    pub answer: Answer,
    /// How to tell, of a job that runs or ended; plain of any other.
    pub form: Form,
    /// The first page of what a running job offers already, or the page that was asked for.
    pub offered: Option<Arc<Manifest>>,
    /// The number of the page after the one that is told; it may have to be waited for. Without one, it
    /// is the last.
    pub next: Option<u32>,
}

impl From<Answer> for Standing {
    fn from(answer: Answer) -> Self {
        Self {
            answer,
            form: Form::default(),
            offered: None,
            next: None,
        }
    }
}

/// What a download hears.
#[derive(Clone, Debug)]
pub enum FileAnswer {
    /// There is no such file, or not any more.
    Unknown,
    /// It is another's, who asks must not learn that it exists.
    NotYours,
    /// The token does not open its type.
    Forbidden,
    /// The file.
    Found(ManifestFile),
}

/// Answers polls and downloads.
#[derive(Clone)]
pub struct Serve {
    ports: Ports,
    journal: Journal,
    tenants: Tenants,
    rebuild: Rebuild,
    limits: PollLimits,
    pages: Pages,
    owners: Arc<Cache<JobRef, Arc<Owned>>>,
}

/// What decides who may see a job: its record without the rest of the scope.
struct Owned {
    client: Option<String>,
    types: Vec<ResourceType>,
    form: Form,
}

impl Owned {
    /// Whether the token opens all that is exported.
    fn opens_all(&self, caller: &Caller) -> bool {
        self.types.iter().all(|kind| caller.may_export_type(*kind))
    }

    /// Whether the token opens a file. Bundles of deletions name ids of any of the job's types
    /// (T-032); nothing else is a Bundle. Blocks hold resources of any of them.
    fn opens(&self, caller: &Caller, file: &ManifestFile) -> bool {
        let holds_any = file.kind == ResourceType::BUNDLE || self.form.organize == Some(file.kind);
        if holds_any {
            self.opens_all(caller)
        } else {
            caller.may_export_type(file.kind)
        }
    }
}

impl Serve {
    /// Answers for the jobs of these tenants.
    pub fn new(ports: &Ports, tenants: &Tenants, limits: PollLimits) -> Self {
        let journal = Journal::new(ports.blobs.clone());
        Self {
            ports: ports.clone(),
            pages: Pages::new(&journal),
            journal,
            tenants: tenants.clone(),
            rebuild: Rebuild::new(ports, tenants),
            limits,
            owners: Arc::new(Cache::new(OWNERS)),
        }
    }

    /// Where a caller's job stands. Another's is not there.
    pub async fn status(&self, caller: &Caller, job: &JobRef) -> Result<Standing, PortError> {
        self.standing(caller, job, None).await
    }

    /// The same with a page of its manifest, from 1 (E-06). A job that did not ask for pages has one
    /// manifest, whatever the number.
    pub async fn page(
        &self,
        caller: &Caller,
        job: &JobRef,
        page: u32,
    ) -> Result<Standing, PortError> {
        self.standing(caller, job, Some(page)).await
    }

    async fn standing(
        &self,
        caller: &Caller,
        job: &JobRef,
        page: Option<u32>,
    ) -> Result<Standing, PortError> {
        let Some(status) = self.known(job).await? else {
            return Ok(Answer::Unknown.into());
        };
        let form = match self.owned(job).await? {
            None => return Ok(Answer::Unknown.into()),
            Some(owned) if owned.client.as_deref() != caller.id() => {
                return Ok(Answer::NotYours.into());
            }
            Some(owned) if self.asks_scopes(job) && !owned.opens_all(caller) => {
                return Ok(Answer::Forbidden.into());
            }
            Some(owned) => owned.form,
        };
        let page = page.filter(|_| form.partial);
        if page == Some(0) {
            return Ok(Answer::Unknown.into());
        }
        let standing = match status.state {
            // Nothing is looked up for it, and it must not be taken for a job that may come back.
            JobState::Cancelled => return Ok(Answer::Gone.into()),
            JobState::Accepted | JobState::Exporting => {
                self.running(job, &status, (form, page)).await?
            }
            JobState::Complete | JobState::Failed => {
                // Of its own: what was polled too fast while it ran is forgiven.
                match self
                    .too_fast(&budget(job, page), self.limits.shortest)
                    .await?
                {
                    Some(wait) => Answer::TooFast(wait).into(),
                    None => self.ended(job, page).await?,
                }
            }
        };
        Ok(Standing { form, ..standing })
    }

    async fn running(
        &self,
        job: &JobRef,
        status: &JobStatus,
        (form, asked): (Form, Option<u32>),
    ) -> Result<Standing, PortError> {
        let progress = self.progress(status);
        let number = asked.unwrap_or(1);
        let poll = format!("poll/{job}");
        let (told, shortest) = (progress.retry_after, self.limits.shortest);
        // One page after another may be read as fast as they come.
        let mut too_fast = match asked {
            Some(_) => self.too_fast(&budget(job, asked), shortest).await?,
            None => self.too_fast(&poll, told).await?,
        };
        let page = if form.partial && too_fast.is_none() {
            self.pages.page(job, number).await?
        } else {
            None
        };
        if asked.is_some() && page.is_none() && too_fast.is_none() {
            // Waiting for one is polling.
            too_fast = self.too_fast(&poll, told).await?;
        }
        if let Some(wait) = too_fast {
            return Ok(Answer::TooFast(wait).into());
        }
        // Its files stay until some time after a job that has not ended yet.
        let policy = self.tenants.get(&job.tenant).map(|tenant| tenant.policy);
        let retention = policy.map_or(Duration::ZERO, |policy| policy.retention);
        let until = self.ports.clock.now().plus(retention);
        Ok(Standing {
            // The manifest follows the last of them, so each has a next.
            next: page.as_ref().map(|_| number.saturating_add(1)),
            offered: page.map(|page| Arc::new(page.until(until))),
            ..Answer::Running(progress).into()
        })
    }

    /// Whether a poll wants scopes; some tenants ask only whose the job is (C-043).
    fn asks_scopes(&self, job: &JobRef) -> bool {
        let tenant = self.tenants.get(&job.tenant);
        tenant.is_none_or(|tenant| tenant.access.rules.scopes_at_status)
    }

    /// Whose a job is. That never changes, so it is kept.
    async fn owned(&self, job: &JobRef) -> Result<Option<Arc<Owned>>, PortError> {
        let kept = self.owners.get(job);
        if kept.is_some() {
            return Ok(kept);
        }
        let Some(record) = self.journal.job(job).await? else {
            return Ok(None);
        };
        let owned = Arc::new(Owned {
            client: record.client,
            types: record.scope.types,
            form: record.form,
        });
        self.owners.insert(job.clone(), Arc::clone(&owned));
        Ok(Some(owned))
    }

    /// How long to wait, for who asks again sooner than told.
    async fn too_fast(&self, budget: &str, told: Duration) -> Result<Option<Duration>, PortError> {
        let rate = Rate {
            burst: self.limits.burst,
            every: told,
        };
        let wait = self.ports.index.spend(budget, rate).await?;
        Ok(wait.map(|wait| wait.min(self.limits.longest)))
    }

    async fn known(&self, job: &JobRef) -> Result<Option<JobStatus>, PortError> {
        match self.ports.index.get(job).await? {
            Some(status) => Ok(Some(status)),
            None => self.rebuild.job(job).await,
        }
    }

    async fn ended(&self, job: &JobRef, page: Option<u32>) -> Result<Standing, PortError> {
        let manifest = self.pages.manifest(job).await?;
        let now = self.ports.clock.now();
        let Some(last) = manifest.filter(|manifest| now < manifest.expires_at) else {
            return Ok(Answer::Gone.into());
        };
        if let Some(failure) = &last.failure {
            return Ok(Answer::Failed(failure.clone()).into());
        }
        let number = page.unwrap_or(1);
        if number > last.pages_before {
            let exists = number == last.pages_before + 1;
            let answer = if exists {
                Answer::Complete(last)
            } else {
                Answer::Unknown
            };
            return Ok(answer.into());
        }
        let page = self.pages.page(job, number).await?;
        Ok(page.map_or(Answer::Gone.into(), |page| Standing {
            next: Some(number + 1),
            ..Answer::Complete(Arc::new(page.until(last.expires_at))).into()
        }))
    }

    /// Finds a file of a caller's job that the token opens (C-022).
    pub async fn own_file(
        &self,
        caller: &Caller,
        job: &JobRef,
        path: &str,
    ) -> Result<FileAnswer, PortError> {
        let Some(owned) = self.owned(job).await? else {
            return Ok(FileAnswer::Unknown);
        };
        if owned.client.as_deref() != caller.id() {
            return Ok(FileAnswer::NotYours);
        }
        Ok(match self.file(job, path).await? {
            FileAnswer::Found(file) if !owned.opens(caller, &file) => FileAnswer::Forbidden,
            answer => answer,
        })
    }

    /// Finds a file that the manifest of a finished job names, or what a running one offers, for who holds a
    /// link to it; `path` is its key below the job.
    pub async fn file(&self, job: &JobRef, path: &str) -> Result<FileAnswer, PortError> {
        let key = format!("{}{path}", layout::job(job));
        let status = self.known(job).await?;
        let found = match status.map(|status| status.state) {
            Some(JobState::Complete) => self.named(job, &key).await?,
            Some(JobState::Accepted | JobState::Exporting) => match self.owned(job).await? {
                Some(owned) if owned.form.partial => self.pages.file(job, &key).await?,
                _ => None,
            },
            _ => None,
        };
        Ok(found.map_or(FileAnswer::Unknown, FileAnswer::Found))
    }

    async fn named(&self, job: &JobRef, key: &str) -> Result<Option<ManifestFile>, PortError> {
        let manifest = self.pages.manifest(job).await?;
        let now = self.ports.clock.now();
        let Some(manifest) = manifest.filter(|manifest| now < manifest.expires_at) else {
            return Ok(None);
        };
        match manifest.files().find(|file| file.key == key) {
            None if manifest.pages_before > 0 => self.pages.file(job, key).await,
            found => Ok(found.cloned()),
        }
    }

    fn progress(&self, status: &JobStatus) -> Progress {
        let elapsed = self.ports.clock.now().since(status.accepted_at);
        let mut so_far = status.tally;
        so_far += status.in_flight;
        let percent = percent(so_far, status);
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        Progress {
            percent,
            resources: so_far.resources,
            per_second: so_far.resources.saturating_mul(1000) / millis.max(1),
            retry_after: self.retry_after(elapsed, percent),
        }
    }

    /// A tenth of what is left, so that the wait shrinks towards the end.
    fn retry_after(&self, elapsed: Duration, percent: u8) -> Duration {
        let left = if percent == 0 {
            elapsed
        } else {
            elapsed * (100 - u32::from(percent)) / u32::from(percent)
        };
        let seconds = Duration::from_secs((left / 10).as_secs());
        seconds.clamp(self.limits.shortest, self.limits.longest)
    }
}

/// What reading a manifest, or a page of one, is counted by.
fn budget(job: &JobRef, page: Option<u32>) -> String {
    match page {
        // Others can be no page: their numbers are the caller's to choose.
        Some(page @ 1..=MOST_COUNTED) => format!("manifest/{job}/{page}"),
        _ => format!("manifest/{job}"),
    }
}

/// By bytes: they are what takes time. A plan still being made counts for half at most, because
/// what it will come to is not known.
fn percent(so_far: Tally, status: &JobStatus) -> u8 {
    let expected = status.planned.expected.bytes;
    if expected == 0 {
        return 0;
    }
    let top = if status.planned.sealed { 100 } else { 50 };
    let percent = so_far.bytes.saturating_mul(top) / expected;
    u8::try_from(percent.min(99)).unwrap_or(99)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_fhir::Instant;
    use sluice_ports::Planned;

    #[test]
    fn a_running_job_never_says_100_per_cent() {
        let tally = |bytes| Tally {
            resources: 0,
            bytes,
        };
        let mut status = JobStatus::accepted(Instant::from_millis(0));
        assert_eq!(percent(tally(10), &status), 0);
        status.planned = Planned {
            chunks: 1,
            expected: tally(200),
            sealed: false,
        };
        assert_eq!(percent(tally(100), &status), 25);
        status.planned.sealed = true;
        assert_eq!(percent(tally(100), &status), 50);
        assert_eq!(percent(tally(900), &status), 99);
    }
}
