//! A FHIR server as a source, against servers that behave and servers that do not.
#![expect(clippy::unwrap_used, reason = "what surprises a test should end it")]

mod access;
mod exact;
mod hostile;
mod stub;
