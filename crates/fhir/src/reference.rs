//! Literal references: `Type/id`, with or without a server in front.

use crate::ResourceType;

/// A literal reference's target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The target's type.
    pub resource_type: ResourceType,
    /// The target's id.
    pub id: &'a str,
}

impl<'a> Reference<'a> {
    /// Reads `Type/id`, `Type/id/_history/v` and the same behind `http(s)://…/`. Anything else
    /// (fragments, `urn:`, conditional references) names no resource by id and gives `None`.
    pub fn parse(text: &'a str) -> Option<Self> {
        let text = match text.find("/_history/") {
            Some(at) => &text[..at],
            None => text,
        };
        let mut parts = text.rsplit('/');
        let (id, name) = (parts.next()?, parts.next()?);
        let remote = text.starts_with("http://") || text.starts_with("https://");
        if (!remote && parts.next().is_some()) || !is_id(id) {
            return None;
        }
        let resource_type = name.parse().ok()?;
        Some(Self { resource_type, id })
    }
}

/// Whether a text is a FHIR id: 1 to 64 of letters, digits, `-` and `.`.
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_shapes_are_read() {
        let patient = Some(Reference {
            resource_type: ResourceType::PATIENT,
            id: "p-1",
        });
        assert_eq!(Reference::parse("Patient/p-1"), patient);
        assert_eq!(Reference::parse("Patient/p-1/_history/3"), patient);
        assert_eq!(
            Reference::parse("https://h.example/fhir/Patient/p-1"),
            patient
        );
    }

    #[test]
    fn everything_else_names_nothing() {
        let others = [
            "#p1",
            "urn:uuid:4",
            "Patient?identifier=1",
            "Patient/",
            "x/Patient/p1",
            "p1",
        ];
        for text in others {
            assert_eq!(Reference::parse(text), None, "{text}");
        }
    }
}
