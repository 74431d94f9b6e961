//! A job of a million patients beside twenty small ones: the queue stays within the window, the
//! small ones do not wait for the large one, and coordinators stay small.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use sluice_client::Level;
use sluice_model::Lane;
use sluice_ports::Queue;
use sluice_queue_amqp::{AmqpOptions, AmqpQueue};
use sluice_testkit::{SeededEntropy, show, stack};

use crate::data::{export_to, lines};
use crate::flow::{kick_off, manifest};
use crate::site::{Service, Site, curl};

const PATIENTS: usize = 1_000_000;
const SMALL_JOBS: usize = 20;
/// Members of the small jobs' groups, each one more than the one before.
const MEMBERS: usize = 100;
/// Four times the slots of all workers.
const WINDOW: u32 = 24;
const MOST_MIB: u64 = 128;

/// The most messages that waited for a worker at any look.
async fn deepest(site: &Site, stop: &AtomicBool) -> u32 {
    let options = AmqpOptions {
        prefix: site.name.clone(),
        ..AmqpOptions::new(stack("SLUICE_PORTS__QUEUE"))
    };
    let queue = AmqpQueue::connect(options, Arc::new(SeededEntropy::new(9)));
    let queue = queue.await.unwrap();
    let mut deepest = 0;
    while !stop.load(Ordering::SeqCst) {
        deepest = deepest.max(queue.waiting(Lane::Chunks).await.unwrap());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    queue.close().await;
    deepest
}

/// How far a running job is.
fn percent(job: &str) -> u32 {
    let answer = curl(&["-si", job]);
    let progress = answer
        .lines()
        .find_map(|line| line.strip_prefix("x-progress: "));
    let percent = progress.and_then(|text| text.split('%').next());
    percent.map_or(0, |percent| percent.parse().unwrap())
}

/// Exports a group of its own, and checks that each of its lines is there once.
async fn small_job(site: &Site, home: &Path, number: usize) {
    let (members, out) = (MEMBERS + number, home.join(format!("small-{number}")));
    let level = Level::Group(format!("first-{members}"));
    export_to(site, "one", &level, &out).await.unwrap();
    let mut lines = lines(&out);
    assert_eq!(lines.len(), 2 * members);
    lines.dedup();
    assert_eq!(lines.len(), 2 * members, "none twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_patients_beside_twenty_small_jobs() {
    let home = tempfile::tempdir().unwrap();
    let mut site = Site::new("scale", &[("one", home.path())]);
    let source = format!("synthetic:?patients={PATIENTS}&observations=1&bytes=400");
    site.set("SLUICE_TENANTS__ONE__SOURCE", &source);
    site.set("SLUICE_COORDINATOR__WINDOW", &WINDOW.to_string());
    site.set("SLUICE_WORKER__SLOTS", "2");
    site.start_all(1, 2, 3);
    let (site, stop) = (&site, &AtomicBool::new(false));
    let large = kick_off(&format!("{}/Patient/$export", site.base("one")));
    let ended_small = AtomicU32::new(0);
    let work = async {
        // Once the large one fills the window.
        for _ in 0..300 {
            if percent(&large) > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1100)).await;
        }
        let small = (0..SMALL_JOBS).map(|number| {
            let (ended, home) = (&ended_small, home.path());
            async move {
                small_job(site, home, number).await;
                ended.fetch_add(1, Ordering::SeqCst);
            }
        });
        futures::future::join_all(small).await;
        let still = curl(&["-si", &large]);
        assert!(
            still.starts_with("HTTP/1.1 202"),
            "the large one is not done: {still}"
        );
        let manifest = manifest(&large).await;
        stop.store(true, Ordering::SeqCst);
        manifest
    };
    let (manifest, deepest) = tokio::join!(work, deepest(site, stop));
    let files = manifest["output"].as_array().unwrap();
    let resources: u64 = files.iter().filter_map(|file| file["count"].as_u64()).sum();
    assert_eq!(resources, 2 * u64::try_from(PATIENTS).unwrap());
    let peaks = [0, 1].map(|number| site.peak_mib((Service::Coordinator, number)));
    show(&format!(
        "scale: {resources} resources in {} files, {} small jobs done before; at most {deepest} chunks \
         waited in the queue (window {WINDOW}); coordinators' peak RSS {} and {} MiB",
        files.len(),
        ended_small.load(Ordering::SeqCst),
        peaks[0],
        peaks[1]
    ));
    assert!(deepest <= WINDOW, "{deepest} chunks waited");
    assert!(peaks.iter().all(|peak| *peak <= MOST_MIB), "{peaks:?} MiB");
}
