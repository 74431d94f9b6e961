//! `/log/filter` on the admin port: shows what is logged, changes it for a while, and goes back.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;

use super::{AdminAnswer, AdminApi, AdminRequest};
use crate::LogFilter;

/// Writes down that the filter is about to become this; without success nothing is changed. Says what is
/// wrong otherwise.
pub type Recorder = Arc<dyn Fn(String) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// How long a filter holds, unless it is said, and at most; in minutes.
const HOLDS: u64 = 15;
const LONGEST: u64 = 24 * 60;
/// When to come back after a change could not be written down, in seconds.
const COME_BACK: u32 = 5;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    filter: String,
    #[serde(default)]
    minutes: Option<u64>,
}

/// `GET`, `PUT` and `DELETE /log/filter`.
pub fn log_filter_api(filter: LogFilter, record: Recorder) -> AdminApi {
    AdminApi::new("/log", move |request| {
        let (filter, record) = (filter.clone(), Arc::clone(&record));
        Box::pin(async move { answer(&filter, &record, &request).await })
    })
}

async fn answer(filter: &LogFilter, record: &Recorder, request: &AdminRequest) -> AdminAnswer {
    if request.path != "/log/filter" {
        return refusal(404, "there is /log/filter and nothing else");
    }
    let changed = match request.method.as_str() {
        "GET" => Ok(()),
        "PUT" => set(filter, record, &request.body).await,
        "DELETE" => reset(filter, record).await,
        _ => {
            return AdminAnswer {
                allow: Some("GET, PUT, DELETE"),
                ..refusal(405, "this path takes GET, PUT, DELETE")
            };
        }
    };
    if let Err(refused) = changed {
        return refused;
    }
    let state = filter.state();
    let mut shown = json!({ "filter": state.filter, "configured": state.configured });
    if let Some(left) = state.left {
        // Rounded up: it is not over while there is something left.
        shown["seconds_left"] = left
            .as_millis()
            .div_ceil(1000)
            .to_string()
            .parse()
            .unwrap_or(0)
            .into();
    }
    AdminAnswer::new(200, shown.to_string())
}

async fn set(filter: &LogFilter, record: &Recorder, body: &[u8]) -> Result<(), AdminAnswer> {
    let change: Change = serde_json::from_slice(body).map_err(|error| {
        let text = format!(
            "the body must be like {{\"filter\": \"sluice=debug\", \"minutes\": 15}}: {error}"
        );
        refusal(400, &text)
    })?;
    let minutes = change.minutes.unwrap_or(HOLDS);
    if !(1..=LONGEST).contains(&minutes) {
        return Err(refusal(400, &format!("minutes must be 1 to {LONGEST}")));
    }
    let parsed = filter.parse(&change.filter);
    let parsed = parsed.map_err(|wrong| refusal(400, &format!("filter: {wrong}")))?;
    record(change.filter)
        .await
        .map_err(|wrong| unrecorded(&wrong))?;
    filter.set(parsed, Duration::from_secs(60 * minutes));
    Ok(())
}

async fn reset(filter: &LogFilter, record: &Recorder) -> Result<(), AdminAnswer> {
    let configured = filter.state().configured;
    record(configured)
        .await
        .map_err(|wrong| unrecorded(&wrong))?;
    filter.reset();
    Ok(())
}

fn unrecorded(wrong: &str) -> AdminAnswer {
    AdminAnswer {
        retry_after: Some(COME_BACK),
        ..refusal(
            503,
            &format!("nothing was changed, as it could not be written down: {wrong}"),
        )
    }
}

fn refusal(status: u16, text: &str) -> AdminAnswer {
    AdminAnswer::new(status, json!({ "error": text }).to_string())
}
