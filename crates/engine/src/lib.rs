//! What the product does, one file a step, in the order in which an export passes through them:
//!
//! ```text
//! kickoff -> advance ( plan -> dispatch ) -> export -> advance ( offer | assemble ) -> serve
//! gateway    coordinator                     worker    coordinator                    gateway
//! ```
//!
//! and the ways out: `cancel` and `expire`. What operators look at and steer is in `jobs` and `control`. `access` says who may do any of it. The journal in object storage is the truth; `rebuild`
//! fills the index from it. A hint only says where to look, so every step may run twice, late, or
//! on another machine. What is done for clients, or to their data, `audit` writes down beforehand.

mod access;
mod advance;
mod assemble;
mod associated;
mod audit;
mod cancel;
mod chooser;
mod chunk_files;
mod control;
mod dispatch;
mod driver;
mod duplicates;
mod expire;
mod export;
mod jobs;
mod journal;
mod kickoff;
mod metrics;
mod offer;
mod organize;
mod orphans;
mod pages;
mod parts;
mod pauses;
mod plan;
mod rebuild;
mod serve;
mod settled;
mod share;
mod tenant;
mod told;
mod whole_lines;

pub use access::{
    AccessOptions, Authorization, Bearer, BearerError, Caller, ClientError, ClientView, Clients,
    DeclaredClients, Files, Granted, KeySets, Origin, TenantAccess, TokenFailure, Tokens,
    TrustedIssuer,
};
pub use advance::{Advance, AdvanceLimits};
pub use audit::{Actor, Audit, AuditAction, AuditEntry, AuditOutcome, BlobsSink, Relay};
pub use cancel::{Cancel, Withdrawal};
pub use control::{Control, ControlError, DispatchView, TenantDispatch, WaitingHints};
pub use driver::{Gate, Pace, Received, drive};
pub use duplicates::Duplicates;
pub use export::{Export, ExportLimits};
pub use jobs::{
    ChunkCounts, ChunkPage, ChunkState, ChunkView, JobDetails, JobList, JobView, Jobs, JobsQuery,
    StateFilter,
};
pub use journal::Journal;
pub use kickoff::{Kickoff, KickoffError, KickoffRequest};
pub use metrics::{LiveJobs, Metrics, TenantWork};
pub use pauses::Pauses;
pub use rebuild::Rebuild;
pub use serve::{Answer, FileAnswer, PollLimits, Progress, Serve, Standing};
pub use tenant::{Policy, Ports, Tenant, Tenants};
