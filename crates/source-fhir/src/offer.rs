//! What the server offers: the types and search parameters of its CapabilityStatement, and by which
//! of them the resources of a patient can be found.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use sluice_fhir::ResourceType;
use sluice_fhir::compartment::{self, patient_paths};

use crate::failure::Failure;
use crate::options::Unsearchable;

/// What the server offers.
#[derive(Debug, Default)]
pub(crate) struct Offer {
    types: BTreeMap<ResourceType, Searches>,
}

/// How a type can be read.
#[derive(Debug, Default)]
struct Searches {
    search: bool,
    /// Search parameters; empty when the server does not list them.
    params: BTreeSet<String>,
}

/// How the resources of a type are found that are a patient's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By these search parameters, with patients as their value.
    ByPatient(Vec<&'static str>),
    /// By reading all of the type.
    Scan,
}

#[derive(Deserialize)]
struct Statement<'a> {
    #[serde(rename = "resourceType", borrow)]
    kind: Cow<'a, str>,
    #[serde(rename = "fhirVersion", borrow, default)]
    version: Cow<'a, str>,
    #[serde(borrow, default)]
    rest: Vec<Rest<'a>>,
}

#[derive(Deserialize)]
struct Rest<'a> {
    #[serde(borrow, default)]
    mode: Cow<'a, str>,
    #[serde(borrow, default)]
    resource: Vec<Resource<'a>>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    interaction: Vec<Interaction<'a>>,
    #[serde(rename = "searchParam", borrow, default)]
    params: Vec<Param<'a>>,
}

#[derive(Deserialize)]
struct Interaction<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Param<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

impl Offer {
    /// Reads a CapabilityStatement.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Failure> {
        let statement: Statement<'_> = serde_json::from_slice(body)
            .map_err(|_| Failure::Nonsense("no CapabilityStatement; is this the base URL?"))?;
        if statement.kind != "CapabilityStatement" {
            return Err(Failure::Nonsense(
                "no CapabilityStatement; is this the base URL?",
            ));
        }
        if !statement.version.starts_with("4.") {
            return Err(Failure::Refused("the server does not speak FHIR R4"));
        }
        let mut offer = Self::default();
        let servers = statement.rest.iter().filter(|rest| rest.mode == "server");
        for resource in servers.flat_map(|rest| &rest.resource) {
            let Ok(kind) = resource.kind.parse::<ResourceType>() else {
                continue;
            };
            let codes = &resource.interaction;
            let has = |code: &str| codes.is_empty() || codes.iter().any(|one| one.code == code);
            if has("read") || has("search-type") {
                let params = resource.params.iter().map(|param| param.name.to_string());
                let searches = Searches {
                    search: has("search-type"),
                    params: params.collect(),
                };
                offer.types.insert(kind, searches);
            }
        }
        Ok(offer)
    }

    /// Whether there can be resources of this type.
    pub(crate) fn has(&self, kind: ResourceType) -> bool {
        self.types.contains_key(&kind)
    }

    /// Whether the type can be searched at all.
    pub(crate) fn can_search(&self, kind: ResourceType) -> bool {
        self.types
            .get(&kind)
            .is_some_and(|searches| searches.search)
    }

    /// Whether a type can be searched by this; when the server lists nothing, it is tried.
    pub(crate) fn searches(&self, kind: ResourceType, param: &str) -> bool {
        let listed = |searches: &Searches| {
            searches.search && (searches.params.is_empty() || searches.params.contains(param))
        };
        self.types.get(&kind).is_some_and(listed)
    }

    /// Whether the server says that a type can be searched by this.
    pub(crate) fn lists(&self, kind: ResourceType, param: &str) -> bool {
        let listed = |searches: &Searches| searches.search && searches.params.contains(param);
        self.types.get(&kind).is_some_and(listed)
    }

    /// Types that can be searched.
    pub(crate) fn types(&self) -> impl Iterator<Item = ResourceType> {
        let searched = self.types.iter().filter(|(_, searches)| searches.search);
        searched.map(|(kind, _)| *kind)
    }

    /// How the resources of a type in the compartments of patients are found; `None` when they are not.
    /// Patients themselves are found by their ids.
    pub(crate) fn way(&self, kind: ResourceType, unsearchable: Unsearchable) -> Option<Way> {
        if !self.can_search(kind) || !compartment::is_exportable(kind) {
            return None;
        }
        if kind == ResourceType::PATIENT {
            return Some(Way::ByPatient(Vec::new()));
        }
        if kind.name() == "Provenance" {
            return self.way_to_provenance(unsearchable);
        }
        let paths = patient_paths(kind);
        let mut params: Vec<&'static str> = Vec::new();
        let mut misses = false;
        for path in paths {
            let names = parameters(path).iter();
            match { names }.find(|name| self.searches(kind, name)) {
                Some(name) if params.contains(name) => {}
                Some(name) => params.push(name),
                None => misses = true,
            }
        }
        match unsearchable {
            _ if paths.is_empty() => None,
            Unsearchable::Scan if misses => Some(Way::Scan),
            Unsearchable::LeaveOut if params.is_empty() => None,
            _ => Some(Way::ByPatient(params)),
        }
    }

    /// A Provenance is found by what it is about, so all of that must be found by patient.
    fn way_to_provenance(&self, unsearchable: Unsearchable) -> Option<Way> {
        let kind = "Provenance".parse().ok()?;
        let by_target = self.searches(kind, "target");
        match unsearchable {
            Unsearchable::LeaveOut => by_target.then(|| Way::ByPatient(vec!["target"])),
            Unsearchable::Scan => {
                let mut others = self.types().filter(|other| *other != kind);
                let all = others.all(|other| self.way(other, unsearchable) != Some(Way::Scan));
                Some(if by_target && all {
                    Way::ByPatient(vec!["target"])
                } else {
                    Way::Scan
                })
            }
        }
    }

    /// Whether some resources of patients are not found, because the type is not searched by each element
    /// that makes them theirs.
    pub(crate) fn misses_some(&self, kind: ResourceType) -> bool {
        let mut paths = patient_paths(kind).iter();
        let searched = |path: &&'static str| {
            parameters(path)
                .iter()
                .any(|name| self.searches(kind, name))
        };
        compartment::is_exportable(kind) && !paths.all(searched)
    }
}

