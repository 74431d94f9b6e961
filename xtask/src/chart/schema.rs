//! Every setting but secrets, and but what the chart sets itself, can be given as a value of the chart.

use serde_json::Value;
use sluice_runtime::{Settings, TenantSection};

/// What comes from Secrets.
const SECRETS: [&str; 9] = [
    "/auth/secret",
    "/auth/previous_secret",
    "/admin/secret",
    "/s3/secret_access_key",
    "/s3/access_key_id",
    "/telemetry/otlp_headers",
    "/tenant/postgres/password",
    "/tenant/fhir/password",
    "/ports/index",
];
/// What the chart knows better.
const OWN: [&str; 9] = [
    "/data_dir",
    "/ports/queue",
    "/ports/blobs",
    "/server/listen",
    "/server/public_url",
    "/server/tls_certificate",
    "/server/tls_key",
    "/admin/listen",
    "/tenants",
];

/// Paths of all settings; a table that is empty by default is one.
fn paths(value: &Value, path: &str, found: &mut Vec<String>) {
    match value.as_object() {
        Some(table) if !table.is_empty() => {
            for (key, value) in table {
                paths(value, &format!("{path}/{key}"), found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

fn settings() -> Vec<String> {
    let mut found = Vec::new();
    paths(
        &serde_json::to_value(Settings::default()).unwrap(),
        "",
        &mut found,
    );
    let tenant = TenantSection::of("ndjson:data".to_owned());
    paths(
        &serde_json::to_value(tenant).unwrap(),
        "/tenant",
        &mut found,
    );
    found.retain(|path| !SECRETS.contains(&path.as_str()) && !OWN.contains(&path.as_str()));
    found
}

fn schema() -> Value {
    let text = include_str!("../../../helm/sluice/values.schema.json");
    serde_json::from_str(text).unwrap()
}

fn offered(schema: &Value, path: &str, found: &mut Vec<String>) {
    match schema["properties"].as_object() {
        Some(properties) => {
            for (key, inner) in properties {
                offered(inner, &format!("{path}/{key}"), found);
            }
        }
        None => found.push(path.to_owned()),
    }
}

#[test]
fn the_schema_offers_each_setting_that_is_no_secret_and_no_other() {
    let schema = schema();
    let (mut there, mut wanted) = (Vec::new(), settings());
    offered(&schema["$defs"]["settings"], "", &mut there);
    let tenant = &schema["$defs"]["tenant"]["properties"]["settings"];
    offered(tenant, "/tenant", &mut there);
    there.sort();
    wanted.sort();
    assert_eq!(there, wanted);
}

fn closed(schema: &Value, path: &str) {
    if schema["properties"].is_object() && schema["type"] == "object" {
        assert_eq!(schema["additionalProperties"], false, "{path}");
    }
    for (key, value) in schema.as_object().into_iter().flatten() {
        closed(value, &format!("{path}/{key}"));
    }
}

/// A key that is misspelled is refused wherever it stands.
#[test]
fn the_schema_closes_its_objects() {
    closed(&schema(), "");
}

/// Values that the chart shows because it works with them are what they are without it, but for the drain of workers,
/// which it works out.
#[test]
fn shown_values_are_the_defaults() {
    let values = include_str!("../../../helm/sluice/values.yaml");
    let settings = Settings::default();
    for line in [
        format!("drain_seconds: {}", settings.server.drain_seconds),
        format!("deadline_minutes: {}", settings.worker.deadline_minutes),
        "drain_seconds: null".to_owned(),
    ] {
        assert!(values.contains(&format!("    {line}\n")), "{line}");
    }
}

/// A number where it is set: what the settings take.
#[test]
fn a_drain_is_a_number_or_not_set() {
    let schema = schema();
    let worker = &schema["$defs"]["settings"]["properties"]["worker"];
    let drain = &worker["properties"]["drain_seconds"];
    assert_eq!(drain["type"], serde_json::json!(["integer", "null"]));
    assert_eq!(drain["minimum"], 0);
}
