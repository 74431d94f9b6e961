//! While an operator has paused the dispatch no chunk is handed out, by whatever way and through whatever dies; when
//! it goes on, everything is exported once. What nobody could handle waits meanwhile, and can be tried again.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what surprises a test should end it"
)]

use std::sync::Arc;
use std::time::Duration;

use sluice_e2e::{Client, Ended, Process, Role, Servers};
use sluice_engine::{ChunkState, Control, Jobs, JobsQuery, Policy, Ports, Tenants};
use sluice_model::{Hint, JobRef, Lane};
use sluice_ports::Settle;
use sluice_testkit::{Faults, SeededEntropy, SmallSource};

/// Many more chunks than are handed out at once.
fn source() -> Arc<SmallSource> {
    Arc::new(SmallSource::of(40, 12))
}

fn servers() -> Servers {
    let policy = Policy {
        chunk_bytes: 300,
        file_bytes: 300,
        ..Policy::default()
    };
    Servers::new(source(), policy)
}

/// A client, an operator and what they work with.
struct Desk {
    ports: Ports,
    tenants: Tenants,
    client: Client,
    control: Control,
}

impl Desk {
    fn at(servers: &Servers, seed: u64) -> Self {
        let (ports, tenants) = servers.seen_through(&Faults::default(), seed).unwrap();
        Self {
            client: Client::new(ports.clone(), tenants.clone(), &servers.disk),
            control: Control::new(&ports, &tenants),
            ports,
            tenants,
        }
    }

    async fn ended_chunks(&self, job: &JobRef) -> usize {
        self.client
            .journal()
            .ended_chunks(job, None)
            .await
            .unwrap()
            .len()
    }

    async fn outstanding(&self, job: &JobRef) -> u32 {
        self.ports
            .index
            .get(job)
            .await
            .unwrap()
            .unwrap()
            .outstanding
    }

    /// All of it, once.
    async fn check(&self, job: &JobRef) {
        let Ended::Complete(manifest) = self.client.ended(job).await else {
            panic!("the export did not complete");
        };
        assert!(manifest.error.is_empty(), "{:?}", manifest.error);
        let lines = self.client.lines(&manifest.output).await.unwrap();
        assert_eq!(lines, source().lines());
        let query = JobsQuery {
            tenant: None,
            state: None,
            after: None,
            limit: 9,
        };
        let listed = Jobs::new(&self.ports, &self.tenants)
            .list(&query)
            .await
            .unwrap();
        let chunks = listed.jobs.first().unwrap().chunks.unwrap();
        assert_eq!((chunks.failed, chunks.handed_out), (0, 0));
        assert_eq!(chunks.done, chunks.planned);
    }
}

/// Two coordinators and two workers.
fn start(servers: &Servers, seed: u64) -> [Process; 4] {
    start_with(servers, seed, |_| Faults::default())
}

/// The same, each slow by its seed.
fn start_slow(servers: &Servers, seed: u64) -> [Process; 4] {
    start_with(servers, seed, Faults::slow)
}

fn start_with(servers: &Servers, seed: u64, faults: impl Fn(u64) -> Faults) -> [Process; 4] {
    let roles = [
        Role::Coordinator,
        Role::Worker,
        Role::Coordinator,
        Role::Worker,
    ];
    let mut seeds = seed..;
    roles.map(|role| {
        let seed = seeds.next().unwrap();
        let (ports, tenants) = servers.seen_through(&faults(seed), seed).unwrap();
        Process::start(role, &ports, &tenants)
    })
}

#[tokio::test(start_paused = true)]
async fn nothing_is_handed_out_while_paused_through_restarts_and_losses() {
    for whole in [true, false] {
        let mut servers = servers();
        let tenant = "default".parse().unwrap();
        let what = Some(&tenant).filter(|_| !whole);
        let desk = Desk::at(&servers, 1);
        desk.control.pause(what).await.unwrap();
        desk.control.pause(what).await.unwrap();
        let running = start(&servers, 10);
        let job = desk.client.kick_off().await.unwrap();
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert_eq!(desk.ended_chunks(&job).await, 0);
        let status = desk.ports.index.get(&job).await.unwrap().unwrap();
        assert!(
            status.planned.sealed && status.outstanding == 0,
            "{status:?}"
        );
        drop(running);

        // All is lost but the objects.
        let mut fresh = self::servers();
        fresh.disk = servers.disk.clone();
        servers = fresh;
        let _running = start(&servers, 20);
        let desk = Desk::at(&servers, 2);
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert_eq!(desk.ended_chunks(&job).await, 0);
        assert!(desk.ports.index.get(&job).await.unwrap().is_some());
        desk.control.resume(what).await.unwrap();
        desk.check(&job).await;
    }
}

