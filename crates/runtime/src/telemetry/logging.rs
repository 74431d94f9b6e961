//! Logging to standard error, one line an event.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Level;
use tracing_subscriber::filter::{EnvFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::{LogFormat, LogSection, SettingsError};

/// Starts logging, of panics too, and tracing into `spans`. A second call changes nothing.
pub(super) fn start(
    log: &LogSection,
    spans: Option<&SdkTracerProvider>,
) -> Result<(), SettingsError> {
    // A message that nobody could be given is logged by lapin with its body, and told by us without.
    let quiet = format!(
        "lapin=error,opentelemetry=warn,opentelemetry_sdk=warn,{}",
        log.filter
    );
    let filter = EnvFilter::try_new(quiet)
        .map_err(|error| SettingsError::Conflict(format!("log.filter: {error}")))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let lines = match log.format {
        LogFormat::Text => lines.compact().boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
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
        .with(lines.with_filter(filter))
        .with(traced);
    if subscriber.try_init().is_ok() {
        // What a panic says may hold a piece of what was worked on; where it was does not.
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            tracing::error!(place, "panicked");
        }));
    }
    Ok(())
}
