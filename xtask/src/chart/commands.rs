//! What containers run and are told: the programs know each word, and take the settings.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use super::folder;
use super::objects::{Objects, Pod, items};
use crate::run::target;
use crate::settings::refused;

/// Stands in for every secret; long enough for each.
const STAND_IN: &str = "made up for a check, and no secret";

pub(crate) fn check(objects: &Objects) -> anyhow::Result<Vec<String>> {
    let place = target().join("chart-check");
    std::fs::create_dir_all(&place)?;
    let (settings, secret) = (place.join("sluice.toml"), place.join("secret"));
    std::fs::write(&secret, STAND_IN)?;
    let maps = objects.of_kind("ConfigMap");
    let mut texts = maps.filter_map(|map| map["data"]["sluice.toml"].as_str());
    let text = texts
        .next()
        .with_context(|| format!("{} makes no settings", folder().display()))?;
    std::fs::write(&settings, text)?;

    let mut problems = Vec::new();
    for pod in objects.pods() {
        for container in pod.containers() {
            let mut found: Vec<String> = words(container)?.into_iter().collect();
            if !pod.is_test {
                let variables = variables(container, &secret);
                found.extend(refused(&variables, Some(&settings))?);
            }
            problems.extend(
                found
                    .into_iter()
                    .map(|text| format!("{}: {text}", pod.owner)),
            );
        }
    }
    Ok(problems)
}

/// What a container is told about Sluice; a secret comes from a file that is there.
fn variables(container: &Value, secret: &Path) -> Vec<(String, String)> {
    let own = Pod::variables(container).filter(|(name, _)| name.starts_with("SLUICE_"));
    own.map(|(name, value)| {
        let value = if name.ends_with("_FILE") {
            secret.to_string_lossy().into_owned()
        } else {
            value.to_owned()
        };
        (name.to_owned(), value)
    })
    .collect()
}

/// Whether the program takes its arguments, without doing anything.
fn words(container: &Value) -> anyhow::Result<Option<String>> {
    let mut words = items(&container["command"])
        .chain(items(&container["args"]))
        .filter_map(Value::as_str);
    let name = words.next().context("a container without a command")?;
    let asked = program(name)?.args(words).arg("--help").output()?;
    let text = String::from_utf8_lossy(&asked.stderr).trim_end().to_owned();
    Ok((!asked.status.success()).then_some(text))
}

fn program(name: &str) -> anyhow::Result<Command> {
    let path = target().join("debug").join(name);
    if !path.exists() {
        bail!("there is no program {name}");
    }
    let mut program = Command::new(path);
    program.env_clear();
    Ok(program)
}
