//! Tries at the start what correctness rests on: what a store, a broker or an index only says is
//! not believed (rule 28).

use std::time::{Duration, SystemTime};

use sluice_ports::{Clock, PortError};

use crate::Adapters;

/// Something that an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub what: &'static str,
    /// Whether nothing works until it is mended.
    pub refuse: bool,
    /// What is wrong and what to do.
    pub text: String,
}

/// Tries every adapter that is a server. An error is trouble that may pass.
pub async fn probe(adapters: &Adapters, clock: &dyn Clock) -> anyhow::Result<Vec<Finding>> {
    let told = |error: PortError| anyhow::anyhow!(error.chain());
    let mut findings = Vec::new();
    if let Some(s3) = &adapters.s3 {
        let since = u64::try_from(clock.now().millis()).unwrap_or(0);
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(since);
        for found in s3.probe(now).await.map_err(told)? {
            findings.push(Finding {
                what: "objects",
                refuse: found.severity == sluice_blobs_s3::Severity::Refuse,
                text: found.text,
            });
        }
    }
    if let Some(redis) = &adapters.redis {
        for found in redis.probe(clock.now()).await.map_err(told)? {
            findings.push(Finding {
                what: "index",
                refuse: found.severity == sluice_index_redis::Severity::Refuse,
                text: found.text,
            });
        }
    }
    // The queue's own check is its connecting: queues with other arguments were refused there.
    Ok(findings)
}
