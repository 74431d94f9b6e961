//! Random scopes against lines written one by one.
//!
//! Invariants: slices are disjoint and together hold exactly those lines, whatever the target and
//! the size of a step; each yields exactly what it promised, and stays near the target.

use std::sync::Arc;

use futures::StreamExt;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;
use sluice_fhir::Level;
use sluice_model::{Scope, Tally};
use sluice_ports::Source;
use sluice_testkit::ManualClock;

use super::groups::Group;
use super::lines;
use super::{SyntheticOptions, SyntheticSource};

#[derive(Clone, Debug)]
struct Case {
    options: (u32, u32, u64),
    types: Vec<&'static str>,
    level: Level,
    /// Numbers, some of nobody.
    patients: Option<Vec<u32>>,
    target: u64,
    limit: usize,
}

fn case() -> impl Strategy<Value = Case> {
    let level = prop_oneof![
        Just(Level::System),
        Just(Level::Patient),
        Just(Level::Group("first-7".to_owned())),
    ];
    let fields = (
        (7..150_u32, 0..5_u32, 390..900_u64),
        subsequence(vec!["Condition", "Group", "Observation", "Patient"], 1..=4),
        level,
        proptest::option::of(vec(0..200_u32, 0..20)),
        0..60_000_u64,
        1..5_usize,
    );
    fields.prop_map(|(options, types, level, patients, target, limit)| Case {
        options,
        types,
        level,
        patients,
        target,
        limit,
    })
}

impl Case {
    fn options(&self) -> SyntheticOptions {
        let (patients, observations, bytes) = self.options;
        SyntheticOptions {
            patients,
            observations,
            bytes,
            ..SyntheticOptions::default()
        }
    }

    /// What must leave, sorted.
    fn lines(&self) -> Vec<Vec<u8>> {
        let (all, observations, bytes) = self.options;
        let bytes = usize::try_from(bytes).unwrap();
        let last = if self.level.is_patient_based() && self.level != Level::Patient {
            7
        } else {
            all
        };
        let asked = |number: &u32| {
            self.patients
                .as_ref()
                .is_none_or(|list| list.contains(number))
        };
        let mut lines = Vec::new();
        let mut add = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut line = Vec::new();
            write(&mut line);
            lines.push(line);
        };
        for patient in (1..=last).filter(asked) {
            if self.types.contains(&"Patient") {
                add(&|out| lines::patient(out, patient, bytes));
            }
            for number in 1..=observations {
                if self.types.contains(&"Observation") {
                    add(&|out| lines::observation(out, patient, number, bytes));
                }
            }
        }
        let is_whole = self.level == Level::System && self.patients.is_none();
        if is_whole && self.types.contains(&"Group") {
            for members in [10, 100].into_iter().filter(|members| *members <= all) {
                add(&|out| out.extend(Group { members }.pieces("\n").flatten()));
            }
        }
        lines.sort_unstable();
        lines
    }

    async fn verify(&self) {
        let source = SyntheticSource::new(self.options(), Arc::new(ManualClock::default()));
        let ids = self.patients.iter().flatten();
        let mut ids: Vec<String> = ids.map(|number| format!("p{number:08}")).collect();
        ids.sort_unstable();
        let scope = Scope {
            selection: sluice_model::Selection::default(),
            level: self.level.clone(),
            types: self
                .types
                .iter()
                .map(|name| name.parse().unwrap())
                .collect(),
            since: None,
            until: None,
            patients: self.patients.as_ref().map(|_| ids),
            snapshot: source.snapshot().await.unwrap(),
        };
        let (mut lines, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let step = source.plan(&scope, self.target, self.limit, cursor.as_deref());
            let step = step.await.unwrap();
            assert!(step.next.is_none() || step.chunks.len() == self.limit);
            for chunk in step.chunks {
                assert!(chunk.expected.bytes <= self.target || chunk.expected.resources == 1);
                let mut actual = Tally::default();
                let mut blocks = source.read(&scope, &chunk.slice).await.unwrap();
                while let Some(block) = blocks.next().await {
                    let block = block.unwrap();
                    assert_eq!(chunk.slice.types, [block.kind]);
                    assert!(block.bytes.ends_with(b"\n"), "no line here is so long");
                    let found = block.bytes.split_inclusive(|byte| *byte == b'\n');
                    let before = lines.len();
                    lines.extend(found.map(<[u8]>::to_vec));
                    assert_eq!(u64::try_from(lines.len() - before).unwrap(), block.lines);
                    actual += Tally {
                        resources: block.lines,
                        bytes: u64::try_from(block.bytes.len()).unwrap(),
                    };
                }
                assert_eq!(chunk.expected, actual);
            }
            cursor = step.next;
            if cursor.is_none() {
                break;
            }
        }
        lines.sort_unstable();
        assert!(lines == self.lines(), "each line once, and all of them");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn slices_are_disjoint_and_cover_the_scope(case in case()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(case.verify());
    }
}

#[test]
fn types_in_any_order_and_twice_leave_once() {
    let case = Case {
        options: (7, 1, 400),
        types: vec!["Patient", "Observation", "Patient"],
        level: Level::Patient,
        patients: Some(vec![3, 3, 5]),
        target: 500,
        limit: 2,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(case.verify());
}
