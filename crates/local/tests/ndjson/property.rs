//! Random folders against the model of compartments.

use proptest::prelude::*;
use sluice_testkit::compartments::{Case, case};
use sluice_testkit::exported::Promise;

use crate::folder::Folder;

/// As files that end their lines in three ways.
fn folder(case: &Case) -> Folder {
    let folder = Folder::new();
    let ends = ["\n", "\r\n", "\n\n"];
    for (n, (lines, end)) in case.lots().iter().zip(ends).enumerate() {
        if !lines.is_empty() {
            folder.write(&format!("{n}.ndjson"), lines.join(end) + end);
        }
    }
    folder
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_export_is_what_the_model_takes(case in case()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let folder = folder(&case);
        runtime.block_on(case.verify(&folder.source(), Promise::Exact));
    }
}
