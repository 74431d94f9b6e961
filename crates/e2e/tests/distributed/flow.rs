//! Everything at once and nothing wrong: 1 gateway, 2 coordinators, 3 workers, two tenants.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sluice_client::Level;

use crate::data::{assert_same, expected, export_to, lines, sample};
use crate::site::{Service, Site, curl, status};

/// Kicks off, and says where to poll.
pub(crate) fn kick_off(url: &str) -> String {
    kick_off_with("Prefer: respond-async", url)
}

/// The same with a header of one's own; GET needs no other.
pub(crate) fn kick_off_with(header: &str, url: &str) -> String {
    let started = curl(&["-si", "-H", header, url]);
    let location = started
        .lines()
        .find_map(|line| line.strip_prefix("content-location: "));
    location
        .unwrap_or_else(|| panic!("{started}"))
        .trim()
        .to_owned()
}

/// The manifest, once it is there; an export that hangs ends the test.
pub(crate) async fn manifest(job: &str) -> Value {
    manifest_as("Accept: application/json", job).await
}

/// The same with a header of one's own.
pub(crate) async fn manifest_as(header: &str, job: &str) -> Value {
    for _ in 0..300 {
        if let Ok(manifest) = serde_json::from_str::<Value>(&curl(&["-s", "-H", header, job]))
            && manifest.get("output").is_some()
        {
            return manifest;
        }
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    panic!("{job} does not end");
}

/// Kicks off and polls until the manifest is there, as an integrator would by hand.
pub(crate) async fn manifest_of(url: &str) -> (String, Value) {
    let job = kick_off(url);
    let manifest = manifest(&job).await;
    (job, manifest)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tenants_and_every_level_at_once() {
    let home = tempfile::tempdir().unwrap();
    let folders = [("one", 60, 1), ("two", 40, 2)].map(|(tenant, patients, seed)| {
        let folder = home.path().join(format!("data-{tenant}"));
        sample(patients, seed, &folder);
        (tenant, folder)
    });
    let tenants: Vec<(&str, &Path)> = folders
        .iter()
        .map(|(tenant, folder)| (*tenant, folder.as_path()))
        .collect();
    let mut site = Site::new("flow", &tenants);
    site.set("SLUICE_SERVER__LINK_MINUTES", "1");
    site.set("SLUICE_TENANTS__TWO__GZIP", "true");
    site.start_all(1, 2, 3);

    let url = format!("{}/Patient/$export?_type=Patient", site.base("one"));
    let (_, early) = manifest_of(&url).await;
    let link = early["output"][0]["url"].as_str().unwrap().to_owned();
    let issued = tokio::time::Instant::now();
    links_are_the_stores_own(&site, &link);

    let levels = [
        Level::System,
        Level::Patient,
        Level::Group("diabetes-registry".to_owned()),
    ];
    let mut exports = Vec::new();
    for (tenant, folder) in &tenants {
        for level in &levels {
            let out = home.path().join(format!("{tenant}-{level:?}"));
            let site = &site;
            exports.push(async move {
                let summary = export_to(site, tenant, level, &out).await.unwrap();
                assert!(summary.is_new);
                let expected = expected(folder, level).await;
                assert_same(&lines(&out), &expected, &format!("{tenant} {level:?}"));
            });
        }
    }
    futures::future::join_all(exports).await;

    // A tenant's base leads to nothing of the other.
    let (job, _) = manifest_of(&format!("{}/$export?_type=Patient", site.base("one"))).await;
    assert_eq!(status(&job.replace("/one/", "/two/")), "404");
    tokio::time::sleep_until(issued + Duration::from_secs(62)).await;
    assert_eq!(status(&link), "403", "a link that ran out");
    for name in site.names() {
        assert!(site.stop(name), "{name:?} ends well when asked to");
    }
}

/// Nothing of the gateway is between a client and its files, and a link is good for its file only.
fn links_are_the_stores_own(site: &Site, link: &str) {
    assert!(link.starts_with(&sluice_testkit::stack("SLUICE_S3__ENDPOINT")));
    assert!(!link.contains(&site.base("one")));
    assert_eq!(status(link), "200");
    assert_eq!(
        status(&link.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")),
        "403"
    );
    assert_eq!(status(&link.replace("Patient.1", "Patient.2")), "403");
    let bare = link.split('?').next().unwrap();
    assert_eq!(status(bare), "403");
}

/// A worker asked to stop in the middle of a chunk gives it back or finishes it.
#[tokio::test(flavor = "multi_thread")]
async fn c15_workers_come_and_go_in_mid_export() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    sample(150, 3, &folder);
    let site = Site::new("rolling", &[("one", &folder)]);
    site.start_all(1, 1, 1);
    let out = home.path().join("out");
    let export = export_to(&site, "one", &Level::System, &out);
    let rolling = async {
        for number in 0..4 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            site.start((Service::Worker, number + 1));
            assert!(site.stop((Service::Worker, number)));
        }
    };
    let (exported, ()) = tokio::join!(export, rolling);
    exported.unwrap();
    let expected = expected(&folder, &Level::System).await;
    assert_same(&lines(&out), &expected, "rolling workers");
}
