//! The same options make the same bytes, and a larger data set begins with the smaller one.
#![expect(clippy::unwrap_used, reason = "what surprises a test should end it")]

mod lines;

use std::collections::HashSet;

use lines::lines_of;
use sluice_sample::{SampleError, SampleOptions, generate, patient_id};

#[test]
fn the_same_options_make_the_same_bytes() {
    assert!(lines_of(5, 11) == lines_of(5, 11));
}

#[test]
fn another_seed_makes_other_patients() {
    let (one, two) = (lines_of(3, 1).0, lines_of(3, 2).0);
    let one: HashSet<_> = one.into_iter().filter(|line| line.0 != "Group").collect();
    assert!(two.iter().all(|line| !one.contains(line)));
}

#[test]
fn a_larger_data_set_holds_all_of_the_smaller_one_but_its_groups() {
    let large: HashSet<_> = lines_of(230, 4).0.into_iter().collect();
    let (small, _) = lines_of(20, 4);
    let missing = small
        .iter()
        .filter(|line| line.0 != "Group" && !large.contains(line));
    assert_eq!(missing.count(), 0);
}

#[test]
fn patients_come_in_their_order_and_bear_the_ids_foretold() {
    let (lines, _) = lines_of(12, 9);
    let patients = lines.iter().filter(|line| line.0 == "Patient").enumerate();
    for (n, (_, line)) in patients {
        let patient: serde_json::Value = serde_json::from_slice(line).unwrap();
        assert_eq!(patient["id"], patient_id(9, u32::try_from(n).unwrap()));
    }
}

#[test]
fn an_error_of_the_taker_ends_it() {
    let mut taken = 0;
    let result = generate(
        &SampleOptions {
            patients: 3,
            seed: 1,
        },
        &mut |_, _| {
            taken += 1;
            if taken == 40 {
                Err(SampleError::Taker("enough".into()))
            } else {
                Ok(())
            }
        },
    );
    assert!(matches!(result, Err(SampleError::Taker(_))));
    assert_eq!(taken, 40);
}
