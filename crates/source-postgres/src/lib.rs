//! PostgreSQL as a source of resources (`postgres://…`).
//!
//! The tables keep versions: a row is a resource as it was from one time to another. An export fixes its
//! time and the state of the database once, and every slice of it is read as of then, today or after a
//! crash, on any worker, while others write. The database hands out bodies as they were loaded; nothing
//! here looks into one that is read.
//!
//! Three of its rules, where it could be otherwise:
//! - A resource changed when it came here, by the clock of the database, whatever `meta.lastUpdated`
//!   says: only so does `_since` with an earlier transactionTime give what that export could not see.
//! - Of the patients in whose compartments a resource lies, the one numbered lowest owns it; in an export
//!   that does not hold the owner, the lowest of those it holds. So slices are ranges of owners.
//! - What a Provenance is about may be loaded after it, so whose it is is asked when it is read.
//!
//! Beside it, [`MappedSource`] reads a view that a site makes over tables of its own; it has newest
//! versions only.

mod clock;
mod cohort;
mod deleted;
mod failure;
mod groups;
mod holdings;
mod kinds;
mod large;
mod load;
mod mapped;
mod migrate;
mod options;
mod pack;
mod people;
mod plan;
mod pool;
mod provenance;
mod range;
mod read;
mod remarks;
mod rows;
mod source;
mod view;
mod wave;

pub use load::{
    Batch, Input, Left, LoadError, LoadProgress, LoadReport, Pending, Rejected, Writer, Written,
    load,
};
pub use mapped::{MappedColumns, MappedSource, Mapping, MappingError};
pub use migrate::Applied;
pub use options::PostgresOptions;
pub use pool::PoolState;
pub use source::PostgresSource;

/// Brings the tables up to date; gives what was applied.
pub async fn migrate(options: &PostgresOptions) -> Result<Vec<Applied>, sluice_ports::PortError> {
    migrate::migrate(&pool::Connections::open(options)?).await
}
