//! What the chart must refuse: keys that there are not, secrets as values, and halves of things.

use super::folder;
use super::render::Case;
use super::tools::Tools;

/// Values, and a word of what helm must say of them.
const REFUSED: [(&str, &[&str], &str); 22] = [
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
];

pub(crate) fn check(tools: &Tools) -> anyhow::Result<Vec<String>> {
    let chart = folder().to_string_lossy().into_owned();
    let mut problems = Vec::new();
    for (file, sets, word) in REFUSED {
        let case = Case::of(file, sets);
        let words = ["template".to_owned(), "rel".to_owned(), chart.clone()];
        let said = tools.helm(&[&words[..], &case.words()].concat())?;
        if said.success {
            problems.push(format!("{}: it is not refused", case.name));
        } else if !said.error.contains(word) {
            problems.push(format!(
                "{}: refused, but not for {word}: {}",
                case.name, said.error
            ));
        }
    }
    Ok(problems)
}
