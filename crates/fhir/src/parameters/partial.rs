//! `allowPartialManifests` (R-088).

use super::RawParameter;
use super::check::Checker;
use crate::IssueCode;

const NAME: &str = "allowPartialManifests";

impl Checker<'_> {
    pub(super) fn partial_manifests(&mut self, raw: &[RawParameter]) {
        let Some(value) = self.single(raw, NAME) else {
            return;
        };
        match value {
            "true" => self.kickoff.partial_manifests = true,
            "false" => {}
            _ => self.refuse(
                IssueCode::Invalid,
                NAME,
                format!("{NAME} must be true or false"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Context, Kickoff, RawParameter, check, from_body, from_query};
    use crate::{Issue, Level};

    fn ask(raw: &[RawParameter]) -> Result<Kickoff, Vec<Issue>> {
        let context = Context {
            level: &Level::System,
            lenient: true,
            base: "http://h/default/fhir",
        };
        check(raw, &context)
    }

    #[test]
    fn r_088_partial_manifests_are_allowed_by_a_boolean() {
        let query = |query: &str| ask(&from_query(query).unwrap());
        assert!(!query("").unwrap().partial_manifests);
        for (value, allowed) in [("true", true), ("false", false)] {
            let text = format!("allowPartialManifests={value}");
            assert_eq!(query(&text).unwrap().partial_manifests, allowed);
            let body = format!(
                r#"{{"resourceType":"Parameters","parameter":[{{"name":"allowPartialManifests","valueBoolean":{value}}}]}}"#
            );
            let asked = ask(&from_body(body.as_bytes()).unwrap()).unwrap();
            assert_eq!(asked.partial_manifests, allowed);
        }
        for wrong in ["yes", "TRUE", "1", "true&allowPartialManifests=true"] {
            let text = format!("allowPartialManifests={wrong}");
            assert!(query(&text).is_err(), "{wrong}");
        }
    }
}
