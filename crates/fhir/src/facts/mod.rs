//! What an index keeps of a resource, read from its JSON without building it: what it is, when it
//! changed, whose it is, what it refers to.

mod group;
mod provenance;
mod reason;
mod scan;
mod shortened;
mod walk;

pub use group::{GroupFacts, Member, contains};
pub use provenance::{NoResource, ProvenanceFacts, identity, provenance};
pub use reason::Reason;
pub use scan::{Facts, Target, scan, target};
pub use shortened::without_members;
