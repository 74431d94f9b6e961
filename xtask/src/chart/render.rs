//! What helm makes of the chart with some values, and what Kubernetes' schemas say of it.

use anyhow::bail;
use serde_json::Value;

use super::folder;
use super::objects::Objects;
use super::tools::{KUBERNETES, Tools};

/// Values to render the chart with.
pub(crate) struct Case {
    /// What to call it.
    pub(crate) name: String,
    file: String,
    sets: Vec<String>,
}

impl Case {
    /// A file of `ci/`, and what is set over it.
    pub(crate) fn of(file: &str, sets: &[&str]) -> Self {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let name = [&[file.to_owned()], sets.as_slice()].concat().join(" ");
        let file = folder().join(format!("ci/{file}-values.yaml"));
        let file = file.to_string_lossy().into_owned();
        Self { name, file, sets }
    }

    /// Its file of `ci/`.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Words for helm after its command.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = vec!["--values".to_owned(), self.file.clone()];
        for set in &self.sets {
            words.extend(["--set".to_owned(), set.clone()]);
        }
        words
    }
}

/// Every file of `ci/`, and variants that exclude what these have.
pub(crate) fn cases() -> anyhow::Result<Vec<Case>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder().join("ci"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(name) = name.strip_suffix("-values.yaml") else {
            bail!("helm/sluice/ci/{name} is no NAME-values.yaml");
        };
        names.push(name.to_owned());
    }
    names.sort();
    let mut cases: Vec<Case> = names.iter().map(|name| Case::of(name, &[])).collect();
    let keda = [
        "worker.autoscaling.kind=keda",
        "worker.autoscaling.prometheusUrl=http://prometheus:9090",
    ];
    let route = [
        "gateway.ingress.enabled=false",
        "gateway.httpRoute.enabled=true",
        "gateway.httpRoute.parentRefs[0].name=public",
    ];
    let alone = [
        "gateway.replicas=1",
        "coordinator.replicas=1",
        "worker.replicas=1",
    ];
    cases.extend([
        Case::of("full", &keda),
        Case::of("full", &route),
        Case::of(
            "minimal",
            &[
                "gateway.tls.existingSecret=bulk-tls",
                "preStopSeconds=0",
                "networkPolicy.instanceMetadata=true",
            ],
        ),
        Case::of("minimal", &alone),
        Case::of(
            "all-in-one",
            &[
                "allInOne.persistence.enabled=false",
                "storage.uri=s3://sluice",
            ],
        ),
    ]);
    Ok(cases)
}

/// The objects, as helm makes them; a file of `ci/` itself is linted, too.
pub(crate) fn render(tools: &Tools, case: &Case) -> anyhow::Result<Objects> {
    let chart = folder().to_string_lossy().into_owned();
    if case.sets.is_empty() {
        let lint = ["lint", "--strict", &chart].map(str::to_owned);
        let linted = tools.helm(&[&lint[..], &case.words()].concat())?;
        if !linted.success {
            bail!(
                "helm lint --strict, {}: {}{}",
                case.name,
                linted.out,
                linted.error
            );
        }
    }
    let template = ["template", "rel", &chart, "--namespace", "exports"];
    let template = [&template[..], &["--kube-version", KUBERNETES]].concat();
    let template: Vec<String> = template.into_iter().map(str::to_owned).collect();
    let rendered = tools.helm(&[template, case.words()].concat())?;
    if !rendered.success {
        bail!("helm template, {}: {}", case.name, rendered.error);
    }
    Ok(Objects::new(tools.documents(&rendered.out)?))
}

/// Fails where Kubernetes' schemas would refuse an object. Of kinds that others define they know
/// nothing.
pub(crate) fn validate(tools: &Tools, sets: &[(&str, &[Value])]) -> anyhow::Result<()> {
    let mut files = Vec::new();
    for (number, (name, objects)) in sets.iter().enumerate() {
        let known = objects.iter().filter(|object| !is_custom(object));
        let text: Vec<String> = known.map(Value::to_string).collect();
        let file = tools.place(&format!("{number}-{}.yaml", name.replace(['/', ' '], "_")))?;
        std::fs::write(&file, text.join("\n---\n"))?;
        // A file without documents would be refused.
        if !text.is_empty() {
            files.push(file);
        }
    }
    match tools.validate(&files)? {
        Some(refusal) => bail!("kubernetes-validate: {refusal}"),
        None => Ok(()),
    }
}

/// Whether an object is of a kind that somebody's CRD defines.
pub(crate) fn is_custom(object: &Value) -> bool {
    let group = object["apiVersion"]
        .as_str()
        .and_then(|version| version.split_once('/'));
    group.is_some_and(|(group, _)| {
        let own = [
            "networking.k8s.io",
            "rbac.authorization.k8s.io",
            "storage.k8s.io",
        ];
        group.contains('.') && !own.contains(&group)
    })
}
