//! What a reader of an export should know about how a chunk was read, with numbers and without names.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use sluice_fhir::{Issue, IssueCode, OperationOutcome, ResourceType};
use sluice_ports::{Block, PortError};

/// Something worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Note {
    /// Resources of patients that were not asked for, or of nobody.
    Stranger,
    /// Resources of another type.
    WrongType,
    /// Entries that are no resources.
    Broken(&'static str),
    /// Resources that the server counts beyond those that it gives.
    Missing,
    /// Resources that the server gives beyond those that it counts.
    Uncounted,
    /// Pages that came again, or led to each other.
    Loop,
    /// Answers that are too large.
    TooLarge,
    /// Patients for which the server says that they are not there.
    Gone,
    /// A Group that is another than when the export began.
    OtherGroup,
}

/// Counts what is worth telling while a chunk is read.
#[derive(Default)]
pub(crate) struct Notes(Mutex<BTreeMap<(ResourceType, Note), u64>>);

impl Notes {
    /// Counts something about a type.
    pub(crate) fn add(&self, kind: ResourceType, note: Note, count: u64) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *notes.entry((kind, note)).or_default() += count;
    }

    /// All of it, as issues.
    pub(crate) fn issues(&self) -> Vec<Issue> {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let issues = notes
            .iter()
            .map(|((kind, note), count)| issue(*kind, *note, *count));
        issues.collect()
    }

    /// All of it, as a block of outcomes; `None` when there is nothing.
    pub(crate) fn block(&self) -> Result<Option<Block>, PortError> {
        let issues = self.issues();
        if issues.is_empty() {
            return Ok(None);
        }
        let mut lines = Vec::new();
        for issue in &issues {
            tracing::warn!(note = issue.text, "reading a FHIR server");
            let outcome = OperationOutcome::from(issue.clone());
            serde_json::to_writer(&mut lines, &outcome)
                .map_err(|error| PortError::permanent("writing outcomes", error))?;
            lines.push(b'\n');
        }
        Ok(Some(Block {
            kind: ResourceType::OPERATION_OUTCOME,
            bytes: Bytes::from(lines),
            lines: u64::try_from(issues.len()).unwrap_or(u64::MAX),
        }))
    }
}

fn issue(kind: ResourceType, note: Note, count: u64) -> Issue {
    let incomplete = |text: String| Issue::warning(IssueCode::Incomplete, text);
    let processing = |text: String| Issue::warning(IssueCode::Processing, text);
    match note {
        Note::Stranger => processing(format!(
            "{kind}: {count} that the FHIR server gave are not in the compartment of a patient asked for, \
             and were dropped"
        )),
        Note::WrongType => processing(format!(
            "{kind}: {count} resources of another type were among those that the FHIR server gave, and \
             were dropped"
        )),
        Note::Broken(why) => incomplete(format!(
            "{kind}: {count} entries that the FHIR server gave were dropped: {why}"
        )),
        Note::Missing => incomplete(format!(
            "{kind}: the FHIR server counts {count} more than it gave, also when it was asked again"
        )),
        Note::Uncounted => processing(format!(
            "{kind}: the FHIR server gave {count} more than it counts, also when it was asked again"
        )),
        Note::Loop => incomplete(format!(
            "{kind}: pages of the FHIR server led to each other or brought nothing new, {count} times; they \
             were not followed on"
        )),
        Note::TooLarge => incomplete(format!(
            "{kind}: {count} searches of the FHIR server were broken off at an answer that is larger than \
             may be read, though it was asked for single resources"
        )),
        Note::Gone => incomplete(format!(
            "{kind}: for {count} patients the FHIR server says that they are not there (any more)"
        )),
        Note::OtherGroup => processing(
            "the Group changed while the export ran; a resource that names several of its members may be \
             in it twice"
                .to_owned(),
        ),
    }
}
