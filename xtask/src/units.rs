//! Holds the units of deploy/systemd to the settings: what they set exists, and they wait for longer than a
//! process may take to stop. Whether systemd understands them, deploy/systemd/verify.sh asks.

use std::fs;

use crate::run::root;

const UNITS: [&str; 4] = ["serve", "gateway", "coordinator", "worker"];

/// Values of a directive, in the order of the file.
fn values<'t>(unit: &'t str, directive: &'t str) -> impl Iterator<Item = &'t str> {
    let lines = unit.lines().filter_map(move |line| {
        let (name, value) = line.split_once('=')?;
        (name == directive).then_some(value)
    });
    lines.flat_map(str::split_whitespace)
}

fn unit(name: &str) -> String {
    let path = format!("deploy/systemd/sluice-{name}.service");
    fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn what_units_set_are_settings_and_secrets_are_handed_over() {
    for name in UNITS {
        let text = unit(name);
        let given: Vec<&str> = values(&text, "LoadCredential").collect();
        let mut taken = Vec::new();
        let variables: Vec<(String, String)> = values(&text, "Environment")
            .map(|variable| {
                let (key, value) = variable.split_once('=').unwrap();
                let Some(key) = key.strip_suffix("_FILE") else {
                    return (key.to_owned(), value.to_owned());
                };
                taken.push(value.strip_prefix("%d/").unwrap());
                let secret = "any secret of thirty-two bytes and more";
                (key.to_owned(), secret.to_owned())
            })
            .collect();
        let loaded = sluice_runtime::load(None, &variables);
        assert!(loaded.is_ok(), "{name}: {loaded:?}");
        let given: Vec<&str> = given
            .iter()
            .map(|credential| credential.split_once(':').unwrap().0)
            .collect();
        taken.sort_unstable();
        let mut sorted = given.clone();
        sorted.sort_unstable();
        assert_eq!(taken, sorted, "{name}");
    }
}

#[test]
fn units_wait_for_longer_than_a_process_may_take_to_stop() {
    let settings = sluice_runtime::Settings::default();
    let (server, worker) = (settings.server.drain_seconds, settings.worker.drain_seconds);
    // An all-in-one begins both at once. What a coordinator does has no setting; it takes seconds.
    let longest = [server.max(worker), server, 10, worker];
    for (name, drain) in UNITS.iter().zip(longest) {
        let text = unit(name);
        let waits = values(&text, "TimeoutStopSec").next().unwrap();
        let waits: u32 = waits.trim_end_matches('s').parse().unwrap();
        assert!(waits >= drain + 10, "{name} waits {waits} s of {drain} s");
    }
}
