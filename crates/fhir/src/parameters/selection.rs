//! `_typeFilter` and `_elements`: what is chosen of the resources in scope, and of each of them.

use std::collections::BTreeSet;

use super::RawParameter;
use super::check::Checker;
use super::raw::{entries, values};
use crate::search::{Filter, split};
use crate::{IssueCode, ResourceType};

/// Queries of one request at most: each is held against every resource of its type.
const MOST_FILTERS: usize = 200;

impl Checker<'_> {
    /// Where a query is ignored, the whole type is exported: too much does less harm than
    /// resources that are missing without a word (T-004).
    pub(super) fn filters(&mut self, raw: &[RawParameter]) {
        const NAME: &str = "_typeFilter";
        let queries: Vec<&str> = values(raw, NAME).flat_map(split).collect();
        if queries.len() > MOST_FILTERS {
            let text =
                format!("_typeFilter may hold {MOST_FILTERS} queries; ask for fewer at once");
            return self.refuse(IssueCode::TooLong, NAME, text);
        }
        let mut unfiltered: BTreeSet<ResourceType> = BTreeSet::new();
        for query in queries.into_iter().filter(|query| !query.is_empty()) {
            match Filter::compile(query, self.context.base) {
                Ok(filter) if !self.is_asked(filter.kind) => {
                    let text = format!(
                        "_typeFilter is about {}, which _type leaves out",
                        filter.kind
                    );
                    self.ignore_or_refuse(NAME, &text);
                }
                Ok(filter) if !filter.kind.is_exportable() => {
                    let text = format!(
                        "_typeFilter is about {}, which this server does not export",
                        filter.kind
                    );
                    self.ignore_or_refuse(NAME, &text);
                }
                Ok(filter) => self.kickoff.filters.push(filter),
                Err(problem) => {
                    unfiltered.extend(problem.kind);
                    let text = match problem.kind {
                        Some(kind) if self.context.lenient => {
                            format!("{}; no _typeFilter of {kind} is applied", problem.text)
                        }
                        _ => problem.text,
                    };
                    self.ignore_or_refuse(NAME, &text);
                }
            }
        }
        self.kickoff
            .filters
            .retain(|filter| !unfiltered.contains(&filter.kind));
    }

    /// Whether `_type` has a type, or is not there. Call it after the types are read.
    fn is_asked(&self, kind: ResourceType) -> bool {
        let types = self.kickoff.types.as_ref();
        types.is_none_or(|types| types.contains(&kind))
    }

    /// An entry that is ignored asks for nothing; if all are, resources stay whole.
    pub(super) fn elements(&mut self, raw: &[RawParameter]) {
        const NAME: &str = "_elements";
        for entry in entries(raw, NAME) {
            if let Err(problem) = self.kickoff.elements.add(entry) {
                self.ignore_or_refuse(NAME, &problem.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kickoff;
    use super::super::tests::ask;
    use crate::IssueCode;

    fn queries(kickoff: &Kickoff) -> Vec<String> {
        let queries = kickoff.filters.iter();
        queries
            .map(|filter| format!("{}?{}", filter.kind, filter.query))
            .collect()
    }

    #[test]
    fn r_079_repeats_and_whole_queries_behind_commas_are_one_list() {
        let repeats = "_typeFilter=Patient%3Fgender%3Dmale&_typeFilter=Observation%3Fcode%3Da,b";
        let commas = "_typeFilter=Patient%3Fgender%3Dmale,Observation%3Fcode%3Da,b";
        let repeats = ask(repeats, false).unwrap();
        assert_eq!(
            queries(&repeats),
            ["Patient?gender=male", "Observation?code=a,b"]
        );
        assert_eq!(repeats, ask(commas, false).unwrap());
    }

    #[test]
    fn t_011_a_url_is_decoded_once_and_its_query_once_more() {
        let asked = ask(
            "_typeFilter=Patient%3Fname%3Da%2526b%26gender%3Dmale",
            false,
        )
        .unwrap();
        assert_eq!(queries(&asked), ["Patient?name=a%26b&gender=male"]);
        assert_eq!(asked.filters[0].criteria().len(), 2);
    }

    #[test]
    fn t_010_a_filter_of_a_type_that_is_not_asked_for_is_refused_or_ignored() {
        let query = "_type=Observation&_typeFilter=Patient%3Fgender%3Dmale";
        let refused = ask(query, false).unwrap_err();
        assert_eq!(refused[0].code, IssueCode::NotSupported);
        let lenient = ask(query, true).unwrap();
        assert!(lenient.filters.is_empty());
        assert_eq!(lenient.ignored.len(), 1);
    }

    #[test]
    fn t_004_where_one_query_of_a_type_is_ignored_none_of_it_is_applied() {
        let query = "_typeFilter=Patient%3Fgender%3Dmale&_typeFilter=Patient%3F_sort%3Dname&_typeFilter=Group%3Fcode%3Da";
        assert_eq!(ask(query, false).unwrap_err().len(), 1);
        let lenient = ask(query, true).unwrap();
        assert_eq!(queries(&lenient), ["Group?code=a"]);
        assert!(
            lenient.ignored[0]
                .text
                .contains("no _typeFilter of Patient is applied")
        );
    }

    #[test]
    fn r_062_elements_are_checked_by_name() {
        let asked = ask("_elements=id,Patient.name&_elements=value[x]", false).unwrap();
        assert!(!asked.elements.is_empty());
        let refused = ask("_elements=colour,Patient.name.family", false).unwrap_err();
        assert_eq!(refused.len(), 2);
        let lenient = ask("_elements=colour", true).unwrap();
        assert!(lenient.elements.is_empty() && lenient.ignored.len() == 1);
    }
}
