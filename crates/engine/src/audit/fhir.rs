//! An event as a FHIR R4 `AuditEvent` on one line, its agents and entities as IHE BALP has them.

use serde_json::{Map, Value, json};
use sluice_fhir::{Instant, Level};

use super::{Actor, AuditAction, AuditEntry, AuditOutcome};

const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const RESTFUL: &str = "http://hl7.org/fhir/restful-interaction";
const OWN_ACTIONS: &str = "urn:sluice:audit-action";
const ENTITY_TYPES: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const ENTITY_ROLES: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const BALP_ENTITY_TYPES: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";
const SOURCE_TYPES: &str = "http://terminology.hl7.org/CodeSystem/security-source-type";

/// Characters of one text; what clients send is told of in events too.
const LONGEST: usize = 1000;

type Code = (&'static str, &'static str, &'static str);

const EXPORT: Code = (DICOM, "110106", "Export");
const USER_AUTHENTICATION: Code = (DICOM, "110114", "User Authentication");
const SECURITY_ALERT: Code = (DICOM, "110113", "Security Alert");
const LOGIN: Code = (DICOM, "110122", "Login");
const USER_ATTRIBUTES: Code = (DICOM, "110137", "User Security Attributes Changed");
const APPLICATION_ACTIVITY: Code = (DICOM, "110100", "Application Activity");
const SECURITY_CONFIGURATION: Code = (DICOM, "110129", "Security Configuration");
const RESTRICTED: Code = (DICOM, "110132", "Use of Restricted Function");
const APPLICATION: Code = (DICOM, "110150", "Application");
const DESTINATION: Code = (DICOM, "110152", "Destination Role ID");
const SOURCE: Code = (DICOM, "110153", "Source Role ID");
const OPERATION: Code = (RESTFUL, "operation", "operation");
const DELETE: Code = (RESTFUL, "delete", "delete");
const REQUEST_ID: Code = (
    BALP_ENTITY_TYPES,
    "XrequestId",
    "transport specific unique identifier where http X-Request-Id is used",
);
const SYSTEM_OBJECT: Code = (ENTITY_TYPES, "2", "System Object");
const OTHER: Code = (ENTITY_TYPES, "4", "Other");
const DOMAIN_RESOURCE: Code = (ENTITY_ROLES, "4", "Domain Resource");
const JOB: Code = (ENTITY_ROLES, "20", "Job");
const APPLICATION_SERVER: Code = (SOURCE_TYPES, "4", "Application Server");

/// How FHIR and DICOM see an action.
struct Kind {
    event: Code,
    /// Beside our own word.
    subtype: Option<Code>,
    /// C, R, U, D or E.
    action: &'static str,
    /// What the client is in it, and what we are.
    roles: (Code, Code),
}

fn kind(action: AuditAction) -> Kind {
    let handed_out = (DESTINATION, SOURCE);
    let (event, subtype, action, roles) = match action {
        AuditAction::TokenIssued | AuditAction::TokenRefused => (
            USER_AUTHENTICATION,
            Some(LOGIN),
            "E",
            (APPLICATION, APPLICATION),
        ),
        AuditAction::KickOff => (EXPORT, Some(OPERATION), "E", handed_out),
        AuditAction::ManifestServed | AuditAction::FileServed => (EXPORT, None, "R", handed_out),
        AuditAction::Deleted | AuditAction::JobCancelled => {
            (EXPORT, Some(DELETE), "D", (APPLICATION, APPLICATION))
        }
        AuditAction::Expired => (EXPORT, None, "D", (APPLICATION, APPLICATION)),
        AuditAction::ClientChanged => (
            SECURITY_ALERT,
            Some(USER_ATTRIBUTES),
            "U",
            (APPLICATION, APPLICATION),
        ),
        AuditAction::DispatchPaused
        | AuditAction::DispatchResumed
        | AuditAction::DeadRequeued
        | AuditAction::WorkerDrained
        | AuditAction::WorkerUndrained => {
            (APPLICATION_ACTIVITY, None, "E", (APPLICATION, APPLICATION))
        }
        AuditAction::LogFilterChanged => (
            SECURITY_ALERT,
            Some(SECURITY_CONFIGURATION),
            "U",
            (APPLICATION, APPLICATION),
        ),
        AuditAction::AccessRefused => (
            SECURITY_ALERT,
            Some(RESTRICTED),
            "E",
            (APPLICATION, APPLICATION),
        ),
    };
    Kind {
        event,
        subtype,
        action,
        roles,
    }
}

/// One line of JSON, without its newline.
pub(super) fn line(entry: &AuditEntry, id: &str, recorded: Instant) -> String {
    let kind = kind(entry.action);
    let own = json!({ "system": OWN_ACTIONS, "code": entry.action.name() });
    let subtype: Vec<Value> = kind.subtype.map(coding).into_iter().chain([own]).collect();
    let (outcome, told) = match entry.outcome {
        AuditOutcome::Success => ("0", "done"),
        AuditOutcome::Refused => ("4", "refused"),
        AuditOutcome::Failed => ("8", "failed"),
    };
    let mut event = json!({
        "resourceType": "AuditEvent",
        "id": id,
        "type": coding(kind.event),
        "subtype": subtype,
        "action": kind.action,
        "recorded": recorded.to_string(),
        "outcome": outcome,
        "outcomeDesc": told,
        "agent": agents(entry, kind.roles),
        "source": {
            "observer": observer(entry),
            "type": [coding(APPLICATION_SERVER)],
        },
    });
    let entities = entities(entry);
    if let (false, Some(event)) = (entities.is_empty(), event.as_object_mut()) {
        event.insert("entity".to_owned(), entities.into());
    }
    event.to_string()
}

fn observer(entry: &AuditEntry) -> Value {
    let mut observer = json!({ "display": "Sluice" });
    if let Some(tenant) = &entry.tenant {
        let of = json!({ "system": "urn:sluice:tenant", "value": tenant.as_str() });
        observer["identifier"] = of;
    }
    observer
}

fn coding((system, code, display): Code) -> Value {
    json!({ "system": system, "code": code, "display": display })
}

fn concept(code: Code) -> Value {
    json!({ "coding": [coding(code)] })
}

/// The client, if one is known of, and Sluice.
fn agents(entry: &AuditEntry, (client_role, own_role): (Code, Code)) -> Vec<Value> {
    let client = client(&entry.actor, client_role);
    let own = json!({
        "type": concept(own_role),
        "who": { "display": "Sluice" },
        "requestor": client.is_none(),
    });
    client.into_iter().chain([own]).collect()
}

fn client(actor: &Actor, role: Code) -> Option<Value> {
    let (name, token) = (text(actor.client.as_ref()), text(actor.token.as_ref()));
    let address = text(actor.address.as_ref());
    if name.is_none() && token.is_none() && address.is_none() {
        return None;
    }
    let mut agent = Map::new();
    agent.insert("type".to_owned(), concept(role));
    if let Some(name) = name {
        let who = json!({ "identifier": { "value": name } });
        agent.insert("who".to_owned(), who);
    }
    agent.insert("requestor".to_owned(), true.into());
    if let Some(token) = token {
        // A uri has no blanks. Other issuers choose their own.
        let token = token.replace(char::is_whitespace, "_");
        agent.insert("policy".to_owned(), json!([token]));
    }
    if let Some(address) = address {
        let network = json!({ "address": address, "type": "2" });
        agent.insert("network".to_owned(), network);
    }
    Some(agent.into())
}

fn entities(entry: &AuditEntry) -> Vec<Value> {
    let mut entities = Vec::new();
    if let Some(id) = text(entry.actor.request_id.as_ref()) {
        entities.push(json!({
            "what": { "identifier": { "value": id } },
            "type": coding(REQUEST_ID),
        }));
    }
    if let Some(Level::Group(id)) = &entry.level
        && let Some(id) = text(Some(id))
    {
        entities.push(json!({
            "what": { "reference": format!("Group/{id}") },
            "type": coding(SYSTEM_OBJECT),
            "role": coding(DOMAIN_RESOURCE),
        }));
    }
    entities.extend(subject(entry));
    entities
}

/// The job, or nothing in particular, with the details.
fn subject(entry: &AuditEntry) -> Option<Value> {
    let level = entry
        .level
        .as_ref()
        .map(|level| ("level", level.name().to_owned()));
    let details = level.iter().chain(&entry.details);
    let details: Vec<Value> = details
        .filter_map(|(name, value)| Some((name, text(Some(value))?)))
        .map(|(name, value)| json!({ "type": name, "valueString": value }))
        .collect();
    let mut subject = match &entry.job {
        Some(job) => json!({
            "what": { "identifier": { "system": "urn:sluice:job", "value": job.to_string() } },
            "type": coding(SYSTEM_OBJECT),
            "role": coding(JOB),
        }),
        None if details.is_empty() => return None,
        None => json!({ "type": coding(OTHER) }),
    };
    if let (false, Some(subject)) = (details.is_empty(), subject.as_object_mut()) {
        subject.insert("detail".to_owned(), details.into());
    }
    Some(subject)
}

/// As FHIR takes it: no control characters, and something in it. Not longer than anybody needs.
fn text(value: Option<&String>) -> Option<String> {
    let letters = value?.chars().filter(|letter| !letter.is_control());
    let text: String = letters.take(LONGEST).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use sluice_model::{JobId, JobRef};

    use super::*;

    fn entry(action: AuditAction, outcome: AuditOutcome) -> AuditEntry {
        AuditEntry::new(&"one".parse().unwrap(), action, outcome)
    }

    fn kick_off() -> AuditEntry {
        AuditEntry {
            actor: Actor {
                client: Some("registry".to_owned()),
                token: Some("4f1c 77".to_owned()),
                address: Some("2001:db8::7".to_owned()),
                request_id: Some("r-1".to_owned()),
            },
            job: Some(JobRef {
                tenant: "one".parse().unwrap(),
                job: JobId::from_bytes([7; 16]),
            }),
            level: Some(Level::Group("diabetes".to_owned())),
            details: vec![("types", "Patient,Observation".to_owned())],
            ..entry(AuditAction::KickOff, AuditOutcome::Success)
        }
    }

    fn rendered(entry: &AuditEntry) -> Value {
        let recorded = "2026-03-01T00:00:00.123456Z".parse().unwrap();
        let line = line(entry, "00112233445566778899aabbccddeeff", recorded);
        assert!(!line.contains('\n'));
        serde_json::from_str(&line).unwrap()
    }

    fn code(system: &str, code: &str, display: &str) -> Value {
        json!({ "system": system, "code": code, "display": display })
    }

    #[test]
    fn a_kick_off_says_who_asked_for_what_and_when() {
        let event = rendered(&kick_off());
        let expected = json!({
            "resourceType": "AuditEvent",
            "id": "00112233445566778899aabbccddeeff",
            "type": code(DICOM, "110106", "Export"),
            "subtype": [
                code(RESTFUL, "operation", "operation"),
                { "system": "urn:sluice:audit-action", "code": "kick-off" },
            ],
            "action": "E",
            "recorded": "2026-03-01T00:00:00.123Z",
            "outcome": "0",
            "outcomeDesc": "done",
            "agent": [
                {
                    "type": { "coding": [code(DICOM, "110152", "Destination Role ID")] },
                    "who": { "identifier": { "value": "registry" } },
                    "requestor": true,
                    "policy": ["4f1c_77"],
                    "network": { "address": "2001:db8::7", "type": "2" },
                },
                {
                    "type": { "coding": [code(DICOM, "110153", "Source Role ID")] },
                    "who": { "display": "Sluice" },
                    "requestor": false,
                },
            ],
            "source": {
                "observer": {
                    "identifier": { "system": "urn:sluice:tenant", "value": "one" },
                    "display": "Sluice",
                },
                "type": [code(SOURCE_TYPES, "4", "Application Server")],
            },
            "entity": kick_off_entities(),
        });
        assert_eq!(event, expected);
    }

    fn kick_off_entities() -> Value {
        json!([
            {
                "what": { "identifier": { "value": "r-1" } },
                "type": code(BALP_ENTITY_TYPES, "XrequestId", REQUEST_ID.2),
            },
            {
                "what": { "reference": "Group/diabetes" },
                "type": code(ENTITY_TYPES, "2", "System Object"),
                "role": code(ENTITY_ROLES, "4", "Domain Resource"),
            },
            {
                "what": {
                    "identifier": {
                        "system": "urn:sluice:job",
                        "value": "one/07070707070707070707070707070707",
                    },
                },
                "type": code(ENTITY_TYPES, "2", "System Object"),
                "role": code(ENTITY_ROLES, "20", "Job"),
                "detail": [
                    { "type": "level", "valueString": "group" },
                    { "type": "types", "valueString": "Patient,Observation" },
                ],
            },
        ])
    }

    /// What R4 requires of an `AuditEvent`, whatever is known: type, recorded, agent.requestor,
    /// source.observer; and no element without anything in it.
    #[test]
    fn every_action_is_a_valid_audit_event() {
        for action in AuditAction::ALL {
            for outcome in [
                AuditOutcome::Success,
                AuditOutcome::Refused,
                AuditOutcome::Failed,
            ] {
                let known = AuditEntry {
                    action,
                    outcome,
                    ..kick_off()
                };
                for entry in [known, entry(action, outcome)] {
                    check(&rendered(&entry), &entry);
                }
            }
        }
    }

    fn check(event: &Value, entry: &AuditEntry) {
        assert_eq!(event["resourceType"], "AuditEvent");
        for key in ["system", "code", "display"] {
            assert!(event["type"][key].is_string());
        }
        let words = event["subtype"].as_array().unwrap();
        let own = words.iter().find(|word| word["system"] == OWN_ACTIONS);
        assert_eq!(own.unwrap()["code"], entry.action.name());
        let action = event["action"].as_str().unwrap();
        assert!(["C", "R", "U", "D", "E"].contains(&action));
        assert!(["0", "4", "8"].contains(&event["outcome"].as_str().unwrap()));
        assert!(
            event["recorded"]
                .as_str()
                .unwrap()
                .parse::<Instant>()
                .is_ok()
        );
        let agents = event["agent"].as_array().unwrap();
        let requestors = agents.iter().map(|agent| agent["requestor"].as_bool());
        let asked: Vec<bool> = requestors.map(Option::unwrap).collect();
        assert_eq!(asked.iter().filter(|asked| **asked).count(), 1);
        assert_eq!(event["source"]["observer"]["display"], "Sluice");
        for detail in event["entity"].as_array().into_iter().flatten() {
            for detail in detail["detail"].as_array().into_iter().flatten() {
                assert!(detail["type"].is_string() && detail["valueString"].is_string());
            }
        }
        assert_nothing_empty(event);
    }

    /// FHIR has no empty strings, arrays, objects or nulls.
    fn assert_nothing_empty(value: &Value) {
        match value {
            Value::Null => panic!("a null"),
            Value::String(text) => assert!(!text.trim().is_empty()),
            Value::Array(values) => {
                assert!(!values.is_empty());
                values.iter().for_each(assert_nothing_empty);
            }
            Value::Object(members) => {
                assert!(!members.is_empty());
                members.values().for_each(assert_nothing_empty);
            }
            Value::Bool(_) | Value::Number(_) => {}
        }
    }

    #[test]
    fn what_sluice_does_by_itself_it_asks_for_itself() {
        let event = rendered(&entry(AuditAction::Expired, AuditOutcome::Success));
        let agents = event["agent"].as_array().unwrap();
        assert_eq!(agents.len(), 1);
        assert_eq!(agents[0]["requestor"], true);
        assert_eq!(agents[0]["who"]["display"], "Sluice");
        assert!(event.get("entity").is_none());
    }

    #[test]
    fn what_a_client_sends_cannot_break_an_event() {
        let hostile = "\u{0}\n a\r\n\tb ".to_owned() + &"é".repeat(5_000);
        let mut refused = entry(AuditAction::TokenRefused, AuditOutcome::Refused);
        refused.actor.client = Some(hostile);
        refused.actor.token = Some("\u{7}".to_owned());
        refused.details = vec![
            ("error", "invalid_client".to_owned()),
            ("scope", " ".to_owned()),
        ];
        let event = rendered(&refused);
        let name = event["agent"][0]["who"]["identifier"]["value"].as_str();
        let name = name.unwrap();
        assert!(name.starts_with("ab é"), "{name}");
        assert!(name.chars().count() <= LONGEST);
        assert!(event["agent"][0].get("policy").is_none());
        let details = json!([{ "type": "error", "valueString": "invalid_client" }]);
        assert_eq!(event["entity"][0]["detail"], details);
        assert_eq!(event["entity"][0]["type"]["code"], "4");
    }
}
