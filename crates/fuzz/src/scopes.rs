//! Scopes: a grant is what was asked for and is registered, and nothing else.

use sluice_auth::{Permissions, Scopes};
use sluice_fhir::ResourceType;

use crate::parts::{first_line, text};

const NEEDS: [Permissions; 3] = [Permissions::READ, Permissions::SEARCH, Permissions::EXPORT];

/// Takes the first line as what is asked for and the rest as what is registered.
///
/// # Panics
///
/// When a grant is wider or narrower than both together, or a text is read in two ways.
pub fn scopes(data: &[u8]) {
    let (asked, registered) = first_line(data);
    let (asked, registered) = (text(asked), text(registered));
    strict_is_lenient(&asked);
    strict_is_lenient(&registered);
    let (asked, registered) = (Scopes::lenient(&asked), Scopes::lenient(&registered));
    reads_back(&asked);
    reads_back(&registered);
    let granted = asked.granted_by(&registered);
    reads_back(&granted);
    let other_way = registered.granted_by(&asked);
    for kind in ResourceType::all() {
        for needed in NEEDS {
            let both = asked.allow(kind, needed) && registered.allow(kind, needed);
            assert_eq!(granted.allow(kind, needed), both, "{needed:?} of {kind}");
            assert_eq!(other_way.allow(kind, needed), both, "{needed:?} of {kind}");
        }
    }
}

/// A token carries scopes as text.
fn reads_back(scopes: &Scopes) {
    assert_eq!(&Scopes::lenient(&scopes.to_string()), scopes);
}

fn strict_is_lenient(text: &str) {
    let lenient = Scopes::lenient(text);
    for strict in [
        Scopes::strict([text]),
        Scopes::strict(text.split_ascii_whitespace()),
    ] {
        let Ok(strict) = strict else { continue };
        assert!(text.trim().is_empty() || !strict.is_empty());
        assert_eq!(strict, lenient);
    }
}
