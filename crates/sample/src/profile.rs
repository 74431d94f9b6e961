//! The URLs of the profiles.

/// The URL of a profile of US Core, by what follows `us-core-` in its name.
macro_rules! us_core {
    ($name:literal) => {
        concat!(
            "http://hl7.org/fhir/us/core/StructureDefinition/us-core-",
            $name
        )
    };
}
pub(crate) use us_core;
