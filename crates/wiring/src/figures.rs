//! What sources tell of themselves, shown as metrics: their connections, and how their servers answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use sluice_model::TenantId;
use sluice_source_postgres::PoolState;

use crate::late::Sources;

type Told<T> = Arc<dyn Fn() -> T + Send + Sync>;
/// Numbers of connections, by the state that they are in if they are told apart by it.
type ByState = Vec<(Option<&'static str>, usize)>;

/// What a source tells whenever it is asked.
#[derive(Clone)]
pub enum Figures {
    /// What its connections are doing.
    Pool(Told<PoolState>),
    /// How many answers of each HTTP status it got; `None` counts requests without an answer.
    Answers(Told<BTreeMap<Option<u16>, u64>>),
}

/// Shows what the sources tell that are open, as long as the meter lives.
pub(crate) fn show(meter: &Meter, sources: &Sources) {
    show_ready(meter, sources);
    show_pools(meter, sources);
    let of = Arc::clone(sources);
    let counter = meter.u64_observable_counter("export.upstream.requests");
    let told = counter.with_callback(move |counter| {
        for (tenant, figures) in open(&of) {
            let Figures::Answers(answers) = figures else {
                continue;
            };
            for (status, times) in answers() {
                let code = status.map_or_else(|| "none".to_owned(), |code| code.to_string());
                let tenant = KeyValue::new("tenant", tenant.to_string());
                counter.observe(times, &[KeyValue::new("code", code), tenant]);
            }
        }
    });
    let _lives_with_the_meter = told.build();
}

fn open(sources: &Sources) -> impl Iterator<Item = (&TenantId, &Figures)> {
    sources.iter().filter_map(|(tenant, opened)| {
        let figures = opened.get()?.figures.as_ref()?;
        Some((tenant, figures))
    })
}

fn show_ready(meter: &Meter, sources: &Sources) {
    let sources = Arc::clone(sources);
    let gauge = meter.u64_observable_gauge("export.source.ready");
    let told = gauge.with_callback(move |gauge| {
        for (tenant, opened) in sources.iter() {
            let tenant = KeyValue::new("tenant", tenant.to_string());
            gauge.observe(opened.get().is_some().into(), &[tenant]);
        }
    });
    let _lives_with_the_meter = told.build();
}

/// Named as OpenTelemetry's conventions for database clients have it.
fn show_pools(meter: &Meter, sources: &Sources) {
    let gauge = |name: &'static str, parts: fn(PoolState) -> ByState| {
        let sources = Arc::clone(sources);
        let gauge = meter.u64_observable_gauge(name);
        let told = gauge.with_callback(move |gauge| {
            for (tenant, figures) in open(&sources) {
                let Figures::Pool(pool) = figures else {
                    continue;
                };
                for (state, number) in parts(pool()) {
                    let mut labels = vec![KeyValue::new("pool", tenant.to_string())];
                    labels.extend(state.map(|state| KeyValue::new("state", state)));
                    gauge.observe(u64::try_from(number).unwrap_or(u64::MAX), &labels);
                }
            }
        });
        let _lives_with_the_meter = told.build();
    };
    gauge("db.client.connection.count", |pool| {
        vec![(Some("used"), pool.used), (Some("idle"), pool.idle)]
    });
    gauge("db.client.connection.max", |pool| vec![(None, pool.most)]);
    gauge("db.client.connection.pending.requests", |pool| {
        vec![(None, pool.waiting)]
    });
}