/// R4's search parameters for an element by which a resource is a patient's; the first that the server
/// has is used.
fn parameters(path: &'static str) -> &'static [&'static str] {
    match path {
        "subject" | "patient" | "candidate" | "for" => &["patient", "subject"],
        "deliverTo" => &["subject", "patient"],
        "participant.actor" | "actor" => &["actor", "patient"],
        "agent.who" => &["agent", "patient"],
        "entity.what" => &["entity", "patient"],
        "performer" | "performer.actor" | "activity.detail.performer" => &["performer"],
        "participant.member" | "action.participant" => &["participant"],
        "payee.party" => &["payee"],
        "attester.party" => &["attester"],
        "policyHolder" => &["policy-holder"],
        "beneficiary" => &["beneficiary", "patient"],
        "individual" => &["individual", "patient"],
        "link.target" => &["link", "patient"],
        "member.entity" => &["member"],
        "recorder" => &["recorder"],
        "asserter" => &["asserter"],
        "author" => &["author"],
        "sender" => &["sender"],
        "recipient" => &["recipient"],
        "requester" => &["requester"],
        "subscriber" => &["subscriber"],
        "payor" => &["payor"],
        "receiver" => &["receiver"],
        "source" => &["source"],
        "focus" => &["focus"],
        "target" => &["target"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> ResourceType {
        name.parse().unwrap()
    }

    fn offer(resources: &str) -> Offer {
        let text = format!(
            r#"{{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1",
                "rest":[{{"mode":"server","resource":[{resources}]}}]}}"#
        );
        Offer::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn each_element_of_the_compartment_has_a_parameter() {
        for kind in ResourceType::all() {
            for path in patient_paths(kind) {
                assert!(!parameters(path).is_empty(), "{kind} {path}");
            }
        }
    }

    #[test]
    fn what_the_server_lists_decides_how_a_type_is_found() {
        let offer = offer(
            r#"{"type":"Patient"},{"type":"Observation","interaction":[{"code":"search-type"}],
               "searchParam":[{"name":"subject"},{"name":"performer"}]},
               {"type":"Condition","searchParam":[{"name":"patient"}]},
               {"type":"Practitioner","interaction":[{"code":"read"}]},{"type":"Group"},{"type":"Nonsense"}"#,
        );
        let way = |name: &str| offer.way(kind(name), Unsearchable::Scan);
        let by = |names: &[&'static str]| Some(Way::ByPatient(names.to_vec()));
        assert_eq!(way("Patient"), by(&[]));
        assert_eq!(way("Observation"), by(&["subject", "performer"]));
        assert_eq!(way("Condition"), Some(Way::Scan), "it has an asserter, too");
        assert!(offer.misses_some(kind("Condition")) && !offer.misses_some(kind("Observation")));
        let left = offer.way(kind("Condition"), Unsearchable::LeaveOut);
        assert_eq!(left, by(&["patient"]));
        assert_eq!((way("Practitioner"), way("Group")), (None, None));
        assert!(offer.has(kind("Practitioner")) && !offer.can_search(kind("Practitioner")));
        assert!(!offer.has(kind("Encounter")));
    }

    #[test]
    fn other_versions_and_other_documents_are_refused() {
        for text in [
            "",
            "{}",
            r#"{"resourceType":"CapabilityStatement","fhirVersion":"3.0.2"}"#,
            r#"{"resourceType":"Bundle","fhirVersion":"4.0.1"}"#,
        ] {
            assert!(Offer::read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
