//! Servers that are followed and pooled, and readers who leave.

use futures::StreamExt;
use sluice_fhir::Level;
use sluice_ports::{Source, conformance};
use sluice_source_postgres::{MappedSource, Mapping, PostgresOptions};
use sluice_stack::{Postgres, PostgresOptions as ServerOptions, Private};
use sluice_testkit::{exported, small};

use super::Site;
use super::population::population;

async fn site(server: &Private<Postgres>) -> Site {
    let site = Site::at(&server.url(), "text", "timestamptz").await;
    fill(&site).await;
    site
}

async fn fill(site: &Site) {
    for line in small::lines() {
        site.add(&line).await;
    }
}

async fn source(uri: String) -> MappedSource {
    let mapping = Mapping::new("fhir.resources");
    let options = PostgresOptions::new(uri);
    MappedSource::connect(&options, &mapping).await.unwrap()
}

/// A replica gives the same; T there is what it has seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms_on_a_replica() {
    let primary = Private::start(&ServerOptions::default()).unwrap();
    let site = Site::at(&primary.url(), "text", "timestamptz").await;
    let replica = primary.replica().unwrap();
    // Written now: a replica that has heard of no transaction since it started knows no time.
    fill(&site).await;
    let count = "SELECT count(*) FROM site";
    while replica.server().sql(count).unwrap() != primary.server().sql(count).unwrap() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let follower = source(replica.url()).await;
    let population = population(&small::lines());
    conformance::source(&follower, &population).await.unwrap();
    let (there, here) = (follower.snapshot(), site.source.snapshot());
    assert!(there.await.unwrap().time <= here.await.unwrap().time);
}

/// Behind a pooler that gives each transaction another connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms_behind_a_pooler_of_transactions() {
    let server = Private::start(&ServerOptions::default()).unwrap();
    site(&server).await;
    let pooler = server.pgbouncer().unwrap();
    let source = source(pooler.url()).await;
    let population = population(&small::lines());
    // Several at once, so that they do meet on the pooler's connections.
    let suites = (0..2).map(|_| conformance::source(&source, &population));
    futures::future::try_join_all(suites).await.unwrap();
}

/// More than the client takes in: once nobody listens, nothing goes on in the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_listens_to_is_cancelled() {
    let site = Site::text().await;
    site.client
        .batch_execute(
            "INSERT INTO site SELECT 'Organization', 'o' || n, NULL, NULL, \
             '{\"resourceType\":\"Organization\",\"name\":\"' || repeat('x', 2000) || '\"}', NULL \
             FROM generate_series(1, 30000) n",
        )
        .await
        .unwrap();
    let mut scope = site.scope(Level::System).await;
    scope.types = exported::types(&["Organization"]);
    let chunks = exported::plan(&site.source, &scope, 1 << 40, 1).await;
    let mut blocks = site.source.read(&scope, &chunks[0].slice).await.unwrap();
    blocks.next().await.unwrap().unwrap();
    let running = async || -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND state <> 'idle' AND query LIKE 'COPY%'";
        site.client.query_one(sql, &[]).await.unwrap().get(0)
    };
    assert_eq!(running().await, 1);
    drop(blocks);
    while running().await > 0 {
        tokio::task::yield_now().await;
    }
}
