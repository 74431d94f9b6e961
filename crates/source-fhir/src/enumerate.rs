//! The patients of a scope, a few at a time: those of a list, or all that the server has, page after
//! page.

use std::collections::HashSet;

use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use sluice_fhir::ResourceType;
use sluice_fhir::facts::scan;
use sluice_ports::{PortError, PortKind};

use crate::cohort::Cohort;
use crate::http::Ask;
use crate::notes::Notes;
use crate::reading::Reading;
use crate::upstream::{Query, Upstream};

/// Ids asked for in a page.
const PAGE: usize = 500;
/// Bytes of ids in one batch, for the batch becomes part of a document.
const BATCH_BYTES: usize = 3 * 1024;
/// Pages in a row that bring nobody new.
const BARREN: usize = 3;
/// Patients who may come while the others are enumerated.
const SLACK: u64 = 10_000;

/// Ids, the next page, and how many there are in all.
type PageOfIds = (Vec<String>, Option<String>, Option<u64>);

/// Where an enumeration stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The page to go on with; the first when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<String>,
    /// The last patient given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    /// The first of all, which must not come again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    /// How many were given, and how many the server said that there are: pages that lead to each other
    /// must come to an end.
    #[serde(default)]
    given: u64,
    #[serde(default)]
    total: Option<u64>,
}

/// Some patients, and where to go on; `None` when they are the last.
pub(crate) struct Stretch {
    pub(crate) patients: Vec<String>,
    pub(crate) next: Option<Place>,
}

impl Upstream {
    /// At most so many patients of the cohort from a place on, sorted; none only at the end.
    pub(crate) async fn patients(
        &self,
        cohort: &Cohort,
        place: Place,
        most: usize,
    ) -> Result<Stretch, PortError> {
        match &cohort.ids {
            Some(ids) => self.of_list(ids, place, most).await,
            None => self.of_all(place, most).await,
        }
    }

    async fn of_list(
        &self,
        ids: &[String],
        mut place: Place,
        most: usize,
    ) -> Result<Stretch, PortError> {
        loop {
            let from = place.last.as_ref();
            let start = from.map_or(0, |last| ids.partition_point(|id| id <= last));
            let some = fitting(&ids[start..], most);
            let there = self.existing(some, None, &Notes::default()).await?;
            let patients: Vec<String> = some
                .iter()
                .filter(|id| there.contains_key(*id))
                .cloned()
                .collect();
            place.last = some.last().cloned();
            let is_last = start + some.len() >= ids.len();
            if is_last || !patients.is_empty() {
                let next = (!is_last).then_some(place);
                return Ok(Stretch { patients, next });
            }
        }
    }

    async fn of_all(&self, mut place: Place, most: usize) -> Result<Stretch, PortError> {
        let mut patients: Vec<String> = Vec::new();
        let mut barren = 0;
        loop {
            let (ids, next, total) = self.page_of_ids(&place).await?;
            place.total = place.total.or(total);
            let fresh = place.fresh(ids, &patients).ok_or_else(|| self.repeats())?;
            barren = if fresh.is_empty() { barren + 1 } else { 0 };
            if barren > BARREN {
                return Err(self.repeats());
            }
            let bytes: usize = patients.iter().map(String::len).sum();
            let room = most - patients.len();
            let fit = fitting_in(&fresh, room, BATCH_BYTES.saturating_sub(bytes));
            let is_all = fit.len() == fresh.len();
            place.give(fit);
            patients.extend_from_slice(fit);
            let goes_on = next.is_some() || !is_all;
            if is_all {
                place.page = next;
            }
            if !goes_on || !is_all || patients.len() == most {
                patients.sort_unstable();
                let next = goes_on.then_some(place);
                return Ok(Stretch { patients, next });
            }
        }
    }

    fn repeats(&self) -> PortError {
        let host = self.http.host();
        let action =
            format!("enumerating the patients of the FHIR server at {host}, whose pages repeat");
        PortError::new(PortKind::Permanent, action)
    }

    async fn page_of_ids(&self, place: &Place) -> Result<PageOfIds, PortError> {
        let kind = ResourceType::PATIENT;
        let told = |failure: crate::failure::Failure| failure.during(self.action(kind));
        let page = if let Some(link) = &place.page {
            let url = self.http.follow(link).map_err(told)?;
            self.page(&Ask::Get(url)).await
        } else {
            let query = Query::new(kind).with("_elements", "id");
            self.first(&query, PAGE).await
        };
        let page = page.map_err(told)?;
        let matches = page.entries.iter().filter(|entry| entry.is_match);
        let facts = matches.filter_map(|entry| scan(&entry.line).ok());
        let patients = facts.filter(|facts| facts.kind == kind);
        Ok((
            patients.map(|facts| facts.id).collect(),
            page.next,
            page.total,
        ))
    }
}

impl Place {
    /// Those of a page that were not given; `None` when the pages begin again. Where patients were added
    /// meanwhile, a page begins with some of the last, so what stands before the last given is passed over.
    fn fresh(&self, ids: Vec<String>, given: &[String]) -> Option<Vec<String>> {
        let at = self
            .last
            .as_ref()
            .and_then(|last| ids.iter().position(|id| id == last));
        let too_many = { self.total }.is_some_and(|total| self.given > 2 * total + SLACK);
        let again = at.is_none() && self.first.as_ref().is_some_and(|first| ids.contains(first));
        if again || too_many {
            return None;
        }
        let rest = ids.into_iter().skip(at.map_or(0, |at| at + 1));
        let mut seen = HashSet::new();
        let fresh = rest.filter(|id| !given.contains(id) && seen.insert(id.clone()));
        Some(fresh.collect())
    }

    fn give(&mut self, ids: &[String]) {
        if let Some(last) = ids.last() {
            self.last = Some(last.clone());
            self.first.get_or_insert_with(|| ids[0].clone());
            self.given += u64::try_from(ids.len()).unwrap_or(0);
        }
    }
}

fn fitting(ids: &[String], most: usize) -> &[String] {
    let fit = fitting_in(ids, most, BATCH_BYTES);
    if fit.is_empty() && !ids.is_empty() {
        &ids[..1]
    } else {
        fit
    }
}

fn fitting_in(ids: &[String], most: usize, bytes: usize) -> &[String] {
    let mut used = 0;
    let fit = ids.iter().take(most).take_while(|id| {
        used += id.len();
        used <= bytes
    });
    &ids[..fit.count()]
}

/// All batches of a scope's patients.
pub(crate) struct Batches;

impl Batches {
    /// In the order of the plan.
    pub(crate) fn of<'r>(
        reading: &'r Reading<'_>,
    ) -> BoxStream<'r, Result<Vec<String>, PortError>> {
        let most = reading.upstream.http.options.patients_per_chunk.max(1);
        let step = move |place: Option<Place>| async move {
            let Some(place) = place else { return Ok(None) };
            let some = reading
                .upstream
                .patients(reading.cohort(), place, most)
                .await?;
            Ok(Some((some.patients, some.next)))
        };
        stream::try_unfold(Some(Place::default()), step).boxed()
    }
}
