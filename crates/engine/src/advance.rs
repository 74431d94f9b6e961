//! Looks at a job and does whatever is due: plan it, hand out chunks, finish it, remove it.
//!
//! A hint and the periodic sweep both come here, so the path that recovers from a crash is the
//! path that every job takes.

use std::time::Duration;

use sluice_fhir::{Issue, IssueCode};
use sluice_model::{Hint, JobRecord, JobRef, JobState, Lane, TenantId};
use sluice_ports::{JobStatus, PortError, PortKind, Settle, Stale};
use tokio_util::sync::CancellationToken;

use crate::dispatch::{Window, dispatch};
use crate::expire::{expire_if_due, purge};
use crate::offer::{Offers, offer};
use crate::orphans::sweep_orphans;
use crate::parts::has_barriers;
use crate::pauses::KnownPauses;
use crate::plan::{Plan, plan_page};
use crate::share::Shares;
use crate::{Export, Gate, Journal, LiveJobs, Pauses, Ports, Rebuild, Tenant, Tenants, assemble};

/// How long a job that another coordinator may be at is believed to be as it was.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// How much and how long.
#[derive(Clone, Copy, Debug)]
pub struct AdvanceLimits {
    /// Chunks handed out at once, divided among the jobs that run.
    pub window: u32,
    /// After this long without a sign of life a chunk is handed out again.
    pub stale_after: Duration,
    /// One that nobody has begun is handed out again after this long only, as long as messages
    /// wait in the queue: its own may be one of them.
    pub unbegun_after: Duration,
    /// How long a withdrawn job's name is kept; longer than any worker can still be writing.
    pub tombstone: Duration,
    /// How long one coordinator keeps planning or finishing a job to itself.
    pub lease: Duration,
}

impl Default for AdvanceLimits {
    fn default() -> Self {
        Self {
            window: 16,
            stale_after: Duration::from_mins(1),
            unbegun_after: Duration::from_mins(10),
            tombstone: Duration::from_hours(1),
            lease: Duration::from_mins(1),
        }
    }
}

/// Moves jobs along.
#[derive(Clone)]
pub struct Advance {
    ports: Ports,
    journal: Journal,
    tenants: Tenants,
    rebuild: Rebuild,
    limits: AdvanceLimits,
    shares: Shares,
    offers: Offers,
    paused: KnownPauses,
}

impl Advance {
    /// Moves the jobs of these tenants.
    pub fn new(ports: &Ports, tenants: &Tenants, limits: AdvanceLimits) -> Self {
        Self {
            ports: ports.clone(),
            journal: Journal::new(ports.blobs.clone()),
            tenants: tenants.clone(),
            rebuild: Rebuild::new(ports, tenants),
            limits,
            shares: Shares::default(),
            offers: Offers::default(),
            paused: KnownPauses::default(),
        }
    }

    /// Lets dead letters through while not everything is paused, as far as this coordinator knows; closed
    /// until it knows.
    pub fn dead_gate(&self) -> Gate {
        self.paused.dead_gate()
    }

    /// What operators have paused, as of now.
    async fn look_at_pauses(&self) -> Result<Pauses, PortError> {
        let asked_at = self.ports.clock.now();
        let pauses = Pauses::read(&self.ports).await?;
        self.paused.learn(&pauses, asked_at);
        Ok(pauses)
    }

    /// Whether no chunk of a tenant is handed out, as of a second ago at most.
    async fn is_paused(&self, tenant: &TenantId) -> Result<bool, PortError> {
        match self.paused.stop(tenant, self.ports.clock.now()) {
            Some(known) => Ok(known),
            None => Ok(self.look_at_pauses().await?.stop(tenant)),
        }
    }

    /// Does what a hint asks for. A failure waits for the sweep.
    pub async fn run(&self, hint: Hint) -> Settle {
        let (Hint::AdvanceJob(job) | Hint::ExportChunk(job, _)) = hint;
        if let Err(error) = self.advance(&job).await {
            tracing::warn!(%job, error = error.chain(), "advancing a job failed; the sweep tries again");
        }
        Settle::Ack
    }

