//! From a line to what the index keeps of it.

use super::group::GroupFacts;
use super::reason::Reason;
use super::walk::Seen;
use crate::compartment::patient_paths;
use crate::{Instant, Reference, ResourceType, is_id};
use serde_json::error::Category;

/// Something referred to; the type is not known behind `urn:uuid:`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// Its type, where that is known.
    pub kind: Option<ResourceType>,
    /// Its id.
    pub id: String,
}

/// What the index keeps of a resource.
#[derive(Debug)]
pub struct Facts {
    /// Its type.
    pub kind: ResourceType,
    /// Its id.
    pub id: String,
    /// `meta.lastUpdated`.
    pub updated: Option<Instant>,
    /// Ids of the patients in whose compartment it lies.
    pub patients: Vec<Target>,
    /// It names a patient in a way that says nobody: by an identifier or a search.
    pub names_somebody: bool,
    /// What a Provenance is about; it follows that into compartments (R-074).
    pub subjects: Vec<Target>,
    /// What it refers to anywhere, Patients and Groups left out: those never come along.
    pub references: Vec<Target>,
    /// Who belongs to it, of a Group.
    pub group: Option<Box<GroupFacts>>,
}

/// Reads a line.
pub fn scan(line: &[u8]) -> Result<Facts, Reason> {
    let text = std::str::from_utf8(line).map_err(|_| Reason::NotUtf8)?;
    let seen = Seen::walk(text).map_err(|error| syntax(&error))?;
    let mut facts = Facts::read(&seen)?;
    if facts.kind == ResourceType::GROUP {
        facts.group = Some(Box::new(GroupFacts::read(text)?));
    }
    Ok(facts)
}

/// Says where the line breaks off or goes wrong, not what is there.
fn syntax(error: &serde_json::Error) -> Reason {
    match error.classify() {
        Category::Eof => Reason::Syntax(format!("cut off at column {}", error.column())),
        Category::Syntax => Reason::Syntax(format!("at column {}", error.column())),
        Category::Data | Category::Io => Reason::NotAnObject,
    }
}

impl Facts {
    fn read(seen: &Seen<'_>) -> Result<Self, Reason> {
        if !seen.is_object {
            return Err(Reason::NotAnObject);
        }
        if let Some(reason) = &seen.broken {
            return Err(reason.clone());
        }
        let name = seen.kind.as_ref().ok_or(Reason::NoType)?;
        let kind: ResourceType = name.parse().map_err(|_| Reason::UnknownType)?;
        match kind.name() {
            "Bundle" | "Parameters" => return Err(Reason::Container),
            _ if !kind.is_exportable() => return Err(Reason::NoData),
            _ => {}
        }
        let id = seen.id.as_ref().ok_or(Reason::NoId)?;
        if !is_id(id) {
            return Err(Reason::BadId);
        }
        let updated = match &seen.updated {
            Some(text) => Some(text.parse().map_err(|_| Reason::BadUpdated)?),
            None => None,
        };
        let mut facts = Self {
            kind,
            id: id.clone().into_owned(),
            updated,
            patients: Vec::new(),
            names_somebody: false,
            subjects: Vec::new(),
            references: Vec::new(),
            group: None,
        };
        if kind != ResourceType::GROUP {
            facts.sort_out(seen);
        }
        Ok(facts)
    }

    fn sort_out(&mut self, seen: &Seen<'_>) {
        let paths = patient_paths(self.kind);
        let follows = self.kind.name() == "Provenance";
        for (path, text) in &seen.references {
            let path = &seen.paths[path.clone()];
            let Some(target) = target(text) else {
                let is_search = text.starts_with("Patient?") || text.contains("/Patient?");
                self.names_somebody |= is_search && paths.contains(&path);
                continue;
            };
            let may_be_patient = target.kind.is_none_or(|kind| kind == ResourceType::PATIENT);
            if may_be_patient && paths.contains(&path) {
                self.patients.push(Target {
                    kind: Some(ResourceType::PATIENT),
                    id: target.id.clone(),
                });
            }
            let leads_nowhere = [ResourceType::PATIENT, ResourceType::GROUP].map(Some);
            if leads_nowhere.contains(&target.kind) {
                continue;
            }
            if follows && path == "target" {
                self.subjects.push(target.clone());
            }
            self.references.push(target);
        }
        let is_literal = |path: &str| {
            let mut references = seen.references.iter();
            references.any(|(found, _)| &seen.paths[found.clone()] == path)
        };
        let identified = seen.identified.iter().map(|path| &seen.paths[path.clone()]);
        self.names_somebody |=
            { identified }.any(|path| paths.contains(&path) && !is_literal(path));
        for list in [&mut self.patients, &mut self.subjects, &mut self.references] {
            list.sort_unstable();
            list.dedup();
        }
    }
}

