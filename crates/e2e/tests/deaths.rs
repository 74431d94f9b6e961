//! One process dies at each of its calls in turn, before and after the effect, and another takes its
//! place; the servers live on, with all that it held. Rows of the fault matrix that cannot be timed
//! with real processes: A2 to A4, B1, B2, B5 to B8, C1 to C5.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what surprises a test should end it"
)]

use std::sync::Arc;
use std::time::Duration;

use sluice_e2e::{Client, Ended, Process, Role, Servers};
use sluice_engine::{Duplicates, KickoffError, Policy, Ports, Tenants};
use sluice_model::JobRef;
use sluice_testkit::{Faults, SeededEntropy, SmallSource, When, show};

fn source() -> Arc<SmallSource> {
    Arc::new(SmallSource::of(4, 6))
}

fn policy() -> Policy {
    Policy {
        chunk_bytes: 400,
        file_bytes: 300,
        duplicates: Duplicates::Join,
        ..Policy::default()
    }
}

fn servers() -> Servers {
    Servers::new(source(), policy())
}

/// Seeds differ, or ids would be the same.
fn healthy(servers: &Servers, seed: u64) -> (Ports, Tenants) {
    servers.seen_through(&Faults::default(), seed).unwrap()
}

fn client(servers: &Servers, seed: u64) -> Client {
    let (ports, tenants) = healthy(servers, seed);
    Client::new(ports, tenants, &servers.disk)
}

fn start(servers: &Servers, role: Role, seed: u64) -> Process {
    let (ports, tenants) = healthy(servers, seed);
    Process::start(role, &ports, &tenants)
}

/// The files are exact, and the index counts each chunk once (I1, I2, I4).
async fn check(servers: &Servers, job: &JobRef, context: &str) {
    let client = client(servers, 900);
    let Ended::Complete(manifest) = client.ended(job).await else {
        panic!("{context}: the export did not complete");
    };
    let lines = client.lines(&manifest.output).await.unwrap();
    assert_eq!(lines, source().lines(), "{context}");
    let status = servers.index.get(job).await.unwrap().unwrap();
    assert!(status.planned.sealed, "{context}");
    assert_eq!(status.done, status.planned.chunks, "{context}");
    let resources = u64::try_from(lines.len()).unwrap();
    assert_eq!(status.tally.resources, resources, "{context}");
}

/// Runs an export in which one process of a role may die; says how many calls it made.
async fn export_with_mortal(role: Role, faults: &Faults, context: &str) -> u64 {
    let servers = servers();
    let other = match role {
        Role::Coordinator => Role::Worker,
        Role::Worker => Role::Coordinator,
    };
    let _other = start(&servers, other, 1);
    let (ports, tenants) = servers.seen_through(faults, 2).unwrap();
    let mortal = Process::start(role, &ports, &tenants);
    let job = client(&servers, 3).kick_off().await.unwrap();
    let heir = async {
        faults.killed().await;
        drop(mortal);
        let heir = start(&servers, role, 4);
        std::future::pending::<()>().await;
        drop(heir);
    };
    tokio::select! {
        () = check(&servers, &job, context) => {}
        () = heir => {}
    }
    faults.calls()
}

async fn dies_at_every_call(role: Role) {
    let calls = export_with_mortal(role, &Faults::default(), "nobody dies").await;
    assert!(calls > 50, "{calls} calls are too few to be a whole export");
    for n in 0..calls {
        for when in [When::Before, When::After] {
            let context = format!("{role:?} dies {when:?} call {n}");
            let faults = Faults::killing_at(n, when);
            export_with_mortal(role, &faults, &context).await;
        }
    }
    show(&format!(
        "{role:?}: {calls} calls, each with a death before and after it"
    ));
}

/// C1 to C5: before the first byte, in the upload, before and after the receipt, before and after
/// the index is told, before the hint is settled.
#[tokio::test(start_paused = true)]
async fn c4_c5_a_worker_dies_at_every_call() {
    dies_at_every_call(Role::Worker).await;
}

/// B1, B2, B5, B6: while planning, while handing out, before and after the manifest, before the
/// index is told.
#[tokio::test(start_paused = true)]
async fn b5_b6_a_coordinator_dies_at_every_call() {
    dies_at_every_call(Role::Coordinator).await;
}

/// A process of a role that dies at some call, again and again, and lives in the end.
async fn line_of_mortals(servers: &Servers, role: Role, dice: &SeededEntropy) -> u32 {
    let mut deaths = 0;
    for _ in 0..6 {
        let when = [When::Before, When::After][usize::from(dice.number().is_multiple_of(2))];
        let faults = Faults::killing_at(dice.number() % 60, when);
        let (ports, tenants) = servers.seen_through(&faults, dice.number()).unwrap();
        let mortal = Process::start(role, &ports, &tenants);
        let life = Duration::from_mins(3);
        deaths += u32::from(tokio::time::timeout(life, faults.killed()).await.is_ok());
        drop(mortal);
    }
    let (ports, tenants) = healthy(servers, dice.number());
    let _heir = Process::start(role, &ports, &tenants);
    tokio::time::sleep(Duration::from_hours(2)).await;
    deaths
}

