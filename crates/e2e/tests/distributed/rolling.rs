//! Every process is replaced by a new one while clients export: the new one is ready before the old one is asked
//! to stop, as a rolling update does it. No request fails, every process ends well, every export is exact.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use sluice_client::Level;
use sluice_testkit::show;
use tokio_util::sync::CancellationToken;

use crate::balancer::Balancer;
use crate::data::{assert_same, expected, export_to, lines, sample};
use crate::site::{Name, Service, Site, free_port, status};

/// Only so that a failing test ends.
const PATIENCE: Duration = Duration::from_mins(2);
/// How many of each run at any time.
const FLEET: [(Service, usize); 3] = [
    (Service::Worker, 3),
    (Service::Coordinator, 2),
    (Service::Gateway, 2),
];

/// A deployment whose processes come and go behind one address.
pub(crate) struct Fleet {
    pub(crate) site: Site,
    balancer: Balancer,
    /// Where each gateway listens.
    ports: Mutex<BTreeMap<usize, u16>>,
}

impl Fleet {
    pub(crate) async fn new(name: &str, folder: &Path) -> Self {
        let mut site = Site::new(name, &[("one", folder)]);
        let public = site.base("one").replace("/one/fhir", "");
        let port = public.rsplit(':').next().unwrap().parse().unwrap();
        site.set("SLUICE_SERVER__PUBLIC_URL", &public);
        Self {
            site,
            balancer: Balancer::start(port).await,
            ports: Mutex::default(),
        }
    }

    /// Starts a process and waits until it is ready; of the programs in a folder, or of those of this build.
    pub(crate) async fn start(&self, name: Name, programs: Option<&Path>) {
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let listen = [("SLUICE_SERVER__LISTEN", listen.as_str())];
        self.site.start_from(programs, name, &listen);
        let ready = self.site.admin(name, "/readyz");
        // Without blocking: whoever exports meanwhile is in the same task.
        let waiting = async {
            while status(&ready) != "200" {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "{name:?} does not get ready");
        if name.0 == Service::Gateway {
            self.ports.lock().unwrap().insert(name.1, port);
            self.balancer.announce(port);
        }
    }

    /// Asks a process to stop that nobody is led to any more, and waits until it has ended well.
    pub(crate) async fn stop(&self, name: Name) {
        if name.0 == Service::Gateway {
            let port = self.ports.lock().unwrap().remove(&name.1).unwrap();
            self.balancer.withdraw(port);
            // As long as it takes until whoever leads there has heard of it: preStop in the chart.
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert!(self.site.stopped(name).await, "{name:?} did not end well");
    }

    /// Exports again and again until told to stop; says how often. Every one must be exact.
    pub(crate) async fn load(&self, home: &Path, level: &Level, stop: &CancellationToken) -> usize {
        let expected = expected(&home.join("data"), level).await;
        let mut exports = 0;
        while !stop.is_cancelled() || exports == 0 {
            let out = home.join(format!("{level:?}-{exports}"));
            let exported = export_to(&self.site, "one", level, &out).await;
            exported.unwrap_or_else(|error| panic!("{level:?} number {exports}: {error}"));
            let what = format!("{level:?} number {exports}");
            assert_same(&lines(&out), &expected, &what);
            std::fs::remove_dir_all(out).unwrap();
            exports += 1;
        }
        exports
    }

    /// Has clients export at every level, and somebody ask all the time, until `roll` is done; says how many exports
    /// there were and how many requests.
    pub(crate) async fn under_load(
        &self,
        home: &Path,
        roll: impl Future<Output = ()>,
    ) -> (usize, usize) {
        let stop = CancellationToken::new();
        let roll = async {
            roll.await;
            stop.cancel();
        };
        let levels = [
            Level::System,
            Level::Patient,
            Level::Group("diabetes-registry".to_owned()),
        ];
        let loads = levels.iter().map(|level| self.load(home, level, &stop));
        let loads = futures::future::join_all(loads);
        let ((), exports, asked) = tokio::join!(roll, loads, self.ask(&stop));
        (exports.iter().sum(), asked)
    }

    /// Asks something small all the time, a connection each; any answer but 200 fails the test.
    async fn ask(&self, stop: &CancellationToken) -> usize {
        let url = format!("{}/metadata", self.site.base("one"));
        let mut asked = 0;
        while !stop.is_cancelled() {
            let answered = tokio::task::block_in_place(|| status(&url));
            assert_eq!(answered, "200", "request {asked}");
            asked += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        asked
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g6_every_process_is_replaced_under_load_and_no_request_fails() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    sample(60, 8, &folder);
    let fleet = Fleet::new("fleet", &folder).await;
    for (service, count) in FLEET {
        for number in 0..count {
            fleet.start((service, number), None).await;
        }
    }
    let roll = async {
        for round in 1..=2 {
            for (service, count) in FLEET {
                for number in 0..count {
                    let at = |round: usize| round * 10 + number;
                    fleet.start((service, at(round)), None).await;
                    fleet.stop((service, at(round - 1))).await;
                }
            }
        }
    };
    let (exports, asked) = fleet.under_load(home.path(), roll).await;
    show(&format!(
        "rolling: 14 processes replaced, {exports} exports exact, {asked} requests answered"
    ));
    assert!(
        exports >= 3 && asked >= 10,
        "{exports} exports, {asked} requests"
    );
}
