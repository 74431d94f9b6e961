//! The examples beside the chart: YAML of objects, and values that the chart takes.

use serde_json::Value;

use super::folder;
use super::objects::{items, name};
use super::render::validate;
use super::tools::Tools;

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
    Ok(problems)
}
