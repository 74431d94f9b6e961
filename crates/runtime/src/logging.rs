//! Logging to standard error, one line an event.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::{LogFormat, LogSection, SettingsError};

/// Starts logging. A second call changes nothing.
pub fn start(log: &LogSection) -> Result<(), SettingsError> {
    // A message that nobody could be given is logged by lapin with its body, and told by us without.
    let quiet = format!("lapin=error,{}", log.filter);
    let filter = EnvFilter::try_new(quiet)
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
