//! A FHIR R4 server as a source, for servers that have no bulk export of their own: everything is read
//! by search and by id.
//!
//! What is exported is what the `ndjson:` source exports of the same data:
//! - A slice is some patients, and all that names one of them where the patient compartment looks. A
//!   resource that names several leaves with the lowest of the cohort.
//! - A Provenance follows what it is about.
//! - A type that the server cannot search by every such element is read whole, and sifted here.
//! - At the end comes what nobody's compartment holds and what was exported refers to.
//! - The system level is each type from one end to the other.
//!
//! The server is not trusted: what it gives is looked at, counted, kept within bounds, and dropped and
//! told where it is not what was asked for.

mod answers;
mod batch;
mod budget;
mod bundle;
mod client;
mod cohort;
mod enumerate;
mod failure;
mod fetch;
mod groups;
mod http;
mod login;
mod notes;
mod offer;
mod options;
mod plan;
mod provenance;
mod reading;
mod remarks;
mod retry_after;
mod roots;
mod scan;
mod smart;
mod source;
mod upstream;
mod walk;
mod wave;

pub use options::{FhirAuth, FhirOptions, PostSearch, SmartClient, Unsearchable};
pub use source::FhirSource;
