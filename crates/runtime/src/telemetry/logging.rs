//! Logging to standard error, one line an event.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Level;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::LogFilter;
use crate::{LogFormat, LogSection, SettingsError};

/// Starts logging, of panics too, and tracing into `spans`. A second call changes nothing, and the filter
/// that it returns nothing either.
pub(super) fn start(
    log: &LogSection,
    spans: Option<&SdkTracerProvider>,
) -> Result<LogFilter, SettingsError> {
    let (filter, reload) = LogFilter::new(&log.filter)
        .map_err(|error| SettingsError::Conflict(format!("log.filter: {error}")))?;
    let lines = lines(log.format, std::io::stderr().is_terminal(), std::io::stderr);
    // Our own spans only: what libraries say of a request may hold more than names.
    let ours = Targets::new().with_target("sluice", Level::INFO);
    let traced = spans.map(|spans| {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(spans.tracer("sluice"))
            .with_location(false)
            .with_threads(false);
        layer.with_filter(ours)
    });
    let subscriber = tracing_subscriber::registry()
        .with(lines.with_filter(reload))
        .with(traced);
    if subscriber.try_init().is_ok() {
        // What a panic says may hold a piece of what was worked on; where it was does not.
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            tracing::error!(place, "panicked");
        }));
    }
    Ok(filter)
}

/// Lines of text, or of JSON: that has the fields of the spans around an event too.
pub(super) fn lines<W>(
    format: LogFormat,
    ansi: bool,
    writer: W,
) -> Box<dyn Layer<Registry> + Send + Sync + 'static>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(ansi)
        .with_writer(writer);
    match format {
        LogFormat::Text => lines.compact().boxed(),
        LogFormat::Json => lines.json().boxed(),
    }
}
