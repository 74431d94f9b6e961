//! Step 5. Ends a job: gathers its receipts into a manifest, or says why there is none.

use std::pin::pin;

use bytes::Bytes;
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use sluice_fhir::{Guide, Issue, IssueCode, OperationOutcome, ResourceType, Severity};
use sluice_model::{
    AttemptId, Chunks, JobRecord, JobState, Manifest, ManifestFile, Sealed, SeverityCount, Version,
    WrittenFile, layout,
};
use sluice_ports::{Creation, PortError, PortKind};

use crate::duplicates::{is_key, release};
use crate::offer::Ended;
use crate::{Journal, Policy, Ports, offer};

/// What the receipts of a job say together.
struct Gathered {
    chunks: u32,
    output: Vec<ManifestFile>,
    deleted: Vec<ManifestFile>,
    failures: Vec<Issue>,
    told: Vec<Issue>,
}

/// Ends a settled job. `false` when receipts are missing although the index counted them.
pub(crate) async fn finish(
    ports: &Ports,
    journal: &Journal,
    record: &JobRecord,
    policy: &Policy,
) -> Result<bool, PortError> {
    let sealed = journal.sealed(&record.name).await?;
    let sealed = sealed
        .ok_or_else(|| PortError::new(PortKind::Transient, "finishing a job before its plan"))?;
    let offered = offer::end(ports, journal, record).await?;
    let gathered = gather(journal, record, &offered.held).await?;
    if gathered.chunks < sealed.chunks {
        return Ok(false);
    }
    let failed = u64::try_from(gathered.failures.len()).unwrap_or(u64::MAX);
    if failed * 100 > u64::from(policy.failed_percent) * u64::from(sealed.chunks) {
        let first = gathered
            .failures
            .first()
            .map_or("", |issue| issue.text.as_str());
        let text = format!("{failed} of {} chunks failed; {first}", sealed.chunks);
        return fail(
            ports,
            journal,
            record,
            policy,
            Issue::error(IssueCode::Exception, text),
        )
        .await
        .map(|()| true);
    }
    complete(ports, journal, record, policy, (sealed, offered, gathered)).await?;
    Ok(true)
}

/// Reads all receipts. The files of some chunks are named already, and left out.
async fn gather(
    journal: &Journal,
    record: &JobRecord,
    named: &Chunks,
) -> Result<Gathered, PortError> {
    let mut gathered = Gathered {
        chunks: 0,
        output: Vec::new(),
        deleted: Vec::new(),
        failures: Vec::new(),
        told: Vec::new(),
    };
    let mut receipts = pin!(journal.receipts(&record.name, |_| true));
    while let Some(receipt) = receipts.try_next().await? {
        gathered.chunks += 1;
        if !named.contains(receipt.chunk) {
            gathered.output.extend(receipt.files);
            gathered.deleted.extend(receipt.deleted);
        }
        gathered.failures.extend(receipt.failure);
        gathered.told.extend(receipt.issues);
    }
    Ok(gathered)
}

async fn complete(
    ports: &Ports,
    journal: &Journal,
    record: &JobRecord,
    policy: &Policy,
    (sealed, offered, gathered): (Sealed, Ended, Gathered),
) -> Result<(), PortError> {
    // What was known from the start is in the files of the pages.
    let from_the_start = (offered.pages == 0).then(|| record.ignored.iter().chain(&sealed.issues));
    let remarks: Vec<&Issue> = from_the_start
        .into_iter()
        .flatten()
        .chain(&gathered.failures)
        .chain(&gathered.told)
        .collect();
    let error = write_outcomes(ports, record, &remarks).await?;
    let manifest = Manifest {
        output: gathered.output,
        deleted: gathered.deleted,
        error: offered.error.into_iter().chain(error.clone()).collect(),
        v: Version::lowest(offered.pages == 0 && record.form.organize.is_none()),
        pages_before: offered.pages,
        ..ended(ports, record, policy)
    };
    let mine = publish(ports, journal, record, &manifest).await?;
    if let Some(unused) = error.filter(|_| !mine) {
        let _goes_with_the_job = journal.delete(unused.key).await;
    }
    Ok(())
}

