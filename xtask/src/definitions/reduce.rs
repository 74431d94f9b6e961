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
