//! The examples beside the chart: YAML of objects, and values that the chart takes.

use serde_json::Value;

use super::folder;
use super::objects::{items, name};
use super::render::{Case, render, validate};
use super::scaling::unless_asked;
use super::tools::Tools;

/// Objects of operators, by the label that they put on the pods of such an object: it holds the object's name.
const POD_LABELS: [(&str, &str); 2] = [
    ("RabbitmqCluster", "app.kubernetes.io/name"),
    ("Redis", "app"),
];

/// Operators' own kinds are no better known here than that they are objects with a name and a spec.
pub(crate) fn check(tools: &Tools) -> anyhow::Result<Vec<String>> {
    let (mut problems, mut files) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder().join("examples"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let documents = tools.documents(&std::fs::read_to_string(&path)?)?;
        if documents.is_empty() {
            problems.push(format!("examples/{file}: it is empty"));
        }
        for object in &documents {
            let named = ["apiVersion", "kind"]
                .iter()
                .all(|key| object[key].is_string());
            let has_content = ["spec", "stringData", "data"]
                .iter()
                .any(|key| object[key].is_object());
            if !named || !object["metadata"]["name"].is_string() || !has_content {
                problems.push(format!("examples/{file}: {} is no object", name(object)));
            }
            if items(&object["items"]).next().is_some() {
                problems.push(format!("examples/{file}: write one object a document"));
            }
        }
        files.push((file, documents));
    }
    let files: Vec<(&str, &[Value])> = files
        .iter()
        .map(|(file, documents)| (file.as_str(), documents.as_slice()))
        .collect();
    validate(tools, &files)?;
    let all: Vec<&Value> = files.iter().flat_map(|(_, objects)| *objects).collect();
    problems.extend(adapter(tools, &all)?);
    problems.extend(peers(tools, &all)?);
    Ok(problems)
}

/// The adapter's rule asks for the work of the namespace whose workers are scaled.
fn adapter(tools: &Tools, objects: &[&Value]) -> anyhow::Result<Vec<String>> {
    let texts = objects
        .iter()
        .filter_map(|object| object["data"]["config.yaml"].as_str());
    let mut rules = Vec::new();
    for text in texts {
        for document in tools.documents(text)? {
            rules.extend(items(&document["externalRules"]).cloned());
        }
    }
    let mut problems = Vec::new();
    if rules.is_empty() {
        problems.push("examples: no rule for prometheus-adapter".to_owned());
    }
    for rule in rules {
        let query = rule["metricsQuery"].as_str().unwrap_or_default();
        problems.extend(unless_asked(query, "<<.LabelMatchers>>"));
        let of = &rule["resources"]["overrides"]["namespace"]["resource"];
        if of != "namespace" || rule["resources"]["namespaced"] == false {
            problems.push("examples: the adapter's rule is for every namespace at once".to_owned());
        }
    }
    Ok(problems)
}

/// The strict policies of `ci/full-values.yaml` let pods through that the examples' operators make.
fn peers(tools: &Tools, examples: &[&Value]) -> anyhow::Result<Vec<String>> {
    let objects = render(tools, &Case::of("full", &[]))?;
    let policies = objects.of_kind("NetworkPolicy");
    let rules = policies.flat_map(|policy| items(&policy["spec"]["egress"]));
    let chosen: Vec<&Value> = rules
        .flat_map(|rule| items(&rule["to"]))
        .map(|peer| &peer["podSelector"]["matchLabels"])
        .collect();
    let mut problems = Vec::new();
    for (kind, label) in POD_LABELS {
        let mut named = examples.iter().filter(|object| object["kind"] == kind);
        let is_chosen = named.any(|object| {
            let name = &object["metadata"]["name"];
            chosen.iter().any(|labels| labels[label] == *name)
        });
        if !is_chosen {
            problems.push(format!(
                "ci/full-values.yaml: its policies shut out the {kind} of examples/"
            ));
        }
    }
    Ok(problems)
}
