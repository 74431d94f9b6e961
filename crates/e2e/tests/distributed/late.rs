//! A tenant's source that is away while services start.

use std::collections::BTreeMap;

use sluice_client::Level;
use sluice_source_postgres::{PostgresOptions, migrate};
use sluice_stack::{Postgres, PostgresOptions as ServerOptions, Private};

use crate::data::{assert_same, expected, export_to, lines, sample};
use crate::database::fill;
use crate::flow::{kick_off, manifest, manifest_of};
use crate::moments::eventually;
use crate::servers::{aside, told};
use crate::site::{Service, Site, curl, status};
use crate::telemetry::{scrape, sum};

const OF_DATABASE: &str = "tenant=\"database\"";

fn scrapes(site: &Site) -> Vec<BTreeMap<String, f64>> {
    let names = site.names();
    names.iter().map(|name| scrape(site, *name)).collect()
}

/// How many processes tell that they have opened the database, and how many that they have not.
fn opened(site: &Site) -> (usize, usize) {
    let scrapes = scrapes(site);
    let told = scrapes.iter().flatten().filter(|(sample, _)| {
        sample.starts_with("export_source_ready{") && sample.contains(OF_DATABASE)
    });
    let (open, closed): (Vec<_>, Vec<_>) = told.partition(|(_, ready)| **ready > 0.5);
    (open.len(), closed.len())
}

fn tries(site: &Site, outcome: &str) -> f64 {
    let outcome = format!("outcome=\"{outcome}\"");
    sum(&scrapes(site), "export_chunks_total", &[&outcome])
}

/// One hospital's database is being maintained: everybody starts, the others' exports run, its own requests are told
/// to come back; and they are served when it is there again, without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_away_keeps_nobody_else_from_starting() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    sample(30, 5, &folder);
    let mut site = Site::new("late", &[("one", &folder)]);
    let database = aside(|| Private::<Postgres>::start(&ServerOptions::default())).await;
    migrate(&PostgresOptions::new(database.url()))
        .await
        .unwrap();
    site.set("SLUICE_TENANTS__DATABASE__SOURCE", &database.url());
    let database = told(database, Private::stop).await;
    site.start_all(1, 1, 2);
    assert_eq!(opened(&site), (0, 4));
    let ready = curl(&["-s", &site.admin((Service::Gateway, 0), "/readyz")]);
    assert_eq!(ready, "ready\nsource of database: is not open yet\n");

    let url = format!("{}/Patient/$export", site.base("database"));
    let refused = curl(&["-si", "-H", "Prefer: respond-async", &url]);
    let refused = refused.to_lowercase();
    assert!(refused.starts_with("http/1.1 503"), "{refused}");
    assert!(refused.contains("\r\nretry-after: "), "{refused}");
    assert!(refused.contains("operationoutcome"), "{refused}");
    let out = home.path().join("out");
    export_to(&site, "one", &Level::System, &out).await.unwrap();
    let expected = expected(&folder, &Level::System).await;
    assert_same(&lines(&out), &expected, "the other tenant");

    let _database = told(database, Private::start_again).await;
    eventually(|| opened(&site) == (4, 0)).await;
    let (_, manifest) = manifest_of(&url).await;
    assert_eq!(
        manifest["output"].as_array().unwrap().len(),
        0,
        "it is empty"
    );
    for name in site.names() {
        assert!(site.stop(name), "{name:?} ends well");
    }
}

/// The workers start while the database is away, with chunks of it waiting in numbers: they leave those to whoever comes,
/// hold no slot and lose no try over them, and export the other tenant's.
#[tokio::test(flavor = "multi_thread")]
async fn chunks_of_a_source_that_is_away_hold_up_nobody_and_are_not_given_up() {
    let home = tempfile::tempdir().unwrap();
    let (large, small) = (home.path().join("large"), home.path().join("small"));
    sample(60, 3, &large);
    sample(20, 5, &small);
    let mut site = Site::new("late-chunks", &[("one", &small)]);
    let database = aside(|| Private::<Postgres>::start(&ServerOptions::default())).await;
    fill(&database.url(), &large).await;
    site.set("SLUICE_TENANTS__DATABASE__SOURCE", &database.url());
    site.set("SLUICE_TENANTS__DATABASE__CHUNK_MIB", "1");
    site.start_all(1, 1, 0);
    let job = kick_off(&format!("{}/$export", site.base("database")));
    eventually(|| sum(&scrapes(&site), "export_chunks_outstanding", &[OF_DATABASE]) > 5.5).await;

    let database = told(database, Private::stop).await;
    for worker in 0..2 {
        site.start((Service::Worker, worker));
    }
    for worker in 0..2 {
        eventually(|| status(&site.admin((Service::Worker, worker), "/readyz")) == "200").await;
    }
    let out = home.path().join("out");
    export_to(&site, "one", &Level::System, &out).await.unwrap();
    let wanted = expected(&small, &Level::System).await;
    assert_same(&lines(&out), &wanted, "the other tenant");
    eventually(|| tries(&site, "put_off") > 9.5).await;
    assert!(tries(&site, "retried") + tries(&site, "given_up") < 0.5);

    let _database = told(database, Private::start_again).await;
    let manifest = manifest(&job).await;
    let files = manifest["output"].as_array().unwrap();
    let count: u64 = files
        .iter()
        .map(|file| file["count"].as_u64().unwrap())
        .sum();
    let wanted = expected(&large, &Level::System).await.len();
    assert_eq!(count, u64::try_from(wanted).unwrap());
    assert_eq!(manifest["error"].as_array().unwrap().len(), 0);
}
