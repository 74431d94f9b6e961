//! Single faults in mid-export, each followed by the same check that the export is exact.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use sluice_client::Level;

use sluice_testkit::{Behaviour, FaultProxy, stack};

use crate::data::{assert_same, expected, exported, lines, sample};
use crate::flow::manifest_of;
use crate::flow::{kick_off, manifest};
use crate::moments::{Moment, reached};
use crate::site::{Service, Site, curl, free_port, status};

const SYSTEM: Level = Level::System;

/// A deployment and what it exports.
pub(crate) struct Case {
    home: tempfile::TempDir,
    pub(crate) folder: PathBuf,
    pub(crate) site: Site,
}

impl Case {
    pub(crate) fn new(name: &str) -> Self {
        let case = Self::prepared(name);
        case.site.start_all(1, 2, 2);
        case
    }

    /// Not started yet.
    pub(crate) fn prepared(name: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("data");
        sample(120, 5, &folder);
        let mut site = Site::new(name, &[("one", &folder)]);
        site.set("SLUICE_TENANTS__ONE__DUPLICATES", "join");
        Self { home, folder, site }
    }

    /// Exports everything while something goes wrong, from a moment on at which the export is not
    /// over.
    pub(crate) async fn through<F: Future<Output = ()>>(&self, moment: Moment, fault: F) {
        let fault = async {
            reached(&self.site, moment).await;
            fault.await;
        };
        let both = async { tokio::join!(Box::pin(self.exports()), fault) };
        let ended = tokio::time::timeout(Duration::from_mins(4), both).await;
        assert!(ended.is_ok(), "{}: the export hangs", self.site.name);
    }

    /// Exports everything, and checks that every resource is there once.
    pub(crate) async fn exports(&self) {
        let out = tempfile::tempdir_in(self.home.path()).unwrap();
        let out = out.path().join("out");
        exported(&self.site, &SYSTEM, &out).await;
        let expected = expected(&self.folder, &SYSTEM).await;
        assert_same(&lines(&out), &expected, &self.site.name);
    }
}

/// Everything the index holds goes, again and again, also while it is made from the bucket.
#[tokio::test(flavor = "multi_thread")]
async fn e2_the_index_is_flushed_in_mid_export() {
    let mut case = Case::prepared("e2");
    case.site.set("SLUICE_COORDINATOR__RECONCILE_SECONDS", "1");
    case.site.start_all(1, 2, 2);
    let case = &case;
    let storm = |flushes: u32| async move {
        for _ in 0..flushes {
            case.site.flush_index();
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    };
    case.through(Moment::Exporting, storm(30)).await;
    // E3: after completion the same files are there.
    let url = format!("{}/$export?_type=Patient", case.site.base("one"));
    let (job, before) = manifest_of(&url).await;
    storm(60).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after: serde_json::Value = serde_json::from_str(&curl(&["-s", &job])).unwrap();
    let files = |manifest: &serde_json::Value| manifest["output"][0]["extension"].clone();
    assert_eq!(files(&before), files(&after));
}

#[tokio::test(flavor = "multi_thread")]
async fn d4_the_broker_forgets_everything() {
    let case = Case::new("d4");
    case.through(Moment::Exporting, async { case.site.delete_queues() })
        .await;
}

/// C1, C2, C3: whatever a worker was at.
#[tokio::test(flavor = "multi_thread")]
async fn c2_workers_are_killed_in_mid_upload() {
    let case = Case::new("c2");
    case.through(Moment::Exporting, async {
        for number in 0..4 {
            case.site.start((Service::Worker, number + 2));
            case.site.kill((Service::Worker, number));
            tokio::time::sleep(Duration::from_millis(450)).await;
        }
    })
    .await;
}

/// C10: the zombie wakes up when its chunk has long been done by another.
#[tokio::test(flavor = "multi_thread")]
async fn c10_a_worker_that_slept_changes_nothing() {
    let case = Case::new("c10");
    case.through(Moment::Exporting, async {
        case.site.signal((Service::Worker, 0), Signal::STOP);
        tokio::time::sleep(Duration::from_secs(12)).await;
        case.site.signal((Service::Worker, 0), Signal::CONT);
    })
    .await;
}

/// B3: a coordinator sleeps through its leases and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn b3_two_coordinators_own_one_job() {
    let case = Case::new("b3");
    case.through(Moment::Accepted, async {
        case.site.signal((Service::Coordinator, 0), Signal::STOP);
        tokio::time::sleep(Duration::from_secs(6)).await;
        case.site.signal((Service::Coordinator, 0), Signal::CONT);
    })
    .await;
}

