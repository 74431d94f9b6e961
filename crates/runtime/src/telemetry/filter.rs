//! What is logged: as the settings say, or for a while as an operator says, and then as before.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{Level, Metadata};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::combinator::And;
use tracing_subscriber::filter::{EnvFilter, FilterExt, FilterFn, ParseError};
use tracing_subscriber::reload;

/// The longest text of a filter, in bytes.
const LONGEST: usize = 1000;

type Admits = fn(&Metadata<'_>) -> bool;
/// What a filter says, and what may be logged whatever it says.
pub(super) type Lines = And<EnvFilter, FilterFn<Admits>, Registry>;
pub(super) type Reload = reload::Layer<Lines, Registry>;

/// A filter that can be taken.
pub struct ParsedFilter {
    text: String,
    lines: Lines,
}

/// What is logged now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterState {
    /// The filter, as it was written.
    pub filter: String,
    /// The one of the settings.
    pub configured: String,
    /// How long it holds; of that of the settings, for ever.
    pub left: Option<Duration>,
}

struct Held {
    filter: String,
    until: Option<Instant>,
    /// How often it was changed: whoever waits to undo a change sees whether it is still that one.
    changes: u64,
}

/// Changes what is logged. Clones share it.
#[derive(Clone)]
pub struct LogFilter {
    configured: Arc<str>,
    /// Absent where another subscriber was there first, as in tests.
    handle: Option<reload::Handle<Lines, Registry>>,
    held: Arc<Mutex<Held>>,
}

impl fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogFilter").field(&self.state()).finish()
    }
}

impl LogFilter {
    /// The filter of the settings, and what asks it for every line.
    pub(super) fn new(configured: &str) -> Result<(Self, Reload), ParseError> {
        let lines = lines(configured, |_| true)?;
        let (layer, handle) = reload::Layer::new(lines);
        let held = Held {
            filter: configured.to_owned(),
            until: None,
            changes: 0,
        };
        let filter = Self {
            configured: configured.into(),
            handle: Some(handle),
            held: Arc::new(Mutex::new(held)),
        };
        Ok((filter, layer))
    }

    /// What is logged now.
    pub fn state(&self) -> FilterState {
        let held = self.lock();
        FilterState {
            filter: held.filter.clone(),
            configured: self.configured.to_string(),
            left: held
                .until
                .map(|until| until.saturating_duration_since(Instant::now())),
        }
    }

    /// Reads a filter, such as `info,sluice_engine=debug`, or says what is wrong with it. Whatever it says,
    /// libraries tell no more than `info`: what they tell below may hold what was asked and answered.
    pub fn parse(&self, text: &str) -> Result<ParsedFilter, String> {
        if text.trim().is_empty() || text.len() > LONGEST {
            return Err(format!("it must be 1 to {LONGEST} bytes"));
        }
        let lines = lines(text, is_ours_or_loud).map_err(|error| error.to_string())?;
        let text = text.to_owned();
        Ok(ParsedFilter { text, lines })
    }

    /// Logs by a filter from now on, for so long, and then as the settings say. Must be called on a runtime.
    pub fn set(&self, filter: ParsedFilter, time: Duration) {
        let until = Instant::now() + time;
        let change = self.change(&filter.text, filter.lines, Some(until));
        tracing::warn!(
            filter = filter.text,
            minutes = time.as_secs() / 60,
            "the log filter was changed"
        );
        let this = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep_until(until).await;
            if this.lock().changes == change {
                this.reset();
            }
        });
    }

    /// Logs as the settings say.
    pub fn reset(&self) {
        // It could be read when the process started.
        if let Ok(lines) = lines(&self.configured, |_| true) {
            self.change(&self.configured, lines, None);
            tracing::info!(
                filter = &*self.configured,
                "the log filter is that of the settings"
            );
        }
    }

    fn change(&self, text: &str, lines: Lines, until: Option<Instant>) -> u64 {
        let mut held = self.lock();
        if let Some(handle) = &self.handle {
            let _without_a_subscriber_nothing_is_logged = handle.reload(lines);
        }
        held.filter = text.to_owned();
        held.until = until;
        held.changes += 1;
        held.changes
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message that nobody could be given is logged by lapin with its body, and told by us without.
fn lines(text: &str, admits: Admits) -> Result<Lines, ParseError> {
    let quiet = format!("lapin=error,opentelemetry=warn,opentelemetry_sdk=warn,{text}");
    Ok(EnvFilter::try_new(quiet)?.and(FilterFn::new(admits)))
}

fn is_ours_or_loud(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("sluice") || *metadata.level() <= Level::INFO
}
