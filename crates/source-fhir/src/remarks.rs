//! What a reader of an export should know about the server it came from.

use sluice_fhir::{Issue, IssueCode, ResourceType};
use sluice_model::Scope;
use sluice_ports::PortError;

use crate::cohort::Cohort;
use crate::notes::Notes;
use crate::options::Unsearchable;
use crate::plan::wanted;
use crate::upstream::Upstream;

/// Members that are looked for one more time, to tell how many are not there.
const LOOKED_FOR: usize = 20_000;

impl Upstream {
    /// The remarks on a scope.
    pub(crate) async fn remarks(
        &self,
        scope: &Scope,
        cohort: &Cohort,
    ) -> Result<Vec<Issue>, PortError> {
        let mut issues = vec![Issue::information(
            "read from a FHIR server by search: it gives the newest version of each resource, so what \
             changed after the transactionTime is exported as it is now, and what changed or was deleted \
             while the export ran may be missing from it",
        )];
        issues.extend(self.left_out(scope));
        issues.extend(self.members(scope, cohort).await?);
        Ok(issues)
    }

    /// Types that the server does not have, or does not search as it would have to.
    fn left_out(&self, scope: &Scope) -> Vec<Issue> {
        let whole = scope.is_whole();
        let wanted = wanted(self, scope);
        let list = |kinds: Vec<ResourceType>| {
            let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
            names.join(", ")
        };
        let absent = scope.types.iter().filter(|kind| !self.offer.has(**kind));
        let absent: Vec<ResourceType> = absent.copied().collect();
        let partly = wanted.iter().filter(|kind| {
            if whole {
                !self.offer.can_search(**kind)
            } else {
                self.offer.misses_some(**kind)
            }
        });
        let partly: Vec<ResourceType> = partly.copied().collect();
        let left_out = self.http.options.unsearchable == Unsearchable::LeaveOut;
        let mut issues = Vec::new();
        if !absent.is_empty() {
            issues.push(Issue::information(format!(
                "types that the FHIR server does not offer, by its CapabilityStatement: {}",
                list(absent)
            )));
        }
        if !partly.is_empty() && whole {
            let text = format!("types that the FHIR server cannot search: {}", list(partly));
            issues.push(Issue::warning(IssueCode::Incomplete, text));
        } else if !partly.is_empty() && left_out {
            let text = format!(
                "types that the FHIR server does not search by each element that makes a resource a \
                 patient's, so that some may be missing: {}",
                list(partly)
            );
            issues.push(Issue::warning(IssueCode::Incomplete, text));
        }
        issues
    }

    async fn members(&self, scope: &Scope, cohort: &Cohort) -> Result<Vec<Issue>, PortError> {
        if !matches!(scope.level, sluice_fhir::Level::Group(_)) {
            return Ok(Vec::new());
        }
        let ids = cohort.ids.as_deref().unwrap_or_default();
        let mut missing = 0;
        if scope.patients.is_none() && ids.len() <= LOOKED_FOR {
            let there = self.existing(ids, None, &Notes::default()).await?;
            missing = ids.len() - there.len();
        }
        let told = [
            (missing, "Patients that the FHIR server does not have"),
            (
                cohort.lost_groups,
                "Groups that the FHIR server does not have",
            ),
            (cohort.others, "neither Patients nor Groups"),
        ];
        let told = told.into_iter().filter(|(count, _)| *count > 0);
        let issues = told.map(|(count, what)| {
            let text = format!("members of the Group left out: {count} that are {what}");
            Issue::warning(IssueCode::Incomplete, text)
        });
        Ok(issues.collect())
    }
}
