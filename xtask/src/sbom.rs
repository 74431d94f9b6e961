//! Software bills of materials: one `CycloneDX` document for each program, in target/sbom, checked against what
//! cargo links into it and against `CycloneDX`'s own schema.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::run::{program, root, say};
use crate::tools::{self, With};

const TOOL: &str = "cargo-cyclonedx";
const VERSION: &str = "0.5.9";
/// The library of `CycloneDX`'s own people; it has the schemas with it.
const VALIDATOR: &str = "cyclonedx-python-lib[json-validation]==11.12.0";
const LIBRARY: &str = "cyclonedx";
const SPEC: &str = "1.5";
/// What the image is built for.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// As deploy/docker/Dockerfile builds them.
const FEATURES: &str = "sluice/servers";
/// Folders below services/, and the programs that they are.
const PROGRAMS: [(&str, &str); 4] = [
    ("sluice", "sluice"),
    ("gateway", "sluice-gateway"),
    ("coordinator", "sluice-coordinator"),
    ("worker", "sluice-worker"),
];
const VALIDATE: &str = "
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
for path in sys.argv[1:]:
    problem = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(path).read())
    if problem: sys.exit(f'{path}: {problem}')
";

/// Writes the documents. Without a network the tools cannot be installed; that is said and is no failure.
pub(crate) fn write() -> anyhow::Result<()> {
    let Some(tool) = tools::rust("sbom", TOOL, VERSION) else {
        say(&format!(
            "sbom: left out, because {TOOL} is not installed and cannot be fetched"
        ));
        return Ok(());
    };
    let folder = root().join("target/sbom");
    fs::create_dir_all(&folder)?;
    let words = [
        &["cyclonedx", "--quiet", "--format", "json"][..],
        &["--describe", "binaries", "--spec-version", SPEC],
        &["--no-build-deps", "--target", TARGET],
        &["--features", FEATURES],
    ];
    let made = program(&tool.to_string_lossy(), &words.concat());
    // The tool writes beside the manifests, where nothing of it must stay.
    let documents = PROGRAMS.map(|(service, name)| take(&beside(service, name), name, &folder));
    let _of_no_program = fs::remove_file(root().join("xtask/xtask_bin.cdx.json"));
    made?;
    let mut paths = Vec::new();
    for (document, (_, name)) in documents.into_iter().zip(PROGRAMS) {
        let path = document?;
        let document: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
        let counted = check(&document, name, &linked(name)?)?;
        say(&format!("sbom: {}, {counted} components", path.display()));
        paths.push(path.to_string_lossy().into_owned());
    }
    validate(&paths)
}

fn beside(service: &str, name: &str) -> PathBuf {
    let name = format!("services/{service}/{name}_bin.cdx.json");
    root().join(name)
}

/// Moves a document into its folder, and takes out of it where on this machine the sources lie.
fn take(from: &Path, name: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let text = fs::read_to_string(from).with_context(|| format!("{TOOL} made none of {name}"))?;
    fs::remove_file(from)?;
    let here = format!("file://{}/", root().display());
    let to = folder.join(format!("{name}.cdx.json"));
    fs::write(&to, text.replace(&here, "file:///"))?;
    Ok(to)
}

/// Name and version of all that cargo compiles into a program.
fn linked(name: &str) -> anyhow::Result<BTreeSet<String>> {
    let features = if name == "sluice" { FEATURES } else { "" };
    let output = Command::new("cargo")
        .args(["tree", "--locked", "--package", name])
        .args(["--features", features, "--edges", "normal"])
        .args(["--target", TARGET, "--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .context("starting cargo tree")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, version) = (words.next()?, words.next()?);
        Some(format!("{name} {}", version.trim_start_matches('v')))
    });
    Ok(lines.collect())
}

/// Counts the components, and fails when the document is of another program or one is missing or has no licence.
fn check(document: &Value, name: &str, linked: &BTreeSet<String>) -> anyhow::Result<usize> {
    let about = &document["metadata"]["component"];
    if about["name"] != name {
        bail!("the document of {name} is of {}", about["name"]);
    }
    let components = document["components"].as_array();
    let components = components.context("no components")?;
    let word = |part: &Value, key: &str| part[key].as_str().unwrap_or_default().to_owned();
    let named = |part: &Value| format!("{} {}", word(part, "name"), word(part, "version"));
    let known: BTreeSet<String> = components.iter().chain([about]).map(named).collect();
    let missing: Vec<&str> = linked.difference(&known).map(String::as_str).collect();
    if !missing.is_empty() {
        bail!("the document of {name} is without {}", missing.join(", "));
    }
    let unlicensed = components.iter().filter(|part| part["licenses"].is_null());
    let unlicensed: Vec<String> = unlicensed.map(named).collect();
    if !unlicensed.is_empty() {
        bail!("{name}: no licence of {}", unlicensed.join(", "));
    }
    Ok(components.len())
}

fn validate(paths: &[String]) -> anyhow::Result<()> {
    let library = (VALIDATOR, With::Dependencies);
    if tools::python("sbom", library, (LIBRARY, LIBRARY)).is_none() {
        say("sbom: schema left out, because its validator cannot be fetched");
        return Ok(());
    }
    let validated = Command::new("python3")
        .args(["-c", VALIDATE])
        .args(paths)
        .env("PYTHONPATH", tools::folder(LIBRARY))
        .status()
        .context("starting python3")?;
    if !validated.success() {
        bail!("a document is not what CycloneDX {SPEC} says");
    }
    say(&format!(
        "sbom: {} documents are valid CycloneDX {SPEC}",
        paths.len()
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document() -> Value {
        json!({
            "metadata": {"component": {"name": "sluice", "version": "0.1.0"}},
            "components": [
                {"name": "bytes", "version": "1.2.3", "licenses": [{"expression": "MIT"}]},
                {"name": "sluice-model", "version": "0.1.0", "licenses": [{"expression": "Apache-2.0"}]},
            ],
        })
    }

    fn linked(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_is_linked_must_be_in_the_document() {
        let all = linked(&["sluice 0.1.0", "sluice-model 0.1.0", "bytes 1.2.3"]);
        assert_eq!(check(&document(), "sluice", &all).unwrap(), 2);
        let more = linked(&["bytes 1.2.4", "bytes 1.2.3"]);
        let missing = check(&document(), "sluice", &more).unwrap_err();
        assert!(missing.to_string().ends_with("without bytes 1.2.4"));
    }

    #[test]
    fn a_document_of_another_program_is_refused() {
        assert!(check(&document(), "sluice-worker", &BTreeSet::new()).is_err());
    }

    #[test]
    fn a_component_without_a_licence_is_told() {
        let mut document = document();
        document["components"][0]["licenses"] = Value::Null;
        let told = check(&document, "sluice", &BTreeSet::new()).unwrap_err();
        assert!(told.to_string().ends_with("no licence of bytes 1.2.3"));
    }

    #[test]
    fn the_programs_are_those_of_the_image() {
        let dockerfile = fs::read_to_string(root().join("deploy/docker/Dockerfile")).unwrap();
        let names = PROGRAMS.map(|(_, name)| format!("-p {name}"));
        let built = format!("--features {FEATURES}");
        assert_eq!(dockerfile.matches(&built).count(), 2);
        for name in names {
            assert!(dockerfile.matches(&name).count() >= 2, "{name}");
        }
    }
}
