//! The mapped mode: resources out of a relation that the site makes over its own tables, instead of
//! Sluice's.
//!
//! A row is a resource as it is now, for one of the patients in whose compartments it lies. Nothing of
//! what was is kept there, so an export gives the rows as they are when a slice of it is read: what
//! changed after T is included, and the next export with `_since` = T gives it again. What lies in whose
//! compartment is what the relation says; bodies are not looked into, but for those of Groups.

mod cohort;
mod columns;
mod deleted;
mod groups;
mod line;
mod mapping;
mod members;
mod part;
mod plan;
mod read;
mod relation;
mod remarks;
mod source;
mod volume;

pub use mapping::{MappedColumns, Mapping, MappingError};
pub use source::MappedSource;