/// A target by literal reference, or by `urn:uuid:` as bundles made for loading have it.
pub fn target(text: &str) -> Option<Target> {
    if let Some(id) = text.strip_prefix("urn:uuid:") {
        return is_id(id).then(|| Target {
            kind: None,
            id: id.to_owned(),
        });
    }
    Reference::parse(text).map(|reference| Target {
        kind: Some(reference.resource_type),
        id: reference.id.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(targets: &[Target]) -> Vec<&str> {
        targets.iter().map(|target| target.id.as_str()).collect()
    }

    #[test]
    fn a_resource_is_read_whatever_the_order_of_its_members() {
        let line = br#"{"meta":{"lastUpdated":"2026-01-01T00:00:00Z"},"subject":{"reference":"Patient/p"},
            "performer":[{"reference":"Practitioner/d"},{"reference":"https://h/Patient/q/_history/1"}],
            "contained":[{"resourceType":"Device","id":"x","patient":{"reference":"Patient/z"}}],
            "note":[{"authorReference":{"reference":"Patient/n"}}],"partOf":{"reference":"\u0023x"},
            "encounter":{"reference":"urn:uuid:e"},"id":"o","resourceType":"Observation"}"#;
        let facts = scan(line).unwrap();
        assert_eq!((facts.kind.name(), &*facts.id), ("Observation", "o"));
        assert_eq!(ids(&facts.patients), ["p", "q"]);
        assert_eq!(ids(&facts.references), ["e", "d"]);
        assert!(facts.updated.is_some());
    }

    /// Whose such a resource is nobody can say, so it must not pass for nobody's.
    #[test]
    fn patients_named_by_identifier_or_search_are_somebody() {
        let names_somebody = |subject: &str| {
            let line = format!(
                r#"{{"resourceType":"Observation","id":"o","identifier":[{{"value":"x"}}],"subject":{subject}}}"#
            );
            scan(line.as_bytes()).unwrap().names_somebody
        };
        assert!(names_somebody(r#"{"identifier":{"value":"mrn"}}"#));
        assert!(names_somebody(r#"{"reference":"Patient?identifier=mrn"}"#));
        assert!(!names_somebody(
            r#"{"reference":"Patient/p","identifier":{"value":"mrn"}}"#
        ));
        assert!(!names_somebody(r#"{"display":"nobody"}"#));
    }

    #[test]
    fn a_urn_may_be_a_patient_where_patients_belong() {
        let line = br#"{"resourceType":"Claim","id":"c","patient":{"reference":"urn:uuid:p"}}"#;
        assert_eq!(ids(&scan(line).unwrap().patients), ["p"]);
    }

    #[test]
    fn broken_lines_say_why() {
        let cases: [(&[u8], Reason); 11] = [
            (b"[]", Reason::NotAnObject),
            (b"5", Reason::NotAnObject),
            (b"{}", Reason::NoType),
            (br#"{"resourceType":"Foo","id":"a"}"#, Reason::UnknownType),
            (br#"{"resourceType":"Bundle"}"#, Reason::Container),
            (br#"{"resourceType":"Binary"}"#, Reason::NoData),
            (br#"{"resourceType":"Patient"}"#, Reason::NoId),
            (
                br#"{"resourceType":"Patient","id":"a","id":"b"}"#,
                Reason::NoId,
            ),
            (br#"{"resourceType":"Patient","id":"a b"}"#, Reason::BadId),
            (
                br#"{"resourceType":"Patient","id":"a","meta":{"lastUpdated":"x"}}"#,
                Reason::BadUpdated,
            ),
            (b"{\"id\":\"\xff\"}", Reason::NotUtf8),
        ];
        for (line, reason) in cases {
            assert_eq!(scan(line).unwrap_err(), reason);
        }
        let cut = scan(br#"{"resourceType":"Patient","id":"secr"#).unwrap_err();
        assert!(cut.to_string().contains("cut off"), "{cut}");
        assert!(!cut.to_string().contains("secr"));
    }
}
