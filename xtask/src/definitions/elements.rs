//! The table of root elements: a line for each resource type, `Observation id … status! …
//! value*Quantity,CodeableConcept …`, with `!` behind what is mandatory, before the types of a choice.

use super::structures::{Element, Structures};

/// The whole table, sorted by type; elements are in HL7's order.
pub(super) fn table(structures: &Structures) -> String {
    let mut text = String::new();
    for name in structures.resources() {
        text.push_str(name);
        for element in structures.root(name) {
            text.push(' ');
            text.push_str(&word(element));
        }
        text.push('\n');
    }
    text
}

fn word(element: &Element) -> String {
    let mut word = element.name().to_owned();
    if element.is_mandatory() {
        word.push('!');
    }
    if element.is_choice() {
        let types: Vec<&str> = element.datatypes().collect();
        word.push('*');
        word.push_str(&types.join(","));
    }
    word
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_line_has_the_root_elements_with_what_is_mandatory_and_the_types_of_choices() {
        let table = table(&sample::structures());
        let lines: Vec<&str> = table.lines().collect();
        let observation = "Observation status! subject effective*dateTime,Period,Timing,instant \
                           value*Quantity,CodeableConcept,string,dateTime,Range component";
        let patient = "Patient telecom deceased*boolean,dateTime born!*Age";
        let expected = [observation, "Parameters", patient, "Questionnaire item"];
        assert_eq!(lines, expected);
    }
}
