//! Over random folders, against the model of compartments: what is in blocks is what an export by type has of the
//! compartments, and of what is in none only what one of them refers to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use sluice_fhir::Level;
use sluice_local::ndjson::{NdjsonOptions, NdjsonSource};
use sluice_testkit::PausedClock;
use sluice_testkit::compartments::{Case, case};

use crate::header;
use crate::rig::{Asked, run};

async fn check(case: &Case, chunk_bytes: u64, file_bytes: u64) {
    let folder = tempfile::tempdir().unwrap();
    for (n, lines) in case.lots().iter().enumerate() {
        if !lines.is_empty() {
            let file = folder.path().join(format!("{n}.ndjson"));
            std::fs::write(file, lines.join("\n") + "\n").unwrap();
        }
    }
    let source = || {
        let options = NdjsonOptions::new(folder.path());
        NdjsonSource::open(options, Arc::new(PausedClock::default()), |_| {}).unwrap()
    };
    let nobodys = case.nobodys();
    for (level, of_members) in [
        (Level::System, false),
        (Level::Patient, false),
        (Level::Group("outer".to_owned()), true),
    ] {
        let asked = Asked {
            level,
            types: case.types_with_patient(),
            chunk_bytes,
            file_bytes,
            ..Asked::default()
        };
        let done = run(source(), &asked).await;
        let found = done.blocks().await.into_iter();
        let mut found: BTreeMap<_, _> = found.map(|block| (block.header, block.lines)).collect();
        for (id, patient, want) in case.blocks(of_members) {
            let lines = found.remove(&header(&id)).unwrap();
            assert_eq!(lines[0], patient);
            let lines = lines[1..].iter().cloned();
            let beyond: BTreeSet<String> = lines.clone().filter(|l| !want.contains(l)).collect();
            assert!(beyond.is_subset(&nobodys), "R-196: {id}");
            let rest: Vec<String> = lines.filter(|line| want.contains(line)).collect();
            assert_eq!(rest.len(), want.len(), "all of it, and once: {id}");
        }
        assert!(found.is_empty(), "nobody else has a block");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn r_197_blocks_hold_exactly_what_the_model_has_of_each_compartment(
        case in case(),
        chunk_bytes in 1..2_000_u64,
        file_bytes in 1..2_000_u64,
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().unwrap();
        runtime.block_on(check(&case, chunk_bytes, file_bytes));
    }
}
