//! The root elements of R4's types.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::ResourceType;

/// Made by `cargo xtask definitions` from HL7's definitions.
const TEXT: &str = include_str!("elements.txt");

/// A root element.
#[derive(Debug)]
pub(super) struct Element {
    /// As R4 names it, without `[x]`.
    name: &'static str,
    /// What JSON puts behind the name, of an element whose type is a choice.
    choices: Vec<&'static str>,
    pub(super) is_mandatory: bool,
}

static TABLE: LazyLock<HashMap<&'static str, Vec<Element>>> = LazyLock::new(|| {
    let lines = TEXT.lines().filter(|line| !line.starts_with('#'));
    let types = lines.filter_map(|line| line.split_once(' '));
    types
        .map(|(kind, elements)| (kind, elements.split(' ').map(element).collect()))
        .collect()
});

/// `name`, `name!` if it is mandatory; and `*Type,Type` behind that if its type is a choice.
fn element(text: &'static str) -> Element {
    let (name, choices) = text.split_once('*').unwrap_or((text, ""));
    let (name, is_mandatory) = match name.strip_suffix('!') {
        Some(name) => (name, true),
        None => (name, false),
    };
    Element {
        name,
        choices: choices
            .split(',')
            .filter(|choice| !choice.is_empty())
            .collect(),
        is_mandatory,
    }
}

/// A name with its first letter as a capital.
fn capital(name: &str) -> impl Iterator<Item = char> {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters)
}

/// The root elements of a type.
pub(super) fn of(kind: ResourceType) -> &'static [Element] {
    TABLE.get(kind.name()).map_or(&[], Vec::as_slice)
}

impl Element {
    /// Whether this is what it, or one of its choices, is called.
    pub(super) fn is_called(&self, name: &str) -> bool {
        let is_choice = |rest: &str| {
            let mut choices = self.choices.iter();
            choices.any(|choice| capital(choice).eq(rest.chars()))
        };
        name == self.name || name.strip_prefix(self.name).is_some_and(is_choice)
    }

    /// What JSON calls it.
    pub(super) fn json_names(&self) -> Vec<String> {
        if self.choices.is_empty() {
            return vec![self.name.to_owned()];
        }
        { self.choices.iter() }
            .map(|choice| self.name.chars().chain(capital(choice)).collect())
            .collect()
    }

    /// What JSON calls what was asked by this name: all its choices, or the one.
    pub(super) fn names_for(&self, asked: &str) -> Vec<String> {
        let mut names = self.json_names();
        names.retain(|name| asked == self.name || asked == name);
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_elements() {
        for kind in ResourceType::all() {
            assert!(!of(kind).is_empty(), "{kind}");
        }
        let of = |kind: &str| super::of(kind.parse().unwrap());
        let mandatory = |kind: &str| -> Vec<&str> {
            { of(kind).iter() }
                .filter(|element| element.is_mandatory)
                .map(|element| element.name)
                .collect()
        };
        assert_eq!(mandatory("Observation"), ["status", "code"]);
        assert_eq!(
            mandatory("MedicationRequest"),
            ["status", "intent", "medication", "subject"]
        );
        assert!(mandatory("Patient").is_empty());
        let value = of("Observation")
            .iter()
            .find(|element| element.name == "value")
            .unwrap();
        assert!(value.json_names().contains(&"valueDateTime".to_owned()));
    }
}
