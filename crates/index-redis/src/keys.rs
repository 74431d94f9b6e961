//! Every key this crate writes, and how long each lives.
//!
//! | Key | Type | Holds | Lives |
//! |---|---|---|---|
//! | `sluice:jobs` | zset | `tenant/job` by when it was listed (server time, µs) | for ever |
//! | `sluice:{tenant/job}:status` | hash | state, times, plan, tally, `low` | [`JOB`] |
//! | `sluice:{tenant/job}:done` | bitmap | one bit a chunk | [`JOB`] |
//! | `sluice:{tenant/job}:out` | zset | chunks handed out by when last heard of (µs) | [`JOB`] |
//! | `sluice:{tenant/job}:flight` | hash | what those chunks have written so far | [`JOB`] |
//! | `sluice:{tenant/job}:failed` | bitmap | one bit a chunk that ended without being exported | [`JOB`] |
//! | `sluice:{leases}:held:NAME` | string | the epoch of who holds it | what its holder asked for |
//! | `sluice:{leases}:epoch` | string | the last epoch given out | for ever |
//! | `sluice:claim:NAME` | string | `tenant/job` | what its holder asked for |
//! | `sluice:use:NAME` | string | who used it first | as long as it must not be used again |
//! | `sluice:budget:NAME` | string | when it is full again (µs) | until then |
//! | `sluice:mark` | string | `1`: every job of the journal is here | until Redis loses it |
//!
//! `sluice` stands for the prefix. Braces are the hash tags of Redis Cluster: what one script
//! touches is in one slot. The list of jobs is in another, so no script touches both.

use std::time::Duration;

use sluice_model::JobRef;

/// How long a job outlives the last write to it: a backstop for jobs nobody removes. One that is
/// still wanted then is rebuilt from the journal.
pub(crate) const JOB: Duration = Duration::from_hours(30 * 24);

/// How long a listed job without keys is left on the list: longer than any insertion takes.
pub(crate) const LISTED: Duration = Duration::from_mins(1);

/// Makes keys.
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(crate) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    pub(crate) fn jobs(&self) -> String {
        format!("{}:jobs", self.prefix)
    }

    /// All that is kept of one job, in the order in which the scripts name them.
    pub(crate) fn job(&self, job: &JobRef) -> [String; 5] {
        let tag = format!("{}:{{{job}}}:", self.prefix);
        ["status", "done", "out", "flight", "failed"].map(|part| [tag.as_str(), part].concat())
    }

    pub(crate) fn status(&self, job: &str) -> String {
        format!("{}:{{{job}}}:status", self.prefix)
    }

    pub(crate) fn lease(&self, name: &str) -> String {
        format!("{}:{{leases}}:held:{name}", self.prefix)
    }

    pub(crate) fn epoch(&self) -> String {
        format!("{}:{{leases}}:epoch", self.prefix)
    }

    pub(crate) fn claim(&self, name: &str) -> String {
        format!("{}:claim:{name}", self.prefix)
    }

    pub(crate) fn once(&self, name: &str) -> String {
        format!("{}:use:{name}", self.prefix)
    }

    pub(crate) fn budget(&self, name: &str) -> String {
        format!("{}:budget:{name}", self.prefix)
    }

    pub(crate) fn mark(&self) -> String {
        format!("{}:mark", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_job_share_one_hash_tag() {
        let job: JobRef = JobRef {
            tenant: "north".parse().unwrap(),
            job: sluice_model::JobId::from_bytes([1; 16]),
        };
        let keys = Keys::new("sluice".to_owned());
        let tag = format!("sluice:{{{job}}}:");
        assert!(keys.job(&job).iter().all(|key| key.starts_with(&tag)));
        assert_eq!(keys.job(&job)[0], keys.status(&job.to_string()));
    }
}
