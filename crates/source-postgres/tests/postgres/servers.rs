//! Servers that are followed, pooled, and taken away.

use futures::{StreamExt, TryStreamExt};
use sluice_fhir::Level;
use sluice_ports::conformance::{self, Promise};
use sluice_ports::{Block, PortError, Source};
use sluice_source_postgres::{Batch, PostgresOptions, PostgresSource};
use sluice_stack::{Postgres, PostgresOptions as ServerOptions, Private};
use sluice_testkit::exported;
use sluice_testkit::small;

use crate::database::{Database, connect, patient, since};

fn private() -> Private<Postgres> {
    Private::start(&ServerOptions::default()).unwrap()
}

/// A physical replica gives the same, and T there lies below what an open writer of the primary may
/// still write (T9).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_a_replica_is_as_exact_as_its_primary() {
    let primary = private();
    let database = Database::at(&primary.url(), false).await;
    let replica = primary.replica().unwrap();
    database.write(&[&patient("early", None)]).await;
    let batch = Batch::of_lines(&[&patient("late", None)]).unwrap();
    let open = database.writer.begin(batch).await.unwrap();
    database.write(&[&patient("other", None)]).await;
    let written = "SELECT count(*) FROM sluice.resource";
    let seen = |count: &str| {
        while replica.server().sql(written).unwrap() != count {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    seen("2\n");
    let follower = Database {
        source: PostgresSource::connect(&PostgresOptions::new(replica.url()))
            .await
            .unwrap(),
        ..Database::at(&primary.url(), false).await
    };
    let scope = follower.scope(Level::System).await;
    let first = follower.ids(&scope).await;
    assert!(!first.contains(&"Patient/late".to_owned()));
    open.commit().await.unwrap();
    seen("3\n");
    assert_eq!(follower.ids(&scope).await, first, "it stays as it was");
    // A replica's clock is its last transaction; that must be later than the one looked for.
    database.write(&[&patient("last", None)]).await;
    seen("4\n");
    let (next, _) = since(&follower, scope.snapshot.time).await;
    let mut all: Vec<String> = first.iter().chain(&next).cloned().collect();
    all.sort_unstable();
    let distinct = {
        let mut distinct = all.clone();
        distinct.dedup();
        distinct
    };
    assert_eq!(all, distinct, "none twice");
    for name in ["Patient/early", "Patient/late", "Patient/other"] {
        assert!(all.contains(&name.to_owned()), "{name} in {all:?}");
    }
}

/// Behind a pooler that gives each transaction another connection, nothing that was set on one may be
/// missed on the next, and nothing may be left behind for others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms_behind_a_pooler_of_transactions() {
    let server = private();
    let pooler = server.pgbouncer().unwrap();
    let database = Database::at(&pooler.url(), false).await;
    let lines = small::lines();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    database.write(&lines).await;
    let population = small::population(Promise::Estimate);
    // Several at once, so that they do meet on the pooler's connections.
    let suites = (0..2).map(|_| conformance::source(&database.source, &population));
    futures::future::try_join_all(suites).await.unwrap();
}

/// Certificates are checked: a server that is who it says is let in, another is not.
#[tokio::test]
async fn tls_is_spoken_and_the_server_must_be_the_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    std::fs::write(path("server.crt"), certificate.pem()).unwrap();
    let stranger = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(path("stranger.crt"), stranger.cert.pem()).unwrap();
    let mut server = private();
    // The server takes a key from nobody but itself, so it writes the file.
    let data = server.server().sql("SHOW data_directory").unwrap();
    for (name, text) in [
        ("tls.crt", certificate.pem()),
        ("tls.key", key.serialize_pem()),
    ] {
        let program = format!("umask 077; cat > {}/{name}", data.trim());
        let copy = format!(
            "COPY (SELECT unnest(string_to_array($${text}$$, E'\\n'))) TO PROGRAM '{program}'"
        );
        server.server().sql(&copy).unwrap();
    }
    server.stop().unwrap();
    server.server_mut().settings = ["ssl=on", "ssl_cert_file=tls.crt", "ssl_key_file=tls.key"]
        .map(str::to_owned)
        .to_vec();
    server.start_again().unwrap();
    let mut options = PostgresOptions::new(format!("{}?sslmode=require", server.url()));
    options.authorities = Some(path("server.crt"));
    assert_eq!(
        sluice_source_postgres::migrate(&options)
            .await
            .unwrap()
            .len(),
        1
    );
    PostgresSource::connect(&options).await.unwrap();
    options.authorities = Some(path("stranger.crt"));
    assert!(PostgresSource::connect(&options).await.is_err());
}

