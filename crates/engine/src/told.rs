//! What a source tells while a chunk is read, for the `error` files.

use sluice_fhir::{Issue, OperationOutcome};
use sluice_ports::{Block, PortError};

/// The most issues of one chunk.
pub(crate) const MOST: usize = 100;

/// Adds the issues of a block of outcomes, as far as there is room.
pub(crate) fn listen(block: &Block, told: &mut Vec<Issue>) -> Result<(), PortError> {
    let lines = block.bytes.split(|byte| *byte == b'\n');
    for line in lines.filter(|line| !line.is_empty()) {
        let outcome: OperationOutcome = serde_json::from_slice(line)
            .map_err(|error| PortError::permanent("reading what a source tells", error))?;
        told.extend(outcome.issues);
    }
    told.truncate(MOST);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_fhir::{IssueCode, ResourceType};

    #[test]
    fn what_is_told_is_kept_as_it_was_told() {
        let issues = [
            Issue::warning(IssueCode::Incomplete, "one is missing"),
            Issue::information("it was slow").about("_since"),
        ];
        let lines = issues.iter().map(|issue| {
            let outcome = OperationOutcome::from(issue.clone());
            serde_json::to_string(&outcome).unwrap() + "\n"
        });
        let mut block = Block {
            kind: ResourceType::OPERATION_OUTCOME,
            bytes: lines.collect::<String>().into(),
            lines: 2,
        };
        let mut told = Vec::new();
        listen(&block, &mut told).unwrap();
        assert_eq!(told, issues);
        for _ in 0..MOST {
            listen(&block, &mut told).unwrap();
        }
        assert_eq!(told.len(), MOST);
        block.bytes = "{}\n".into();
        assert!(listen(&block, &mut told).is_err());
    }
}
