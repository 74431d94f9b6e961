//! What makes two requests the same one, and what happens to the second: rule 18 and decision 1 of
//! the reliability notes, C-013 of the specification.

use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};
use sluice_fhir::{Instant, Level, ResourceType};
use sluice_model::{Form, JobRecord, JobRef, JobState, Scope, Selection};
use sluice_ports::{PortError, PortKind};

use crate::{Journal, KickoffError, Policy, Ports, Rebuild};

/// What a tenant wants done about a request that is the same as one still running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// Both run.
    #[default]
    Allow,
    /// The second is refused.
    Reject,
    /// The second hears where the first is.
    Join,
}

/// Looks for the job behind a name whose owner may just be storing it.
const LOOKS: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
/// How long a name is kept for a job that is not stored yet; a gateway that died loses it then.
const WHILE_STORING: Duration = Duration::from_secs(30);

/// What the name of an `Idempotency-Key` begins with.
const KEY: &str = "key/";

/// Whether a name stays its job's when that has ended: a key does, for as long as the job is there.
pub(crate) fn is_key(name: &str) -> bool {
    name.starts_with(KEY)
}

/// Everything that tells two requests apart, in one order.
#[derive(Serialize)]
struct Canonical<'a> {
    level: &'a Level,
    types: &'a [ResourceType],
    since: Option<Instant>,
    until: Option<Instant>,
    patients: &'a Option<Vec<String>>,
    #[serde(skip_serializing_if = "Selection::is_everything")]
    selection: &'a Selection,
    #[serde(skip_serializing_if = "Form::is_plain")]
    form: Form,
}

/// The same for two requests that ask for the same, however they say it.
pub(crate) fn fingerprint(record: &JobRecord) -> Result<String, PortError> {
    let JobRecord { scope, form, .. } = record;
    fingerprint_of(scope, *form)
}

fn fingerprint_of(scope: &Scope, form: Form) -> Result<String, PortError> {
    let canonical = Canonical {
        level: &scope.level,
        types: &scope.types,
        since: scope.since.map(Instant::floor_to_millis),
        until: scope.until.map(Instant::floor_to_millis),
        patients: &scope.patients,
        selection: &scope.selection,
        form,
    };
    let text = serde_json::to_vec(&canonical)
        .map_err(|error| PortError::permanent("telling a request from others", error))?;
    Ok(digest(&text))
}

fn digest(text: &[u8]) -> String {
    hex::encode(&Sha256::digest(text)[..16])
}

/// The names that a job may claim, below its tenant and its client.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    owner: String,
}

impl Names {
    pub(crate) fn of(job: &JobRef, client: Option<&str>) -> Self {
        let client = digest(client.unwrap_or_default().as_bytes());
        Self {
            owner: format!("{}/{client}", job.tenant),
        }
    }

    /// One job a request.
    pub(crate) fn request(&self, fingerprint: &str) -> String {
        format!("request/{}/{fingerprint}", self.owner)
    }

    /// One job an `Idempotency-Key`.
    pub(crate) fn key(&self, key: &str) -> String {
        format!("{KEY}{}/{}", self.owner, digest(key.as_bytes()))
    }

    /// One job a place, as many places as a client may have exports running.
    pub(crate) fn place(&self, number: u32) -> String {
        format!("place/{}/{number}", self.owner)
    }
}

/// Claims names for a job that is about to be stored.
pub(crate) struct Claims<'a> {
    ports: &'a Ports,
    rebuild: &'a Rebuild,
    job: &'a JobRef,
    /// What was claimed, in order.
    pub(crate) names: Vec<String>,
}

impl<'a> Claims<'a> {
    pub(crate) fn new(ports: &'a Ports, rebuild: &'a Rebuild, job: &'a JobRef) -> Self {
        Self {
            ports,
            rebuild,
            job,
            names: Vec::new(),
        }
    }

