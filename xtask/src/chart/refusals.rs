//! What the chart must refuse: keys that there are not, secrets as values, and halves of things.

use super::folder;
use super::render::Case;
use super::tools::Tools;

/// Values, and a word of what helm must say of them.
const REFUSED: [(&str, &[&str], &str); 41] = [
    ("minimal", &["nosuch=1"], "nosuch"),
    ("minimal", &["gateway.nosuch=1"], "nosuch"),
    ("minimal", &["settings.server.nosuch=1"], "nosuch"),
    ("minimal", &["tenants.default.settings.nosuch=1"], "nosuch"),
    (
        "minimal",
        &["settings.worker.drain_seconds=soon"],
        "drain_seconds",
    ),
    ("minimal", &["auth.secret=hunter2"], "secret"),
    ("minimal", &["settings.auth.secret=hunter2"], "secret"),
    ("minimal", &["settings.admin.secret=hunter2"], "admin"),
    (
        "minimal",
        &["settings.s3.secret_access_key=hunter2"],
        "secret_access_key",
    ),
    ("minimal", &["settings.ports.queue=amqp://a:b@h"], "ports"),
    (
        "minimal",
        &["settings.telemetry.otlp_headers=a=b"],
        "otlp_headers",
    ),
    ("minimal", &["index.url=redis://h"], "url"),
    (
        "minimal",
        &["tenants.default.settings.postgres.password=x"],
        "password",
    ),
    (
        "minimal",
        &["tenants.default.settings.fhir.password=x"],
        "password",
    ),
    (
        "minimal",
        &["tenants.default.settings.source=postgres://a:b@h/d"],
        "source",
    ),
    (
        "minimal",
        &[
            "extraEnv[0].name=SLUICE_AUTH__SECRET",
            "extraEnv[0].value=x",
        ],
        "extraEnv",
    ),
    (
        "minimal",
        &["podLabels.app\\.kubernetes\\.io/component=x"],
        "app.kubernetes.io/component",
    ),
    (
        "minimal",
        &["publicUrl=http://bulk.example.org"],
        "publicUrl",
    ),
    ("minimal", &["publicUrl="], "publicUrl is needed"),
    (
        "minimal",
        &["queue.existingSecret="],
        "queue.existingSecret is needed",
    ),
    ("full", &["gateway.httpRoute.enabled=true"], "choose one"),
    (
        "full",
        &["worker.autoscaling.kind=keda"],
        "prometheusUrl is needed",
    ),
    // What a process would refuse at its start.
    ("minimal", &["settings.worker.slots=65"], "slots"),
    (
        "minimal",
        &["settings.worker.deadline_minutes=16"],
        "at most half of settings.amqp.consumer_timeout_minutes",
    ),
    (
        "all-in-one",
        &["settings.amqp.consumer_timeout_minutes=19"],
        "at most half of settings.amqp.consumer_timeout_minutes",
    ),
    (
        "minimal",
        &["settings.coordinator.tombstone_minutes=10"],
        "settings.coordinator.tombstone_minutes is 10",
    ),
    (
        "minimal",
        &[
            "settings.worker.deadline_minutes=60",
            "settings.amqp.consumer_timeout_minutes=120",
        ],
        "settings.coordinator.tombstone_minutes is 60",
    ),
    (
        "minimal",
        &["settings.server.shortest_poll_seconds=61"],
        "shortest_poll_seconds",
    ),
    (
        "minimal",
        &["settings.auth.token_seconds=301"],
        "token_seconds",
    ),
    ("minimal", &["settings.audit.sink=elsewhere"], "sink"),
    (
        "minimal",
        &["settings.telemetry.otlp_endpoint=collector:4318"],
        "otlp_endpoint",
    ),
    (
        "minimal",
        &["tenants.default.settings.own_tokens=false"],
        "nobody could get a token",
    ),
    // What Kubernetes would refuse, or send nowhere.
    ("minimal", &["fullnameOverride=Bulk"], "fullnameOverride"),
    ("minimal", &["fullnameOverride=1bulk"], "fullnameOverride"),
    ("minimal", &["nameOverride=bulk_export"], "nameOverride"),
    ("full", &["test.tenant=north"], "none of tenants: default"),
    (
        "full",
        &["publicUrl=https://example.org/bulk"],
        "give it a host of its own",
    ),
    (
        "full",
        &[
            "publicUrl=https://example.org/bulk",
            "gateway.ingress.enabled=false",
            "gateway.httpRoute.enabled=true",
            "gateway.httpRoute.parentRefs[0].name=public",
        ],
        "give it a host of its own",
    ),
    // Null, where nothing can be empty.
    ("minimal", &["gateway=null"], "gateway"),
    ("minimal", &["networkPolicy.egress.dns=null"], "dns"),
    ("minimal", &["settings=null"], "settings"),
];

pub(crate) fn check(tools: &Tools) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for (file, sets, word) in REFUSED {
        let case = Case::of(file, sets);
        problems.extend(refused(tools, "rel", &case, word)?);
    }
    // Helm takes such a release; a Service may not be called so.
    let case = Case::of("minimal", &[]);
    problems.extend(refused(tools, "1.rel", &case, "no name for Services")?);
    Ok(problems)
}

fn refused(
    tools: &Tools,
    release: &str,
    case: &Case,
    word: &str,
) -> anyhow::Result<Option<String>> {
    let chart = folder().to_string_lossy().into_owned();
    let words = ["template".to_owned(), release.to_owned(), chart];
    let said = tools.helm(&[&words[..], &case.words()].concat())?;
    Ok(if said.success {
        Some(format!("{}: it is not refused", case.name))
    } else if !said.error.contains(word) || said.error.contains("nil pointer") {
        Some(format!(
            "{}: refused, but not for {word}: {}",
            case.name, said.error
        ))
    } else {
        None
    })
}