    /// Ends what nobody could handle, so that no job hangs on it. While everything is paused it stays where
    /// it is, as an operator may want it tried again.
    pub async fn bury(&self, hint: Hint, export: &Export) -> Settle {
        match self.look_at_pauses().await {
            Ok(pauses) if pauses.everything => return Settle::GiveBack,
            Ok(_) => {}
            Err(_) => return Settle::RetryAfter(self.limits.stale_after),
        }
        let Hint::ExportChunk(job, chunk) = hint else {
            return self.run(hint).await;
        };
        let reason = "its message was given up by the queue";
        match export.give_up(&job, chunk, "queue", reason).await {
            Ok(()) => Settle::Ack,
            Err(_) => Settle::RetryAfter(self.limits.stale_after),
        }
    }

    /// Does what is due for every job, until told to stop; one job's trouble is not another's.
    pub async fn sweep(&self, stop: &CancellationToken) -> Result<(), PortError> {
        if let Some(jobs) = self.rebuild.unless_marked().await? {
            tracing::warn!(
                jobs,
                "the index had lost its jobs and is made from the journal"
            );
        }
        if let Err(error) = self.look_at_pauses().await {
            tracing::warn!(error = error.chain(), "what is paused is not known now");
        }
        let jobs = self.ports.index.jobs().await?;
        self.shares.keep_only(&jobs);
        self.offers.keep_only(&jobs);
        let stale = self.stale(self.is_queue_empty().await);
        for job in jobs {
            if stop.is_cancelled() {
                return Ok(());
            }
            if let Err(error) = self.look_at(&job, stale).await {
                tracing::warn!(%job, error = error.chain(), "advancing a job failed; the next sweep tries again");
            }
        }
        Ok(())
    }

    /// The jobs that run, as they were when last looked at.
    pub fn live_jobs(&self) -> LiveJobs {
        let mut jobs = self.shares.live_jobs(self.limits.window);
        jobs.paused = self.paused.known();
        for tenant in self.tenants.ids() {
            // Nothing to do is 0 and not unknown.
            jobs.work.entry(tenant.clone()).or_default();
        }
        // Workers are added for what waits for them, not for what waits for an operator.
        if let Some(pauses) = &jobs.paused {
            let work = jobs.work.iter_mut();
            for (_, work) in work.filter(|(tenant, _)| pauses.stop(tenant)) {
                work.paused = std::mem::take(&mut work.backlog);
            }
        }
        jobs
    }

    /// An empty queue holds no chunk that was handed out. One that cannot tell is not empty.
    async fn is_queue_empty(&self) -> bool {
        matches!(self.ports.queue.waiting(Lane::Chunks).await, Ok(0))
    }

    fn stale(&self, queue_is_empty: bool) -> Stale {
        let silent = self.limits.stale_after;
        let unbegun = if queue_is_empty {
            silent
        } else {
            self.limits.unbegun_after.max(silent)
        };
        Stale { silent, unbegun }
    }

    /// Does what is due for one job. Doing it twice changes nothing.
    pub async fn advance(&self, job: &JobRef) -> Result<(), PortError> {
        self.look_at(job, self.stale(false)).await
    }

    async fn look_at(&self, job: &JobRef, stale: Stale) -> Result<(), PortError> {
        let status = match self.ports.index.get(job).await? {
            Some(status) => Some(status),
            None => self.rebuild.job(job).await?,
        };
        let (Some(status), Some(tenant)) = (status, self.tenants.get(&job.tenant)) else {
            let made_room = self.shares.forget(job);
            self.pass_on(job, made_room).await;
            return Ok(());
        };
        let made_room = self.see(job, &status, tenant.policy.weight);
        let done = self.do_what_is_due(job, &status, (tenant, stale)).await;
        if done.is_err() {
            self.shares.set_aside(job);
        }
        self.pass_on(job, made_room || done.is_err()).await;
        done
    }

    fn see(&self, job: &JobRef, status: &JobStatus, weight: u32) -> bool {
        let now = self.ports.clock.now();
        self.shares.see(job, status, weight, now)
    }

    /// Asks again about jobs that another coordinator may have finished, if this one finds no room.
    async fn look_for_room(&self, job: &JobRef) -> Result<bool, PortError> {
        let now = self.ports.clock.now();
        let doubted = |seen_at| now.since(seen_at) >= BELIEVED_FOR;
        let mut made_room = false;
        for (other, weight) in self.shares.suspects(job, self.limits.window, doubted) {
            made_room |= match self.ports.index.get(&other).await? {
                Some(status) => self.see(&other, &status, weight),
                None => self.shares.forget(&other),
            };
        }
        Ok(made_room)
    }

