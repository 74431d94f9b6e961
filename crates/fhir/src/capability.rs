//! What a server says about itself: its CapabilityStatement, and an OperationDefinition for each level.

mod documentation;

use serde_json::{Value, json};

use crate::rules::{KickoffMethod, Rules};
use crate::search::listing;
use crate::{Guide, Instant, Level, ResourceType, compartment};

/// The implementation guide's canonical URL.
const GUIDE: &str = "http://hl7.org/fhir/uv/bulkdata";

/// The version of it that is answered beside 3.0.0.
const BALLOT: &str = "4.0.0-ballot";

/// What differs between servers.
#[derive(Clone, Debug)]
pub struct Server<'a> {
    /// The FHIR base URL, without a slash at its end.
    pub base: &'a str,
    /// The software's version.
    pub version: &'a str,
    /// When this description last changed.
    pub date: Instant,
    /// The levels that are on.
    pub levels: Levels,
    /// The token endpoint, if clients must show who they are.
    pub token_url: Option<&'a str>,
    /// What may be asked for and how; what may not is not told of.
    pub rules: &'a Rules,
}

/// Which levels of `$export` a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// `[base]/$export`.
    pub system: bool,
    /// `[base]/Patient/$export`.
    pub patient: bool,
    /// `[base]/Group/[id]/$export`.
    pub group: bool,
}

impl Levels {
    /// All of them.
    pub const ALL: Self = Self {
        system: true,
        patient: true,
        group: true,
    };

    fn has(self, level: &Level) -> bool {
        match level {
            Level::System => self.system,
            Level::Patient => self.patient,
            Level::Group(_) => self.group,
        }
    }
}

/// The operations, by the name they have in URLs of OperationDefinition.
pub const OPERATIONS: [&str; 6] = [
    "export",
    "patient-export",
    "group-export",
    "export-v4",
    "patient-export-v4",
    "group-export-v4",
];

/// `[base]/metadata` (E-09). Lists nothing that is not implemented.
pub fn capability_statement(server: &Server<'_>) -> Value {
    let mut rest = json!({
        "mode": "server",
        "documentation": documentation::documentation(server),
        "resource": resources(server),
    });
    if server.levels.system {
        rest["operation"] = operations(server, &Level::System).into();
    }
    if let Some(url) = server.token_url {
        rest["security"] = security(url);
    }
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": server.date.to_string(),
        "kind": "instance",
        "instantiates": [format!("{GUIDE}/CapabilityStatement/bulk-data")],
        "software": { "name": "Sluice", "version": server.version },
        "implementation": { "description": "Sluice FHIR Bulk Data export", "url": server.base },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [rest],
    })
}

/// What SMART wants to find there; `.well-known/smart-configuration` says more.
fn security(token_url: &str) -> Value {
    json!({
        "cors": false,
        "service": [{
            "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                "code": "SMART-on-FHIR",
            }],
            "text": "SMART Backend Services (OAuth 2.0, private_key_jwt)",
        }],
        "extension": [{
            "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
            "extension": [{ "url": "token", "valueUri": token_url }],
        }],
    })
}

/// The operations of a level, named under what the guide defines them by; the name is `export` for all
/// (T-052), and has a suffix for another version of the guide.
fn operations(server: &Server<'_>, level: &Level) -> Vec<Value> {
    let definition = format!("{GUIDE}/OperationDefinition/{}", defined(level));
    let mut list = vec![json!({ "name": "export", "definition": definition })];
    if server.rules.has_ballot(level) {
        let definition = format!("{definition}|{BALLOT}");
        list.push(json!({ "name": "export-v4", "definition": definition }));
    }
    list
}

/// What the guide calls the operation of a level.
fn defined(level: &Level) -> &'static str {
    match level {
        Level::System => "export",
        Level::Patient => "patient-export",
        Level::Group(_) => "group-export",
    }
}

fn resources(server: &Server<'_>) -> Vec<Value> {
    let told = |kind: &ResourceType| {
        let level = server.levels.system || compartment::is_exportable(*kind);
        // A Group is read even where none is exported.
        (level && server.rules.admits_type(*kind)) || *kind == ResourceType::GROUP
    };
    let told = ResourceType::all().filter(told);
    told.map(|kind| resource(server, kind)).collect()
}

fn resource(server: &Server<'_>, kind: ResourceType) -> Value {
    let levels = server.levels;
    let mut entry = json!({ "type": kind.name() });
    let mut by_rest: &[(&str, &str)] = &[];
    if kind == ResourceType::GROUP {
        entry["interaction"] = json!([{ "code": "read" }, { "code": "search-type" }]);
        by_rest = &[
            ("_id", "token"),
            ("identifier", "token"),
            ("name", "string"),
        ];
    }
    let listed = listing(kind, by_rest, |code| server.rules.admits_filter(kind, code));
    if !listed.is_empty() {
        entry["searchParam"] = listed.into();
    }
    if kind == ResourceType::GROUP && levels.group {
        entry["operation"] = operations(server, &Level::Group(String::new())).into();
    }
    if kind == ResourceType::PATIENT && levels.patient {
        entry["operation"] = operations(server, &Level::Patient).into();
    }
    if levels.system && !compartment::is_exportable(kind) {
        entry["documentation"] = json!("Exported at system level only.");
    }
    entry
}

