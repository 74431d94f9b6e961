//! `/jobs` on the admin port: lists exports, shows one and its chunks, cancels one.

use std::sync::Arc;

use sluice_engine::{Cancel, Jobs, JobsQuery, StateFilter, Tenants, Withdrawal};
use sluice_model::{JobRef, JobState};
use sluice_ports::PortError;
use sluice_runtime::{AdminAnswer, AdminApi, AdminRequest};

use super::{answer, origin, port_trouble};

/// Jobs in a list, unless it is said how many, and at most.
const JOBS: usize = 100;
const MOST_JOBS: usize = 500;

/// `/jobs` and below.
pub(super) fn jobs_api(jobs: Jobs, cancel: Cancel, tenants: Tenants) -> AdminApi {
    let desk = Arc::new(Desk {
        jobs,
        cancel,
        tenants,
    });
    AdminApi::new("/jobs", move |request| {
        let desk = Arc::clone(&desk);
        Box::pin(async move {
            let answered = desk.answer(&request).await;
            answered
                .unwrap_or_else(|trouble| port_trouble(&trouble, "look at the jobs and try again"))
        })
    })
}

struct Desk {
    jobs: Jobs,
    cancel: Cancel,
    tenants: Tenants,
}

impl Desk {
    async fn answer(&self, request: &AdminRequest) -> Result<AdminAnswer, PortError> {
        let path = request.path.strip_prefix("/jobs").unwrap_or_default();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (parts.as_slice(), request.method.as_str()) {
            ([], "GET") => self.list(request).await,
            ([tenant, job], "GET") => match self.named(tenant, job) {
                Some(job) => {
                    let shown = self.jobs.show(&job).await?;
                    Ok(shown.map_or_else(no_such_job, |shown| answer(200, &shown)))
                }
                None => Ok(no_such_job()),
            },
            ([tenant, job], "DELETE") => match self.named(tenant, job) {
                Some(job) => self.cancel(&job, request).await,
                None => Ok(no_such_job()),
            },
            ([_, _], _) => Ok(AdminAnswer::not_allowed("GET, DELETE")),
            ([tenant, job, "chunks"], "GET") => match self.named(tenant, job) {
                Some(job) => self.chunks(&job, request).await,
                None => Ok(no_such_job()),
            },
            ([] | [_, _, "chunks"], _) => Ok(AdminAnswer::not_allowed("GET")),
            _ => Ok(AdminAnswer::refused(404, "there is no such path")),
        }
    }

    /// A job whose name cannot be one is not there.
    fn named(&self, tenant: &str, job: &str) -> Option<JobRef> {
        let (tenant, job) = (tenant.parse().ok()?, job.parse().ok()?);
        let is_there = self.tenants.get(&tenant).is_some();
        is_there.then_some(JobRef { tenant, job })
    }

    async fn list(&self, request: &AdminRequest) -> Result<AdminAnswer, PortError> {
        match self.query(request) {
            Ok(query) => Ok(answer(200, &self.jobs.list(&query).await?)),
            Err(refused) => Ok(refused),
        }
    }

    fn query(&self, request: &AdminRequest) -> Result<JobsQuery, AdminAnswer> {
        let wrong = |text: &str| AdminAnswer::refused(400, text);
        let parameters = request.parameters(["tenant", "state", "after", "limit"]);
        let [tenant, state, after, limit] = parameters.map_err(|text| wrong(&text))?;
        let tenant = match tenant.map(|tenant| tenant.parse()) {
            None => None,
            Some(Ok(tenant)) if self.tenants.get(&tenant).is_some() => Some(tenant),
            Some(_) => return Err(AdminAnswer::refused(404, "there is no such tenant")),
        };
        let state = state.map(|state| filter(&state).ok_or_else(|| wrong(STATES)));
        let number = |limit: String| match limit.parse() {
            Ok(limit @ 1..=MOST_JOBS) => Ok(limit),
            _ => Err(wrong(&format!("limit must be 1 to {MOST_JOBS}"))),
        };
        let query = JobsQuery {
            tenant,
            state: state.transpose()?,
            after,
            limit: limit.map_or(Ok(JOBS), number)?,
        };
        if !query.is_readable() {
            return Err(wrong("after must be what a list before had as next"));
        }
        Ok(query)
    }

    async fn chunks(&self, job: &JobRef, request: &AdminRequest) -> Result<AdminAnswer, PortError> {
        let after = match request.parameters(["after"]) {
            Ok([after]) => after,
            Err(text) => return Ok(AdminAnswer::refused(400, &text)),
        };
        let Ok(after) = after.map(|after| after.parse()).transpose() else {
            return Ok(AdminAnswer::refused(400, "after must be the id of a chunk"));
        };
        let page = self.jobs.chunks(job, after).await?;
        Ok(page.map_or_else(no_such_job, |page| answer(200, &page)))
    }

    async fn cancel(&self, job: &JobRef, request: &AdminRequest) -> Result<AdminAnswer, PortError> {
        match self.cancel.by_administrator(&origin(request), job).await? {
            Withdrawal::Withdrawn => Ok(AdminAnswer::new(204, "")),
            Withdrawal::Unknown | Withdrawal::NotYours => Ok(no_such_job()),
        }
    }
}

const STATES: &str = "state must be running, accepted, exporting, complete, failed or cancelled";

fn filter(state: &str) -> Option<StateFilter> {
    Some(StateFilter::Only(match state {
        "running" => return Some(StateFilter::Running),
        "accepted" => JobState::Accepted,
        "exporting" => JobState::Exporting,
        "complete" => JobState::Complete,
        "failed" => JobState::Failed,
        "cancelled" => JobState::Cancelled,
        _ => return None,
    }))
}

fn no_such_job() -> AdminAnswer {
    AdminAnswer::refused(404, "there is no such job")
}
