//! Logging to standard error, one line an event.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::{LogFormat, LogSection, SettingsError};

/// Starts logging. A second call changes nothing.
pub fn start(log: &LogSection) -> Result<(), SettingsError> {
    let filter = EnvFilter::try_new(&log.filter)
        .map_err(|error| SettingsError::Conflict(format!("log.filter: {error}")))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let _already_started = match log.format {
        LogFormat::Text => lines.compact().try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    Ok(())
}
