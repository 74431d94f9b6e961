//! A folder of FHIR R4 NDJSON files as a source.
