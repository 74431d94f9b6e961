//! The self-test at start: whether this Redis is set up so that jobs are safe in it (rule 28).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use sluice_fhir::Instant;
use sluice_ports::{Finding, PortError, Severity};

use crate::RedisIndex;

/// More skew than this is worth a remark. Nothing depends on it: scripts ask Redis for the time.
const SKEW: Duration = Duration::from_secs(5);

impl RedisIndex {
    /// Looks at how Redis is set up; `now` is the time here. Reads `INFO`, which managed services
    /// allow where they forbid `CONFIG`.
    pub async fn probe(&self, now: Instant) -> Result<Vec<Finding>, PortError> {
        let action = "looking at the settings of redis";
        let info: Result<String, PortError> = self.link.command(action, &redis::cmd("INFO")).await;
        let mut findings = match info {
            Ok(info) => examine(&parse(&info)),
            Err(error) if error.is_transient() => return Err(error),
            Err(_) => vec![Finding::warning(
                "INFO is forbidden, so the settings of redis could not be looked at: make sure \
                 that it is 6.2 or newer, with maxmemory-policy noeviction and appendonly yes",
            )],
        };
        findings.extend(skew(now, self.time().await?));
        Ok(findings)
    }

    /// What the clock of redis shows.
    pub async fn time(&self) -> Result<Instant, PortError> {
        let action = "asking redis for the time";
        let (seconds, micros): (i64, i64) = self.link.command(action, &redis::cmd("TIME")).await?;
        Ok(Instant::from_millis(
            seconds.saturating_mul(1000) + micros / 1000,
        ))
    }
}

fn parse(info: &str) -> HashMap<&str, &str> {
    info.lines()
        .filter_map(|line| line.trim().split_once(':'))
        .collect()
}

fn examine(info: &HashMap<&str, &str>) -> Vec<Finding> {
    let checks = [version, eviction, persistence, role, cluster];
    checks.iter().filter_map(|check| check(info)).collect()
}

fn version(info: &HashMap<&str, &str>) -> Option<Finding> {
    let Some(version) = info.get("redis_version") else {
        return Some(unseen("its version", "6.2 or newer"));
    };
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0_u32));
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    (found < (6, 2)).then(|| {
        Finding::refuse(format!(
            "redis is {version}, and 6.2 or newer is needed: upgrade it"
        ))
    })
}

fn eviction(info: &HashMap<&str, &str>) -> Option<Finding> {
    let Some(policy) = info.get("maxmemory_policy") else {
        return Some(unseen("maxmemory-policy", "noeviction"));
    };
    if *policy == "noeviction" {
        return None;
    }
    let mut text = format!("maxmemory-policy is {policy}: ");
    if info.get("maxmemory").is_none_or(|limit| *limit == "0") {
        text.push_str("no maxmemory is set yet, but once it is jobs would vanish");
    } else {
        text.push_str("jobs vanish when redis is full");
    }
    _ = write!(text, "; set it to noeviction");
    let severity = if info.get("maxmemory").is_some_and(|limit| *limit == "0") {
        Severity::Warning
    } else {
        Severity::Refuse
    };
    Some(Finding { severity, text })
}

fn persistence(info: &HashMap<&str, &str>) -> Option<Finding> {
    match info.get("aof_enabled") {
        Some(&"1") => None,
        Some(_) => Some(Finding::warning(
            "appendonly is off, so that after a restart every job must be rebuilt from storage; \
             set appendonly yes and appendfsync everysec",
        )),
        None => Some(unseen("appendonly", "yes")),
    }
}

fn role(info: &HashMap<&str, &str>) -> Option<Finding> {
    (info.get("role") == Some(&"slave")).then(|| {
        Finding::refuse(
            "this redis is a replica and takes no writes; give the address of the primary",
        )
    })
}

fn cluster(info: &HashMap<&str, &str>) -> Option<Finding> {
    (info.get("cluster_enabled") == Some(&"1")).then(|| {
        Finding::warning(
            "this redis is a node of a cluster, and keys on other nodes cannot be reached; give \
             the address of one without cluster mode, or of a proxy",
        )
    })
}

fn skew(here: Instant, there: Instant) -> Option<Finding> {
    let apart = here.since(there).max(there.since(here));
    (apart > SKEW).then(|| {
        let side = if there > here { "ahead" } else { "behind" };
        Finding::warning(format!(
            "the clock of redis is {} s {side}; set both by NTP",
            apart.as_secs()
        ))
    })
}

fn unseen(what: &str, want: &str) -> Finding {
    Finding::warning(format!(
        "redis does not tell {what}; make sure that it is {want}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn severities(info: &str) -> Vec<Severity> {
        let findings = examine(&parse(info));
        findings.iter().map(|finding| finding.severity).collect()
    }

    const GOOD: &str = "# Server\r\nredis_version:7.0.15\r\nmaxmemory:100\r\n\
        maxmemory_policy:noeviction\r\naof_enabled:1\r\nrole:master\r\ncluster_enabled:0\r\n";

    #[test]
    fn a_good_redis_has_no_findings() {
        assert_eq!(severities(GOOD), []);
    }

    #[test]
    fn each_bad_setting_is_found() {
        use Severity::{Refuse, Warning};
        for (good, bad, severity) in [
            (":7.0.15", ":6.0.9", Refuse),
            (":noeviction", ":allkeys-lru", Refuse),
            ("aof_enabled:1", "aof_enabled:0", Warning),
            ("role:master", "role:slave", Refuse),
            ("cluster_enabled:0", "cluster_enabled:1", Warning),
            ("maxmemory_policy:noeviction\r\n", "", Warning),
        ] {
            assert_eq!(severities(&GOOD.replace(good, bad)), [severity], "{bad}");
        }
        let unlimited = GOOD.replace(":noeviction", ":allkeys-lru");
        let unlimited = unlimited.replace("maxmemory:100", "maxmemory:0");
        assert_eq!(severities(&unlimited), [Warning]);
    }

    #[test]
    fn skew_is_told_with_its_direction() {
        let at = Instant::from_millis;
        assert_eq!(skew(at(0), at(4_000)), None);
        assert!(skew(at(0), at(60_000)).unwrap().text.contains("60 s ahead"));
        assert!(skew(at(9_000), at(0)).unwrap().text.contains("behind"));
    }
}
