//! What a process tells of itself: log lines, metrics, and traces if the settings say where to.

mod filter;
mod logging;
mod metrics;
mod spans;

pub use filter::{FilterState, LogFilter};
pub use spans::{follow, link, traceparent};

use std::time::Duration;

use opentelemetry::metrics::Meter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::Settings;
use metrics::Scrape;

/// How long the last spans may take to be sent at the end.
const LAST_WAIT: Duration = Duration::from_secs(3);

/// The telemetry of this process. Cloning is cheap.
#[derive(Clone)]
pub struct Telemetry {
    scrape: Scrape,
    spans: Option<SdkTracerProvider>,
    log_filter: LogFilter,
}

impl Telemetry {
    /// Starts logging, counting, and tracing if it is set. `service` is the program's name.
    pub fn start(settings: &Settings, service: &'static str) -> anyhow::Result<Self> {
        let resource = Resource::builder()
            .with_service_name(service)
            .with_attribute(opentelemetry::KeyValue::new(
                "service.version",
                env!("CARGO_PKG_VERSION"),
            ))
            .build();
        let spans = spans::exporter(&settings.telemetry, resource.clone())?;
        let log_filter = logging::start(&settings.log, spans.as_ref())?;
        Ok(Self {
            log_filter,
            scrape: Scrape::new(resource, service)?,
            spans,
        })
    }

    /// Makes instruments.
    pub fn meter(&self) -> Meter {
        self.scrape.meter()
    }

    /// What is logged, to be changed while the process runs.
    pub fn log_filter(&self) -> &LogFilter {
        &self.log_filter
    }

    /// Every metric, as Prometheus reads it.
    pub fn exposition(&self) -> anyhow::Result<String> {
        self.scrape.exposition()
    }

    /// Sends what is left. Blocks for a few seconds at most.
    pub fn stop(&self) {
        if let Some(spans) = &self.spans {
            let _nobody_listens = spans.shutdown_with_timeout(LAST_WAIT);
        }
    }
}
