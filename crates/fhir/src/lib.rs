//! FHIR words, no I/O: resource types, the patient compartment, instants, kick-off parameters,
//! outcomes, and the documents a server publishes about itself.

pub mod capability;
mod compact;
pub mod compartment;
pub mod elements;
pub mod facts;
mod guide;
mod instant;
mod level;
mod outcome;
pub mod parameters;
mod prefer;
mod reference;
mod resource_type;
pub mod rules;
pub mod search;

pub use compact::{Compactor, compact};
pub use guide::Guide;
pub use instant::{Instant, InvalidInstant};
pub use level::Level;
pub use outcome::{Issue, IssueCode, OperationOutcome, Severity, shown};
pub use parameters::Provenances;
pub use prefer::Prefer;
pub use reference::{Reference, is_id};
pub use resource_type::{ResourceType, UnknownResourceType};
