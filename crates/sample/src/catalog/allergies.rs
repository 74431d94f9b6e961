//! What people are allergic to, and how they react.

use crate::code::{Code, rxnorm, snomed};

/// A substance that people are allergic to.
#[derive(Debug)]
pub(crate) struct Allergen {
    /// The substance.
    pub(crate) code: Code,
    /// The category that FHIR puts it in.
    pub(crate) category: &'static str,
}

const fn allergen(code: Code, category: &'static str) -> Allergen {
    Allergen { code, category }
}

/// Substances.
pub(crate) static ALLERGENS: [Allergen; 13] = [
    allergen(rxnorm("7980", "penicillin G"), "medication"),
    allergen(rxnorm("1191", "aspirin"), "medication"),
    allergen(
        rxnorm("10831", "sulfamethoxazole / trimethoprim"),
        "medication",
    ),
    allergen(rxnorm("5640", "ibuprofen"), "medication"),
    allergen(snomed("762952008", "Peanut (substance)"), "food"),
    allergen(snomed("735029006", "Shellfish (substance)"), "food"),
    allergen(snomed("3718001", "Cow's milk (substance)"), "food"),
    allergen(snomed("102263004", "Eggs (edible) (substance)"), "food"),
    allergen(
        snomed("264287008", "Animal dander (substance)"),
        "environment",
    ),
    allergen(
        snomed("260147004", "House dust mite (organism)"),
        "environment",
    ),
    allergen(
        snomed("256277009", "Grass pollen (substance)"),
        "environment",
    ),
    allergen(snomed("84489001", "Mold (organism)"), "environment"),
    allergen(snomed("111088007", "Latex (substance)"), "environment"),
];

/// Reactions, each with the severity it is noted with.
pub(crate) static REACTIONS: [(Code, &str); 5] = [
    (snomed("247472004", "Wheal (finding)"), "mild"),
    (snomed("271807003", "Eruption of skin (disorder)"), "mild"),
    (snomed("76067001", "Sneezing (finding)"), "mild"),
    (snomed("267036007", "Dyspnea (finding)"), "moderate"),
    (snomed("39579001", "Anaphylaxis (disorder)"), "severe"),
];
