//! `includeAssociatedData`: which Provenances come along.

use serde::{Deserialize, Serialize};

use super::RawParameter;
use super::check::Checker;
use super::raw::entries;
use crate::shown;

const NAME: &str = "includeAssociatedData";

/// Provenances by what they are about; the later one includes the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provenances {
    /// `LatestProvenanceResources`: the newest about each exported resource, and no other.
    Latest,
    /// `RelevantProvenanceResources`: all about each exported resource.
    Relevant,
}

impl Provenances {
    fn named(name: &str) -> Option<Self> {
        match name {
            "LatestProvenanceResources" => Some(Self::Latest),
            "RelevantProvenanceResources" => Some(Self::Relevant),
            _ => None,
        }
    }
}

impl Checker<'_> {
    /// repeats and commas are one list. R-071: of two values the one that lets more through counts. Values
    /// of a server's own we have none.
    pub(super) fn associated(&mut self, raw: &[RawParameter]) {
        for name in entries(raw, NAME) {
            if let Some(asked) = Provenances::named(name) {
                let wider = self.kickoff.associated.max(Some(asked));
                self.kickoff.associated = wider;
            } else {
                let name = shown(name);
                self.ignore_or_refuse(
                    NAME,
                    &format!(
                        "{NAME} contains {name:?}, which is neither LatestProvenanceResources nor \
                         RelevantProvenanceResources"
                    ),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::ask;
    use super::Provenances::{self, Latest, Relevant};

    #[test]
    fn r_067_r_071_of_several_values_the_widest_counts() {
        let asked = |values: &[&str]| -> Option<Provenances> {
            let query = values
                .iter()
                .map(|value| format!("includeAssociatedData={value}"));
            let query = query.collect::<Vec<_>>().join("&");
            ask(&query, false).unwrap().associated
        };
        let (latest, relevant) = ("LatestProvenanceResources", "RelevantProvenanceResources");
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[latest]), Some(Latest));
        assert_eq!(asked(&[relevant]), Some(Relevant));
        assert_eq!(asked(&[relevant, latest]), Some(Relevant));
        assert_eq!(asked(&[&format!("{latest},{relevant}")]), Some(Relevant));
    }

    #[test]
    fn r_072_values_of_other_servers_are_refused_or_reported() {
        let query = "includeAssociatedData=_own,LatestProvenanceResources";
        assert!(ask(query, false).unwrap_err()[0].text.contains("_own"));
        let lenient = ask(query, true).unwrap();
        assert_eq!(
            (lenient.associated, lenient.ignored.len()),
            (Some(Latest), 1)
        );
    }
}
