//! Deterministic, believable FHIR R4 sample data, streamed at any size.
//!
//! The same [`SampleOptions`] always make the same bytes, and what is told about the n-th patient
//! depends only on the seed and on n: a larger data set begins with the smaller one. Nothing is
//! kept beyond the patient being written, so the size is bounded by the disk alone.

mod base64;
mod case;
mod catalog;
mod chart;
mod code;
mod datatypes;
mod decimal;
mod dice;
mod document;
mod error;
mod family;
mod folder;
mod generate;
mod groups;
mod identity;
mod json;
mod kind;
mod moment;
mod person;
mod pool;
mod profile;
mod resources;
mod scribe;
mod summary;

pub use document::large_document;
pub use error::SampleError;
pub use folder::write_folder;
pub use generate::generate;
pub use identity::patient_id;
pub use summary::{SampleOptions, SampleProgress, SampleSummary};
