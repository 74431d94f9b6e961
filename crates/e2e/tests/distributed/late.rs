//! A tenant's source that is away while the services start.

use sluice_client::Level;
use sluice_source_postgres::{PostgresOptions, migrate};
use sluice_stack::{Postgres, PostgresOptions as ServerOptions, Private};

use crate::data::{assert_same, expected, export_to, lines, sample};
use crate::flow::manifest_of;
use crate::moments::eventually;
use crate::servers::{aside, told};
use crate::site::{Site, curl};
use crate::telemetry::{scrape, sum};

/// How many processes have opened the database.
fn open(site: &Site) -> f64 {
    let names = site.names();
    let scrapes: Vec<_> = names.iter().map(|name| scrape(site, *name)).collect();
    sum(&scrapes, "export_source_ready", &["tenant=\"database\""])
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
    assert!(open(&site) < 0.5);

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
    eventually(|| open(&site) > 3.5).await;
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
