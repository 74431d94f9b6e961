//! Holds the crate graph: a crate may depend only on layers below its own, and only `wiring` sees
//! an adapter.

use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::run::{root, say};

/// Crates by layer, lowest first. A crate may use any layer below its own, save what
/// [`forbidden`] says.
const LAYERS: [&[&str]; 10] = [
    &["sluice-fhir"],
    &["sluice-model"],
    &["sluice-auth"],
    &["sluice-ports"],
    &[
        "sluice-engine",
        "sluice-local",
        "sluice-queue-amqp",
        "sluice-index-redis",
        "sluice-blobs-s3",
        "sluice-jwks-http",
        "sluice-source-fhir",
        "sluice-source-postgres",
        "sluice-testkit",
        "sluice-stack",
        "sluice-runtime",
        "sluice-client",
        "sluice-sample",
    ],
    &["sluice-wiring"],
    &["sluice-gateway", "sluice-coordinator", "sluice-worker"],
    &["sluice"],
    &["sluice-e2e", "sluice-fuzz", "sluice-bench"],
    &["xtask"],
];

/// Adapters: known to `wiring`, to `main`, and to whoever tests whole systems.
const ADAPTERS: [&str; 7] = [
    "sluice-local",
    "sluice-queue-amqp",
    "sluice-index-redis",
    "sluice-blobs-s3",
    "sluice-jwks-http",
    "sluice-source-fhir",
    "sluice-source-postgres",
];
const MAY_SEE_ADAPTERS: [&str; 3] = ["sluice-wiring", "sluice-e2e", "sluice-fuzz"];
/// Crates for tests only, and who may use them otherwise.
const TEST_ONLY: [(&str, &[&str]); 2] = [
    ("sluice-testkit", &["sluice-e2e", "sluice-fuzz"]),
    ("sluice-stack", &["sluice-e2e", "xtask"]),
];
/// Crates that know nothing of the server.
const APART: [&str; 2] = ["sluice-client", "sluice-sample"];

struct Edge {
    from: String,
    to: String,
    in_tests: bool,
}

/// Fails on an arrow against the grain.
pub(crate) fn check() -> anyhow::Result<()> {
    let edges = edges()?;
    let problems: Vec<String> = edges.iter().filter_map(problem).collect();
    if !problems.is_empty() {
        bail!(
            "the crate graph has arrows against the grain:\n  {}",
            problems.join("\n  ")
        );
    }
    say(&format!(
        "graph: {} arrows, all with the grain",
        edges.len()
    ));
    Ok(())
}

fn edges() -> anyhow::Result<Vec<Edge>> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version=1", "--locked"])
        .current_dir(root())
        .output()
        .context("starting cargo metadata")?;
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let names: Vec<&str> = packages
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    let mut edges = Vec::new();
    for package in packages {
        let from = package["name"].as_str().unwrap_or_default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().unwrap_or_default();
            if names.contains(&to) {
                edges.push(Edge {
                    from: from.to_owned(),
                    to: to.to_owned(),
                    in_tests: dependency["kind"] == "dev",
                });
            }
        }
    }
    Ok(edges)
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

fn problem(edge: &Edge) -> Option<String> {
    let Edge { from, to, in_tests } = edge;
    let (Some(upper), Some(lower)) = (layer(from), layer(to)) else {
        return Some(format!(
            "{from} -> {to}: a crate has no layer in xtask/src/graph.rs"
        ));
    };
    if *in_tests {
        return None;
    }
    if lower >= upper {
        return Some(format!("{from} -> {to}: not a layer below"));
    }
    forbidden(from, to).map(|why| format!("{from} -> {to}: {why}"))
}

fn forbidden(from: &str, to: &str) -> Option<&'static str> {
    if ADAPTERS.contains(&to) && !MAY_SEE_ADAPTERS.contains(&from) {
        return Some("only sluice-wiring sees an adapter");
    }
    let mut test_only = TEST_ONLY.iter();
    if test_only.any(|(name, users)| *name == to && !users.contains(&from)) {
        return Some("this crate is for tests");
    }
    if APART.contains(&from) {
        return Some("this crate stands alone");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, to: &str, in_tests: bool) -> Option<String> {
        problem(&Edge {
            from: from.to_owned(),
            to: to.to_owned(),
            in_tests,
        })
    }

    #[test]
    fn arrows_point_down() {
        assert!(edge("sluice-engine", "sluice-ports", false).is_none());
        assert!(edge("sluice-ports", "sluice-engine", false).is_some());
        assert!(edge("sluice-engine", "sluice-local", false).is_some());
        assert!(edge("sluice-gateway", "sluice-local", false).is_some());
        assert!(edge("sluice", "sluice-local", false).is_some());
        assert!(edge("sluice-wiring", "sluice-local", false).is_none());
        assert!(edge("sluice-client", "sluice-engine", false).is_some());
        assert!(edge("sluice-gateway", "sluice-testkit", false).is_some());
        assert!(edge("sluice-gateway", "sluice-testkit", true).is_none());
        assert!(edge("sluice-gateway", "sluice-stack", false).is_some());
        assert!(edge("xtask", "sluice-stack", false).is_none());
        assert!(edge("xtask", "sluice-testkit", false).is_some());
        assert!(edge("sluice-gateway", "sluice-news", false).is_some());
    }

    #[test]
    fn this_workspace_has_none_against_the_grain() {
        check().unwrap();
    }
}
