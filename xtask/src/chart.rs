//! Holds the Helm chart: helm takes it, Kubernetes' schemas take what comes out, and that keeps the
//! rules that are in this folder, for each of its `ci/` values and some variants.

mod commands;
mod copies;
mod custom;
mod examples;
mod grace;
mod labels;
mod network;
mod nulls;
mod objects;
mod pods;
mod refusals;
mod render;
mod scaling;
#[cfg(test)]
mod schema;
mod secrets;
mod tools;

use std::path::PathBuf;

use anyhow::bail;

use crate::run::{cargo, root, say};
use objects::Objects;
use render::{Case, render};
use tools::Tools;

pub(crate) use copies::copy;

/// The chart.
fn folder() -> PathBuf {
    root().join("helm/sluice")
}

/// Fails when helm, a schema, a program or a rule would refuse it. Without a network the tools cannot
/// be installed; that is said and is no failure.
pub(crate) fn check() -> anyhow::Result<()> {
    copies::check()?;
    let Some(tools) = Tools::find() else {
        say("chart: left out, because helm and kubernetes-validate cannot be fetched");
        return Ok(());
    };
    let version = tools.helm_version()?;
    let mut problems = refusals::check(&tools)?;
    problems.extend(examples::check(&tools)?);
    problems.extend(settings_roll_pods(&tools)?);
    problems.extend(grace::follows(&tools)?);
    problems.extend(labels::check(&tools)?);
    problems.extend(network::metadata(&tools)?);
    problems.extend(nulls::check(&tools)?);
    let cases = render::cases()?;
    let rendered: anyhow::Result<Vec<Objects>> =
        cases.iter().map(|case| render(&tools, case)).collect();
    let rendered = rendered?;
    let each = || cases.iter().zip(&rendered);
    let sets: Vec<_> = each()
        .map(|(case, objects)| (case.name.as_str(), objects.all()))
        .collect();
    render::validate(&tools, &sets)?;
    for (case, objects) in each() {
        problems.extend(named(case, rules(objects)));
    }
    refuse(&problems)?;
    // As the tests have built them: built for themselves alone they would be compiled once more.
    cargo(&["test", "--quiet", "--locked", "--workspace", "--no-run"])?;
    for (case, objects) in each() {
        problems.extend(named(case, commands::check(objects)?));
    }
    refuse(&problems)?;
    let number: usize = rendered.iter().map(|objects| objects.all().len()).sum();
    say(&format!(
        "chart: {number} objects of {} sets of values, all in order, by helm {version}",
        cases.len()
    ));
    Ok(())
}

fn named(case: &Case, problems: Vec<String>) -> impl Iterator<Item = String> {
    problems
        .into_iter()
        .map(|text| format!("{}: {text}", case.name))
}

fn refuse(problems: &[String]) -> anyhow::Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    bail!("the chart breaks its rules:\n  {}", problems.join("\n  "))
}

/// What all rules have against the objects of one installation.
fn rules(objects: &Objects) -> Vec<String> {
    [
        pods::check(objects),
        secrets::check(objects),
        grace::check(objects),
        network::check(objects),
        scaling::check(objects),
        custom::check(objects),
    ]
    .concat()
}

/// Other settings must make other pods, for processes read their settings once.
fn settings_roll_pods(tools: &Tools) -> anyhow::Result<Vec<String>> {
    let case = Case::of("minimal", &[]);
    let other = Case::of("minimal", &["settings.log.filter=debug"]);
    let (before, after) = (render(tools, &case)?, render(tools, &other)?);
    let mut problems = Vec::new();
    for (before, after) in before.workloads().iter().zip(after.workloads()) {
        if before.template() == after.template() {
            problems.push(format!(
                "{}: other settings leave its pods as they are",
                before.name()
            ));
        }
    }
    Ok(problems)
}
