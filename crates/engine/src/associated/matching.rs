//! Holds what was exported against what Provenances are about.

use std::cmp::Ordering;

use sluice_fhir::Provenances;

use super::notes::{About, Resource, begin};

/// A Provenance that is exported: by its survey, and by what its id comes to.
pub(super) type Matched = (u32, u64);

/// The Provenances that come along. `about` says for each note from which survey it is.
pub(super) fn matched(
    which: Provenances,
    mut exported: Vec<Resource>,
    mut about: Vec<(About, u32)>,
) -> Vec<Matched> {
    exported.sort_unstable();
    exported.dedup();
    about.sort_unstable();
    let mut matched = Vec::new();
    let mut rest = about.as_slice();
    for resource in &exported {
        let before =
            rest.partition_point(|(note, _)| note.resource.id.cmp(&resource.id) == Ordering::Less);
        rest = &rest[before..];
        // Notes of one id stay for the next resource, which may have the same id and another type.
        let same = rest.partition_point(|(note, _)| note.resource.id == resource.id);
        let mine = rest[..same]
            .iter()
            .filter(|(note, _)| resource.is(&note.resource));
        match which {
            Provenances::Relevant => matched.extend(mine.map(name)),
            Provenances::Latest => {
                matched.extend(mine.max_by_key(|(note, _)| note.age()).map(name));
            }
        }
    }
    matched.sort_unstable();
    matched.dedup();
    matched
}

fn name((note, survey): &(About, u32)) -> Matched {
    (*survey, note.provenance)
}

/// As it is stored: by survey, behind a table of where each begins.
pub(super) fn written(matched: &[Matched], surveys: u32) -> Vec<u8> {
    let mut bytes = begin(surveys, matched.iter().map(|(survey, _)| *survey));
    for (_, provenance) in matched {
        bytes.extend_from_slice(&provenance.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::associated::notes::provenance;
    use sluice_fhir::facts::{ProvenanceFacts, Target};
    use sluice_fhir::{Instant, ResourceType};

    const PATIENT: ResourceType = ResourceType::PATIENT;
    const GROUP: ResourceType = ResourceType::GROUP;

    /// A Provenance of the survey 0 or so, recorded at a time, about these.
    fn note(id: &str, at: i64, about: &[(Option<ResourceType>, &str)]) -> Vec<(About, u32)> {
        let targets = about.iter().map(|(kind, id)| Target {
            kind: *kind,
            id: (*id).to_owned(),
        });
        let facts = ProvenanceFacts {
            id: id.to_owned(),
            recorded: Some(Instant::from_millis(at)),
            updated: None,
            targets: targets.collect(),
        };
        let survey = u32::try_from(id.len()).unwrap();
        About::all(&facts).map(|note| (note, survey)).collect()
    }

    fn names(which: Provenances, about: &[Vec<(About, u32)>]) -> Vec<String> {
        let exported = [(PATIENT, "a"), (PATIENT, "b"), (GROUP, "a")];
        let exported = exported.map(|(kind, id)| Resource::new(kind, id)).to_vec();
        let found = matched(which, exported, about.concat());
        let all = ["p", "q", "r", "long", "none"];
        let is_found = |name: &&str| {
            let survey = u32::try_from(name.len()).unwrap();
            found.contains(&(survey, provenance(name)))
        };
        let names: Vec<String> = all
            .into_iter()
            .filter(is_found)
            .map(str::to_owned)
            .collect();
        assert_eq!(names.len(), found.len(), "each once");
        names
    }

    #[test]
    fn r_069_r_070_all_or_the_newest_of_each_that_is_exported() {
        let about = [
            note("p", 1, &[(Some(PATIENT), "a")]),
            note("q", 2, &[(Some(PATIENT), "a"), (Some(PATIENT), "b")]),
            note(
                "r",
                3,
                &[(Some(PATIENT), "b"), (Some(PATIENT), "elsewhere")],
            ),
            note("long", 1, &[(Some(GROUP), "a")]),
            note("none", 9, &[(Some(GROUP), "b")]),
        ];
        assert_eq!(
            names(Provenances::Relevant, &about),
            ["p", "q", "r", "long"]
        );
        assert_eq!(names(Provenances::Latest, &about), ["q", "r", "long"]);
    }

    #[test]
    fn a_type_that_is_not_known_is_any() {
        let about = [
            note("p", 1, &[(None, "a")]),
            note("q", 2, &[(Some(PATIENT), "a")]),
        ];
        assert_eq!(names(Provenances::Latest, &about), ["p", "q"]);
    }

    #[test]
    fn of_two_of_the_same_time_always_the_same_one_is_the_newest() {
        let two = [
            note("p", 1, &[(Some(PATIENT), "a")]),
            note("q", 1, &[(Some(PATIENT), "a")]),
        ];
        let back = [two[1].clone(), two[0].clone()];
        let newest = names(Provenances::Latest, &two);
        assert_eq!(newest.len(), 1);
        assert_eq!(newest, names(Provenances::Latest, &back));
    }
}
