//! What it costs to read a kick-off: one that says little, one that says all that it can, and one for many patients.

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use sluice_fhir::Level;
use sluice_fhir::parameters::{Context, check, from_body, from_query};

const SHORT: &str = "_type=Patient,Observation&_since=2026-01-01T00:00:00Z";
const FULL: &str = "_type=Patient,Observation,Condition&_since=2026-01-01T00:00:00Z&_until=2026-02-01T00:00:00Z\
    &_elements=Observation.subject,Observation.value&_outputFormat=application%2Ffhir%2Bndjson\
    &_typeFilter=Observation%3Fstatus%3Dfinal%26date%3Dge2025-01-01\
    &_typeFilter=Condition%3Fclinical-status%3Dactive";
const PATIENTS: usize = 1000;

fn read(criterion: &mut Criterion) {
    let context = Context {
        level: &Level::Patient,
        lenient: false,
        base: "https://bulk.example.org/north/fhir",
    };
    for (name, query) in [("a short query", SHORT), ("a full query", FULL)] {
        let read = |query: &str| from_query(query).map(|raw| check(&raw, &context));
        assert!(matches!(read(query), Ok(Ok(_))), "{:?}", read(query));
        criterion.bench_function(name, |bencher| bencher.iter(|| read(black_box(query))));
    }
    let body = body();
    let read = |body: &[u8]| from_body(body).map(|raw| check(&raw, &context));
    assert!(matches!(read(&body), Ok(Ok(_))), "{:?}", read(&body));
    let name = format!("a body with {PATIENTS} patients");
    criterion.bench_function(&name, |bencher| bencher.iter(|| read(black_box(&body))));
}

fn body() -> Vec<u8> {
    let mut text =
        r#"{"resourceType":"Parameters","parameter":[{"name":"_type","valueString":"Patient"}"#
            .to_owned();
    for patient in 0..PATIENTS {
        let _cannot_fail = write!(
            text,
            r#",{{"name":"patient","valueReference":{{"reference":"Patient/p{patient}"}}}}"#
        );
    }
    text.push_str("]}");
    text.into_bytes()
}

criterion_group!(benches, read);
criterion_main!(benches);
