//! The port itself: each operation as the script that carries it out.

use std::time::Duration;

use async_trait::async_trait;
use sluice_fhir::Instant;
use sluice_model::{JobRef, JobState, Tally};
use sluice_ports::{
    ChunkDone, Index, JobInside, JobStatus, Lease, Planned, PortError, PortKind, Rate, Stale,
};

use crate::RedisIndex;
use crate::decode::{self, FIELDS, Flag, Found, Inside, STATES};
use crate::{jobs, keys};

/// More chunks than any plan has. A bit far out would make Redis allocate all bits below it.
const MOST_CHUNKS: u32 = 1 << 24;
/// The longest time Redis is told: decades, and exact in the numbers of its scripts.
const LONGEST: u128 = 1 << 50;

#[async_trait]
impl Index for RedisIndex {
    async fn insert(&self, job: &JobRef, status: JobStatus) -> Result<bool, PortError> {
        self.list(job).await?;
        let args = with_life(decode::fields(&status));
        let action = "adding a job in redis";
        let Flag(new) = self
            .link
            .script(action, &self.scripts.insert, &self.keys.job(job), &args)
            .await?;
        Ok(new)
    }

    async fn get(&self, job: &JobRef) -> Result<Option<JobStatus>, PortError> {
        let action = "looking a job up in redis";
        let found: Option<Found> = self
            .link
            .script(action, &self.scripts.get, &self.keys.job(job), &FIELDS)
            .await?;
        found.map(decode::status).transpose()
    }

    async fn jobs(&self) -> Result<Vec<JobRef>, PortError> {
        self.listed().await
    }

    async fn planned(&self, job: &JobRef, planned: Planned) -> Result<(), PortError> {
        let args = with_life(vec![
            planned.chunks.to_string(),
            planned.expected.resources.to_string(),
            planned.expected.bytes.to_string(),
            u8::from(planned.sealed).to_string(),
        ]);
        let action = "recording the plan of a job in redis";
        self.link
            .script(action, &self.scripts.planned, &self.keys.job(job), &args)
            .await
    }

    async fn take_window(
        &self,
        job: &JobRef,
        width: u32,
        stale: Stale,
    ) -> Result<Vec<u32>, PortError> {
        let args = with_life(vec![
            width.to_string(),
            micros(stale.silent).to_string(),
            micros(stale.unbegun).to_string(),
        ]);
        let script = &self.scripts.take_window;
        let action = "taking chunks to hand out from redis";
        self.link
            .script(action, script, &self.keys.job(job), &args)
            .await
    }

    async fn chunk_done(
        &self,
        job: &JobRef,
        chunk: u32,
        tally: Tally,
    ) -> Result<ChunkDone, PortError> {
        check(chunk)?;
        let tally = decode::bounded(tally);
        let args = with_life(vec![
            chunk.to_string(),
            tally.resources.to_string(),
            tally.bytes.to_string(),
        ]);
        let script = &self.scripts.chunk_done;
        let action = "marking a chunk done in redis";
        let (Flag(first), Flag(settled)) = self
            .link
            .script(action, script, &self.keys.job(job), &args)
            .await?;
        Ok(ChunkDone { first, settled })
    }

    async fn chunk_failed(&self, job: &JobRef, chunk: u32) -> Result<(), PortError> {
        check(chunk)?;
        let args = with_life(vec![chunk.to_string()]);
        let script = &self.scripts.chunk_failed;
        let action = "noting in redis that a chunk failed";
        let Flag(_is_known) = self
            .link
            .script(action, script, &self.keys.job(job), &args)
            .await?;
        Ok(())
    }

    async fn inside(&self, job: &JobRef) -> Result<JobInside, PortError> {
        let action = "looking into a job in redis";
        let found: Option<Inside> = self
            .link
            .script(action, &self.scripts.inside, &self.keys.job(job), &[""; 0])
            .await?;
        found.map_or_else(|| Ok(JobInside::default()), decode::inside)
    }

    async fn chunk_progress(
        &self,
        job: &JobRef,
        chunk: u32,
        tally: Tally,
    ) -> Result<(), PortError> {
        check(chunk)?;
        let args = with_life(vec![chunk.to_string(), decode::tally_text(tally)]);
        let script = &self.scripts.chunk_progress;
        let action = "noting the progress of a chunk in redis";
        self.link
            .script(action, script, &self.keys.job(job), &args)
            .await
    }

    async fn end(&self, job: &JobRef, state: JobState, at: Instant) -> Result<bool, PortError> {
        let from = STATES.iter().filter(|from| from.step(state).is_ok());
        let mut args = vec![decode::state_name(state).to_owned(), at.nanos().to_string()];
        args.extend(from.map(|from| decode::state_name(*from).to_owned()));
        let args = with_life(args);
        let action = "ending a job in redis";
        let Flag(did) = self
            .link
            .script(action, &self.scripts.end, &self.keys.job(job), &args)
            .await?;
        Ok(did)
    }

