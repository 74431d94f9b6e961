//! What R-214 asks a server to tell in words: what differs between sites, as its rules have it.

use std::fmt::Write;

use super::Server;
use crate::Level;
use crate::rules::{KickoffMethod, Methods};

/// Parameters of every level, as they are told.
const PARAMETERS: [(&str, &str); 11] = [
    ("_outputFormat", "_outputFormat"),
    ("_type", "_type"),
    ("_since", "_since (exclusive)"),
    ("_until", "_until (exclusive)"),
    ("_typeFilter", "_typeFilter"),
    ("_elements", "_elements"),
    ("_minimumFileSize", "_minimumFileSize"),
    ("_maximumFileSize", "_maximumFileSize"),
    (
        "includeAssociatedData",
        "includeAssociatedData (LatestProvenanceResources, RelevantProvenanceResources)",
    ),
    ("organizeOutputBy", "organizeOutputBy (Patient)"),
    ("allowPartialManifests", "allowPartialManifests"),
];

const FILTERS: &str = " A _typeFilter may use the search parameters listed for its type, with the \
    modifiers that FHIR R4 has for them except :in, :not-in, :above and :below of codes and :of-type; it \
    looks only at the resource itself. It applies to all that is exported of its type, and to nothing that \
    was deleted.";

const BLOCKS: &str = " Organized by Patient, they hold a block for each patient: a header, the Patient, and what \
    is exported of the patient's compartment; resources of no compartment, and Groups, are left out.";

/// How exports are made.
pub(super) fn documentation(server: &Server<'_>) -> String {
    let rules = server.rules;
    let levels = levels(server);
    let names: Vec<&str> = levels.iter().map(Level::name).collect();
    let mut text = format!(
        "Exports FHIR R4 as NDJSON (application/fhir+ndjson) at {} level, {}. Parameters: ",
        listed(&names),
        methods(&rules.methods, &levels),
    );
    let told = PARAMETERS.iter();
    let told = told.filter(|(name, _)| rules.admits_parameter(name));
    let told: Vec<&str> = told.map(|(_, told)| *told).collect();
    text.push_str(&told.join(", "));
    let by_post = levels
        .iter()
        .filter(|level| level.is_patient_based())
        .filter(|level| rules.methods.of(level).contains(&KickoffMethod::Post));
    let by_post: Vec<&str> = by_post.map(Level::name).collect();
    if rules.admits_parameter("patient") && !by_post.is_empty() {
        let _written = write!(text, " and, by POST at {} level, patient", listed(&by_post));
    }
    text.push('.');
    if rules.admits_parameter("_typeFilter") {
        text.push_str(FILTERS);
    }
    text.push_str(
        " Patient and group level hold the patient compartments and what their resources refer to \
         outside them; Group resources go with the system level only. Resources without \
         meta.lastUpdated are included whatever _since says, and an OperationOutcome in the error \
         files counts them. Members who joined a group after _since get no older data. Files hold \
         one type each and end near the configured size.",
    );
    if rules.admits_parameter("organizeOutputBy") {
        text.push_str(BLOCKS);
    }
    text
}

fn levels(server: &Server<'_>) -> Vec<Level> {
    let all = [Level::System, Level::Patient, Level::Group(String::new())];
    let on = all.into_iter().filter(|level| server.levels.has(level));
    on.collect()
}

fn methods(methods: &Methods, levels: &[Level]) -> String {
    let of = |level: &Level| {
        let names: Vec<&str> = methods.of(level).iter().map(|one| one.name()).collect();
        names.join(" or ")
    };
    let mut each = levels.iter().map(of);
    let first = each.next().unwrap_or_default();
    if each.all(|other| other == first) {
        return format!("by {first}");
    }
    let each = levels
        .iter()
        .map(|level| format!("{} level by {}", level.name(), of(level)));
    each.collect::<Vec<_>>().join(", ")
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
