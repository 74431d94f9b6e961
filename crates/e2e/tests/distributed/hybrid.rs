//! The services of another version beside those of this one, on one journal, one index and one queue. `cargo
//! xtask hybrid REVISION` builds them into `target/hybrid/programs` and runs this.

use std::path::{Path, PathBuf};

use sluice_client::Level;
use sluice_testkit::show;
use tokio_util::sync::CancellationToken;

use crate::data::sample;
use crate::rolling::Fleet;
use crate::site::Service;

fn other_programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/hybrid/programs")
}

/// Each service in turn is the other version's, all the rest are ours; and the other way round.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "cargo xtask hybrid REVISION builds the other version first"]
async fn h3_each_service_of_the_other_version_works_with_the_rest_of_this_one() {
    let (home, other) = (tempfile::tempdir().unwrap(), other_programs());
    let folder = home.path().join("data");
    sample(40, 8, &folder);
    let services = [Service::Worker, Service::Coordinator, Service::Gateway];
    for different in services {
        for is_other in [true, false] {
            let fleet = Fleet::new("hybrid", &folder).await;
            for service in services {
                let is_other = (service == different) == is_other;
                let programs = is_other.then_some(other.as_path());
                fleet.start((service, 0), programs).await;
            }
            let once = CancellationToken::new();
            once.cancel();
            fleet.load(home.path(), &Level::System, &once).await;
            let which = if is_other {
                "other"
            } else {
                "only one of this"
            };
            show(&format!(
                "hybrid: the {} is the {which} version's: exact",
                different.name()
            ));
        }
    }
}

/// An upgrade in the order of docs/UPGRADE.md, and back again, while clients export.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "cargo xtask hybrid REVISION builds the other version first"]
async fn h3_an_upgrade_and_the_way_back_lose_nothing() {
    let (home, other) = (tempfile::tempdir().unwrap(), other_programs());
    let folder = home.path().join("data");
    sample(60, 8, &folder);
    let fleet = Fleet::new("upgrade", &folder).await;
    let order = [Service::Worker, Service::Coordinator, Service::Gateway];
    for service in order {
        for number in 0..2 {
            fleet.start((service, number), Some(&other)).await;
        }
    }
    let roll = async {
        for number in 0..2 {
            for service in order {
                fleet.start((service, number + 10), None).await;
                fleet.stop((service, number)).await;
            }
        }
        for number in 0..2 {
            for service in order.into_iter().rev() {
                fleet.start((service, number + 20), Some(&other)).await;
                fleet.stop((service, number + 10)).await;
            }
        }
    };
    let (exports, asked) = fleet.under_load(home.path(), roll).await;
    show(&format!(
        "upgrade and back: {exports} exports exact, {asked} requests answered"
    ));
}
