//! All resources of a type, or those of them that are the cohort's.

use async_trait::async_trait;
use bytes::Bytes;
use sluice_fhir::ResourceType;
use sluice_fhir::facts::Facts;
use sluice_ports::PortError;

use crate::fetch::since;
use crate::reading::{Reading, Sink};
use crate::upstream::Query;
use crate::walk::Take;

/// Resources held, and their bytes, until it is asked whose they are.
const HELD: usize = 200;
const HELD_BYTES: usize = 8 << 20;

impl Reading<'_> {
    /// Visits a type from one end to the other; `all` whatever its time.
    pub(crate) async fn scan(
        &self,
        kind: ResourceType,
        all: bool,
        sink: &mut dyn Sink,
    ) -> Result<(), PortError> {
        let after = if all { None } else { self.scope.since };
        let mut query = since(Query::new(kind), after);
        if !all {
            query = self.upstream.chosen(query, &self.scope.selection);
        }
        let mut sieve = Sieve {
            reading: self,
            held: Vec::new(),
            bytes: 0,
            sink,
        };
        let walked = self.upstream.walk(&query, &self.notes, &mut sieve).await;
        walked.map_err(self.told(kind))?;
        sieve.sift().await
    }
}

/// Holds a few until it is known which of their patients are in the cohort.
struct Sieve<'s> {
    reading: &'s Reading<'s>,
    held: Vec<(Facts, Bytes)>,
    bytes: usize,
    sink: &'s mut dyn Sink,
}

#[async_trait]
impl Take for Sieve<'_> {
    async fn take(&mut self, facts: Facts, line: Bytes) -> Result<(), PortError> {
        if self.reading.scope.is_whole() {
            return self.sink.take(facts, line, true).await;
        }
        self.bytes += line.len();
        self.held.push((facts, line));
        if self.held.len() >= HELD || self.bytes >= HELD_BYTES {
            self.sift().await?;
        }
        Ok(())
    }
}

impl Sieve<'_> {
    async fn sift(&mut self) -> Result<(), PortError> {
        let held = std::mem::take(&mut self.held);
        self.bytes = 0;
        let patients = held.iter().flat_map(|(facts, _)| &facts.patients);
        let patients: Vec<String> = patients.map(|patient| patient.id.clone()).collect();
        let ids = patients.iter().map(String::as_str);
        let members = self.reading.members(ids).await?;
        for (facts, line) in held {
            let mut named = facts.patients.iter();
            let is_theirs = named.any(|patient| members.contains(patient.id.as_str()))
                || (facts.kind.name() == "Provenance"
                    && self.reading.is_provenance_of_cohort(&facts).await?);
            if is_theirs {
                self.sink.take(facts, line, true).await?;
            }
        }
        Ok(())
    }
}