    /// Room that one job leaves is another's turn.
    async fn pass_on(&self, job: &JobRef, made_room: bool) {
        if !made_room {
            return;
        }
        if let Some(next) = self.shares.next_but(job, self.limits.window) {
            let hint = Hint::AdvanceJob(next);
            let _sweep_finds_it = self.ports.send(hint.into()).await;
        }
    }

    async fn do_what_is_due(
        &self,
        job: &JobRef,
        status: &JobStatus,
        (tenant, stale): (&Tenant, Stale),
    ) -> Result<(), PortError> {
        match status.state {
            JobState::Accepted | JobState::Exporting => {
                self.work(job, status, (tenant, stale)).await
            }
            JobState::Complete | JobState::Failed => {
                let every = self.limits.tombstone;
                sweep_orphans(&self.ports, &self.journal, job, every).await?;
                let ended = (job, status);
                expire_if_due(&self.ports, &self.journal, ended, &tenant.policy).await
            }
            JobState::Cancelled => {
                purge(&self.ports, &self.journal, job, self.limits.tombstone).await
            }
        }
    }

    async fn work(
        &self,
        job: &JobRef,
        status: &JobStatus,
        (tenant, stale): (&Tenant, Stale),
    ) -> Result<(), PortError> {
        let (record, tombstone) = tokio::join!(self.journal.job(job), self.journal.tombstone(job));
        let Some(record) = record? else {
            return self.ports.index.remove(job).await;
        };
        if let Some(tombstone) = tombstone? {
            let cancelled = JobState::Cancelled;
            self.ports.index.end(job, cancelled, tombstone.at).await?;
            return purge(&self.ports, &self.journal, job, self.limits.tombstone).await;
        }
        let age = self.ports.clock.now().since(record.accepted_at);
        if age > tenant.policy.give_up_after {
            let text = "the export took longer than this server allows; ask for fewer types, a \
                smaller group or a later _since";
            let why = Issue::error(IssueCode::Incomplete, text);
            return assemble::fail(&self.ports, &self.journal, &record, &tenant.policy, why).await;
        }
        let is_waiting = is_waiting(&record, status) && self.journal.is_sealed(job).await?;
        let mut seen = Some(status);
        if status.state == JobState::Accepted && !is_waiting {
            let plan = Box::pin(self.plan(&record, tenant));
            self.alone("plan", job, plan).await?;
            seen = None;
        }
        self.dispatch(&record, (tenant, stale), seen).await?;
        // Asked again: chunks that ended meanwhile need not wait until the looks that they bring have their turn.
        match self.ports.index.get(job).await? {
            Some(status) if !may_offer(&record, &status) => Ok(()),
            Some(status) if status.is_settled() => {
                self.offers.forget(job);
                self.alone("finish", job, self.finish(&record, tenant))
                    .await
            }
            Some(status) if record.form.partial && self.offers.is_due(job, status.done) => {
                self.alone("offer", job, self.offer(&record, status.done))
                    .await
            }
            _ => Ok(()),
        }
    }

    /// Leaves it to another coordinator if one is at it. Both doing it would change nothing.
    async fn alone(
        &self,
        what: &str,
        job: &JobRef,
        work: impl Future<Output = Result<(), PortError>> + Send,
    ) -> Result<(), PortError> {
        let name = format!("{what}/{job}");
        let Some(lease) = self.ports.index.lease(&name, self.limits.lease).await? else {
            return Ok(());
        };
        let done = work.await;
        let _runs_out_anyway = self.ports.index.release(&lease).await;
        done
    }

    /// Plans page after page, and hands out chunks meanwhile.
    async fn plan(&self, record: &JobRecord, tenant: &Tenant) -> Result<(), PortError> {
        let job = &record.name;
        let mut last = None;
        loop {
            let planned = plan_page(&self.journal, record, tenant, last.take()).await;
            let plan = match planned {
                Ok((plan, page)) => {
                    last = page;
                    plan
                }
                Err(error) if error.is_transient() || error.kind == PortKind::Newer => {
                    return Err(error);
                }
                Err(error) => return self.give_up(record, tenant, &error).await,
            };
            let due = plan.due(plan.ended(&self.journal, job).await?);
            self.ports.index.planned(job, due).await?;
            if plan.is_sealed() {
                return if due.sealed {
                    Ok(())
                } else {
                    self.doubt_index(job, &plan, due.chunks).await
                };
            }
            let stale = self.stale(false);
            self.dispatch(record, (tenant, stale), None).await?;
            let status = self.ports.index.get(job).await?;
            if status.is_none_or(|status| !status.state.is_running()) {
                return Ok(());
            }
        }
    }