/// Two coordinators and two workers at once, each dying again and again.
#[tokio::test(start_paused = true)]
async fn everybody_dies_at_random_calls() {
    let mut deaths = 0;
    for seed in 0..200 {
        let dice = SeededEntropy::new(seed);
        let servers = servers();
        let job = client(&servers, dice.number()).kick_off().await.unwrap();
        let roles = [
            Role::Coordinator,
            Role::Worker,
            Role::Coordinator,
            Role::Worker,
        ];
        let lines = roles.map(|role| line_of_mortals(&servers, role, &dice));
        let context = format!("seed {seed}");
        let (died, ()) = tokio::join!(
            futures::future::join_all(lines),
            check(&servers, &job, &context)
        );
        deaths += died.iter().sum::<u32>();
    }
    show(&format!("{deaths} deaths in 200 exports"));
    assert!(deaths > 1_000, "only {deaths} deaths");
}

/// A2 to A4: the gateway dies anywhere in a kick-off, and the client asks again. There is one
/// export, and it ends.
#[tokio::test(start_paused = true)]
async fn a2_a4_a_gateway_dies_at_every_call_of_a_kick_off() {
    let quiet = Faults::default();
    kick_off_with_mortal(&quiet, "nobody dies").await;
    for n in 0..quiet.calls() {
        for when in [When::Before, When::After] {
            let context = format!("the gateway dies {when:?} call {n}");
            kick_off_with_mortal(&Faults::killing_at(n, when), &context).await;
        }
    }
}

async fn kick_off_with_mortal(faults: &Faults, context: &str) {
    let servers = servers();
    let (ports, tenants) = servers.seen_through(faults, 3).unwrap();
    let mortal = Client::new(ports, tenants, &servers.disk);
    let first = tokio::select! {
        job = mortal.kick_off() => Some(job.unwrap()),
        () = faults.killed() => None,
    };
    let job = match first {
        Some(job) => job,
        None => kicked_off_again(&servers).await,
    };
    // Only now: an export that ended meanwhile would rightly be followed by another.
    let _worker = start(&servers, Role::Worker, 1);
    let _coordinator = start(&servers, Role::Coordinator, 2);
    check(&servers, &job, context).await;
    let journal = client(&servers, 5).journal();
    let mut jobs = 0;
    for name in journal.folders("default/").await.unwrap() {
        let name = JobRef {
            tenant: job.tenant.clone(),
            job: name.parse().unwrap(),
        };
        jobs += u32::from(journal.job(&name).await.unwrap().is_some());
    }
    assert_eq!(
        jobs, 1,
        "{context}: one export for all who asked for the same"
    );
}

/// Whoever claimed a name and died before the job was stored keeps it for a moment; until then the
/// answer is 503, and clients ask again.
async fn kicked_off_again(servers: &Servers) -> JobRef {
    let client = client(servers, 4);
    for _ in 0..600 {
        match client.kick_off().await {
            Ok(job) => return job,
            Err(KickoffError::Port(error)) if error.is_transient() => {}
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("a claim is kept for ever");
}

/// B7: the hint that the last chunk is done is lost, and so is every other that workers send. The
/// sweep finishes the job.
#[tokio::test(start_paused = true)]
async fn b7_every_hint_of_the_workers_is_lost() {
    let servers = servers();
    let _coordinator = start(&servers, Role::Coordinator, 1);
    let (mut ports, tenants) = healthy(&servers, 2);
    ports.queue = Arc::new(lossy::NoJobs(servers.queue.clone()));
    let _worker = Process::start(Role::Worker, &ports, &tenants);
    let job = client(&servers, 3).kick_off().await.unwrap();
    check(&servers, &job, "b7").await;
}

/// B8: everything that is planned so far is done, and the plan goes on: the job is not complete.
#[tokio::test(start_paused = true)]
async fn b8_an_unsealed_plan_is_not_complete() {
    let gate = Arc::new(tokio::sync::Semaphore::new(1));
    let source = Arc::new(SmallSource::of(60, 10).planning_by(gate.clone()));
    let lines = source.lines();
    let servers = Servers::new(source, policy());
    let _coordinator = start(&servers, Role::Coordinator, 1);
    let _worker = start(&servers, Role::Worker, 2);
    let client = client(&servers, 3);
    let job = client.kick_off().await.unwrap();
    tokio::time::sleep(Duration::from_mins(10)).await;
    let status = servers.index.get(&job).await.unwrap().unwrap();
    assert!(status.planned.chunks > 0 && !status.planned.sealed);
    assert_eq!(status.done, status.planned.chunks, "all of the first page");
    assert!(status.state.is_running());
    assert!(client.journal().manifest(&job).await.unwrap().is_none());
    gate.add_permits(100);
    let Ended::Complete(manifest) = client.ended(&job).await else {
        panic!("the export did not complete");
    };
    assert_eq!(client.lines(&manifest.output).await.unwrap(), lines);
}

mod lossy {
    //! A queue that loses hints.

    use std::sync::Arc;

    use async_trait::async_trait;
    use sluice_model::Lane;
    use sluice_ports::{Delivery, Message, PortError, Queue};

    /// Loses every hint about a job.
    pub(crate) struct NoJobs(pub(crate) Arc<dyn Queue>);

    #[async_trait]
    impl Queue for NoJobs {
        async fn send(&self, message: Message) -> Result<(), PortError> {
            match message.hint.lane() {
                Lane::Jobs => Ok(()),
                _ => self.0.send(message).await,
            }
        }
        async fn waiting(&self, lane: Lane) -> Result<u32, PortError> {
            self.0.waiting(lane).await
        }
        async fn requeue_dead(&self, most: u32) -> Result<u32, PortError> {
            self.0.requeue_dead(most).await
        }
        async fn receive(&self, lane: Lane) -> Result<Box<dyn Delivery>, PortError> {
            self.0.receive(lane).await
        }
    }
}