/// A worker that ends a chunk makes room; nobody may take it then.
#[tokio::test(start_paused = true)]
async fn what_is_handed_out_is_finished_and_nothing_follows() {
    let mut caught = 0;
    for seed in 0..12 {
        let servers = servers();
        let desk = Desk::at(&servers, 100 + seed);
        let _running = start_slow(&servers, 10 * seed);
        let job = desk.client.kick_off().await.unwrap();
        let dice = SeededEntropy::new(seed);
        let some = usize::try_from(dice.number() % 30).unwrap();
        for _ in 0..100_000 {
            if desk.ended_chunks(&job).await > some {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        desk.control.pause(None).await.unwrap();
        tokio::time::sleep(Duration::from_mins(5)).await;
        let ended = desk.ended_chunks(&job).await;
        let status = desk.ports.index.get(&job).await.unwrap().unwrap();
        if status.state.is_running() {
            caught += usize::from(ended > 0);
            assert_eq!(desk.outstanding(&job).await, 0, "seed {seed}");
            tokio::time::sleep(Duration::from_hours(1)).await;
            assert_eq!(desk.ended_chunks(&job).await, ended, "seed {seed}");
        }
        desk.control.resume(None).await.unwrap();
        desk.check(&job).await;
    }
    assert!(caught > 6, "{caught} of 12 were paused half-way");
}

/// A bad release buries a chunk; its operator pauses, has it tried again by a good one, and resumes.
#[tokio::test(start_paused = true)]
async fn dead_letters_wait_while_all_is_paused_and_can_be_tried_again() {
    let servers = servers();
    let desk = Desk::at(&servers, 1);
    desk.control.pause(None).await.unwrap();
    let job = desk.client.kick_off().await.unwrap();
    let running = start(&servers, 10);
    tokio::time::sleep(Duration::from_mins(1)).await;
    let queue = &desk.ports.queue;
    drop(running);
    // What a bad release made of its chunks.
    for chunk in ["00001-00", "00001-03"] {
        let hint = Hint::ExportChunk(job.clone(), chunk.parse().unwrap());
        queue.send(hint.into()).await.unwrap();
        let delivery = queue.receive(Lane::Chunks).await.unwrap();
        delivery.settle(Settle::DeadLetter).await.unwrap();
    }
    let _running = start(&servers, 20);
    tokio::time::sleep(Duration::from_hours(1)).await;
    let shown = desk.control.show().await.unwrap();
    assert!(shown.paused && shown.since.is_some());
    assert_eq!((shown.waiting.dead, desk.ended_chunks(&job).await), (2, 0));
    assert_eq!(desk.control.requeue_dead().await.unwrap(), 2);
    assert_eq!(desk.control.requeue_dead().await.unwrap(), 0);
    desk.control.resume(None).await.unwrap();
    desk.check(&job).await;
}

/// A pause of a tenant alone lets them be ended, and what was given up is told of.
#[tokio::test(start_paused = true)]
async fn dead_letters_are_buried_unless_all_is_paused() {
    let servers = servers();
    let desk = Desk::at(&servers, 1);
    let default = "default".parse().unwrap();
    desk.control.pause(Some(&default)).await.unwrap();
    let (ports, tenants) = servers.seen_through(&Faults::default(), 10).unwrap();
    let _coordinator = Process::start(Role::Coordinator, &ports, &tenants);
    let job = desk.client.kick_off().await.unwrap();
    let hint = Hint::ExportChunk(job.clone(), "00001-02".parse().unwrap());
    let queue = &desk.ports.queue;
    queue.send(hint.into()).await.unwrap();
    let delivery = queue.receive(Lane::Chunks).await.unwrap();
    delivery.settle(Settle::DeadLetter).await.unwrap();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(desk.ended_chunks(&job).await, 1);
    let jobs = Jobs::new(&desk.ports, &desk.tenants);
    let shown = jobs.show(&job).await.unwrap().unwrap();
    let chunks = shown.job.chunks.unwrap();
    assert_eq!((chunks.failed, chunks.done, shown.paused), (1, 1, true));
    let page = jobs.chunks(&job, None).await.unwrap().unwrap();
    assert_eq!(page.chunks.len(), 64);
    for chunk in &page.chunks {
        let is_buried = chunk.chunk.ordinal() == 2;
        let state = if is_buried {
            ChunkState::Failed
        } else {
            ChunkState::Waiting
        };
        assert_eq!((chunk.state, chunk.failure.is_some()), (state, is_buried));
    }
    let mut seen = page.chunks.len();
    let mut next = page.next;
    while let Some(after) = next {
        let page = jobs.chunks(&job, Some(after)).await.unwrap().unwrap();
        assert!(page.chunks.iter().all(|chunk| chunk.chunk > after));
        seen += page.chunks.len();
        next = page.next;
    }
    assert_eq!(u32::try_from(seen).unwrap(), chunks.planned);
}