/// `[base]/OperationDefinition/{id}` (E-13); `None` when there is no such operation.
pub fn operation_definition(server: &Server<'_>, id: &str) -> Option<Value> {
    let suffix = Guide::Ballot.suffix();
    let (name, guide) = match id.strip_suffix(suffix) {
        Some(name) => (name, Guide::Ballot),
        None => (id, Guide::Third),
    };
    let level = match name {
        "export" => Level::System,
        "patient-export" => Level::Patient,
        "group-export" => Level::Group(String::new()),
        _ => return None,
    };
    let is_ballot = guide == Guide::Ballot;
    if !server.levels.has(&level) || (is_ballot && !server.rules.has_ballot(&level)) {
        return None;
    }
    let version = if is_ballot {
        format!("|{BALLOT}")
    } else {
        String::new()
    };
    let mut definition = json!({
        "resourceType": "OperationDefinition",
        "id": id,
        "url": format!("{}/OperationDefinition/{id}", server.base),
        "version": server.version,
        "name": "Export",
        "title": "Bulk Data export",
        "status": "active",
        "kind": "operation",
        "date": server.date.to_string(),
        // The ballot has it so, because it is by POST.
        "affectsState": is_ballot,
        "code": format!("export{}", guide.suffix()),
        "base": format!("{GUIDE}/OperationDefinition/{name}{version}"),
        "system": level == Level::System,
        "type": level == Level::Patient,
        "instance": matches!(level, Level::Group(_)),
        "parameter": parameters(server, &level),
    });
    match level {
        Level::System => {}
        Level::Patient => definition["resource"] = json!(["Patient"]),
        Level::Group(_) => definition["resource"] = json!(["Group"]),
    }
    Some(definition)
}

/// An optional parameter of an operation.
fn input(name: &str, max: &str, kind: &str, documentation: &str) -> Value {
    json!({
        "name": name,
        "use": "in",
        "min": 0,
        "max": max,
        "type": kind,
        "documentation": documentation,
    })
}

fn parameters(server: &Server<'_>, level: &Level) -> Vec<Value> {
    let rules = server.rules;
    let mut list = vec![
        input(
            "_outputFormat",
            "1",
            "string",
            "application/fhir+ndjson (the default), application/ndjson or ndjson.",
        ),
        input(
            "_since",
            "1",
            "instant",
            "Only resources that changed later than this.",
        ),
        input(
            "_until",
            "1",
            "instant",
            "Only resources that changed earlier than this.",
        ),
        input(
            "_type",
            "*",
            "string",
            "Only these resource types; a comma list, repeated or both.",
        ),
    ];
    list.extend(choosing());
    list.extend(associating());
    if level.is_patient_based() && rules.methods.of(level).contains(&KickoffMethod::Post) {
        let documentation = "Only these patients. By POST only.";
        let mut patient = input("patient", "*", "Reference", documentation);
        if rules.patients_required && *level == Level::Patient {
            patient["min"] = json!(1);
        }
        list.push(patient);
    }
    list.retain(|told| {
        told["name"]
            .as_str()
            .is_some_and(|name| rules.admits_parameter(name))
    });
    list
}

fn associating() -> [Value; 3] {
    [
        input(
            "includeAssociatedData",
            "*",
            "code",
            "LatestProvenanceResources or RelevantProvenanceResources: the newest Provenance about each exported \
             resource, or all of them.",
        ),
        input(
            "organizeOutputBy",
            "1",
            "string",
            "Patient: files hold a block for each patient instead of one type each.",
        ),
        input(
            "allowPartialManifests",
            "1",
            "boolean",
            "Files may be offered while the export runs, on linked pages of the manifest.",
        ),
    ]
}

