//! Chooses among the lines of a chunk and trims them, as its job's selection says: block by block, on another
//! thread, over raw JSON.

use std::collections::BTreeMap;

use bytes::Bytes;
use sluice_fhir::ResourceType;
use sluice_fhir::elements::{Trim, TrimScratch};
use sluice_fhir::search::{Matcher, Scratch};
use sluice_model::Selection;
use sluice_ports::{Block, PortError};

use crate::associated::{Attached, Taken};
use crate::whole_lines::WholeLines;

const ACTION: &str = "reading a resource to choose by";

/// Applies a selection to the blocks of one slice.
#[derive(Debug)]
pub(crate) struct Chooser {
    rules: BTreeMap<ResourceType, Rules>,
    lines: WholeLines,
    scratch: (Scratch, TrimScratch),
}

/// What applies to a type.
#[derive(Debug)]
struct Rules {
    matcher: Option<Matcher>,
    /// Provenances that are there whatever they meet.
    attached: Option<Attached>,
    trim: Option<Trim>,
}

impl Chooser {
    /// For slices of these types; `None` if all of theirs is exported as it is.
    pub(crate) fn new(selection: &Selection, types: &[ResourceType]) -> Option<Self> {
        if selection.is_everything() {
            return None;
        }
        let rules = types
            .iter()
            .map(|kind| (*kind, Rules::of(selection, *kind)));
        let rules: BTreeMap<_, _> = rules.filter(|(_, rules)| rules.are_needed()).collect();
        (!rules.is_empty()).then(|| Self::with(rules))
    }

    /// For slices of Provenances, of which those that were matched are exported.
    pub(crate) fn attaching(selection: &Selection, attached: Attached) -> Self {
        const PROVENANCE: ResourceType = ResourceType::PROVENANCE;
        let rules = Rules {
            attached: Some(attached),
            ..Rules::of(selection, PROVENANCE)
        };
        Self::with(BTreeMap::from([(PROVENANCE, rules)]))
    }

    fn with(rules: BTreeMap<ResourceType, Rules>) -> Self {
        Self {
            rules,
            lines: WholeLines::default(),
            scratch: Default::default(),
        }
    }

    /// Whether blocks of a type have to be looked at.
    pub(crate) fn concerns(&self, kind: ResourceType) -> bool {
        self.rules.contains_key(&kind)
    }

    /// What is left of a block; `None` if that is nothing, or nothing yet because a line has not ended.
    pub(crate) fn block(&mut self, block: Block) -> Result<Option<Block>, PortError> {
        let Some(rules) = self.rules.get(&block.kind) else {
            return Ok(Some(block));
        };
        let Some(bytes) = self.lines.of(block.bytes) else {
            return Ok(None);
        };
        let (bytes, lines) = rules.apply(&bytes, &mut self.scratch)?;
        Ok((lines > 0).then_some(Block {
            kind: block.kind,
            bytes,
            lines,
        }))
    }

    /// Fails if the last line did not end.
    pub(crate) fn finish(&self) -> Result<(), PortError> {
        self.lines.finish()
    }
}

impl Rules {
    fn of(selection: &Selection, kind: ResourceType) -> Self {
        let is_filtered = selection.filters_of(kind).next().is_some();
        Self {
            matcher: is_filtered.then(|| Matcher::new(selection.filters_of(kind))),
            attached: None,
            trim: selection.elements.of(kind),
        }
    }

    fn are_needed(&self) -> bool {
        self.matcher.is_some() || self.attached.is_some() || self.trim.is_some()
    }

    /// Whether a line is chosen, as far as that can be told without its queries.
    fn chooses(&self, json: &str) -> Result<Taken, PortError> {
        match &self.attached {
            Some(attached) => attached.takes(json).map_err(wrong),
            None => Ok(Taken::IfChosen),
        }
    }

    /// What is left of whole lines, and how many. A block that stays whole is not copied.
    fn apply(
        &self,
        bytes: &Bytes,
        (found, members): &mut (Scratch, TrimScratch),
    ) -> Result<(Bytes, u64), PortError> {
        let text = std::str::from_utf8(bytes).map_err(wrong)?;
        let (mut out, mut lines, mut same) = (Vec::new(), 0, 0);
        for line in text.split_inclusive('\n') {
            let json = line.trim_end_matches('\n');
            let queries = match self.chooses(json)? {
                Taken::Yes => None,
                Taken::No => continue,
                Taken::IfChosen => self.matcher.as_ref(),
            };
            if let Some(trim) = &self.trim {
                if out.capacity() == 0 {
                    out.reserve(bytes.len());
                }
                if trim.line(json, queries, members, &mut out).map_err(wrong)? {
                    out.push(b'\n');
                    lines += 1;
                }
                continue;
            }
            if let Some(queries) = queries
                && !queries.matches(json, found).map_err(wrong)?
            {
                continue;
            }
            lines += 1;
            if out.is_empty() && same == line.as_ptr().addr() - text.as_ptr().addr() {
                // All up to here stays, so it is not copied before something does not.
                same += line.len();
            } else {
                keep(&mut out, &text[..same]);
                same = 0;
                out.extend_from_slice(line.as_bytes());
            }
        }
        if out.is_empty() {
            return Ok((bytes.slice(..same), lines));
        }
        Ok((out.into(), lines))
    }
}