    async fn remove(&self, job: &JobRef) -> Result<(), PortError> {
        let mut remove = redis::cmd("DEL");
        remove.arg(&self.keys.job(job));
        self.link
            .command::<()>("removing a job from redis", &remove)
            .await?;
        self.unlist(&[job.to_string()]).await
    }

    async fn lease(&self, name: &str, ttl: Duration) -> Result<Option<Lease>, PortError> {
        let keys = [self.keys.lease(name), self.keys.epoch()];
        let args = [millis(ttl).to_string()];
        let action = "taking a lease in redis";
        let epoch: Option<u64> = self
            .link
            .script(action, &self.scripts.lease, &keys, &args)
            .await?;
        Ok(epoch.map(|epoch| Lease {
            name: name.to_owned(),
            epoch,
        }))
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, PortError> {
        let keys = [self.keys.lease(&lease.name)];
        let args = [lease.epoch.to_string(), millis(ttl).to_string()];
        let action = "renewing a lease in redis";
        let Flag(held) = self
            .link
            .script(action, &self.scripts.renew, &keys, &args)
            .await?;
        Ok(held)
    }

    async fn release(&self, lease: &Lease) -> Result<(), PortError> {
        let keys = [self.keys.lease(&lease.name)];
        let args = [lease.epoch.to_string()];
        let action = "giving a lease back in redis";
        self.link
            .script(action, &self.scripts.give_back, &keys, &args)
            .await
    }

    async fn claim(
        &self,
        name: &str,
        job: &JobRef,
        ttl: Duration,
    ) -> Result<Option<JobRef>, PortError> {
        let keys = [self.keys.claim(name)];
        let args = [job.to_string(), millis(ttl).to_string()];
        let action = "claiming a name in redis";
        let holder: Option<String> = self
            .link
            .script(action, &self.scripts.claim, &keys, &args)
            .await?;
        let unreadable = || PortError::new(PortKind::Permanent, "reading who claimed a name");
        holder
            .map(|holder| jobs::parse(&holder).ok_or_else(unreadable))
            .transpose()
    }

    async fn unclaim(&self, name: &str, job: &JobRef) -> Result<(), PortError> {
        let keys = [self.keys.claim(name)];
        let action = "giving a name back in redis";
        let args = [job.to_string()];
        self.link
            .script(action, &self.scripts.give_back, &keys, &args)
            .await
    }

    async fn first_use(&self, name: &str, by: &str, ttl: Duration) -> Result<bool, PortError> {
        let keys = [self.keys.once(name)];
        let args = [by.to_owned(), millis(ttl).to_string()];
        let action = "asking redis whether a name was used before";
        let Flag(first) = self
            .link
            .script(action, &self.scripts.first_use, &keys, &args)
            .await?;
        Ok(first)
    }

    async fn is_marked(&self) -> Result<bool, PortError> {
        let mut ask = redis::cmd("EXISTS");
        ask.arg(self.keys.mark());
        let action = "asking whether redis holds every job";
        self.link.command(action, &ask).await
    }

    async fn mark(&self) -> Result<(), PortError> {
        let mut mark = redis::cmd("SET");
        mark.arg(self.keys.mark()).arg(1);
        let action = "noting that redis holds every job";
        self.link.command(action, &mark).await
    }

    async fn spend(&self, budget: &str, rate: Rate) -> Result<Option<Duration>, PortError> {
        let keys = [self.keys.budget(budget)];
        let every = micros(rate.every).max(1);
        let slack = every
            .saturating_mul(u128::from(rate.burst.saturating_sub(1)))
            .min(LONGEST);
        let args = [every.to_string(), slack.to_string()];
        let action = "spending a budget in redis";
        let wait: u64 = self
            .link
            .script(action, &self.scripts.spend, &keys, &args)
            .await?;
        Ok((wait > 0).then(|| Duration::from_micros(wait)))
    }
}

/// Every write to a job prolongs its life.
fn with_life(args: Vec<String>) -> Vec<String> {
    let mut all = vec![keys::JOB.as_secs().to_string()];
    all.extend(args);
    all
}

fn check(chunk: u32) -> Result<(), PortError> {
    if chunk < MOST_CHUNKS {
        return Ok(());
    }
    let action = "noting a chunk with a number beyond any plan";
    Err(PortError::new(PortKind::Permanent, action))
}

/// Rounded up, so that nothing is due early.
fn micros(time: Duration) -> u128 {
    time.as_nanos().div_ceil(1_000).min(LONGEST)
}

/// Rounded up to at least one, as Redis takes no less.
fn millis(time: Duration) -> u128 {
    time.as_nanos().div_ceil(1_000_000).clamp(1, LONGEST)
}
