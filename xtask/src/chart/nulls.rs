//! Null is how people say "nothing" in values: where the chart's own value is an empty list or map, it means the same.

use serde_json::Value;

use super::folder;
use super::render::{Case, render};
use super::tools::Tools;

pub(crate) fn check(tools: &Tools) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(folder().join("values.yaml"))?;
    let mut empty = Vec::new();
    for values in tools.documents(&text)? {
        find(&values, "", &mut empty);
    }
    let mut problems = Vec::new();
    for file in ["minimal", "all-in-one"] {
        let plain = Case::of(file, &[]);
        let given = render(tools, &plain)?;
        // What the file itself says must stay, or it would be another installation.
        let said = tools.documents(&std::fs::read_to_string(plain.file())?)?;
        let sets: Vec<String> = empty
            .iter()
            .filter(|path| !said.iter().any(|values| says(values, path)))
            .map(|path| format!("{path}=null"))
            .collect();
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let nulls = render(tools, &Case::of(file, &sets))?;
        if given.all() != nulls.all() {
            problems.push(format!("{file}: null is not the same as what is empty"));
        }
    }
    if empty.is_empty() {
        problems.push("values.yaml has nothing that is empty".to_owned());
    }
    Ok(problems)
}

/// Paths of all that is empty.
fn find(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(table) if !table.is_empty() => {
            for (key, value) in table {
                let inner = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                find(value, &inner, found);
            }
        }
        Value::Object(_) => found.push(path.to_owned()),
        Value::Array(list) if list.is_empty() => found.push(path.to_owned()),
        _ => {}
    }
}

fn says(values: &Value, path: &str) -> bool {
    let place = format!("/{}", path.replace('.', "/"));
    values.pointer(&place).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_empty_is_found_and_what_is_said_is_known() {
        let values = json!({"a": [], "b": {"c": {}, "d": {"e": [1]}}, "f": null, "g": ""});
        let mut found = Vec::new();
        find(&values, "", &mut found);
        assert_eq!(found, ["a", "b.c"]);
        assert!(says(&values, "b.d.e") && !says(&values, "b.e"));
    }
}
