//! Files that are offered while an export runs: each once, on a page that nothing changes.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what surprises a test should end it"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sluice_e2e::{Client, Conditions, Disk, Ended, Process, Role, Servers, World, some_time};
use sluice_engine::{Answer, Caller, Cancel, Origin, PollLimits, Ports, Serve, Standing, Tenants};
use sluice_fhir::Issue;
use sluice_local::Habits;
use sluice_model::{JobRef, Manifest, ManifestFile, layout};
use sluice_ports::Blobs;
use sluice_testkit::{Faults, Reading, SeededEntropy, SmallSource, When, show};

/// More chunks than a plan page holds.
fn large() -> Arc<SmallSource> {
    Arc::new(SmallSource::of(60, 10))
}

/// Enough for a few pages of manifest, and no more.
fn small() -> Arc<SmallSource> {
    Arc::new(SmallSource::of(10, 6))
}

fn output(pages: &[Arc<Manifest>]) -> Vec<ManifestFile> {
    let files = pages.iter().flat_map(|page| page.output.clone());
    files.collect()
}

/// All but the time until which links are good, and the end of the job, which pages do not know.
fn fixed(page: &Manifest) -> Manifest {
    let mut page = page.clone();
    page.expires_at = sluice_fhir::Instant::from_millis(0);
    page
}

/// What whoever looks at any time sees of pages: none that was there before is another one now.
#[derive(Default)]
struct Seen(BTreeMap<u32, Manifest>);

impl Seen {
    fn see(&mut self, number: u32, page: &Manifest, context: &str) {
        let page = fixed(page);
        let before = self.0.entry(number).or_insert_with(|| page.clone());
        assert_eq!(*before, page, "{context}: page {number} is another one now");
    }

    /// Looks at what a job offers, with nothing kept at hand.
    async fn look(&mut self, client: &Client, job: &JobRef, context: &str) {
        let journal = client.journal();
        if journal.manifest(job).await.unwrap().is_some() {
            return;
        }
        for number in 1.. {
            let page = journal.manifest_page(job, number).await.unwrap();
            let Some(page) = page.filter(|page| !page.is_end) else {
                return;
            };
            let until = sluice_fhir::Instant::from_millis(0);
            self.see(number, &page.until(until), context);
        }
    }
}

/// Reads every page of a job that is to complete, and holds it against what was seen and what is to be in it.
/// Says how many pages there were.
async fn check(
    client: &Client,
    job: &JobRef,
    lines: &[String],
    seen: &mut Seen,
    context: &str,
) -> usize {
    let pages = client.pages(job).await;
    let pages = pages.unwrap_or_else(|| panic!("{context}: the export did not complete"));
    for (number, page) in (1..).zip(&pages) {
        assert_eq!(page.pages_before, number - 1, "{context}");
        seen.see(number, page, context);
    }
    assert!(
        seen.0.len() == pages.len(),
        "{context}: a page was there and is not any more"
    );
    let found = client.lines(&output(&pages)).await.unwrap();
    assert_eq!(found, lines, "{context}");
    let first = &pages[0];
    for page in &pages {
        assert_eq!(page.transaction_time, first.transaction_time, "R-170");
        assert_eq!(page.request, first.request, "R-170");
        assert!(page.error.starts_with(&first.error), "R-170");
    }
    pages.len()
}

