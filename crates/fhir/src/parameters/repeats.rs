//! The form that 4.0.0-ballot wants: all parameters in the body, and one value in each entry (R-019, R-022).

use super::RawParameter;
use crate::search::split;
use crate::{Issue, IssueCode, shown};

/// Parameters whose values hold no comma, so that one stands between two values.
const LISTS: [&str; 3] = ["_type", "_elements", "includeAssociatedData"];

/// Refuses what is in the query, and lists with commas; the error holds every problem found.
pub fn check_repeats(raw: &[RawParameter]) -> Result<(), Vec<Issue>> {
    let problems: Vec<Issue> = raw.iter().filter_map(problem).collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

fn problem(raw: &RawParameter) -> Option<Issue> {
    let name = shown(&raw.name);
    let text = if !raw.in_body {
        format!("{name} is in the URL; this operation takes it in a Parameters body")
    } else if is_list(raw) {
        format!("an entry of {name} holds several values; send one entry named {name} for each")
    } else {
        return None;
    };
    Some(Issue::error(IssueCode::Invalid, text).about(name))
}

fn is_list(raw: &RawParameter) -> bool {
    let name = raw.name.as_str();
    let is_filters = name == "_typeFilter" && split(&raw.value).len() > 1;
    is_filters || (LISTS.contains(&name) && raw.value.contains(','))
}

#[cfg(test)]
mod tests {
    use super::super::{from_body, from_query};
    use super::*;

    #[test]
    fn r_022_each_entry_holds_one_value() {
        let body = |name: &str, value: &str| {
            let body = format!(
                r#"{{"resourceType":"Parameters","parameter":[{{"name":"{name}","valueString":"{value}"}}]}}"#
            );
            check_repeats(&from_body(body.as_bytes()).unwrap())
        };
        assert!(body("_type", "Patient").is_ok());
        assert!(body("_typeFilter", "Observation?code=a,b").is_ok());
        for (name, value) in [
            ("_type", "Patient,Observation"),
            ("_elements", "id,name"),
            ("_typeFilter", "Patient?gender=male,Observation?code=a"),
        ] {
            let refused = body(name, value).unwrap_err();
            assert!(refused[0].text.contains("one entry"), "{name}");
        }
        let url = check_repeats(&from_query("_type=Patient").unwrap());
        assert!(url.unwrap_err()[0].text.contains("body"), "R-019");
    }
}
