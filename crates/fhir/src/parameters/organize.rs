//! `organizeOutputBy` (R-084 to R-087): files hold a block for each resource of a type.

use super::RawParameter;
use super::check::Checker;
use crate::{IssueCode, ResourceType, shown};

const NAME: &str = "organizeOutputBy";

impl Checker<'_> {
    /// Patient is the only type that blocks may be about. It heads each of them, so it must be of the export
    /// (T-064). Call it after the types are read.
    pub(super) fn organize(&mut self, raw: &[RawParameter]) {
        let Some(value) = self.single(raw, NAME) else {
            return;
        };
        if value != ResourceType::PATIENT.name() {
            let text = format!(
                "{NAME} is {:?}; this server organizes output by Patient only",
                shown(value)
            );
            return self.ignore_or_refuse(NAME, &text);
        }
        let types = self.kickoff.types.as_ref();
        if types.is_some_and(|types| !types.contains(&ResourceType::PATIENT)) {
            let text = format!(
                "{NAME} is Patient, which _type leaves out; add Patient to _type, for it heads each block"
            );
            return self.refuse(IssueCode::Invalid, NAME, text);
        }
        self.kickoff.organize = Some(ResourceType::PATIENT);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::ask;
    use super::super::{Context, check, from_body};
    use crate::{IssueCode, Level, ResourceType};

    #[test]
    fn r_084_output_is_organized_by_patient_if_that_is_asked_for() {
        assert_eq!(ask("", false).unwrap().organize, None);
        for query in [
            "organizeOutputBy=Patient",
            "organizeOutputBy=Patient&_type=Observation,Patient",
        ] {
            let asked = ask(query, false).unwrap();
            assert_eq!(asked.organize, Some(ResourceType::PATIENT), "{query}");
        }
        let body = br#"{"resourceType":"Parameters","parameter":[
            {"name":"organizeOutputBy","valueString":"Patient"}]}"#;
        let context = Context {
            level: &Level::Group("g".to_owned()),
            lenient: false,
            base: "http://h/default/fhir",
        };
        let asked = check(&from_body(body).unwrap(), &context).unwrap();
        assert_eq!(asked.organize, Some(ResourceType::PATIENT));
    }

    #[test]
    fn r_087_other_types_are_refused_or_reported() {
        for value in ["Practitioner", "Nonsense", "Patient,Practitioner"] {
            let query = format!("organizeOutputBy={value}");
            let refused = ask(&query, false).unwrap_err();
            assert_eq!(refused[0].code, IssueCode::NotSupported, "{value}");
            let lenient = ask(&query, true).unwrap();
            assert_eq!((lenient.organize, lenient.ignored.len()), (None, 1));
        }
        let twice = "organizeOutputBy=Patient&organizeOutputBy=Patient";
        assert!(ask(twice, true).is_err());
    }

    /// R-192, T-064: not added in silence, for a client may have reasons to leave it out.
    #[test]
    fn t_064_the_organizing_type_must_be_asked_for() {
        let query = "organizeOutputBy=Patient&_type=Observation";
        for lenient in [false, true] {
            let refused = ask(query, lenient).unwrap_err();
            assert!(refused[0].text.contains("add Patient"), "{lenient}");
        }
    }
}
