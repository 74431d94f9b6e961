//! Every event is there as a whole line, in order, once its batch is written.

use bytes::Bytes;
use futures::future::join_all;
use sluice_fhir::Instant;

use super::ReadLines;
use crate::{AuditSink, PortError};

/// Runs the suite on a sink that has nothing in it; `read` tells the lines that are there, in order.
pub async fn audit_sink(sink: &dyn AuditSink, read: ReadLines<'_>) -> Result<(), PortError> {
    batches_follow_each_other(sink, read).await?;
    of_racing_batches_each_is_in_one_piece(sink, read).await
}

async fn batches_follow_each_other(
    sink: &dyn AuditSink,
    read: ReadLines<'_>,
) -> Result<(), PortError> {
    sink.write(&[]).await?;
    assert_eq!(read().await, Vec::<String>::new(), "nothing is no line");

    let small = events(1, 3, 10);
    sink.write(&small).await?;
    assert_eq!(read().await, lines(&small));
    sink.write(&[]).await?;

    // More than any buffer on the way.
    let large = events(2, 500, 4_000);
    sink.write(&large).await?;
    let mut expected = lines(&small);
    expected.extend(lines(&large));
    assert_eq!(read().await, expected, "batches follow each other");

    // As after an answer that got lost.
    sink.write(&large).await?;
    let mut found = read().await;
    found.sort_unstable();
    found.dedup();
    expected.sort_unstable();
    assert_eq!(found, expected, "a batch may come again");
    Ok(())
}

/// Two relays may be at work.
async fn of_racing_batches_each_is_in_one_piece(
    sink: &dyn AuditSink,
    read: ReadLines<'_>,
) -> Result<(), PortError> {
    let batches: Vec<_> = (10..18).map(|batch| events(batch, 20, 1_000)).collect();
    for ended in join_all(batches.iter().map(|batch| sink.write(batch))).await {
        ended?;
    }
    let found = read().await;
    for batch in &batches {
        let lines = lines(batch);
        let begin = found.iter().position(|line| *line == lines[0]);
        let begin = begin.map(|begin| &found[begin..begin + lines.len()]);
        assert_eq!(begin, Some(&lines[..]), "a batch is written in one go");
    }
    Ok(())
}

/// Events of one batch, about so long; later batches tell of later times.
fn events(batch: u32, count: u32, length: usize) -> Vec<Bytes> {
    let event = |number| {
        let time = i64::from(batch) * 60_000 + i64::from(number);
        let recorded = Instant::from_millis(1_772_323_200_000 + time);
        let long = "x".repeat(length);
        format!(
            r#"{{"resourceType":"AuditEvent","id":"{batch}-{number}","recorded":"{recorded}","outcomeDesc":"{long}é"}}"#
        )
    };
    (0..count).map(|number| event(number).into()).collect()
}

fn lines(events: &[Bytes]) -> Vec<String> {
    let line = |event: &Bytes| String::from_utf8_lossy(event).into_owned();
    events.iter().map(line).collect()
}
