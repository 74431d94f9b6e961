//! A few types of made-up definitions in HL7's form, for tests.

use serde_json::{Value, json};

use super::structures::Structures;

/// An element a line: path, least number, and datatypes or the element that it is like.
const ELEMENTS: &str = "\
Age.value 0 decimal
CodeableConcept.text 0 string
ContactPoint.system 0 code
Meta.profile 0 canonical
Observation.status 1 code
Observation.subject 0 Reference
Observation.effective[x] 0 dateTime Period Timing instant
Observation.value[x] 0 Quantity CodeableConcept string dateTime Range
Observation.component 0 BackboneElement
Observation.component.value[x] 0 Quantity CodeableConcept string dateTime Range
Patient.telecom 0 ContactPoint
Patient.deceased[x] 0 boolean dateTime
Patient.born[x] 1 Age
Questionnaire.item 0 BackboneElement
Questionnaire.item.code 0 Coding
Questionnaire.item.item 0 #Questionnaire.item
Resource.meta 0 Meta
";

/// The types that `ELEMENTS` tells of, beside what R4 does not have.
pub(super) fn structures() -> Structures {
    let datatypes = ["Age", "CodeableConcept", "ContactPoint", "Meta"];
    let resources = ["Observation", "Parameters", "Patient", "Questionnaire"];
    let mut all = vec![
        structure("Resource", "resource", true),
        json!({ "resourceType": "OperationDefinition", "name": "Everything" }),
        json!({ "name": "SubscriptionStatus", "kind": "resource", "fhirVersion": "4.3.0" }),
    ];
    all.extend(datatypes.map(|name| structure(name, "complex-type", false)));
    all.extend(resources.map(|name| structure(name, "resource", false)));
    Structures::new(serde_json::from_value(all.into()).unwrap())
}

fn structure(name: &str, kind: &str, is_abstract: bool) -> Value {
    let ours = format!("{name}.");
    let lines = ELEMENTS.lines().filter(|line| line.starts_with(&ours));
    let root = std::iter::once(json!({ "path": name }));
    json!({
        "name": name,
        "kind": kind,
        "abstract": is_abstract,
        "fhirVersion": "4.0.1",
        "snapshot": { "element": root.chain(lines.map(element)).collect::<Vec<_>>() },
    })
}

fn element(line: &str) -> Value {
    let words: Vec<&str> = line.split(' ').collect();
    let min: u32 = words[1].parse().unwrap();
    if words[2].starts_with('#') {
        return json!({ "path": words[0], "min": min, "contentReference": words[2] });
    }
    let types: Vec<Value> = words[2..].iter().map(|t| json!({ "code": t })).collect();
    json!({ "path": words[0], "min": min, "type": types })
}