#[tokio::test(start_paused = true)]
async fn r_110_files_are_offered_while_the_job_runs_and_each_once() {
    let (disk, source) = (Disk::default(), large());
    let world = World::start(&disk, source.clone(), &Conditions::default())
        .await
        .unwrap();
    let plain = world.kick_off().await.unwrap();
    let job = world.kick_off_partial().await.unwrap();
    let mut seen = Seen::default();
    while seen.0.len() < 3 {
        tokio::task::yield_now().await;
        seen.look(&world, &job, "running").await;
    }
    let pages = check(&world, &job, &source.lines(), &mut seen, "whole").await;
    assert!((4..15).contains(&pages), "{pages} pages");

    // Who did not ask for pages has none.
    let Ended::Complete(manifest) = world.ended(&plain).await else {
        panic!("the export did not complete");
    };
    assert_eq!(manifest.pages_before, 0);
    assert!(
        disk.0
            .list(&layout::manifest_pages(&plain), None, 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(world.lines(&manifest.output).await.unwrap(), source.lines());
}

/// what a page names can be had, and is there until all expire; then nothing is left.
#[tokio::test(start_paused = true)]
async fn r_111_what_pages_name_stays_until_the_job_expires() {
    let (disk, source) = (Disk::default(), small());
    let world = World::start(&disk, source.clone(), &Conditions::default())
        .await
        .unwrap();
    let job = world.kick_off_partial().await.unwrap();
    let pages = world.pages(&job).await.unwrap();
    assert!(pages.len() > 2);
    // Meanwhile the sweep of what no manifest names came by.
    tokio::time::sleep(Duration::from_mins(59)).await;
    assert_eq!(world.lines(&output(&pages)).await.unwrap(), source.lines());
    tokio::time::sleep(Duration::from_hours(3)).await;
    assert!(matches!(world.ended(&job).await, Ended::Gone));
    assert!(disk.0.list("default/", None, 10).await.unwrap().is_empty());
}

/// what is known from the start is on every page, what comes up later on the last.
#[tokio::test(start_paused = true)]
async fn r_170_every_page_repeats_the_remarks() {
    let remark = Issue::information("three resources have no time");
    let source = Arc::new(SmallSource::of(10, 6).remarking(remark));
    let world = World::start(&Disk::default(), source, &Conditions::default())
        .await
        .unwrap();
    let job = world.kick_off_partial().await.unwrap();
    let pages = world.pages(&job).await.unwrap();
    assert!(pages.len() > 2);
    for page in &pages {
        assert_eq!(page.error, pages[0].error);
        let lines = world.lines(&page.error).await.unwrap();
        assert!(lines.len() == 1 && lines[0].contains("three resources have no time"));
    }
}

/// A job without enough chunks has one manifest, and what was ignored is in it.
#[tokio::test(start_paused = true)]
async fn a_small_job_has_no_pages() {
    let remark = Issue::information("three resources have no time");
    let source = Arc::new(SmallSource::of(1, 1).remarking(remark));
    let world = World::start(&Disk::default(), source.clone(), &Conditions::default())
        .await
        .unwrap();
    let job = world.kick_off_partial().await.unwrap();
    let pages = world.pages(&job).await.unwrap();
    assert_eq!((pages.len(), pages[0].error.len()), (1, 1));
    assert_eq!(world.lines(&output(&pages)).await.unwrap(), source.lines());
}

/// Chunks that cannot be exported are on no page, and are told of on the last.
#[tokio::test(start_paused = true)]
async fn chunks_that_fail_are_told_of_at_the_end() {
    let mut conditions = Conditions::default();
    conditions.policy.failed_percent = 100;
    let source = Arc::new(SmallSource::of(10, 6).reading(Reading::Fails));
    let world = World::start(&Disk::default(), source, &conditions)
        .await
        .unwrap();
    let job = world.kick_off_partial().await.unwrap();
    let pages = world.pages(&job).await.unwrap();
    assert!(pages.len() == 1 && pages[0].output.is_empty());
    assert_eq!(pages[0].error.len(), 1);
}

/// a page that will never come is answered as the job is.
#[tokio::test(start_paused = true)]
async fn r_171_a_job_that_fails_after_it_offered_files_has_failed_on_every_page() {
    let (disk, source) = (Disk::default(), large());
    let mut conditions = Conditions::default();
    conditions.policy.give_up_after = Duration::from_mins(5);
    let mut servers = Servers::new(source.clone(), conditions.policy);
    servers.disk = disk.clone();
    let (ports, tenants) = servers.seen_through(&Faults::default(), 1).unwrap();
    let client = Client::new(ports.clone(), tenants.clone(), &disk);
    let job = client.kick_off_partial().await.unwrap();
    let _coordinator = Process::start(Role::Coordinator, &ports, &tenants);
    let worker = Process::start(Role::Worker, &ports, &tenants);
    let mut seen = Seen::default();
    while seen.0.is_empty() {
        tokio::task::yield_now().await;
        seen.look(&client, &job, "running").await;
    }
    drop(worker);
    let serve = Serve::new(&ports, &tenants, PollLimits::default());
    let anyone = Caller::anyone(Origin::default());
    let first = serve.page(&anyone, &job, 1).await.unwrap();
    assert!(matches!(first.answer, Answer::Running(_)));
    assert!(first.offered.is_some() && first.next == Some(2));
    let offered = &seen.0[&1].output;
    let path = offered[0].key.strip_prefix(&layout::job(&job)).unwrap();
    let early = serve.file(&job, path).await.unwrap();
    assert!(matches!(early, sluice_engine::FileAnswer::Found(file) if file == offered[0]));

    assert!(matches!(client.ended(&job).await, Ended::Failed(_)));
    for page in [1, 2, 9] {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let told = serve.page(&anyone, &job, page).await.unwrap();
        assert!(matches!(told.answer, Answer::Failed(_)), "page {page}");
        assert!(told.offered.is_none() && told.next.is_none());
    }
    // Whoever has a link from the store may still be reading.
    tokio::time::sleep(Duration::from_mins(30)).await;
    client.lines(offered).await.unwrap();
    tokio::time::sleep(Duration::from_hours(3)).await;
    assert!(disk.0.list("default/", None, 10).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn e_05_pages_go_with_their_job() {
    let (disk, source) = (Disk::default(), large());
    let world = World::start(&disk, source, &Conditions::default())
        .await
        .unwrap();
    let job = world.kick_off_partial().await.unwrap();
    let mut seen = Seen::default();
    while seen.0.len() < 2 {
        tokio::task::yield_now().await;
        seen.look(&world, &job, "running").await;
    }
    let caller = Caller::anyone(Origin::default());
    Cancel::new(world.ports())
        .delete(&caller, &job)
        .await
        .unwrap();
    assert!(world.pages(&job).await.is_none());
    tokio::time::sleep(Duration::from_hours(2)).await;
    assert!(disk.0.list("default/", None, 10).await.unwrap().is_empty());
}

/// Everything dies again and again, and only the objects survive; hints are repeated, late and lost.
#[tokio::test(start_paused = true)]
async fn dying_at_any_moment_changes_no_page() {
    const BAD: Habits = Habits {
        repeat_every: Some(2),
        late: Some((3, Duration::from_secs(40))),
        lose_every: Some(7),
    };
    let mut early = 0;
    for seed in 0..40 {
        let dice = SeededEntropy::new(seed);
        let (disk, source) = (Disk::default(), large());
        let (mut job, mut seen) = (None, Seen::default());
        let context = format!("seed {seed}");
        for life in 0..6 {
            let conditions = Conditions {
                habits: BAD,
                seed: dice.number(),
                ..Conditions::default()
            };
            let world = World::start(&disk, source.clone(), &conditions)
                .await
                .unwrap();
            if life == 0 {
                job = Some(world.kick_off_partial().await.unwrap());
            }
            some_time(&dice).await;
            if let Some(job) = &job {
                seen.look(&world, job, &context).await;
            }
        }
        early += seen.0.len();
        let conditions = Conditions {
            seed: dice.number(),
            ..Conditions::default()
        };
        let world = World::start(&disk, source.clone(), &conditions)
            .await
            .unwrap();
        let job = job.unwrap();
        check(&world, &job, &source.lines(), &mut seen, &context).await;
    }
    assert!(early > 40, "only {early} pages were seen before the end");
}

/// Any single call fails once, before and after its effect.
#[tokio::test(start_paused = true)]
async fn any_single_call_may_fail() {
    let quiet = Faults::default();
    assert!(export_with(&quiet, "nothing fails").await > 2);
    for (faults, context) in Faults::each_of(quiet.calls()) {
        export_with(&faults, &context).await;
    }
}

async fn export_with(faults: &Faults, context: &str) -> usize {
    let conditions = Conditions {
        faults: faults.clone(),
        ..Conditions::default()
    };
    let source = small();
    let world = World::start(&Disk::default(), source.clone(), &conditions)
        .await
        .unwrap();
    let job = loop {
        if let Ok(job) = world.kick_off_partial().await {
            break job;
        }
    };
    let mut seen = Seen::default();
    check(&world, &job, &source.lines(), &mut seen, context).await
}

fn healthy(servers: &Servers, seed: u64) -> (Ports, Tenants) {
    servers.seen_through(&Faults::default(), seed).unwrap()
}

fn start(servers: &Servers, role: Role, seed: u64) -> Process {
    let (ports, tenants) = healthy(servers, seed);
    Process::start(role, &ports, &tenants)
}

fn client(servers: &Servers, seed: u64) -> Client {
    let (ports, tenants) = healthy(servers, seed);
    Client::new(ports, tenants, &servers.disk)
}

/// Looks at what is offered after every step of anybody, for ever.
async fn watch(servers: &Servers, job: &JobRef, context: &str, seen: &mut Seen) {
    let client = client(servers, 900);
    loop {
        seen.look(&client, job, context).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A coordinator dies at each of its calls in turn, before and after its effect, while another is at the
/// same job all the time.
#[tokio::test(start_paused = true)]
async fn a_coordinator_dies_at_every_call_beside_another() {
    let calls = export_with_mortal(&Faults::default(), "nobody dies").await;
    assert!(calls > 50, "{calls} calls are too few to be a whole export");
    for n in 0..calls {
        for when in [When::Before, When::After] {
            let context = format!("a coordinator dies {when:?} call {n}");
            export_with_mortal(&Faults::killing_at(n, when), &context).await;
        }
    }
    show(&format!(
        "{calls} calls, each with a death before and after it"
    ));
}

async fn export_with_mortal(faults: &Faults, context: &str) -> u64 {
    let source = small();
    let servers = Servers::new(source.clone(), Conditions::default().policy);
    let _worker = start(&servers, Role::Worker, 1);
    let (ports, tenants) = servers.seen_through(faults, 2).unwrap();
    let mortal = Process::start(Role::Coordinator, &ports, &tenants);
    let _other = start(&servers, Role::Coordinator, 4);
    let job = client(&servers, 3).kick_off_partial().await.unwrap();
    let death = async {
        faults.killed().await;
        drop(mortal);
        std::future::pending::<()>().await;
    };
    let mut seen = Seen::default();
    let ended = async {
        while servers
            .index
            .get(&job)
            .await
            .unwrap()
            .is_none_or(|status| status.state.is_running())
        {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = ended => {}
        () = death => {}
        () = watch(&servers, &job, context, &mut seen) => {}
    }
    check(
        &client(&servers, 5),
        &job,
        &source.lines(),
        &mut seen,
        context,
    )
    .await;
    faults.calls()
}

/// Coordinators that share nothing but the objects: neither leases nor the index keep them apart.
#[tokio::test(start_paused = true)]
async fn two_of_everything_write_one_row_of_pages() {
    for seed in 0..40 {
        let (disk, source) = (Disk::default(), large());
        let conditions = |seed| Conditions {
            seed,
            ..Conditions::default()
        };
        let one = World::start(&disk, source.clone(), &conditions(seed * 3))
            .await
            .unwrap();
        let job = one.kick_off_partial().await.unwrap();
        for _ in 0..seed * 20 {
            tokio::task::yield_now().await;
        }
        let two = World::start(&disk, source.clone(), &conditions(seed * 3 + 1))
            .await
            .unwrap();
        let context = format!("seed {seed}");
        let mut seen = Seen::default();
        let serve = Serve::new(one.ports(), &Tenants::default(), PollLimits::default());
        let anyone = Caller::anyone(Origin::default());
        loop {
            seen.look(&one, &job, &context).await;
            tokio::task::yield_now().await;
            let standing: Standing = serve.status(&anyone, &job).await.unwrap();
            match standing.answer {
                Answer::Complete(_) => break,
                Answer::TooFast(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                _ => {}
            }
        }
        for world in [&one, &two] {
            check(world, &job, &source.lines(), &mut seen, &context).await;
        }
    }
}
