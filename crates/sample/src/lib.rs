//! Deterministic, believable FHIR R4 sample data, streamed at any size.
