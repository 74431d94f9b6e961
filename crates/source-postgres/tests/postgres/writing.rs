//! What the loader writes, and what it does when others write too.

use std::sync::Arc;

use sluice_fhir::Level;
use sluice_ports::Source;
use sluice_source_postgres::{Batch, Input, PostgresSource, Writer, load, migrate};

use crate::database::{Database, make, patient};

#[tokio::test]
async fn a_schema_that_is_behind_is_refused_with_what_to_do() {
    let mut options = sluice_source_postgres::PostgresOptions::new(make().await);
    options.connections = 2;
    let refused = PostgresSource::connect(&options).await.err().unwrap();
    assert!(refused.action.contains("run sluice migrate"), "{refused}");
    assert_eq!(migrate(&options).await.unwrap().len(), 1);
    assert!(migrate(&options).await.unwrap().is_empty(), "twice is once");
    PostgresSource::connect(&options).await.unwrap();
}

#[tokio::test]
async fn loading_twice_changes_nothing_and_older_versions_do_not_win() {
    let database = Database::new().await;
    let lines = [
        patient("a", Some("2026-02-01T00:00:00Z")),
        patient("b", None),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let write = async |lines: &[&str]| {
        let batch = Batch::of_lines(lines).unwrap();
        database.writer.write(batch).await.unwrap()
    };
    assert_eq!(write(&lines).await.new, 2);
    assert_eq!(write(&lines).await.unchanged, 2);
    let older = patient("a", Some("2026-01-01T00:00:00Z"));
    assert_eq!(write(&[&older]).await.outdated, 1);
    let newer = patient("a", Some("2026-03-01T00:00:00Z"));
    assert_eq!(write(&[&newer]).await.replaced, 1);
}

/// Writers that write the same resources at once wait for each other or begin again; none fails, and
/// there is one living version in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_the_same_resources_do_not_lose_each_other() {
    let database = Arc::new(Database::new().await);
    let mut tasks = Vec::new();
    for writer in 0..6 {
        let database = Arc::clone(&database);
        tasks.push(tokio::spawn(async move {
            for round in 0..10 {
                let lines: Vec<String> = (0..10)
                    .map(|n| {
                        format!(
                            r#"{{"resourceType":"Patient","id":"p{n}","multipleBirthInteger":{}}}"#,
                            writer * 100 + round
                        )
                    })
                    .collect();
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                database
                    .writer
                    .write(Batch::of_lines(&lines).unwrap())
                    .await
                    .unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let client = database.client().await;
    let count = async |condition: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM sluice.resource WHERE {condition}");
        client.query_one(&sql, &[]).await.unwrap().get(0)
    };
    assert_eq!(count("died_at = 9223372036854775807").await, 10);
    assert_eq!(count("died_at < born_at").await, 0);
    let row = client
        .query_one("SELECT sum(resources)::bigint FROM sluice.volume", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), 10, "the volumes agree");
    let open = client
        .query_one("SELECT count(*) FROM sluice.writer", &[])
        .await;
    assert_eq!(open.unwrap().get::<_, i64>(0), 0, "no announcement is left");
}

/// A writer whose announcement was taken away may not commit: an export may have passed it by.
#[tokio::test]
async fn a_writer_that_was_given_up_does_not_commit() {
    let database = Database::new().await;
    let batch = Batch::of_lines(&[&patient("slow", None)]).unwrap();
    let open = database.writer.begin(batch).await.unwrap();
    let client = database.client().await;
    client
        .batch_execute("DELETE FROM sluice.writer")
        .await
        .unwrap();
    assert!(open.commit().await.unwrap_err().is_transient());
    let scope = database.scope(Level::System).await;
    assert!(database.ids(&scope).await.is_empty());
}

/// One that a crash left holds T back until somebody else loads; one of a writer that lives is kept.
#[tokio::test]
async fn the_announcement_of_a_dead_writer_is_forgotten() {
    let database = Database::new().await;
    let client = database.client().await;
    let old = "INSERT INTO sluice.writer (since) VALUES (1000000000)";
    client.batch_execute(old).await.unwrap();
    let held = database.source.snapshot().await.unwrap().time;
    assert!(
        held.millis() < 2000,
        "T stays below what may still be written"
    );
    let batch = Batch::of_lines(&[&patient("a", None)]).unwrap();
    let open = database.writer.begin(batch).await.unwrap();
    Writer::connect(&database.options, false).await.unwrap();
    let left = client
        .query_one("SELECT count(*) FROM sluice.writer", &[])
        .await;
    assert_eq!(left.unwrap().get::<_, i64>(0), 1, "the one that lives");
    open.commit().await.unwrap();
    let time = database.source.snapshot().await.unwrap().time;
    assert!(time.millis() > 1_700_000_000_000);
}

/// What comes later in the input counts, however many write at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn later_files_win_though_batches_are_written_at_once() {
    let database = Database::new().await;
    let folder = tempfile::tempdir().unwrap();
    for day in 0..30 {
        let delete = day == 29;
        let entry = if delete {
            r#"{"request": {"method": "DELETE", "url": "Patient/p"}}"#.to_owned()
        } else {
            format!(
                r#"{{"resource": {{"resourceType": "Patient", "id": "p", "multipleBirthInteger": {day}}}}}"#
            )
        };
        let text = format!("{{\n\"resourceType\": \"Bundle\", \"entry\": [{entry}]}}");
        std::fs::write(folder.path().join(format!("day{day:02}.json")), text).unwrap();
    }
    let inputs = [Input::Resources(folder.path().to_owned())];
    let report = load(&database.writer, &inputs, 6, |_| {}).await.unwrap();
    let written = report.written;
    assert_eq!((written.new, written.replaced, written.deleted), (1, 28, 1));
}

/// Versions that say the same time, one after the other in a database that is backdated.
#[tokio::test]
async fn versions_of_one_moment_follow_each_other() {
    let database = Database::backdated().await;
    for number in 0..3 {
        let line = patient("a", Some("2026-01-01T00:00:00Z"));
        let line = line.replace(
            "\"id\"",
            &format!("\"multipleBirthInteger\":{number},\"id\""),
        );
        database.write(&[&line]).await;
    }
    let scope = database.scope(Level::System).await;
    assert_eq!(database.ids(&scope).await, ["Patient/a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_loaded_and_what_is_left_out_is_told() {
    let database = Database::new().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "Patient.ndjson",
        &format!("{}\n{{\"resourceType\":\"Pat\n", patient("a", None)),
    );
    write(
        "bundle.json",
        "{\n \"resourceType\": \"Bundle\",\n \"entry\": [\n  {\"resource\": {\"resourceType\": \"Patient\",\n   \"id\": \"b\"}},\n  {\"request\": {\"method\": \"DELETE\", \"url\": \"Patient/x\"}}\n ]\n}\n",
    );
    write("gone.txt", "Patient/a\nnothing\n");
    let inputs = [
        Input::Deletions(folder.path().join("gone.txt")),
        Input::Resources(folder.path().to_owned()),
    ];
    let report = load(&database.writer, &inputs, 3, |_| {}).await.unwrap();
    assert_eq!((report.written.new, report.written.deleted), (2, 1));
    assert_eq!(report.written.absent, 1);
    assert_eq!(report.rejected(), 2);
    let told: Vec<String> = report
        .left
        .iter()
        .map(|left| format!("{}:{}", left.file, left.line))
        .collect();
    assert_eq!(told, ["Patient.ndjson:2", "gone.txt:2"]);
    let scope = database.scope(Level::System).await;
    assert_eq!(database.ids(&scope).await, ["Patient/b"]);
}
