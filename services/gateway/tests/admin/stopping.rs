//! The port of a process that was asked to stop and still has work in hand.

use crate::site::Site;

#[tokio::test]
async fn a_process_that_stops_is_not_ready_and_still_tells_what_it_counts() {
    let site = Site::open().await;
    let status = async |path: &str| site.with("", &format!("GET {path}"), "").await;
    let ready = status("/readyz").await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.body, "ready\nqueue: away\n", "what it does without");
    site.stop.cancel();
    let ready = status("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("asked to stop"), "{}", ready.body);
    assert_eq!(status("/livez").await.status, 200);
    assert_eq!(status("/metrics").await.status, 200);
}
