//! Every call of a whole export fails once, before and after its effect; the result is the same.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what surprises a test should end it"
)]

use std::sync::Arc;

use sluice_e2e::{Conditions, Disk, Ended, World};
use sluice_testkit::{Faults, SmallSource};

/// Small enough that every call can fail in turn, large enough for several pages of plan.
fn source() -> Arc<SmallSource> {
    Arc::new(SmallSource::of(4, 6))
}

async fn export_with(faults: &Faults) {
    let conditions = Conditions {
        faults: faults.clone(),
        ..Conditions::default()
    };
    let (disk, source) = (Disk::default(), source());
    let world = World::start(&disk, source.clone(), &conditions)
        .await
        .unwrap();
    // A client whose kick-off fails tries again, and may then have started two exports.
    let job = loop {
        if let Ok(job) = world.kick_off().await {
            break job;
        }
    };
    let Ended::Complete(manifest) = world.ended(&job).await else {
        panic!("one lost call is no reason to fail");
    };
    assert_eq!(world.lines(&manifest.output).await.unwrap(), source.lines());
}

/// Design rule: a fault before the effect and one after it are different faults.
#[tokio::test(start_paused = true)]
async fn any_single_call_may_fail() {
    let quiet = Faults::default();
    export_with(&quiet).await;
    let calls = quiet.calls();
    assert!(
        calls > 100,
        "{calls} calls are too few to be a whole export"
    );
    for (faults, _) in Faults::each_of(calls) {
        export_with(&faults).await;
    }
}
