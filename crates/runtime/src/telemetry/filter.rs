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

    /// One that nothing asks.
    #[cfg(test)]
    pub(crate) fn of(configured: &str) -> Self {
        Self::new(configured).unwrap().0
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
        text.clone_into(&mut held.filter);
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::Value;
    use tracing::subscriber::DefaultGuard;
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::LogFormat;
    use crate::telemetry::logging;

    const MINUTE: Duration = Duration::from_mins(1);

    /// What was logged.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        /// The lines so far, which are then gone.
        fn read(&self) -> Vec<Value> {
            let written = std::mem::take(&mut *self.0.lock().unwrap());
            let text = String::from_utf8(written).unwrap();
            let lines = text.lines();
            lines
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        }
    }

    /// Logs on this thread as a process does.
    fn logging(configured: &str) -> (LogFilter, Paper, DefaultGuard) {
        let (filter, reload) = LogFilter::new(configured).unwrap();
        let paper = Paper::default();
        let sheet = paper.clone();
        let lines = logging::lines(LogFormat::Json, false, move || sheet.clone());
        let subscriber = tracing_subscriber::registry().with(lines.with_filter(reload));
        let guard = tracing::subscriber::set_default(subscriber);
        (filter, paper, guard)
    }

    /// What of four lines is logged.
    fn logged(paper: &Paper) -> Vec<String> {
        paper.read();
        tracing::debug!("ours, quietly");
        tracing::info!("ours, aloud");
        tracing::debug!(target: "hyper", "a library, quietly");
        tracing::info!(target: "hyper", "a library, aloud");
        let text = |line: Value| line["fields"]["message"].as_str().unwrap().to_owned();
        paper.read().into_iter().map(text).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_filter_holds_for_its_time_and_libraries_tell_no_more() {
        let (filter, paper, _guard) = logging("info");
        let as_set = ["ours, aloud", "a library, aloud"];
        let quietly = ["ours, quietly", "ours, aloud", "a library, aloud"];
        assert_eq!(logged(&paper), as_set);
        filter.set(filter.parse("debug").unwrap(), 15 * MINUTE);
        assert_eq!(logged(&paper), quietly);
        let state = filter.state();
        assert_eq!(
            (state.filter.as_str(), state.configured.as_str()),
            ("debug", "info")
        );
        assert_eq!(state.left, Some(15 * MINUTE));
        tokio::time::sleep(16 * MINUTE).await;
        assert_eq!(logged(&paper), as_set);
        assert_eq!(filter.state().left, None);

        // The end of one does not end the next.
        filter.set(filter.parse("error").unwrap(), MINUTE);
        assert_eq!(logged(&paper), [""; 0]);
        filter.set(filter.parse("debug").unwrap(), 5 * MINUTE);
        tokio::time::sleep(2 * MINUTE).await;
        assert_eq!(logged(&paper), quietly);
        filter.reset();
        assert_eq!(logged(&paper), as_set);
        filter.set(filter.parse("error").unwrap(), 30 * MINUTE);
        tokio::time::sleep(5 * MINUTE).await;
        assert_eq!(logged(&paper), [""; 0]);
    }

    #[tokio::test]
    async fn a_wrong_filter_is_refused_with_its_reason() {
        let (filter, paper, _guard) = logging("info");
        for wrong in ["", " ", "sluice=loud", "a=b=c", &"x,".repeat(600)] {
            assert!(filter.parse(wrong).is_err(), "{wrong}");
        }
        let why = filter.parse("sluice=loud").err().unwrap();
        assert!(why.contains("level"), "{why}");
        assert_eq!(logged(&paper).len(), 2);
    }

    #[test]
    fn lines_of_json_carry_the_ids_of_the_spans_around_them() {
        let (_filter, paper, _guard) = logging("info");
        let outer = tracing::info_span!("request", request_id = "r-1");
        let inner = outer
            .in_scope(|| tracing::info_span!("export chunk", job = "one/ab", chunk = "00001-07"));
        inner.in_scope(|| tracing::warn!("it is late"));
        let lines = paper.read();
        let line = lines.first().unwrap();
        assert_eq!(line["fields"]["message"], "it is late");
        assert_eq!(
            (&line["level"], &line["target"]),
            (&"WARN".into(), &module_path!().into())
        );
        assert_eq!(
            (&line["span"]["job"], &line["span"]["chunk"]),
            (&"one/ab".into(), &"00001-07".into())
        );
        assert_eq!(line["spans"][0]["request_id"], "r-1");
        assert!(line["timestamp"].is_string());
    }
}