/// Begins a copy with what is there already.
fn keep(out: &mut Vec<u8>, text: &str) {
    if out.is_empty() {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Where and what it was is not told: it is a patient's.
fn wrong<E>(_: E) -> PortError {
    PortError::new(sluice_ports::PortKind::Permanent, ACTION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_fhir::search::Filter;

    const PATIENT: ResourceType = ResourceType::PATIENT;
    const GROUP: ResourceType = ResourceType::GROUP;

    fn chooser(filters: &[&str], elements: &[&str]) -> Chooser {
        let mut selection = Selection::default();
        for filter in filters {
            selection.filters.push(Filter::compile(filter, "").unwrap());
        }
        for element in elements {
            selection.elements.add(element).unwrap();
        }
        Chooser::new(&selection, &[PATIENT, GROUP]).unwrap()
    }

    fn block(kind: ResourceType, text: &str) -> Block {
        Block {
            kind,
            bytes: Bytes::copy_from_slice(text.as_bytes()),
            lines: u64::try_from(text.matches('\n').count()).unwrap(),
        }
    }

    fn line(gender: &str) -> String {
        format!("{{\"resourceType\":\"Patient\",\"id\":\"{gender}\",\"gender\":\"{gender}\"}}\n")
    }

    fn chosen(chooser: &mut Chooser, genders: &[&str]) -> (String, u64) {
        let text: String = genders.iter().map(|gender| line(gender)).collect();
        let left = chooser.block(block(PATIENT, &text)).unwrap();
        left.map_or((String::new(), 0), |left| {
            let text = String::from_utf8(left.bytes.to_vec()).unwrap();
            let ids = text.lines().map(|line| line.split('"').nth(7).unwrap());
            (ids.collect::<Vec<_>>().join(" "), left.lines)
        })
    }

    #[test]
    fn r_076_lines_that_fail_are_left_out_wherever_they_stand() {
        let mut chooser = chooser(&["Patient?gender=a,b"], &[]);
        for (given, left) in [
            (&["a", "b"][..], "a b"),
            (&["a", "b", "x"], "a b"),
            (&["x", "a", "b"], "a b"),
            (&["a", "x", "b"], "a b"),
            (&["a", "x", "b", "y", "a", "b"], "a b a b"),
            (&["x", "y"], ""),
        ] {
            let lines = u64::try_from(left.split_whitespace().count()).unwrap();
            assert_eq!(
                chosen(&mut chooser, given),
                (left.to_owned(), lines),
                "{given:?}"
            );
        }
    }

    #[test]
    fn r_081_other_types_stay_as_they_are() {
        let mut chooser = chooser(&["Patient?gender=a"], &[]);
        let group = block(GROUP, "not even JSON\n");
        assert!(!chooser.concerns(GROUP) && chooser.concerns(PATIENT));
        assert_eq!(chooser.block(group.clone()).unwrap(), Some(group));
    }

    #[test]
    fn a_line_that_spans_blocks_is_taken_as_one() {
        let mut chooser = chooser(&["Patient?gender=a"], &["id"]);
        let whole = line("a");
        let (first, rest) = whole.split_at(9);
        let (second, third) = rest.split_at(20);
        for piece in [first, second] {
            assert_eq!(chooser.block(block(PATIENT, piece)).unwrap(), None);
            assert!(chooser.finish().is_err());
        }
        let left = chooser.block(block(PATIENT, third)).unwrap().unwrap();
        assert_eq!(left.lines, 1);
        assert!(
            left.bytes
                .starts_with(br#"{"resourceType":"Patient","id":"a","meta""#)
        );
        assert!(left.bytes.ends_with(b"}\n") && chooser.finish().is_ok());
    }

    #[test]
    fn what_cannot_be_read_fails_for_good_and_is_not_told() {
        let mut chooser = chooser(&["Patient?gender=a"], &[]);
        for text in ["secret\n", "{\"gender\":\"secret\n"] {
            let error = chooser.block(block(PATIENT, text)).unwrap_err();
            assert!(!error.is_transient() && !error.chain().contains("secret"));
        }
    }
}