/// B1, B5, B6: coordinators die while they plan, hand out and finish.
#[tokio::test(flavor = "multi_thread")]
async fn b6_coordinators_are_killed_again_and_again() {
    let case = Case::new("b6");
    case.through(Moment::Accepted, async {
        for number in 0..8 {
            case.site.start((Service::Coordinator, number + 2));
            case.site.kill((Service::Coordinator, number));
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    })
    .await;
}

/// A2, A4: the gateway dies under kick-offs and polls; one export for all who asked for the same.
#[tokio::test(flavor = "multi_thread")]
async fn a4_the_gateway_is_killed_under_a_client() {
    let case = Case::new("a4");
    case.through(Moment::Accepted, async {
        for number in 0..3 {
            case.site.kill((Service::Gateway, number));
            case.site.start((Service::Gateway, number + 1));
            case.site.wait_for_gateway();
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
    })
    .await;
}

/// A11: a hundred at once, of two gateways, one export.
#[tokio::test(flavor = "multi_thread")]
async fn a11_the_same_request_at_once_is_one_export() {
    let mut case = Case::prepared("a11");
    let one = case.site.base("one");
    let public = one.strip_suffix("/one/fhir").unwrap();
    case.site.set("SLUICE_SERVER__PUBLIC_URL", public);
    case.site.start_all(1, 2, 2);
    let address = format!("127.0.0.1:{}", free_port());
    let listen = [("SLUICE_SERVER__LISTEN", address.as_str())];
    case.site.start_with((Service::Gateway, 1), &listen);
    let other = format!("http://{address}/one/fhir");
    case.site.wait_for(&format!("{other}/metadata"));
    let query = "Patient/$export?_type=Patient,Observation";
    let asks: Vec<_> = (0..100)
        .map(|number| {
            let base = [&one, &other][number % 2];
            let url = format!("{base}/{query}");
            tokio::task::spawn_blocking(move || kick_off(&url))
        })
        .collect();
    let mut jobs = Vec::new();
    for ask in asks {
        jobs.push(ask.await.unwrap());
    }
    jobs.sort_unstable();
    jobs.dedup();
    assert_eq!(jobs.len(), 1);
    let manifest = manifest(&jobs[0]).await;
    let mut found = Vec::new();
    for file in manifest["output"].as_array().unwrap() {
        let text = curl(&["-s", file["url"].as_str().unwrap()]);
        found.extend(text.lines().map(str::to_owned));
    }
    found.sort_unstable();
    let all = expected(&case.folder, &Level::Patient).await;
    let asked = |line: &String| {
        let kind: serde_json::Value = serde_json::from_str(line).unwrap();
        ["Patient", "Observation"].contains(&kind["resourceType"].as_str().unwrap())
    };
    let asked: Vec<String> = all.into_iter().filter(asked).collect();
    assert_same(&found, &asked, "a11");
}

/// F13: DELETE in mid-export: gone at once, and nothing is there or reappears.
#[tokio::test(flavor = "multi_thread")]
async fn f13_a_deleted_export_leaves_nothing() {
    let case = Case::new("f13");
    let job = kick_off(&format!("{}/$export", case.site.base("one")));
    reached(&case.site, Moment::Exporting).await;
    let deleted = curl(&[
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-X",
        "DELETE",
        &job,
    ]);
    assert_eq!(deleted, "202");
    assert_eq!(status(&job), "404");
    let again = curl(&[
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-X",
        "DELETE",
        &job,
    ]);
    assert_eq!(again, "404");
    let id = job.rsplit('/').next().unwrap();
    let left = async || {
        let left = case.site.objects(&format!("one/{id}/")).await;
        let named = |key: &String| key.ends_with("/job.json") || key.ends_with("/cancel");
        left.into_iter()
            .filter(|key| !named(key))
            .collect::<Vec<_>>()
    };
    for _ in 0..600 {
        if left().await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // And for as long as workers may still be at it, nothing comes back.
    for _ in 0..20 {
        assert_eq!(status(&job), "404");
        let left = left().await;
        assert!(left.is_empty(), "{left:?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// C6: the broker closes every connection while chunks are being exported.
#[tokio::test(flavor = "multi_thread")]
async fn c6_every_connection_to_the_broker_is_closed() {
    let case = Case::new("c6");
    case.through(Moment::Exporting, async {
        for _ in 0..3 {
            case.site.close_connections();
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
    })
    .await;
}

/// Puts a proxy before one of the servers, and tells the site to go through it.
async fn proxied(case: &mut Case, setting: &str) -> FaultProxy {
    let url = stack(setting);
    let place = url.rsplit_once("//").unwrap().1;
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let server = place.split('/').next().unwrap();
    let proxy = FaultProxy::before(server).await.unwrap();
    let through = url.replace(server, &proxy.address().to_string());
    case.site.set(setting, &through);
    proxy
}

async fn misbehaving(name: &str, setting: &str, behaviour: Behaviour, time: Duration) {
    let mut case = Case::prepared(name);
    let proxy = proxied(&mut case, setting).await;
    case.site.start_all(1, 2, 2);
    case.through(Moment::Exporting, proxy.misbehave(behaviour, time))
        .await;
}

/// E1: Redis cannot be reached for a while.
#[tokio::test(flavor = "multi_thread")]
async fn e1_redis_is_down_in_mid_export() {
    let time = Duration::from_secs(10);
    misbehaving("e1", "SLUICE_PORTS__INDEX", Behaviour::HangUp, time).await;
}

/// E9: Redis does not answer for a while.
#[tokio::test(flavor = "multi_thread")]
async fn e9_redis_is_silent_in_mid_export() {
    let time = Duration::from_secs(10);
    misbehaving("e9", "SLUICE_PORTS__INDEX", Behaviour::Silent, time).await;
}

/// D1, D2: the broker cannot be reached for a while.
#[tokio::test(flavor = "multi_thread")]
async fn d1_the_broker_is_down_in_mid_export() {
    let time = Duration::from_secs(10);
    misbehaving("d1", "SLUICE_PORTS__QUEUE", Behaviour::HangUp, time).await;
}

/// D3: the broker's connections are half open.
#[tokio::test(flavor = "multi_thread")]
async fn d3_the_broker_is_silent_in_mid_export() {
    let time = Duration::from_secs(25);
    misbehaving("d3", "SLUICE_PORTS__QUEUE", Behaviour::Silent, time).await;
}

/// F1: storage answers 503 for a while. Clients fetch through it too, and come back.
#[tokio::test(flavor = "multi_thread")]
async fn f1_storage_is_busy_in_mid_export() {
    let time = Duration::from_secs(8);
    misbehaving("f1", "SLUICE_S3__ENDPOINT", Behaviour::Answers(503), time).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_storage_answers_500_in_mid_export() {
    let time = Duration::from_secs(8);
    misbehaving("f1e", "SLUICE_S3__ENDPOINT", Behaviour::Answers(500), time).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_storage_is_slow_for_20_seconds() {
    let time = Duration::from_secs(20);
    misbehaving("f1d", "SLUICE_S3__ENDPOINT", Behaviour::Slow, time).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_storage_is_silent_for_20_seconds() {
    let time = Duration::from_secs(20);
    misbehaving("f1s", "SLUICE_S3__ENDPOINT", Behaviour::Silent, time).await;
}
