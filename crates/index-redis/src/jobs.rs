//! The list of jobs, which lives apart from the jobs themselves.
//!
//! A job is listed before it is inserted and unlisted after it is removed, so that one that can be
//! found is always listed. What is listed and cannot be found is left out, and dropped in time.

use std::collections::BTreeSet;

use sluice_model::{JobId, JobRef, TenantId};
use sluice_ports::PortError;

use crate::RedisIndex;
use crate::keys::LISTED;

/// How many jobs are asked for at a time.
const PAGE: usize = 500;

impl RedisIndex {
    pub(crate) async fn list(&self, job: &JobRef) -> Result<(), PortError> {
        let keys = [self.keys.jobs()];
        let action = "listing a job in redis";
        let args = [job.to_string()];
        self.link
            .script(action, &self.scripts.list, &keys, &args)
            .await
    }

    pub(crate) async fn unlist(&self, jobs: &[String]) -> Result<(), PortError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let grace = LISTED.as_micros().to_string();
        let args: Vec<String> = std::iter::once(grace).chain(jobs.iter().cloned()).collect();
        let keys = [self.keys.jobs()];
        let action = "taking jobs off the list in redis";
        self.link
            .script(action, &self.scripts.unlist, &keys, &args)
            .await
    }

    pub(crate) async fn listed(&self) -> Result<Vec<JobRef>, PortError> {
        let mut found = BTreeSet::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("ZSCAN");
            scan.arg(self.keys.jobs()).arg(cursor);
            scan.arg("COUNT").arg(PAGE);
            let (next, page): (u64, Vec<(String, f64)>) =
                self.link.command("listing jobs in redis", &scan).await?;
            let page: Vec<String> = page.into_iter().map(|(job, _)| job).collect();
            self.keep_known(&page, &mut found).await?;
            cursor = next;
            if cursor == 0 {
                return Ok(found.into_iter().collect());
            }
        }
    }

    async fn keep_known(
        &self,
        page: &[String],
        found: &mut BTreeSet<JobRef>,
    ) -> Result<(), PortError> {
        for page in page.chunks(PAGE) {
            let mut ask = redis::pipe();
            for job in page {
                ask.exists(self.keys.status(job));
            }
            let known: Vec<bool> = self.link.pipeline("listing jobs in redis", &ask).await?;
            let mut gone = Vec::new();
            for (text, known) in page.iter().zip(known) {
                match parse(text) {
                    Some(job) if known => _ = found.insert(job),
                    _ => gone.push(text.clone()),
                }
            }
            self.unlist(&gone).await?;
        }
        Ok(())
    }
}

/// A job from its text.
pub(crate) fn parse(text: &str) -> Option<JobRef> {
    let (tenant, job) = text.split_once('/')?;
    Some(JobRef {
        tenant: tenant.parse::<TenantId>().ok()?,
        job: job.parse::<JobId>().ok()?,
    })
}
