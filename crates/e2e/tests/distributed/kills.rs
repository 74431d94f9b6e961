//! `kill -9` of random processes under load: every export that was accepted ends complete and exact.

use std::time::Duration;

use sluice_client::Level;
use sluice_testkit::{SeededEntropy, show};
use tokio::time::Instant;

use crate::data::{assert_same, expected, exported, lines, sample};
use crate::site::{Service, Site};

/// How long processes are killed, and how often.
const STORM: Duration = Duration::from_mins(1);
const EVERY: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn h5_random_kills_for_a_minute() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    sample(60, 7, &folder);
    let site = Site::new("storm", &[("one", &folder)]);
    site.start_all(1, 2, 3);
    let levels = [
        Level::System,
        Level::Patient,
        Level::Group("diabetes-registry".to_owned()),
    ];
    let begun = Instant::now();
    let clients = levels.iter().map(|level| {
        let (site, home) = (&site, home.path());
        async move {
            let expected = expected(&home.join("data"), level).await;
            let (mut exports, mut resources) = (0, 0);
            while begun.elapsed() < STORM {
                let out = home.join(format!("{level:?}-{exports}"));
                exported(site, level, &out).await;
                let lines = lines(&out);
                assert_same(&lines, &expected, &format!("{level:?} number {exports}"));
                std::fs::remove_dir_all(out).unwrap();
                exports += 1;
                resources += lines.len();
            }
            (exports, resources)
        }
    });
    let (counts, kills) = tokio::join!(futures::future::join_all(clients), storm(&site, begun));
    let exports: usize = counts.iter().map(|(exports, _)| exports).sum();
    let resources: usize = counts.iter().map(|(_, resources)| resources).sum();
    show(&format!(
        "h5: {exports} exports, {kills} kills, {resources} resources checked"
    ));
    assert!(
        exports >= 3 && kills >= 10,
        "{exports} exports, {kills} kills"
    );
}

async fn storm(site: &Site, begun: Instant) -> usize {
    let (dice, mut kills) = (SeededEntropy::new(11), 0);
    while begun.elapsed() < STORM {
        tokio::time::sleep(EVERY).await;
        let names = site.names();
        let number = usize::try_from(dice.number() % 1000).unwrap();
        let name = names[number % names.len()];
        site.kill(name);
        site.start(name);
        if name.0 == Service::Gateway {
            site.wait_for_gateway();
        }
        kills += 1;
    }
    kills
}
