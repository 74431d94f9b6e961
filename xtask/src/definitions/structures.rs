//! HL7's `StructureDefinition`s: which elements a type has, and of which datatypes they are.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::R4;

/// One `StructureDefinition`, or another resource of the same bundle, which then has no snapshot.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Structure {
    #[serde(default)]
    name: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    r#abstract: bool,
    #[serde(default)]
    derivation: Option<String>,
    #[serde(default)]
    fhir_version: String,
    #[serde(default)]
    snapshot: Snapshot,
}

#[derive(Default, Deserialize)]
struct Snapshot {
    element: Vec<Element>,
}

/// One element: `Observation.value[x]`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Element {
    /// From the type on, with `[x]` behind a choice.
    pub(super) path: String,
    #[serde(default)]
    min: u32,
    #[serde(default)]
    content_reference: Option<String>,
    #[serde(default)]
    r#type: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    code: String,
    #[serde(default)]
    extension: Vec<FhirType>,
}

/// Where HL7 says the FHIR type of an element that is given by a type of `FHIRPath`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FhirType {
    #[serde(default)]
    value_url: Option<String>,
}

impl Element {
    /// Its name without the path, and without `[x]`.
    pub(super) fn name(&self) -> &str {
        let name = self.path.rsplit('.').next().unwrap_or(&self.path);
        name.strip_suffix("[x]").unwrap_or(name)
    }

    /// Whether its JSON name ends with its datatype.
    pub(super) fn is_choice(&self) -> bool {
        self.path.ends_with("[x]")
    }

    pub(super) fn is_mandatory(&self) -> bool {
        self.min > 0
    }

    /// In HL7's order. A Quantity that a profile narrows (`SimpleQuantity`) is a Quantity.
    pub(super) fn datatypes(&self) -> impl Iterator<Item = &str> {
        self.r#type.iter().map(|kind| {
            let fhir = kind.extension.iter().find_map(|e| e.value_url.as_deref());
            fhir.unwrap_or(&kind.code)
        })
    }
}

/// Every type of R4, by name.
pub(super) struct Structures {
    types: BTreeMap<String, Structure>,
    /// Element by path, in whichever type.
    elements: BTreeMap<String, (String, usize)>,
}

impl Structures {
    pub(super) fn new(all: Vec<Structure>) -> Self {
        let mut types = BTreeMap::new();
        let mut elements = BTreeMap::new();
        for structure in all {
            let of_r4 = structure.fhir_version == R4 && structure.kind != "logical";
            if !of_r4 || structure.derivation.as_deref() == Some("constraint") {
                continue;
            }
            let name = structure.name.clone();
            for (at, element) in structure.snapshot.element.iter().enumerate() {
                elements.insert(element.path.clone(), (name.clone(), at));
            }
            types.insert(name, structure);
        }
        Self { types, elements }
    }

    /// Names of the concrete resource types, sorted.
    pub(super) fn resources(&self) -> impl Iterator<Item = &str> {
        let concrete = |s: &&Structure| s.kind == "resource" && !s.r#abstract;
        self.types
            .values()
            .filter(concrete)
            .map(|s| s.name.as_str())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.types.contains_key(name)
    }

    /// The elements at the root of a type, in HL7's order.
    pub(super) fn root(&self, name: &str) -> impl Iterator<Item = &Element> {
        let all = self.types.get(name).map(|s| s.snapshot.element.as_slice());
        let at_root = |e: &&Element| e.path.matches('.').count() == 1;
        all.unwrap_or_default().iter().filter(at_root)
    }

    /// The element `name` below the element at `path`, which is of `datatype`.
    pub(super) fn child(&self, path: &str, datatype: &str, name: &str) -> Option<&Element> {
        // Elements of a backbone stand below its path; those of a datatype below the datatype.
        let element = [path, datatype].into_iter().find_map(|above| {
            let plain = self.element(&format!("{above}.{name}"));
            plain.or_else(|| self.element(&format!("{above}.{name}[x]")))
        })?;
        match &element.content_reference {
            Some(reference) => self.element(reference.trim_start_matches('#')),
            None => Some(element),
        }
    }

    fn element(&self, path: &str) -> Option<&Element> {
        let (name, at) = self.elements.get(path)?;
        self.types.get(name)?.snapshot.element.get(*at)
    }
}
