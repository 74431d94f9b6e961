//! What running processes tell: every documented metric, true figures, and traces that lead from a
//! chunk to its kick-off.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;
use sluice_source_postgres::{PostgresOptions, migrate};
use sluice_stack::{Postgres, PostgresOptions as ServerOptions, Private};

use crate::collector::Collector;
use crate::data::sample;
use crate::flow::{kick_off_with, manifest};
use crate::servers::aside;
use crate::site::{Service, Site, curl};
use crate::upstream::Upstream;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Metrics of a process: each sample by its name with its labels.
pub(crate) fn scrape(site: &Site, name: (Service, usize)) -> BTreeMap<String, f64> {
    let text = curl(&["-s", &site.admin(name, "/metrics")]);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.filter_map(|line| line.rsplit_once(' '));
    samples
        .map(|(sample, value)| (sample.to_owned(), value.parse().unwrap()))
        .collect()
}

/// The sum of the samples of a metric that have all of these labels.
pub(crate) fn sum(scrapes: &[BTreeMap<String, f64>], metric: &str, labels: &[&str]) -> f64 {
    let samples = scrapes.iter().flatten();
    let wanted = samples.filter(|(sample, _)| {
        let name = sample.split('{').next().unwrap();
        name == metric && labels.iter().all(|label| sample.contains(label))
    });
    wanted.map(|(_, value)| value).sum()
}

/// The names in the first column of the table in docs/METRICS.md.
fn documented() -> BTreeSet<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/METRICS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let first = rows.filter_map(|row| row.split('|').next());
    let names = first.flat_map(|names| names.split(", "));
    names
        .map(|name| name.trim_matches(['`', ' ']).to_owned())
        .collect()
}

/// Kicks off as a client that traces, and waits for the manifest.
async fn export(site: &Site) -> Value {
    let url = format!("{}/Patient/$export", site.base("one"));
    let caller = format!("traceparent: 00-{TRACE}-{CALLER}-01");
    manifest(&kick_off_with(&caller, &url)).await
}

