//! From a path of a search parameter to JSON paths and the datatypes at their ends.

use super::expression::{Path, Step};
use super::structures::{Element, Structures};

/// A place that a path may lead to.
struct Place {
    /// `telecom[system=email]`, from the root on.
    json: String,
    /// The element's path in the definitions, without `[x]`.
    path: String,
    datatype: String,
    /// Whether the datatype is one of several, of which nothing chose yet.
    open: bool,
    /// The resource type that a reference must be to.
    refers: Option<String>,
}

/// What a path comes to for one search type.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reduced {
    /// `valueQuantity:Quantity`, in HL7's order.
    pub(super) alternatives: Vec<String>,
    /// Datatypes that HL7 names and that the search type cannot use.
    pub(super) unusable: Vec<String>,
}

/// Whether a search type can compare a value of a datatype (R4, "Search Parameter Types").
fn uses(search: &str, datatype: &str) -> bool {
    let usable: &[&str] = match search {
        "number" => &["decimal", "integer", "positiveInt", "unsignedInt"],
        "date" => &["date", "dateTime", "instant", "Period", "Timing"],
        "string" => &["string", "markdown", "HumanName", "Address"],
        "token" => &[
            "code",
            "Coding",
            "CodeableConcept",
            "Identifier",
            "ContactPoint",
            "boolean",
            "string",
            "id",
            "uri",
        ],
        "reference" => &["Reference", "canonical", "uri"],
        "quantity" => &[
            "Quantity",
            "Age",
            "Count",
            "Distance",
            "Duration",
            "Money",
            "Range",
            "SampledData",
        ],
        "uri" => &["uri", "url", "canonical", "oid", "uuid"],
        _ => &[],
    };
    usable.contains(&datatype)
}

/// Follows a path; `None` when it leads nowhere.
pub(super) fn reduce(path: &Path, search: &str, structures: &Structures) -> Option<Reduced> {
    let mut places = vec![Place {
        json: String::new(),
        path: path.root.clone(),
        datatype: path.root.clone(),
        open: false,
        refers: None,
    }];
    for step in &path.steps {
        places = follow(places, step, structures);
    }
    if places.is_empty() {
        return None;
    }
    let mut reduced = Reduced::default();
    for place in places {
        if path.exists {
            let word = format!("{}:{}!exists", place.json, place.datatype);
            reduced.alternatives.push(word);
        } else if uses(search, &place.datatype) {
            reduced.alternatives.push(place.word());
        } else if !place.open {
            reduced.unusable.push(place.word());
        }
    }
    Some(reduced)
}

fn follow(places: Vec<Place>, step: &Step, structures: &Structures) -> Vec<Place> {
    let mut next = Vec::new();
    for mut place in places {
        match step {
            Step::Child(name) => {
                if let Some(child) = structures.child(&place.path, &place.datatype, name) {
                    next.extend(place.into_child(child, name));
                }
            }
            Step::As(datatype) if *datatype == place.datatype => {
                place.open = false;
                next.push(place);
            }
            Step::As(_) => {}
            Step::Where(element, value) => {
                place.json = format!("{}[{element}={value}]", place.json);
                next.push(place);
            }
            Step::Refers(to) => {
                place.refers = Some(to.clone());
                next.push(place);
            }
        }
    }
    next
}

impl Place {
    /// The places that an element below this one may be at: one for each of its datatypes.
    fn into_child(self, child: &Element, name: &str) -> Vec<Self> {
        let dot = if self.json.is_empty() { "" } else { "." };
        let at = |datatype: &str| Self {
            json: if child.is_choice() {
                format!("{}{dot}{name}{}", self.json, capital(datatype))
            } else {
                format!("{}{dot}{name}", self.json)
            },
            path: child.path.trim_end_matches("[x]").to_owned(),
            datatype: datatype.to_owned(),
            open: child.is_choice(),
            refers: None,
        };
        child.datatypes().map(at).collect()
    }

    fn word(&self) -> String {
        let refers = self.refers.as_ref().map(|to| format!("({to})"));
        let refers = refers.unwrap_or_default();
        format!("{}:{}{refers}", self.json, self.datatype)
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{expression, sample};
    use super::*;

    fn reduced(expression: &str, search: &str) -> Option<Reduced> {
        let path = expression::parts(expression).remove(0).unwrap();
        reduce(&path, search, &sample::structures())
    }

    fn alternatives(expression: &str, search: &str) -> Vec<String> {
        let reduced = reduced(expression, search).unwrap();
        assert!(reduced.unusable.is_empty());
        reduced.alternatives
    }

    #[test]
    fn a_bare_choice_becomes_each_type_that_the_search_can_use() {
        let date = [
            "effectiveDateTime:dateTime",
            "effectivePeriod:Period",
            "effectiveTiming:Timing",
            "effectiveInstant:instant",
        ];
        assert_eq!(alternatives("Observation.effective", "date"), date);
        let quantity = ["valueQuantity:Quantity", "valueRange:Range"];
        assert_eq!(alternatives("Observation.value", "quantity"), quantity);
    }

    #[test]
    fn a_cast_leaves_one_type_of_a_choice() {
        let cast = alternatives("(Observation.component.value as Quantity)", "quantity");
        assert_eq!(cast, ["component.valueQuantity:Quantity"]);
        let age = alternatives("Patient.born.as(Age)", "quantity");
        assert_eq!(age, ["bornAge:Age"]);
    }

    #[test]
    fn a_path_goes_on_into_the_datatype() {
        let text = alternatives("(Observation.value as CodeableConcept).text", "string");
        assert_eq!(text, ["valueCodeableConcept.text:string"]);
        let bare = alternatives("Observation.value.text", "string");
        assert_eq!(bare, ["valueCodeableConcept.text:string"]);
        let profile = alternatives("Resource.meta.profile", "uri");
        assert_eq!(profile, ["meta.profile:canonical"]);
    }

    #[test]
    fn a_restriction_stands_behind_the_element_that_it_restricts() {
        let email = alternatives("Patient.telecom.where(system='email')", "token");
        assert_eq!(email, ["telecom[system=email]:ContactPoint"]);
        let below = alternatives("Patient.telecom.where(use='home').system", "token");
        assert_eq!(below, ["telecom[use=home].system:code"]);
    }

    #[test]
    fn a_reference_is_narrowed_to_a_type() {
        let path = "Observation.subject.where(resolve() is Patient)";
        let patient = alternatives(path, "reference");
        assert_eq!(patient, ["subject:Reference(Patient)"]);
    }

    #[test]
    fn presence_is_asked_of_every_type_of_a_choice() {
        let path = "Patient.deceased.exists() and Patient.deceased != false";
        let deceased = [
            "deceasedBoolean:boolean!exists",
            "deceasedDateTime:dateTime!exists",
        ];
        assert_eq!(alternatives(path, "token"), deceased);
    }

    #[test]
    fn an_element_that_refers_to_another_has_the_elements_of_that_one() {
        let path = "Questionnaire.item.item.item.code";
        assert_eq!(alternatives(path, "token"), ["item.item.item.code:Coding"]);
    }

    #[test]
    fn a_type_that_the_search_cannot_use_is_told_unless_a_choice_left_it_open() {
        let cast = reduced("Observation.value as Range", "token").unwrap();
        assert_eq!(cast.alternatives, [""; 0]);
        assert_eq!(cast.unusable, ["valueRange:Range"]);
    }

    #[test]
    fn a_path_to_an_element_that_does_not_exist_leads_nowhere() {
        assert_eq!(reduced("Patient.hair", "string"), None);
        assert_eq!(reduced("Observation.value as Money", "quantity"), None);
    }
}