    /// Claims a name; answers the job that has it, if that one runs, or if it has ended and the name
    /// is a key. A job that was withdrawn, or that never came to be, has no claim.
    pub(crate) async fn claim(&mut self, name: String) -> Result<Option<JobRef>, PortError> {
        for _ in 0..LOOKS {
            let index = &self.ports.index;
            let Some(other) = index.claim(&name, self.job, WHILE_STORING).await? else {
                self.names.push(name);
                return Ok(None);
            };
            let status = match index.get(&other).await? {
                Some(status) => Some(status),
                None => self.rebuild.job(&other).await?,
            };
            match status {
                Some(status) if owns(&name, status.state) => return Ok(Some(other)),
                Some(_) => index.unclaim(&name, &other).await?,
                // It is being stored at this moment, or its gateway died and the name runs out.
                None => tokio::time::sleep(BETWEEN_LOOKS).await,
            }
        }
        Err(PortError::new(
            PortKind::Transient,
            "waiting for the same request to be stored",
        ))
    }

    /// Whether the job that has our key is the same request.
    pub(crate) async fn same_request(
        &self,
        same: &JobRef,
        print: &str,
    ) -> Result<Option<JobRef>, KickoffError> {
        let journal = Journal::new(self.ports.blobs.clone());
        let record = journal.job(same).await?;
        let scope = record.as_ref().map(fingerprint);
        match scope.transpose()? {
            Some(theirs) if theirs == print => Ok(Some(same.clone())),
            _ => Err(KickoffError::KeyReused),
        }
    }

    /// Claims the first free of `places`; `false` when there is none.
    pub(crate) async fn place(&mut self, names: &Names, places: u32) -> Result<bool, PortError> {
        for number in 0..places {
            if self.claim(names.place(number)).await?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Keeps the names for as long as the job may run.
    pub(crate) async fn keep(&self, policy: &Policy) -> Result<(), PortError> {
        keep(self.ports, self.job, self.names.iter(), policy).await
    }

    /// Gives everything back. What fails runs out.
    pub(crate) async fn give_back(self) {
        release(self.ports, self.job, self.names.iter()).await;
    }
}

fn owns(name: &str, state: JobState) -> bool {
    state.is_running() || (is_key(name) && state != JobState::Cancelled)
}

/// Claims names for a stored job, or keeps them longer.
pub(crate) async fn keep<'n>(
    ports: &Ports,
    job: &JobRef,
    names: impl Iterator<Item = &'n String>,
    policy: &Policy,
) -> Result<(), PortError> {
    for name in names {
        let life = if is_key(name) {
            policy.give_up_after + policy.retention
        } else {
            policy.give_up_after
        };
        let _who_has_it_was_first = ports.index.claim(name, job, life).await?;
    }
    Ok(())
}

/// Gives names back. What fails runs out.
pub(crate) async fn release<'n>(
    ports: &Ports,
    job: &JobRef,
    names: impl Iterator<Item = &'n String>,
) {
    for name in names {
        if let Err(error) = ports.index.unclaim(name, job).await {
            tracing::debug!(%job, error = error.chain(), "a name is given back when it runs out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_model::Snapshot;

    fn scope(types: &[&str], since: Option<&str>) -> Scope {
        Scope {
            selection: sluice_model::Selection::default(),
            level: Level::Patient,
            types: types.iter().map(|name| name.parse().unwrap()).collect(),
            since: since.map(|text| text.parse().unwrap()),
            until: None,
            patients: None,
            snapshot: Snapshot {
                time: Instant::from_millis(5),
                token: "t".to_owned(),
            },
        }
    }

    /// A12 of the fault matrix.
    #[test]
    fn the_same_request_is_known_whenever_and_however_it_is_said() {
        let print = |scope: &Scope| fingerprint_of(scope, Form::default()).unwrap();
        let one = scope(&["Patient"], Some("2026-01-01T00:00:00Z"));
        let mut other = scope(&["Patient"], Some("2026-01-01T02:00:00+02:00"));
        other.snapshot.time = Instant::from_millis(99);
        assert_eq!(print(&one), print(&other));
        for different in [
            scope(&["Patient", "Observation"], Some("2026-01-01T00:00:00Z")),
            scope(&["Patient"], None),
            Scope {
                level: Level::System,
                ..one.clone()
            },
            Scope {
                patients: Some(vec!["a".to_owned()]),
                ..one.clone()
            },
        ] {
            assert_ne!(print(&one), print(&different));
        }
    }
}
