//! Messages of other versions, and of nobody.

use std::time::Duration;

use sluice_model::Lane;

use crate::management;
use crate::rig::{Rig, advance, chunk, eventually, options};

/// H3: parked as it is, trace included, and not on its lane any more.
#[tokio::test(flavor = "multi_thread")]
async fn h3_a_newer_version_is_put_off_as_it_is() {
    let mut options = options("h3");
    options.retry_ladder = vec![Duration::from_millis(10), Duration::from_hours(1)];
    let rig = Rig::with(options).await;
    let newer = r#"{"v":2,"hint":{"of-tomorrow":[1]}}"#;
    management::publish(&rig.name(".chunks"), newer);
    rig.send(&chunk(1)).await;
    rig.receive_and_ack(&chunk(1)).await;
    let parked = rig.name(".chunks.delay.3600000");
    let mut found = None;
    eventually(|| {
        found = management::get(&parked);
        found.is_some()
    })
    .await;
    let found = found.unwrap();
    assert_eq!(found["payload"], newer);
    assert_eq!(found["properties"]["headers"]["traceparent"], "00-a-b-01");
    rig.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_read_is_thrown_away_on_every_lane() {
    let rig = Rig::new("garbage").await;
    for (lane, name) in [(Lane::Jobs, ".jobs"), (Lane::Dead, ".dead")] {
        let queue = rig.name(name);
        for garbage in [
            "",
            "garbage",
            r#"{"v":0,"hint":1}"#,
            r#"{"v":1,"attempt":0}"#,
        ] {
            management::publish(&queue, garbage);
        }
        let readable = serde_json::json!({"v": 1, "hint": advance(), "attempt": 3});
        management::publish(&queue, &readable.to_string());
        let delivery = rig.receive(lane).await;
        assert_eq!((delivery.hint(), delivery.attempt()), (&advance(), 3));
        assert_eq!(delivery.traceparent(), Some("00-a-b-01"));
        delivery.settle(sluice_ports::Settle::Ack).await.unwrap();
    }
    // Closing returns what was not settled; nothing of it may be garbage.
    rig.queue.close().await;
    for name in [".jobs", ".dead"] {
        assert_eq!(management::get(&rig.name(name)), None);
    }
    rig.finish().await;
}