/// A dump that is restored elsewhere has the transaction numbers of another cluster.
#[tokio::test]
async fn a_restored_dump_is_refused_with_the_reason() {
    let database = Database::new().await;
    database.write(&[&patient("a", None)]).await;
    let client = database.client().await;
    let future = "UPDATE sluice.resource SET born = '9000000000000'::xid8";
    client.batch_execute(future).await.unwrap();
    let refused = PostgresSource::connect(&database.options)
        .await
        .err()
        .unwrap();
    assert!(refused.action.contains("restored from a dump"), "{refused}");
}

/// Much in one slice, so that reading it is not over when it is looked at.
async fn much() -> (Database, sluice_model::Scope, sluice_model::Slice) {
    let database = Database::new().await;
    let filler = "x".repeat(2000);
    for batch in 0..20 {
        let lines: Vec<String> = (0..1000)
            .map(|n| {
                format!(
                    r#"{{"resourceType":"Organization","id":"o{batch}-{n}","name":"{filler}"}}"#
                )
            })
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        database.write(&lines).await;
    }
    let mut scope = database.scope(Level::System).await;
    scope.types = exported::types(&["Organization"]);
    let plan = database
        .source
        .plan(&scope, 1 << 30, 9, None)
        .await
        .unwrap();
    let slice = plan.chunks.into_iter().next().unwrap().slice;
    (database, scope, slice)
}

/// Whoever stops listening ends the query in the database too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_nobody_wants_is_cancelled_in_the_database() {
    let (database, scope, slice) = much().await;
    let client = database.client().await;
    let copies = async || -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND query LIKE 'COPY%' AND state <> 'idle'";
        client.query_one(sql, &[]).await.unwrap().get(0)
    };
    let mut stream = database.source.read(&scope, &slice).await.unwrap();
    stream.next().await.unwrap().unwrap();
    assert_eq!(copies().await, 1, "it waits for whoever reads");
    drop(stream);
    while copies().await > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // The source works on.
    let blocks = database.source.read(&scope, &slice).await.unwrap();
    let blocks: Vec<Block> = blocks.try_collect().await.unwrap();
    assert_eq!(blocks.iter().map(|block| block.lines).sum::<u64>(), 20_000);
}

/// C24: a connection that breaks in the middle is an error that may pass, never a short slice; and the
/// slice read again is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c24_a_read_that_is_cut_off_is_no_end() {
    let (database, scope, slice) = much().await;
    let client = database.client().await;
    let mut stream = database.source.read(&scope, &slice).await.unwrap();
    stream.next().await.unwrap().unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE \
               datname = current_database() AND pid <> pg_backend_pid()";
    client.execute(cut, &[]).await.unwrap();
    let rest: Result<Vec<Block>, PortError> = stream.try_collect().await;
    let error = rest.unwrap_err();
    assert!(error.is_transient(), "{}", error.chain());
    let mut lines = 0;
    while lines == 0 {
        // The pool finds out one by one that its connections are gone.
        let Ok(stream) = database.source.read(&scope, &slice).await else {
            continue;
        };
        let blocks: Result<Vec<Block>, PortError> = stream.try_collect().await;
        lines = blocks.map_or(0, |blocks| blocks.iter().map(|block| block.lines).sum());
    }
    assert_eq!(lines, 20_000);
}

/// What the database says about rows stays out of errors.
#[tokio::test]
async fn errors_hold_no_values() {
    let database = Database::new().await;
    let client = connect(&database.options.uri).await;
    // A rule that some row breaks: its refusal quotes the row.
    let rule = "ALTER TABLE sluice.resource ADD CONSTRAINT strict CHECK (id <> 'canary')";
    client.batch_execute(rule).await.unwrap();
    let batch = Batch::of_lines(&[&patient("canary", None)]).unwrap();
    let error = database.writer.write(batch).await.unwrap_err();
    assert!(!error.chain().contains("canary"), "{}", error.chain());
    assert!(error.chain().contains("23514"), "{}", error.chain());
    let debug = format!("{error:?}");
    assert!(!debug.contains("canary"), "{debug}");
}