/// Every process once it has looked at its servers, and the coordinator once its sweep has seen
/// that no job runs any more.
async fn settled(site: &Site) -> Vec<BTreeMap<String, f64>> {
    for _ in 0..120 {
        let names = site.names();
        let scrapes: Vec<_> = names.iter().map(|name| scrape(site, *name)).collect();
        let looked = sum(&scrapes, "dependency_up", &[]);
        let idle = sum(&scrapes, "export_jobs_active", &[]);
        if looked > 11.5 && idle < 0.5 {
            return scrapes;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("not every process found its servers");
}

/// Tenants beside, so that sources of each kind tell of themselves.
async fn tenants_beside(site: &mut Site) -> (Upstream, Private<Postgres>) {
    let upstream = Upstream::start().await;
    site.set("SLUICE_TENANTS__SERVER__SOURCE", &upstream.base);
    let database = aside(|| Private::<Postgres>::start(&ServerOptions::default())).await;
    let options = PostgresOptions::new(database.url());
    migrate(&options).await.unwrap();
    site.set("SLUICE_TENANTS__DATABASE__SOURCE", &database.url());
    (upstream, database)
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_all_there_and_true_and_chunks_are_traced_to_their_kick_off() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    sample(60, 3, &folder);
    let collector = Collector::start().await;
    let mut site = Site::new("telemetry", &[("one", &folder)]);
    site.set("SLUICE_TELEMETRY__OTLP_ENDPOINT", &collector.endpoint);
    let _listen_until_the_end = tenants_beside(&mut site).await;
    site.start_all(1, 1, 2);
    let manifest = export(&site).await;
    let files = manifest["output"].as_array().unwrap();
    let count = |file: &Value| file["count"].as_f64().unwrap();
    let resources: f64 = files.iter().map(count).sum();
    let scrapes = settled(&site).await;

    let known = documented();
    let found: BTreeSet<String> = scrapes
        .iter()
        .flat_map(BTreeMap::keys)
        .map(|sample| base_name(sample, &known))
        .collect();
    let missing: Vec<_> = known.difference(&found).cloned().collect();
    assert!(missing.is_empty(), "documented and not there: {missing:?}");
    let unknown: Vec<_> = found.difference(&known).collect();
    assert_eq!(unknown, ["target_info"], "there and not documented");

    let total = |metric: &str, labels: &[&str]| sum(&scrapes, metric, labels);
    let same = |metric: &str, labels: &[&str], expected: f64| {
        let found = total(metric, labels);
        assert!(
            (found - expected).abs() < 0.5,
            "{metric}: {found} and not {expected}"
        );
    };
    same("export_resources_total", &[], resources);
    same("export_kickoffs_total", &["outcome=\"accepted\""], 1.0);
    same("export_jobs_total", &["outcome=\"complete\""], 1.0);
    same("export_jobs_active", &[], 0.0);
    same("export_poison_total", &[], 0.0);
    same("dependency_up", &[], 3.0 * 4.0);
    same("consumer_alive", &[], 4.0);
    check_who_is_there(&scrapes);
    let described = ["code=\"200\"", "tenant=\"server\""];
    same("export_upstream_requests_total", &described, 4.0);
    let of_database = ["pool=\"database\""];
    same("db_client_connection_max", &of_database, 4.0 * 8.0);
    same("db_client_connection_pending_requests", &of_database, 0.0);
    assert!(total("db_client_connection_count", &of_database) >= 4.0);
    let kick_off = ["route=\"/{tenant}/fhir/Patient/$export\"", "202"];
    same("http_server_request_duration_seconds_count", &kick_off, 1.0);
    let chunks = total("export_chunks_total", &["outcome=\"done\""]);
    assert!(chunks >= 2.0, "{chunks} chunks");

    for name in site.names() {
        assert!(site.stop(name), "{name:?} did not end well");
    }
    let spans = collector.spans();
    check_traces(&spans, chunks);
    check_files(&spans, resources);
    sluice_testkit::show(&tree(&spans));
}

/// One gateway, one coordinator and two workers, each with three sources, and nothing that stands still.
fn check_who_is_there(scrapes: &[BTreeMap<String, f64>]) {
    for (metric, label, expected) in [
        ("sluice_build_info", "program=\"sluice-gateway\"", 1),
        ("sluice_build_info", "program=\"sluice-coordinator\"", 1),
        ("sluice_build_info", "program=\"sluice-worker\"", 2),
        ("export_source_ready", "tenant", 3 * 4),
        ("export_longest_standstill_seconds", "tenant", 0),
        ("export_chunks_paused", "tenant", 0),
    ] {
        let is_told =
            |(sample, _): (&String, &f64)| sample.starts_with(metric) && sample.contains(label);
        assert!(scrapes.iter().flatten().any(is_told), "{metric} {label}");
        let found = sum(scrapes, metric, &[label]);
        assert!(
            (found - f64::from(expected)).abs() < 0.5,
            "{metric} {label}: {found}"
        );
    }
}

/// Below the span of each chunk are those of its files and of its receipt; together they hold everything.
fn check_files(spans: &[Span], resources: f64) {
    let named = |name: &'static str| spans.iter().filter(move |span| span.name == name);
    let chunks: BTreeSet<&[u8]> = named("export chunk")
        .map(|span| &span.span_id[..])
        .collect();
    let mut written = 0;
    for file in named("write file") {
        assert!(chunks.contains(&file.parent_span_id[..]));
        written += attribute(file, "resources").parse::<u64>().unwrap();
    }
    assert!((f64::from(u32::try_from(written).unwrap()) - resources).abs() < 0.5);
    assert!(named("commit receipt").all(|span| chunks.contains(&span.parent_span_id[..])));
}

/// What a span says of itself; empty if it does not.
fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|one| one.key == key);
    let value = found.and_then(|one| one.value.as_ref()?.value.as_ref());
    match value {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// The spans of one export as text: what a kick-off led to, by links, and what is below each span.
fn tree(spans: &[Span]) -> String {
    let mut text = String::new();
    let mut tops: Vec<&Span> = spans.iter().filter(|span| !span.links.is_empty()).collect();
    tops.sort_by_key(|span| span.start_time_unix_nano);
    let kick_off = spans.iter().find(|span| span.name.ends_with("$export"));
    let begun = kick_off.map_or(0, |span| span.start_time_unix_nano);
    if let Some(span) = kick_off {
        branch(&mut text, (spans, span, begun), "");
    }
    for span in tops {
        branch(&mut text, (spans, span, begun), "~> ");
    }
    text
}

fn branch(text: &mut String, (spans, span, begun): (&[Span], &Span, u64), indent: &str) {
    let shown = [
        "chunk",
        "attempt",
        "type",
        "number",
        "resources",
        "bytes",
        "files",
    ];
    let told = shown.map(|key| (key, attribute(span, key)));
    let told: Vec<String> = told
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let micros = |nanos: u64| nanos / 1000;
    let line = format!(
        "{indent}{} {} [{} us, +{} us]\n",
        span.name,
        told.join(" "),
        micros(span.end_time_unix_nano - span.start_time_unix_nano),
        micros(span.start_time_unix_nano.saturating_sub(begun)),
    );
    text.push_str(&line);
    let below = spans
        .iter()
        .filter(|one| one.parent_span_id == span.span_id);
    for one in below {
        branch(text, (spans, one, begun), &format!("   {indent}"));
    }
}

/// A histogram's samples are told of under its own name.
fn base_name(sample: &str, known: &BTreeSet<String>) -> String {
    let name = sample.split('{').next().unwrap();
    if known.contains(name) {
        return name.to_owned();
    }
    let parts = ["_bucket", "_sum", "_count"];
    let part = parts.iter().find_map(|part| name.strip_suffix(part));
    part.unwrap_or(name).to_owned()
}

fn check_traces(spans: &[Span], chunks: f64) {
    let kick_off = spans
        .iter()
        .find(|span| span.name == "GET /{tenant}/fhir/Patient/$export");
    let names: BTreeSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    let kick_off = kick_off.unwrap_or_else(|| panic!("only {names:?}"));
    assert_eq!(hex::encode(&kick_off.trace_id), TRACE);
    assert_eq!(hex::encode(&kick_off.parent_span_id), CALLER);
    let exported: Vec<&Span> = spans
        .iter()
        .filter(|span| span.name == "export chunk")
        .collect();
    let traces: BTreeSet<&[u8]> = exported.iter().map(|span| &span.trace_id[..]).collect();
    assert_eq!(traces.len(), exported.len(), "each chunk is its own trace");
    assert!(f64::from(u32::try_from(exported.len()).unwrap()) >= chunks);
    let looks = spans.iter().filter(|span| span.name == "advance job");
    for span in exported.iter().copied().chain(looks) {
        assert_eq!(span.links.len(), 1, "{}", span.name);
        assert_eq!(span.links[0].trace_id, kick_off.trace_id);
        assert_eq!(span.links[0].span_id, kick_off.span_id);
        assert_ne!(span.trace_id, kick_off.trace_id);
    }
    let events = spans.iter().flat_map(|span| &span.events);
    let told = events.flat_map(|event| &event.attributes);
    let keys: BTreeSet<&str> = spans
        .iter()
        .flat_map(|span| &span.attributes)
        .chain(told)
        .map(|attribute| attribute.key.as_str())
        .collect();
    let harmless = [
        "attempt",
        "busy_ns",
        "bytes",
        "chunk",
        "chunks",
        "error",
        "files",
        "http.response.status_code",
        "idle_ns",
        "job",
        "level",
        "method",
        "number",
        "reason",
        "request_id",
        "resources",
        "route",
        "state",
        "status",
        "target",
        "type",
        "types",
    ];
    let other: Vec<_> = keys.iter().filter(|key| !harmless.contains(key)).collect();
    assert!(other.is_empty(), "spans tell {other:?}");
}
