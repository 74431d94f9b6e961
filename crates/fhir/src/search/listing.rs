//! Which search parameters a CapabilityStatement lists.

use serde_json::{Value, json};

use super::definitions::{Definition, parameters};
use crate::ResourceType;

/// What says of a parameter that the REST API answers it and exports do not; spelled as the guide does (T-053).
const NOT_IN_EXPORTS: &str = "http://hl7.org/fhir/uv/bulkdata/Extension/operation-not-supported";
const EXPORTS: &str = "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data";

/// The parameters that `_typeFilter` answers for a type, as far as a site admits them, and `rest`, those that only its REST API does.
pub fn listing(
    kind: ResourceType,
    rest: &[(&str, &str)],
    is_admitted: impl Fn(&str) -> bool,
) -> Vec<Value> {
    let answered: Vec<&Definition> = parameters(kind)
        .filter(|definition| definition.is_searchable() && is_admitted(definition.code))
        .collect();
    let in_exports = answered
        .iter()
        .map(|definition| json!({ "name": definition.code, "type": definition.kind.name() }));
    let only_rest = rest.iter().filter(|(name, _)| {
        let mut answered = answered.iter();
        !answered.any(|definition| definition.code == *name)
    });
    let only_rest = only_rest.map(|(name, of)| {
        let extension = json!([{ "url": NOT_IN_EXPORTS, "valueCanonical": EXPORTS }]);
        json!({ "name": name, "type": of, "extension": extension })
    });
    in_exports.chain(only_rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_211_only_what_type_filter_answers_is_listed() {
        let listed = listing("Observation".parse().unwrap(), &[], |code| code != "date");
        let has = |name: &str| listed.iter().any(|entry| entry["name"] == name);
        assert!(has("code") && has("_lastUpdated") && has("value-quantity"));
        assert!(!has("code-value-quantity") && !has("_text") && !has("date"));
    }

    #[test]
    fn r_212_what_only_the_rest_api_answers_is_marked() {
        let listed = listing(
            ResourceType::GROUP,
            &[("identifier", "token"), ("name", "string")],
            |_| true,
        );
        let find = |name: &str| {
            let mut found = listed.iter().filter(|entry| entry["name"] == name);
            (found.next().unwrap(), found.next())
        };
        assert_eq!(find("identifier").0.get("extension"), None);
        assert_eq!(find("identifier").1, None);
        assert_eq!(find("name").0["extension"][0]["url"], NOT_IN_EXPORTS);
    }
}