fn choosing() -> [Value; 4] {
    [
        input(
            "_typeFilter",
            "*",
            "string",
            "A FHIR search within one type, such as Observation?category=laboratory; of that type only what \
             meets one of its searches is exported.",
        ),
        input(
            "_elements",
            "*",
            "string",
            "Only these root elements, as Type.element or element, beside the mandatory ones.",
        ),
        input(
            "_minimumFileSize",
            "1",
            "positiveInt",
            "Bytes of NDJSON that files should reach.",
        ),
        input(
            "_maximumFileSize",
            "1",
            "positiveInt",
            "Bytes of NDJSON that no file exceeds, but for a single resource that is larger.",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::rules::presets;

    static RULES: LazyLock<Rules> = LazyLock::new(Rules::default);
    static SERVER: LazyLock<Server<'_>> = LazyLock::new(|| Server {
        base: "https://fhir.example.org/default/fhir",
        version: "0.1.0",
        date: Instant::from_millis(0),
        levels: Levels::ALL,
        token_url: None,
        rules: &RULES,
    });

    #[test]
    fn r_210_operations_stand_where_the_guide_wants_them() {
        let statement = capability_statement(&SERVER);
        let rest = &statement["rest"][0];
        assert_eq!(rest["operation"][0]["name"], "export");
        let find = |name: &str| {
            let resources = rest["resource"].as_array().unwrap().iter();
            resources
                .clone()
                .find(|resource| resource["type"] == name)
                .unwrap()
        };
        let group = &find("Group")["operation"][0];
        assert_eq!(
            group["definition"],
            "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export"
        );
        assert_eq!(find("Patient")["operation"][0]["name"], "export");
        assert!(find("Observation").get("operation").is_none());
    }

    #[test]
    fn r_213_the_ballot_is_told_of_beside_the_third_version() {
        let statement = capability_statement(&SERVER);
        let operations = &statement["rest"][0]["operation"];
        assert_eq!(operations[0]["name"], "export");
        assert_eq!(operations[1]["name"], "export-v4");
        let definition = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export|4.0.0-ballot";
        assert_eq!(operations[1]["definition"], definition);
        let ballot = operation_definition(&SERVER, "group-export-v4").unwrap();
        assert_eq!(ballot["code"], "export-v4");
        assert_eq!(ballot["affectsState"], true, "R-020");
        let rules = Rules {
            ballot: false,
            ..Rules::default()
        };
        let server = Server {
            rules: &rules,
            ..SERVER.clone()
        };
        assert!(!capability_statement(&server).to_string().contains("v4"));
        assert!(operation_definition(&server, "export-v4").is_none());
    }

    #[test]
    fn r_209_a_level_that_is_off_is_not_told_of() {
        let server = Server {
            levels: Levels {
                system: false,
                patient: false,
                group: true,
            },
            token_url: Some("https://h/token"),
            ..SERVER.clone()
        };
        let statement = capability_statement(&server).to_string();
        assert!(statement.contains("group-export") && statement.contains("https://h/token"));
        assert!(!statement.contains("patient-export") && !statement.contains("Definition/export"));
        assert!(operation_definition(&server, "export").is_none());
    }

    #[test]
    fn r_208_the_guide_is_named_and_every_exportable_type_is_listed() {
        let statement = capability_statement(&SERVER);
        assert_eq!(
            statement["instantiates"],
            json!([format!("{GUIDE}/CapabilityStatement/bulk-data")])
        );
        let listed = statement["rest"][0]["resource"].as_array().unwrap();
        let listed: Vec<&str> = listed
            .iter()
            .map(|entry| entry["type"].as_str().unwrap())
            .collect();
        let exportable = ResourceType::all().filter(|kind| kind.is_exportable());
        let names: Vec<&str> = exportable.map(ResourceType::name).collect();
        assert_eq!(listed, names);
    }

    /// what differs between servers, and a client cannot find out by itself.
    #[test]
    fn r_214_the_statement_tells_how_exports_are_made() {
        let statement = capability_statement(&SERVER);
        let told = statement["rest"][0]["documentation"].as_str().unwrap();
        for part in [
            "application/fhir+ndjson",
            "system, patient and group level",
            "_outputFormat, _type, _since (exclusive)",
            "what their resources refer to outside them",
            "joined a group after _since get no older data",
            "Files hold one type each",
        ] {
            assert!(told.contains(part), "{part}");
        }
    }

    #[test]
    fn r_209_only_what_the_rules_allow_is_told() {
        let rules = presets::soarian();
        let mut server = Server {
            levels: Levels {
                system: false,
                ..Levels::ALL
            },
            rules: &rules,
            ..SERVER.clone()
        };
        let names = |server: &Server<'_>, id: &str| {
            let definition = operation_definition(server, id).unwrap();
            let parameters = definition["parameter"].as_array().unwrap().clone();
            let names = parameters.iter().map(|one| one["name"].to_string());
            names.collect::<Vec<_>>().join(" ")
        };
        let soarians = "\"_outputFormat\" \"_since\" \"_type\"";
        assert_eq!(names(&server, "group-export"), soarians);
        let statement = capability_statement(&server);
        let told = statement["rest"][0]["documentation"].as_str().unwrap();
        assert!(
            told.contains("at patient and group level, by GET. "),
            "{told}"
        );
        assert!(
            told.contains("_outputFormat, _type, _since (exclusive). "),
            "{told}"
        );
        let listed = statement["rest"][0]["resource"].as_array().unwrap();
        assert_eq!(listed.len(), 19, "and Group");

        let rules = presets::millennium();
        server.rules = &rules;
        assert!(names(&server, "patient-export").contains("patient"));
        assert!(!names(&server, "group-export").contains("patient"));
        let statement = capability_statement(&server).to_string();
        assert!(statement.contains("patient level by POST, group level by GET"));
    }

    #[test]
    fn patient_is_no_parameter_of_the_system_level() {
        let names = |id: &str| {
            let definition = operation_definition(&SERVER, id).unwrap();
            definition["parameter"].as_array().unwrap().len()
        };
        assert_eq!(names("export") + 1, names("group-export"));
        assert!(operation_definition(&SERVER, "import").is_none());
        assert!(
            OPERATIONS
                .iter()
                .all(|id| operation_definition(&SERVER, id).is_some())
        );
    }
}
