//! What is done with each resource or block of an export: a line copied into a block, a line tried by a filter,
//! trimmed to elements, and both at once; and a block counted and hashed as its file is.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sha2::{Digest, Sha256};
use sluice_fhir::ResourceType;
use sluice_fhir::elements::{Elements, Trim, TrimScratch};
use sluice_fhir::search::{Filter, Matcher, Scratch};
use sluice_ports::{BLOCK, Outlet};
use sluice_sample::{SampleOptions, generate};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

/// Enough for some thousand Observations.
const PATIENTS: u32 = 20;
const FILTER: &str = "Observation?status=final&date=ge1900";
const ELEMENTS: [&str; 2] = ["Observation.subject", "Observation.value"];

/// Observations, a line each.
fn lines() -> Vec<String> {
    let options = SampleOptions {
        patients: PATIENTS,
        seed: 1,
    };
    let mut lines = Vec::new();
    let made = generate(&options, &mut |kind, line| {
        if kind == "Observation" {
            lines.push(String::from_utf8_lossy(line).into_owned());
        }
        Ok(())
    });
    assert!(made.is_ok(), "{made:?}");
    lines
}

fn bytes(lines: &[String]) -> Throughput {
    let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
    Throughput::Bytes(u64::try_from(bytes).unwrap_or(u64::MAX))
}

fn matcher() -> Option<Matcher> {
    let filter = Filter::compile(FILTER, "http://test/fhir").ok()?;
    Some(Matcher::new([&filter]))
}

fn trim() -> Option<Trim> {
    let mut elements = Elements::default();
    for element in ELEMENTS {
        elements.add(element).ok()?;
    }
    elements.of("Observation".parse().ok()?)
}

fn copied(criterion: &mut Criterion) {
    let lines = lines();
    let Ok(runtime) = Builder::new_current_thread().build() else {
        return;
    };
    let mut group = criterion.benchmark_group("lines");
    group.throughput(bytes(&lines));
    group.bench_function("copied into blocks", |bencher| {
        bencher.iter(|| copy(&runtime, black_box(&lines)));
    });
    group.finish();
}

fn copy(runtime: &Runtime, lines: &[String]) -> usize {
    runtime.block_on(async {
        let (sender, mut blocks) = mpsc::channel(2);
        let write = async move {
            let mut outlet = Outlet::new(sender, ResourceType::PATIENT);
            for line in lines {
                let _somebody_listens = outlet.line(line.as_bytes()).await;
            }
            let _somebody_listens = outlet.flush().await;
        };
        let read = async move {
            let mut bytes = 0;
            while let Some(block) = blocks.recv().await {
                bytes += block.bytes.len();
            }
            bytes
        };
        tokio::join!(write, read).1
    })
}

fn chosen(criterion: &mut Criterion) {
    let lines = lines();
    assert!(matcher().is_some() && trim().is_some(), "they are known");
    let (Some(matcher), Some(trim)) = (matcher(), trim()) else {
        return;
    };
    let mut group = criterion.benchmark_group("lines");
    group.throughput(bytes(&lines));
    group.bench_function("tried by a filter", |bencher| {
        let mut scratch = Scratch::default();
        let mut met = |line: &String| matches!(matcher.matches(line, &mut scratch), Ok(true));
        bencher.iter(|| lines.iter().filter(|line| met(black_box(line))).count());
    });
    for (name, matcher) in [("trimmed", None), ("filtered and trimmed", Some(&matcher))] {
        group.bench_function(name, |bencher| {
            let (mut scratch, mut out) = (TrimScratch::default(), Vec::new());
            bencher.iter(|| {
                out.clear();
                for line in &lines {
                    let trimmed = trim.line(black_box(line), matcher, &mut scratch, &mut out);
                    assert!(trimmed.is_ok());
                }
                out.len()
            });
        });
    }
    group.finish();
}

fn hashed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("block");
    group.throughput(Throughput::Bytes(1 << 20));
    group.bench_function("hashed, SHA-256", |bencher| {
        let block = vec![b'{'; BLOCK];
        bencher.iter_batched_ref(
            Sha256::new,
            |hash| hash.update(black_box(&block)),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, copied, chosen, hashed);
criterion_main!(benches);
