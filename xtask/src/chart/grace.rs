//! How long pods may take to stop, against what the settings let them finish.

use super::objects::{Objects, Workload};
use super::render::{Case, render};
use super::tools::Tools;

/// What a worker needs, in seconds, to give back what it has not finished and to say goodbye.
const FAREWELL: u64 = 15;

pub(crate) fn check(objects: &Objects) -> Vec<String> {
    let mut problems = Vec::new();
    for workload in objects.workloads() {
        let spec = workload.pod().spec;
        let given = spec["terminationGracePeriodSeconds"].as_u64().unwrap_or(0);
        match needed(objects, &workload) {
            Some(needed) if given >= needed => {}
            Some(needed) => problems.push(format!(
                "{}: it is killed after {given} s, and may need {needed} s to stop",
                workload.name()
            )),
            None => problems.push(format!(
                "{}: no settings say how long it may take to stop",
                workload.name()
            )),
        }
    }
    problems
}

/// Chunks in hand are finished, unless values say for how long they may go on; and what is said is told.
pub(crate) fn follows(tools: &Tools) -> anyhow::Result<Vec<String>> {
    let minutes = "settings.worker.deadline_minutes=12";
    let mut problems = Vec::new();
    for (file, sets, wanted) in [
        ("minimal", &[][..], 600),
        ("minimal", &[minutes], 720),
        ("minimal", &["settings.worker.drain_seconds=null"], 600),
        ("minimal", &["settings.worker.drain_seconds=0"], 0),
        ("minimal", &["settings.worker.drain_seconds=900"], 900),
        ("all-in-one", &[minutes], 60),
        ("full", &[], 240),
    ] {
        let case = Case::of(file, sets);
        let objects = render(tools, &case)?;
        let given = setting(&objects, "worker", "drain_seconds");
        if given != Some(wanted) {
            problems.push(format!(
                "{}: workers drain for {given:?} s and not {wanted}",
                case.name
            ));
        }
        let found = check(&objects).into_iter();
        problems.extend(found.map(|text| format!("{}: {text}", case.name)));
    }
    Ok(problems)
}

/// The pause before it is told, open requests, and the longest that chunks may go on: a chunk's deadline and the drain.
/// A worker gives the rest back after that.
fn needed(objects: &Objects, workload: &Workload<'_>) -> Option<u64> {
    let pauses = workload.pod().containers();
    let pause: u64 = pauses
        .filter_map(|container| container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64())
        .sum();
    let requests = setting(objects, "server", "drain_seconds")?;
    let deadline = setting(objects, "worker", "deadline_minutes")? * 60;
    let chunks = deadline + setting(objects, "worker", "drain_seconds")? + FAREWELL;
    let work = match workload.role() {
        "gateway" => requests,
        "worker" => chunks,
        "all-in-one" => requests + chunks,
        // A look at a job is given ten seconds.
        _ => 10,
    };
    Some(pause + work)
}

/// A number that the settings in a `ConfigMap` say.
fn setting(objects: &Objects, section: &str, key: &str) -> Option<u64> {
    let maps = objects.of_kind("ConfigMap");
    let mut texts = maps.filter_map(|map| map["data"]["sluice.toml"].as_str());
    let mut lines = texts.next()?.lines();
    lines.find(|line| *line == format!("[{section}]"))?;
    let within = lines.take_while(|line| !line.starts_with('['));
    let mut values = within.filter_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
    values.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::objects::fixture::{deployment, set};
    use serde_json::json;

    fn problems(role: &str, drain: u64, grace: u64) -> Vec<String> {
        let text = format!(
            "[server]\ndrain_seconds = 30\n\n[worker]\ndeadline_minutes = 10\ndrain_seconds = {drain}\n"
        );
        let config = json!({"kind": "ConfigMap", "data": {"sluice.toml": text}});
        let mut made = deployment(role);
        set(
            &mut made,
            "/spec/template/spec/terminationGracePeriodSeconds",
            json!(grace),
        );
        check(&Objects::new(vec![config, made]))
    }

    #[test]
    fn each_role_is_given_what_it_may_need() {
        // With the pause of 5 seconds that the fixture has.
        for (role, drain, enough) in [
            ("gateway", 600, 35),
            ("coordinator", 600, 15),
            ("worker", 600, 1220),
            ("worker", 60, 680),
            ("worker", 900, 1520),
            ("all-in-one", 600, 1250),
        ] {
            assert_eq!(problems(role, drain, enough), [""; 0], "{role}");
            assert_eq!(problems(role, drain, enough - 1).len(), 1, "{role}");
        }
    }

    #[test]
    fn settings_that_do_not_say_are_told() {
        let found = check(&Objects::new(vec![deployment("worker")]));
        assert!(found[0].contains("no settings"), "{found:?}");
    }
}
