//! What the kick-off settled, held against what a source plans and yields (rule 22).

use sluice_fhir::ResourceType;
use sluice_model::{Scope, Slice};
use sluice_ports::{PortError, PortKind};

/// Fails for a slice that no source should have planned: deletions that nobody asked for, or of
/// types that the export may not have (T-032).
pub(crate) fn check(scope: &Scope, slice: &Slice) -> Result<(), PortError> {
    if !slice.deleted {
        return Ok(());
    }
    if scope.since.is_none() {
        return Err(refused("naming what was deleted only since a time"));
    }
    let settled = |kind: &ResourceType| scope.types.contains(kind);
    if !slice.types.iter().all(settled) {
        return Err(refused("naming what was deleted of the export's types"));
    }
    Ok(())
}

/// Fails for a block of a type that a slice may not yield: deletions come as Bundles, data never
/// does, whatever the types are.
pub(crate) fn admits(scope: &Scope, slice: &Slice, kind: ResourceType) -> Result<(), PortError> {
    let is_bundle = kind == ResourceType::BUNDLE;
    let settled = slice.deleted || scope.types.contains(&kind);
    if is_bundle == slice.deleted && settled {
        return Ok(());
    }
    Err(refused("keeping to the types that the export may have"))
}

fn refused(action: &'static str) -> PortError {
    PortError::new(PortKind::Permanent, action)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_fhir::{Instant, Level};
    use sluice_model::Snapshot;

    const BUNDLE: ResourceType = ResourceType::BUNDLE;
    const GROUP: ResourceType = ResourceType::GROUP;
    const PATIENT: ResourceType = ResourceType::PATIENT;

    fn scope(since: bool) -> Scope {
        Scope {
            selection: sluice_model::Selection::default(),
            level: Level::Patient,
            types: vec![PATIENT],
            since: since.then(|| Instant::from_millis(0)),
            until: None,
            patients: None,
            snapshot: Snapshot {
                time: Instant::from_millis(1),
                token: String::new(),
            },
        }
    }

    fn slice(deleted: bool, types: &[ResourceType]) -> Slice {
        Slice {
            types: types.to_vec(),
            range: String::new(),
            deleted,
        }
    }

    #[test]
    fn t_032_deletions_are_of_the_jobs_types_and_only_with_since() {
        let slice = slice(true, &[PATIENT]);
        assert!(check(&scope(true), &slice).is_ok());
        assert!(check(&scope(false), &slice).is_err());
        let wider = self::slice(true, &[GROUP, PATIENT]);
        let refused = check(&scope(true), &wider).unwrap_err();
        assert_eq!(refused.kind, PortKind::Permanent);
        assert!(check(&scope(false), &self::slice(false, &[PATIENT])).is_ok());
    }

    #[test]
    fn g8_deletions_are_bundles_and_data_never_is() {
        let (data, deleted) = (slice(false, &[PATIENT]), slice(true, &[PATIENT]));
        let mut scope = scope(true);
        assert!(admits(&scope, &data, PATIENT).is_ok());
        assert!(admits(&scope, &deleted, BUNDLE).is_ok());
        for (slice, kind) in [
            (&data, GROUP),
            (&data, BUNDLE),
            (&deleted, PATIENT),
            (&deleted, GROUP),
        ] {
            let refused = admits(&scope, slice, kind).unwrap_err();
            assert_eq!(refused.kind, PortKind::Permanent, "{kind}");
        }
        // Even if somebody had got a job accepted that wants them.
        scope.types.push(BUNDLE);
        assert!(admits(&scope, &data, BUNDLE).is_err());
    }
}
