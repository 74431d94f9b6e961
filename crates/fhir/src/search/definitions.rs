//! The search parameters of R4, by type: what kind each is and where its values stand.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::place::Place;
use crate::ResourceType;

/// Made by `cargo xtask definitions` from HL7's definitions.
const TEXT: &str = include_str!("parameters.txt");
/// What the table calls parameters that every type has.
const EVERY_TYPE: &str = "Resource";

/// The kinds of search parameters that R4 knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterType {
    /// Codes, identifiers, flags.
    Token,
    /// Texts, names, addresses.
    String,
    /// Times and periods.
    Date,
    /// Literal references and canonicals.
    Reference,
    /// Numbers with units.
    Quantity,
    /// Plain numbers.
    Number,
    /// URIs.
    Uri,
    /// Several values that must stand together.
    Composite,
    /// Whatever else.
    Special,
}

impl ParameterType {
    /// As R4 spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::String => "string",
            Self::Date => "date",
            Self::Reference => "reference",
            Self::Quantity => "quantity",
            Self::Number => "number",
            Self::Uri => "uri",
            Self::Composite => "composite",
            Self::Special => "special",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [
            Self::Token,
            Self::String,
            Self::Date,
            Self::Reference,
            Self::Quantity,
            Self::Number,
            Self::Uri,
            Self::Composite,
            Self::Special,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }
}

/// A search parameter of one type.
#[derive(Debug)]
pub struct Definition {
    /// What it is called in a query.
    pub code: &'static str,
    /// Its kind.
    pub kind: ParameterType,
    /// The types that it may lead to, if it is a reference that not every type may be at the end of.
    pub(super) targets: Option<Vec<ResourceType>>,
    /// Where its values stand; none if Sluice cannot tell.
    pub(super) places: Vec<Place>,
}

impl Definition {
    /// Whether a query may use it.
    pub fn is_searchable(&self) -> bool {
        !self.places.is_empty()
    }
}

static TABLE: LazyLock<HashMap<&'static str, Vec<Definition>>> = LazyLock::new(|| {
    let mut table: HashMap<&str, Vec<Definition>> = HashMap::new();
    let mut current = EVERY_TYPE;
    for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix(' ') {
            None => current = line,
            Some(rest) => table.entry(current).or_default().extend(definition(rest)),
        }
    }
    table
});

/// `code type[>Type,Type] path:Datatype …`
fn definition(line: &'static str) -> Option<Definition> {
    let mut words = line.split(' ');
    let (code, kind) = (words.next()?, words.next()?);
    let (kind, targets) = match kind.split_once('>') {
        Some((kind, targets)) => (kind, Some(targets)),
        None => (kind, None),
    };
    let targets = targets.map(|targets| targets.split(',').flat_map(str::parse).collect());
    Some(Definition {
        code,
        kind: ParameterType::named(kind)?,
        targets,
        places: words.flat_map(str::parse).collect(),
    })
}

/// The search parameters of a type, those that every type has included.
pub fn parameters(kind: ResourceType) -> impl Iterator<Item = &'static Definition> {
    let of = |name: &str| TABLE.get(name).map_or(&[][..], Vec::as_slice);
    of(kind.name()).iter().chain(of(EVERY_TYPE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So that nothing of the table is skipped in silence.
    #[test]
    fn every_line_and_every_place_is_read() {
        let mut kind = EVERY_TYPE;
        for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
            let Some(rest) = line.strip_prefix(' ') else {
                kind = line;
                assert!(
                    kind == EVERY_TYPE || kind.parse::<ResourceType>().is_ok(),
                    "{kind}"
                );
                continue;
            };
            let definition = definition(rest).unwrap_or_else(|| panic!("{kind} {rest}"));
            let places = rest
                .split(' ')
                .skip(2)
                .filter(|place| *place != "?")
                .count();
            assert_eq!(definition.places.len(), places, "{kind} {rest}");
        }
    }

    #[test]
    fn what_hl7_defines_is_there() {
        let find = |kind: &str, code: &str| {
            let kind: ResourceType = kind.parse().unwrap();
            parameters(kind).find(|found| found.code == code).unwrap()
        };
        assert_eq!(find("Observation", "code").kind, ParameterType::Token);
        assert_eq!(find("Patient", "_lastUpdated").kind, ParameterType::Date);
        assert!(!find("Observation", "code-value-quantity").is_searchable());
        let patient = find("Observation", "patient");
        assert_eq!(patient.targets, Some(vec![ResourceType::PATIENT]));
    }
}
