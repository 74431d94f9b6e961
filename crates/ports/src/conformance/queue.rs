//! Nothing sent is lost: it is settled, or it comes back.

use std::time::Duration;

use sluice_model::{ChunkId, Hint, JobId, JobRef, Lane, TenantId};

use crate::{Message, PortError, Queue, Settle, Settled};

/// Runs the suite on a queue whose lanes are empty.
pub async fn queue(queue: &dyn Queue, tenant: &TenantId) -> Result<(), PortError> {
    let job = JobRef {
        tenant: tenant.clone(),
        job: JobId::from_bytes([9; 16]),
    };
    let advance = Hint::AdvanceJob(job.clone());
    let chunk = Hint::ExportChunk(job, ChunkId::from_ordinal(3));
    lanes_are_apart(queue, &advance, &chunk).await?;
    what_is_dropped_comes_back(queue, &chunk).await?;
    retries_count(queue, &chunk).await?;
    traces_travel_along(queue, &chunk).await?;
    dead_letters_are_readable(queue, &chunk).await?;
    what_is_given_back_is_no_older(queue, &chunk).await?;
    dead_letters_can_be_tried_again(queue, &chunk).await?;
    a_lane_can_be_left_alone_for_a_while(queue, &chunk).await
}

async fn traces_travel_along(queue: &dyn Queue, chunk: &Hint) -> Result<(), PortError> {
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let message = Message {
        hint: chunk.clone(),
        traceparent: Some(traceparent.to_owned()),
    };
    queue.send(message).await?;
    let retry = Settle::RetryAfter(Duration::from_millis(10));
    for how in [retry, Settle::Ack] {
        let delivery = queue.receive(Lane::Chunks).await?;
        assert_eq!(delivery.traceparent(), Some(traceparent));
        assert_eq!(delivery.settle(how).await?, Settled::Done);
    }
    Ok(())
}

async fn settle_next(
    queue: &dyn Queue,
    lane: Lane,
    expected: (&Hint, u32),
    how: Settle,
) -> Result<(), PortError> {
    let delivery = queue.receive(lane).await?;
    assert_eq!((delivery.hint(), delivery.attempt()), expected);
    assert!(delivery.is_held());
    assert_eq!(delivery.settle(how).await?, Settled::Done);
    Ok(())
}

async fn lanes_are_apart(queue: &dyn Queue, advance: &Hint, chunk: &Hint) -> Result<(), PortError> {
    queue.send(chunk.clone().into()).await?;
    queue.send(advance.clone().into()).await?;
    settle_next(queue, Lane::Jobs, (advance, 0), Settle::Ack).await?;
    settle_next(queue, Lane::Chunks, (chunk, 0), Settle::Ack).await
}

async fn what_is_dropped_comes_back(queue: &dyn Queue, chunk: &Hint) -> Result<(), PortError> {
    queue.send(chunk.clone().into()).await?;
    let first = queue.receive(Lane::Chunks).await?;
    assert!(!first.is_redelivered());
    drop(first);
    settle_next(queue, Lane::Chunks, (chunk, 0), Settle::Ack).await
}

async fn retries_count(queue: &dyn Queue, chunk: &Hint) -> Result<(), PortError> {
    let retry = Settle::RetryAfter(Duration::from_millis(10));
    queue.send(chunk.clone().into()).await?;
    settle_next(queue, Lane::Chunks, (chunk, 0), retry).await?;
    settle_next(queue, Lane::Chunks, (chunk, 1), retry).await?;
    settle_next(queue, Lane::Chunks, (chunk, 2), Settle::Ack).await
}

async fn dead_letters_are_readable(queue: &dyn Queue, chunk: &Hint) -> Result<(), PortError> {
    queue.send(chunk.clone().into()).await?;
    settle_next(queue, Lane::Chunks, (chunk, 0), Settle::DeadLetter).await?;
    settle_next(queue, Lane::Dead, (chunk, 0), Settle::Ack).await
}

async fn what_is_given_back_is_no_older(queue: &dyn Queue, chunk: &Hint) -> Result<(), PortError> {
    queue.send(chunk.clone().into()).await?;
    settle_next(queue, Lane::Chunks, (chunk, 0), Settle::GiveBack).await?;
    settle_next(queue, Lane::Chunks, (chunk, 0), Settle::Ack).await
}

/// A broker may be late with what was stopped, so it is asked until it has all.
async fn dead_letters_can_be_tried_again(queue: &dyn Queue, chunk: &Hint) -> Result<(), PortError> {
    let retry = Settle::RetryAfter(Duration::from_millis(10));
    queue.stop_receiving(Lane::Dead);
    for _ in 0..3 {
        queue.send(chunk.clone().into()).await?;
        settle_next(queue, Lane::Chunks, (chunk, 0), retry).await?;
        settle_next(queue, Lane::Chunks, (chunk, 1), Settle::DeadLetter).await?;
    }
    // No more than asked for, and then the rest.
    moved(queue, 2, 2).await?;
    moved(queue, 10, 1).await?;
    for _ in 0..3 {
        settle_next(queue, Lane::Chunks, (chunk, 0), Settle::Ack).await?;
    }
    assert_eq!(queue.requeue_dead(10).await?, 0);
    Ok(())
}

async fn moved(queue: &dyn Queue, most: u32, expected: u32) -> Result<(), PortError> {
    let mut moved = 0;
    while moved < expected {
        let more = queue.requeue_dead(most - moved).await?;
        assert!(more <= most - moved, "{more} moved");
        moved += more;
        tokio::task::yield_now().await;
    }
    assert_eq!(moved, expected);
    Ok(())
}

async fn a_lane_can_be_left_alone_for_a_while(
    queue: &dyn Queue,
    chunk: &Hint,
) -> Result<(), PortError> {
    for _ in 0..2 {
        queue.stop_receiving(Lane::Chunks);
        queue.send(chunk.clone().into()).await?;
        settle_next(queue, Lane::Chunks, (chunk, 0), Settle::Ack).await?;
    }
    Ok(())
}
