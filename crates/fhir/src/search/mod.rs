//! `_typeFilter`: searches within one type, compiled once at kick-off and held against raw JSON afterwards.
//!
//! Which parameters there are, and where their values stand, is read from `parameters.txt`, made from HL7's
//! definitions of R4. What cannot be answered exactly is refused by name when it is compiled.

mod criterion;
mod date;
mod definitions;
mod leaf;
mod listing;
mod matcher;
mod number;
mod place;
mod query;
mod reference;
mod text;
mod token;
mod uri;

pub(crate) use leaf::{Text, member};

pub use criterion::Criterion;
pub use definitions::{Definition, ParameterType, parameters};
pub use listing::listing;
pub use matcher::{Matcher, Scratch};
pub use query::{Filter, Unsearchable, split};
