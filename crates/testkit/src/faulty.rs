//! Every port, with faults around each call.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use sluice_fhir::{Instant, Issue};
use sluice_model::{Hint, JobRef, JobState, Lane, Scope, Slice, Snapshot, Tally};
use sluice_ports::{
    AuditSink, BlobInfo, BlobWriter, Blobs, BlockStream, ByteStream, ChunkDone, Creation, Delivery,
    GroupPage, GroupQuery, Index, JobInside, JobStatus, Lease, Link, Message, PlanStep, Planned,
    PopulationError, PortError, Queue, Rate, Settle, Settled, Source, Stale,
};

use crate::Faults;

/// A port that fails when told.
pub struct Faulty<T: ?Sized> {
    inner: Arc<T>,
    faults: Faults,
}

impl<T: ?Sized> Faulty<T> {
    /// `inner`, failing as `faults` says.
    pub fn new(inner: Arc<T>, faults: &Faults) -> Self {
        Self {
            inner,
            faults: faults.clone(),
        }
    }
}

#[async_trait]
impl Blobs for Faulty<dyn Blobs> {
    async fn create(&self, key: &str, body: Bytes) -> Result<Creation, PortError> {
        self.faults.around(self.inner.create(key, body)).await
    }

    async fn start(&self, key: &str) -> Result<Box<dyn BlobWriter>, PortError> {
        let inner = self.faults.around(self.inner.start(key)).await?;
        Ok(Box::new(FaultyWriter {
            inner,
            faults: self.faults.clone(),
        }))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, PortError> {
        self.faults.around(self.inner.get(key)).await
    }

    async fn head(&self, key: &str) -> Result<Option<BlobInfo>, PortError> {
        self.faults.around(self.inner.head(key)).await
    }

    async fn read(&self, key: &str, range: Range<u64>) -> Result<ByteStream, PortError> {
        self.faults.around(self.inner.read(key, range)).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<BlobInfo>, PortError> {
        self.faults
            .around(self.inner.list(prefix, after, limit))
            .await
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, PortError> {
        self.faults.around(self.inner.folders(prefix)).await
    }

    async fn link(&self, key: &str, life: Duration) -> Result<Option<Link>, PortError> {
        self.faults.around(self.inner.link(key, life)).await
    }

    async fn sweep_unfinished(
        &self,
        older_than: Duration,
        now: Instant,
    ) -> Result<usize, PortError> {
        let swept = self.inner.sweep_unfinished(older_than, now);
        self.faults.around(swept).await
    }

    async fn delete(&self, keys: &[String]) -> Result<(), PortError> {
        self.faults.around(self.inner.delete(keys)).await
    }
}

struct FaultyWriter {
    inner: Box<dyn BlobWriter>,
    faults: Faults,
}

#[async_trait]
impl BlobWriter for FaultyWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), PortError> {
        self.faults.around(self.inner.write(bytes)).await
    }

    async fn finish(self: Box<Self>) -> Result<Creation, PortError> {
        self.faults.around(self.inner.finish()).await
    }

    async fn abort(self: Box<Self>) -> Result<(), PortError> {
        self.faults.around(self.inner.abort()).await
    }
}

#[async_trait]
impl AuditSink for Faulty<dyn AuditSink> {
    async fn write(&self, events: &[Bytes]) -> Result<(), PortError> {
        self.faults.around(self.inner.write(events)).await
    }
}

#[async_trait]
impl Index for Faulty<dyn Index> {
    async fn insert(&self, job: &JobRef, status: JobStatus) -> Result<bool, PortError> {
        self.faults.around(self.inner.insert(job, status)).await
    }

    async fn get(&self, job: &JobRef) -> Result<Option<JobStatus>, PortError> {
        self.faults.around(self.inner.get(job)).await
    }

    async fn jobs(&self) -> Result<Vec<JobRef>, PortError> {
        self.faults.around(self.inner.jobs()).await
    }

    async fn planned(&self, job: &JobRef, planned: Planned) -> Result<(), PortError> {
        self.faults.around(self.inner.planned(job, planned)).await
    }

    async fn take_window(
        &self,
        job: &JobRef,
        width: u32,
        stale: Stale,
    ) -> Result<Vec<u32>, PortError> {
        self.faults
            .around(self.inner.take_window(job, width, stale))
            .await
    }

    async fn chunk_done(
        &self,
        job: &JobRef,
        chunk: u32,
        tally: Tally,
    ) -> Result<ChunkDone, PortError> {
        self.faults
            .around(self.inner.chunk_done(job, chunk, tally))
            .await
    }

    async fn chunk_failed(&self, job: &JobRef, chunk: u32) -> Result<(), PortError> {
        self.faults
            .around(self.inner.chunk_failed(job, chunk))
            .await
    }

    async fn inside(&self, job: &JobRef) -> Result<JobInside, PortError> {
        self.faults.around(self.inner.inside(job)).await
    }

