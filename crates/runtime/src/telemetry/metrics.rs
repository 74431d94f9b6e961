//! Metrics, kept until Prometheus asks.

use anyhow::Context;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

/// Instruments, and what they say when asked.
#[derive(Clone)]
pub(super) struct Scrape {
    registry: Registry,
    meters: SdkMeterProvider,
}

impl Scrape {
    pub(super) fn new(resource: Resource, program: &'static str) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .context("preparing metrics")?;
        let meters = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(reader)
            .build();
        let scrape = Self { registry, meters };
        scrape.show_build(program);
        Ok(scrape)
    }

    /// Always 1; its labels say which program this is, so that one that is missing is missed, and which build, so that
    /// a rollout can be watched.
    fn show_build(&self, program: &'static str) {
        let meter = self.meter();
        let gauge = meter.u64_observable_gauge("sluice.build.info");
        let told = gauge.with_callback(move |gauge| {
            let version = KeyValue::new("version", env!("CARGO_PKG_VERSION"));
            gauge.observe(1, &[version, KeyValue::new("program", program)]);
        });
        let _lives_with_the_meter = told.build();
    }

    pub(super) fn meter(&self) -> Meter {
        self.meters.meter("sluice")
    }

    pub(super) fn exposition(&self) -> anyhow::Result<String> {
        let families = self.registry.gather();
        let text = TextEncoder::new().encode_to_string(&families);
        text.context("writing metrics")
    }
}
