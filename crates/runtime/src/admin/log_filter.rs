//! `/log/filter` on the admin port: shows what is logged, changes it for a while, and goes back.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;

use super::{AdminAnswer, AdminApi, AdminRequest};
use crate::LogFilter;

/// Writes down that the filter is about to become this, as somebody at that address wants it; without success
/// nothing is changed. Says what is wrong otherwise.
pub type Recorder =
    Arc<dyn Fn(String, IpAddr) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// How long a filter holds, unless it is said, and at most; in minutes.
const HOLDS: u64 = 15;
const LONGEST: u64 = 24 * 60;

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
        return AdminAnswer::refused(404, "there is /log/filter and nothing else");
    }
    let changed = match request.method.as_str() {
        "GET" => Ok(()),
        "PUT" => set(filter, record, request).await,
        "DELETE" => reset(filter, record, request.address).await,
        _ => return AdminAnswer::not_allowed("GET, PUT, DELETE"),
    };
    if let Err(refused) = changed {
        return refused;
    }
    let state = filter.state();
    let mut shown = json!({ "filter": state.filter, "configured": state.configured });
    if let Some(left) = state.left {
        // Rounded up: it is not over while there is something left.
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        shown["seconds_left"] = seconds.into();
    }
    AdminAnswer::new(200, shown.to_string())
}

async fn set(
    filter: &LogFilter,
    record: &Recorder,
    request: &AdminRequest,
) -> Result<(), AdminAnswer> {
    let change: Change = serde_json::from_slice(&request.body).map_err(|error| {
        let text = format!(
            "the body must be like {{\"filter\": \"sluice=debug\", \"minutes\": 15}}: {error}"
        );
        AdminAnswer::refused(400, &text)
    })?;
    let minutes = change.minutes.unwrap_or(HOLDS);
    if !(1..=LONGEST).contains(&minutes) {
        return Err(AdminAnswer::refused(
            400,
            &format!("minutes must be 1 to {LONGEST}"),
        ));
    }
    let parsed = filter.parse(&change.filter);
    let parsed = parsed.map_err(|wrong| AdminAnswer::refused(400, &format!("filter: {wrong}")))?;
    let recorded = record(change.filter, request.address).await;
    recorded.map_err(AdminAnswer::unrecorded)?;
    filter.set(parsed, Duration::from_secs(60 * minutes));
    Ok(())
}

async fn reset(filter: &LogFilter, record: &Recorder, from: IpAddr) -> Result<(), AdminAnswer> {
    let configured = filter.state().configured;
    let recorded = record(configured, from).await;
    recorded.map_err(AdminAnswer::unrecorded)?;
    filter.reset();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::Value;

    use super::*;

    /// Writes down, as long as it may.
    fn recorder(written: &Arc<Mutex<Vec<String>>>, may: bool) -> Recorder {
        let written = Arc::clone(written);
        Arc::new(move |filter, _| {
            let done = if may {
                written.lock().unwrap().push(filter);
                Ok(())
            } else {
                Err("the store is away".to_owned())
            };
            Box::pin(std::future::ready(done))
        })
    }

    async fn ask(filter: &LogFilter, record: &Recorder, line: &str, body: &str) -> (u16, Value) {
        let (method, path) = line.split_once(' ').unwrap();
        let request = AdminRequest {
            method: method.to_owned(),
            path: path.to_owned(),
            query: String::new(),
            body: body.as_bytes().to_vec(),
            address: IpAddr::from([127, 0, 0, 1]),
        };
        let answer = answer(filter, record, &request).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_filter_is_set_written_down_and_reset() {
        let filter = LogFilter::of("info");
        let written = Arc::default();
        let record = recorder(&written, true);
        let configured = json!({ "filter": "info", "configured": "info" });
        let here = "PUT /log/filter";
        let shown = ask(&filter, &record, "GET /log/filter", "").await;
        assert_eq!(shown, (200, configured.clone()));
        let set = ask(&filter, &record, here, r#"{"filter": "sluice=debug"}"#).await;
        let told = json!({ "filter": "sluice=debug", "configured": "info", "seconds_left": 900 });
        assert_eq!(set, (200, told));
        let set = ask(
            &filter,
            &record,
            here,
            r#"{"filter": "warn", "minutes": 1}"#,
        )
        .await;
        assert_eq!(set.1["seconds_left"], 60);
        let reset = ask(&filter, &record, "DELETE /log/filter", "").await;
        assert_eq!(reset, (200, configured));
        assert_eq!(*written.lock().unwrap(), ["sluice=debug", "warn", "info"]);
        for (body, why) in [
            (r#"{"filter": "sluice=loud"}"#, "filter: "),
            (r#"{"filter": "info", "minutes": 0}"#, "minutes"),
            (r#"{"filter": "info", "minutes": 1441}"#, "minutes"),
            (r#"{"filter": "info", "hours": 1}"#, "hours"),
            ("[]", "the body must be"),
        ] {
            let (status, told) = ask(&filter, &record, here, body).await;
            let told = told["error"].as_str().unwrap();
            assert!(status == 400 && told.contains(why), "{body}: {told}");
        }
        assert_eq!(ask(&filter, &record, "POST /log/filter", "").await.0, 405);
        assert_eq!(ask(&filter, &record, "GET /log", "").await.0, 404);
        assert_eq!(written.lock().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn what_cannot_be_written_down_is_not_done() {
        let filter = LogFilter::of("info");
        let record = recorder(&Arc::default(), false);
        for (line, body) in [
            ("PUT /log/filter", r#"{"filter": "debug"}"#),
            ("DELETE /log/filter", ""),
        ] {
            let (status, told) = ask(&filter, &record, line, body).await;
            let told = told["error"].as_str().unwrap();
            assert!(status == 503 && told.contains("away"), "{line}: {told}");
        }
        assert_eq!(filter.state().filter, "info");
    }
}