    async fn chunk_progress(
        &self,
        job: &JobRef,
        chunk: u32,
        tally: Tally,
    ) -> Result<(), PortError> {
        self.faults
            .around(self.inner.chunk_progress(job, chunk, tally))
            .await
    }

    async fn end(&self, job: &JobRef, state: JobState, at: Instant) -> Result<bool, PortError> {
        self.faults.around(self.inner.end(job, state, at)).await
    }

    async fn remove(&self, job: &JobRef) -> Result<(), PortError> {
        self.faults.around(self.inner.remove(job)).await
    }

    async fn lease(&self, name: &str, ttl: Duration) -> Result<Option<Lease>, PortError> {
        self.faults.around(self.inner.lease(name, ttl)).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, PortError> {
        self.faults.around(self.inner.renew(lease, ttl)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), PortError> {
        self.faults.around(self.inner.release(lease)).await
    }

    async fn claim(
        &self,
        name: &str,
        job: &JobRef,
        ttl: Duration,
    ) -> Result<Option<JobRef>, PortError> {
        self.faults.around(self.inner.claim(name, job, ttl)).await
    }

    async fn first_use(&self, name: &str, by: &str, ttl: Duration) -> Result<bool, PortError> {
        self.faults
            .around(self.inner.first_use(name, by, ttl))
            .await
    }

    async fn unclaim(&self, name: &str, job: &JobRef) -> Result<(), PortError> {
        self.faults.around(self.inner.unclaim(name, job)).await
    }

    async fn is_marked(&self) -> Result<bool, PortError> {
        self.faults.around(self.inner.is_marked()).await
    }

    async fn mark(&self) -> Result<(), PortError> {
        self.faults.around(self.inner.mark()).await
    }

    async fn spend(&self, budget: &str, rate: Rate) -> Result<Option<Duration>, PortError> {
        self.faults.around(self.inner.spend(budget, rate)).await
    }
}

#[async_trait]
impl Queue for Faulty<dyn Queue> {
    async fn send(&self, message: Message) -> Result<(), PortError> {
        self.faults.around(self.inner.send(message)).await
    }

    async fn waiting(&self, lane: Lane) -> Result<u32, PortError> {
        self.faults.around(self.inner.waiting(lane)).await
    }

    fn stop_receiving(&self, lane: Lane) {
        self.inner.stop_receiving(lane);
    }

    async fn requeue_dead(&self, most: u32) -> Result<u32, PortError> {
        self.faults.around(self.inner.requeue_dead(most)).await
    }

    async fn receive(&self, lane: Lane) -> Result<Box<dyn Delivery>, PortError> {
        // Waiting is no call: only what is received counts.
        let inner = self.inner.receive(lane).await?;
        self.faults.around(async { Ok(()) }).await?;
        Ok(Box::new(FaultyDelivery {
            inner,
            faults: self.faults.clone(),
        }))
    }
}

struct FaultyDelivery {
    inner: Box<dyn Delivery>,
    faults: Faults,
}

#[async_trait]
impl Delivery for FaultyDelivery {
    fn hint(&self) -> &Hint {
        self.inner.hint()
    }

    fn attempt(&self) -> u32 {
        self.inner.attempt()
    }

    fn is_held(&self) -> bool {
        self.inner.is_held()
    }

    fn is_redelivered(&self) -> bool {
        self.inner.is_redelivered()
    }

    fn traceparent(&self) -> Option<&str> {
        self.inner.traceparent()
    }

    async fn settle(self: Box<Self>, how: Settle) -> Result<Settled, PortError> {
        self.faults.around(self.inner.settle(how)).await
    }
}

#[async_trait]
impl Source for Faulty<dyn Source> {
    async fn snapshot(&self) -> Result<Snapshot, PortError> {
        self.faults.around(self.inner.snapshot()).await
    }

    async fn check(&self, scope: &Scope) -> Result<(), PopulationError> {
        self.faults.around(async { Ok(()) }).await?;
        self.inner.check(scope).await
    }

    async fn groups(&self, query: &GroupQuery) -> Result<GroupPage, PortError> {
        self.faults.around(self.inner.groups(query)).await
    }

    async fn group(&self, id: &str) -> Result<Option<ByteStream>, PortError> {
        self.faults.around(self.inner.group(id)).await
    }

    async fn plan(
        &self,
        scope: &Scope,
        target: u64,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<PlanStep, PortError> {
        self.faults
            .around(self.inner.plan(scope, target, limit, cursor))
            .await
    }

    async fn remarks(&self, scope: &Scope) -> Result<Vec<Issue>, PortError> {
        self.faults.around(self.inner.remarks(scope)).await
    }

    async fn read(&self, scope: &Scope, slice: &Slice) -> Result<BlockStream, PortError> {
        let blocks = self.faults.around(self.inner.read(scope, slice)).await?;
        let faults = self.faults.clone();
        let failing = blocks.then(move |block| {
            let faults = faults.clone();
            async move { faults.around(async { block }).await }
        });
        Ok(failing.boxed())
    }
}
