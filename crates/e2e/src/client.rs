//! What a client sees of a deployment, and what lies on its disk.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use sluice_engine::{
    Answer, Audit, Caller, Journal, Kickoff, KickoffError, KickoffRequest, Origin, PollLimits,
    Ports, Serve, Standing, Tenants,
};
use sluice_fhir::{Guide, Instant, Issue, Level, parameters};
use sluice_model::{JobRef, Manifest, ManifestFile};
use sluice_ports::{Blobs, PortError};

use crate::{Disk, tenant_id};

/// Authorization is off in these worlds.
fn anyone() -> Caller {
    Caller::anyone(Origin::default())
}

/// What an ended job came to.
#[derive(Debug)]
pub enum Ended {
    /// Its manifest.
    Complete(Arc<Manifest>),
    /// Why it failed.
    Failed(Issue),
    /// It is not there any more.
    Gone,
}

/// Asks as a gateway does.
pub struct Client {
    pub(crate) ports: Ports,
    pub(crate) tenants: Tenants,
    pub(crate) disk: Disk,
}

impl Client {
    /// Asks over these ports; `disk` is where their objects lie.
    pub fn new(ports: Ports, tenants: Tenants, disk: &Disk) -> Self {
        let disk = disk.clone();
        Self {
            ports,
            tenants,
            disk,
        }
    }

    /// Kicks off an export of everything.
    pub async fn kick_off(&self) -> Result<JobRef, KickoffError> {
        self.kick_off_asking(parameters::Kickoff::default()).await
    }

    /// Kicks off an export of what changed after a time, and of what was deleted.
    pub async fn kick_off_since(&self, since: Instant) -> Result<JobRef, KickoffError> {
        let asked = parameters::Kickoff {
            since: Some(since),
            ..parameters::Kickoff::default()
        };
        self.kick_off_asking(asked).await
    }

    /// Kicks off an export of everything that may offer files while it runs.
    pub async fn kick_off_partial(&self) -> Result<JobRef, KickoffError> {
        let asked = parameters::Kickoff {
            partial_manifests: true,
            ..parameters::Kickoff::default()
        };
        self.kick_off_asking(asked).await
    }

    /// Reads page after page, waiting for each, as long as one links to the next. `None` when the job
    /// failed or is gone.
    pub async fn pages(&self, job: &JobRef) -> Option<Vec<Arc<Manifest>>> {
        let serve = Serve::new(&self.ports, &self.tenants, PollLimits::default());
        let (mut pages, mut number) = (Vec::new(), 1);
        loop {
            let standing = serve.page(&anyone(), job, number).await;
            let (page, next) = match standing {
                Ok(
                    Standing {
                        answer: Answer::Complete(page),
                        next,
                        ..
                    }
                    | Standing {
                        answer: Answer::Running(_),
                        offered: Some(page),
                        next,
                        ..
                    },
                ) => (page, next),
                Ok(Standing {
                    answer: Answer::TooFast(wait),
                    ..
                }) => {
                    tokio::time::sleep(wait).await;
                    continue;
                }
                Ok(Standing {
                    answer: Answer::Running(progress),
                    ..
                }) => {
                    tokio::time::sleep(progress.retry_after).await;
                    continue;
                }
                Ok(_) => return None,
                Err(_) => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            pages.push(page);
            match next {
                Some(next) => number = next,
                None => return Some(pages),
            }
        }
    }

    /// Kicks off an export of what is asked, at Patient level.
    pub async fn kick_off_asking(
        &self,
        asked: parameters::Kickoff,
    ) -> Result<JobRef, KickoffError> {
        let request = KickoffRequest {
            tenant: tenant_id()?,
            url: "http://test/default/fhir/Patient/$export".to_owned(),
            level: Level::Patient,
            asked,
            caller: anyone(),
            separate_status: false,
            guide: Guide::default(),
            idempotency_key: None,
            traceparent: None,
        };
        let audit = Audit::new(&self.ports, 1_000_000);
        Kickoff::new(&self.ports, &self.tenants, &audit)
            .accept(request)
            .await
    }

    /// Polls until the job has ended.
    pub async fn ended(&self, job: &JobRef) -> Ended {
        let serve = Serve::new(&self.ports, &self.tenants, PollLimits::default());
        loop {
            let wait = match serve
                .status(&anyone(), job)
                .await
                .map(|standing| standing.answer)
            {
                Ok(Answer::Complete(manifest)) => return Ended::Complete(manifest),
                Ok(Answer::Failed(issue)) => return Ended::Failed(issue),
                Ok(Answer::Unknown | Answer::NotYours | Answer::Forbidden | Answer::Gone) => {
                    return Ended::Gone;
                }
                Ok(Answer::Running(progress)) => progress.retry_after,
                Ok(Answer::TooFast(wait)) => wait,
                Err(_) => Duration::from_secs(1),
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// The ports, for a test to use as any process would.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The journal as it lies on the disk, without faults.
    pub fn journal(&self) -> Journal {
        Journal::new(Arc::new(self.disk.0.clone()))
    }

    /// Every line of files, sorted.
    ///
    /// # Panics
    ///
    /// When a file does not hold what its entry says.
    pub async fn lines(&self, files: &[ManifestFile]) -> Result<Vec<String>, PortError> {
        let mut lines = Vec::new();
        for file in files {
            let stream = self.disk.0.read(&file.key, 0..file.bytes).await?;
            let parts: Vec<_> = stream.try_collect().await?;
            let body = String::from_utf8_lossy(&parts.concat()).into_owned();
            let found = u64::try_from(body.lines().count()).unwrap_or(u64::MAX);
            assert_eq!(found, file.count, "{} holds what it says", file.key);
            lines.extend(body.lines().map(str::to_owned));
        }
        lines.sort_unstable();
        Ok(lines)
    }
}