/// Gives a job up as a whole.
pub(crate) async fn fail(
    ports: &Ports,
    journal: &Journal,
    record: &JobRecord,
    policy: &Policy,
    why: Issue,
) -> Result<(), PortError> {
    tracing::error!(job = %record.name, reason = why.text, "job failed");
    let manifest = Manifest {
        failure: Some(why),
        ..ended(ports, record, policy)
    };
    publish(ports, journal, record, &manifest).await.map(|_| ())
}

fn ended(ports: &Ports, record: &JobRecord, policy: &Policy) -> Manifest {
    let now = ports.clock.now();
    Manifest {
        v: Version::lowest(!record.form.partial && record.form.organize.is_none()),
        transaction_time: record.scope.snapshot.time,
        request: record.url.clone(),
        organized_by: record.form.organize,
        output: Vec::new(),
        deleted: Vec::new(),
        error: Vec::new(),
        completed_at: now,
        expires_at: now.plus(policy.retention),
        failure: None,
        pages_before: 0,
    }
}

/// The first manifest wins and decides how the job ended; says whether it was this one.
async fn publish(
    ports: &Ports,
    journal: &Journal,
    record: &JobRecord,
    manifest: &Manifest,
) -> Result<bool, PortError> {
    let job = &record.name;
    let mine = journal.create(&layout::manifest(job), manifest).await? == Creation::Created;
    let theirs = if mine {
        None
    } else {
        journal.manifest(job).await?
    };
    let published = theirs.as_ref().unwrap_or(manifest);
    let state = state_of(published);
    ports.index.end(job, state, published.completed_at).await?;
    let names = record.claims.iter().filter(|name| !is_key(name));
    release(ports, job, names).await;
    if mine {
        tracing::info!(%job, ?state, files = published.files().count(), "job ended");
        let outcome = if state == JobState::Failed {
            "failed"
        } else {
            "complete"
        };
        let took = published.completed_at.since(record.accepted_at);
        let level = &record.scope.level;
        ports.metrics.job_ended(level, outcome, Some(took));
    }
    Ok(mine)
}

/// How a job with this manifest ended.
pub(crate) fn state_of(manifest: &Manifest) -> JobState {
    if manifest.failure.is_some() {
        JobState::Failed
    } else {
        JobState::Complete
    }
}

/// How many issues have each severity, for the version of the guide whose manifest says it.
fn severities(record: &JobRecord, issues: &[&Issue]) -> Vec<SeverityCount> {
    use Severity::{Error, Fatal, Information, Warning};
    if record.form.guide == Guide::Third {
        return Vec::new();
    }
    let count = |code: Severity| {
        let count = issues.iter().filter(|issue| issue.severity == code).count();
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        SeverityCount { code, count }
    };
    let counts = [Fatal, Error, Warning, Information].map(count);
    counts.into_iter().filter(|one| one.count > 0).collect()
}

/// One OperationOutcome a line, as the guide asks for ignored parameters.
pub(crate) async fn write_outcomes(
    ports: &Ports,
    record: &JobRecord,
    issues: &[&Issue],
) -> Result<Option<WrittenFile>, PortError> {
    if issues.is_empty() {
        return Ok(None);
    }
    let mut body = Vec::new();
    for issue in issues {
        let outcome = OperationOutcome::from((*issue).clone());
        serde_json::to_writer(&mut body, &outcome)
            .map_err(|error| PortError::permanent("writing outcomes", error))?;
        body.push(b'\n');
    }
    let mut id = [0; 8];
    ports.entropy.fill(&mut id)?;
    let file = WrittenFile {
        kind: ResourceType::OPERATION_OUTCOME,
        key: layout::outcome_file(&record.name, AttemptId::from_bytes(id)),
        count: u64::try_from(issues.len()).unwrap_or(u64::MAX),
        bytes: u64::try_from(body.len()).unwrap_or(u64::MAX),
        sha256: hex::encode(Sha256::digest(&body)),
        gzip: None,
        severities: severities(record, issues),
        continues_in: None,
    };
    match ports.blobs.create(&file.key, Bytes::from(body)).await? {
        Creation::Created => Ok(Some(file)),
        Creation::Exists => Err(PortError::new(PortKind::Transient, "writing outcomes")),
    }
}