    /// Chunks that wait would wait for ever if the index had counted what the journal does not have.
    async fn doubt_index(&self, job: &JobRef, plan: &Plan, due: u32) -> Result<(), PortError> {
        let status = self.ports.index.get(job).await?;
        let has_all = status.is_some_and(|status| status.done >= due);
        if has_all && plan.ended(&self.journal, job).await? < due {
            return self.mend_index(job).await;
        }
        Ok(())
    }

    async fn give_up(
        &self,
        record: &JobRecord,
        tenant: &Tenant,
        error: &PortError,
    ) -> Result<(), PortError> {
        // The causes are for the log: they may name what a client should not know of.
        let job = &record.name;
        tracing::error!(%job, error = error.chain(), "a job cannot be planned");
        let text = format!("the export could not be planned: {} failed", error.action);
        let why = Issue::error(IssueCode::Exception, text);
        assemble::fail(&self.ports, &self.journal, record, &tenant.policy, why).await
    }

    /// Hands out chunks, by a status that was `seen` or by what it is now.
    async fn dispatch(
        &self,
        record: &JobRecord,
        (tenant, stale): (&Tenant, Stale),
        seen: Option<&JobStatus>,
    ) -> Result<(), PortError> {
        let job = &record.name;
        let is_open = |status: &JobStatus| status.planned.chunks > status.done;
        let (mut made_room, mut has_open) = (false, false);
        if let Some(status) = seen {
            // It is noted already, and others may have noted what came after it.
            has_open = is_open(status);
        } else if let Some(status) = self.ports.index.get(job).await? {
            made_room = self.see(job, &status, tenant.policy.weight);
            has_open = is_open(&status);
        }
        if has_open && self.is_paused(&job.tenant).await? {
            made_room |= self.shares.set_aside(job);
            self.pass_on(job, made_room).await;
            return Ok(());
        }
        made_room |= self.look_for_room(job).await?;
        let width = self.shares.of(job, self.limits.window);
        let taken = dispatch(&self.ports, record, Window { width, stale }).await?;
        self.shares.took(job, width, taken);
        self.pass_on(job, made_room || taken > 0).await;
        Ok(())
    }

    /// Offers what is exported already to a client that wants it.
    async fn offer(&self, record: &JobRecord, done: u32) -> Result<(), PortError> {
        let more = offer(&self.ports, &self.journal, record).await?;
        let due = done.saturating_add(more);
        self.offers.not_before(&record.name, due);
        Ok(())
    }

    /// The index counted what the journal does not have. The journal is right.
    async fn mend_index(&self, job: &JobRef) -> Result<(), PortError> {
        tracing::error!(%job, "the index is ahead of the journal and is rebuilt");
        self.ports.index.remove(job).await?;
        self.rebuild.job(job).await.map(|_| ())
    }

    async fn finish(&self, record: &JobRecord, tenant: &Tenant) -> Result<(), PortError> {
        // Another may have finished it since it was looked at. Reading all receipts again would change nothing.
        let status = self.ports.index.get(&record.name).await?;
        if status.is_some_and(|status| !status.state.is_running()) {
            return Ok(());
        }
        let policy = &tenant.policy;
        if assemble::finish(&self.ports, &self.journal, record, policy).await? {
            return Ok(());
        }
        self.mend_index(&record.name).await
    }
}

/// Whether all is planned, or all but what waits for others to end.
fn may_offer(record: &JobRecord, status: &JobStatus) -> bool {
    match status.state {
        JobState::Exporting => true,
        JobState::Accepted => has_barriers(record) && status.planned.chunks > 0,
        _ => false,
    }
}

/// Whether all that may begin is known, and what waits for its end is not due: asking the journal for more
/// after each chunk would be for nothing.
fn is_waiting(record: &JobRecord, status: &JobStatus) -> bool {
    let planned = status.planned.chunks;
    has_barriers(record) && planned > 0 && status.done < planned
}
