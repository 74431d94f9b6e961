//! Rules of pods: nobody is root, nothing but /tmp can be written, all of it is asked whether it lives,
//! and new pods come before old ones go.

use serde_json::Value;

use super::objects::{Objects, Pod, items};

/// How long a pod must be given to start: an index may be built first.
const SHORTEST_START: u64 = 300;

pub(crate) fn check(objects: &Objects) -> Vec<String> {
    let mut problems = Vec::new();
    for pod in objects.pods() {
        let mut found = pod_security(&pod);
        for container in pod.containers() {
            found.extend(container_security(container));
            if !pod.is_test {
                found.extend(probes(container));
            }
        }
        problems.extend(
            found
                .into_iter()
                .map(|text| format!("{}: {text}", pod.owner)),
        );
    }
    for deployment in objects.of_kind("Deployment") {
        let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
        if rolling["maxUnavailable"] != 0 || rolling["maxSurge"] != 1 {
            problems.push(format!(
                "{}: it loses a pod while it rolls",
                super::objects::name(deployment)
            ));
        }
    }
    for workload in objects.workloads() {
        if !workload.0["spec"]["revisionHistoryLimit"].is_u64() {
            problems.push(format!("{}: no revisionHistoryLimit", workload.name()));
        }
    }
    problems
}

/// What holds, or else the text.
fn unless(holds: bool, text: &str) -> Option<String> {
    (!holds).then(|| text.to_owned())
}

/// What Pod Security calls "restricted", and no way to the API server.
fn pod_security(pod: &Pod<'_>) -> Vec<String> {
    let (spec, context) = (pod.spec, &pod.spec["securityContext"]);
    let is_somebody = context["runAsUser"].as_u64().is_some_and(|user| user > 0);
    let on_host = ["hostNetwork", "hostPID", "hostIPC"]
        .iter()
        .any(|key| spec[key] == true);
    let kinds = [
        "configMap",
        "secret",
        "projected",
        "emptyDir",
        "persistentVolumeClaim",
    ];
    let is_usual = |volume: &Value| kinds.iter().any(|kind| volume[kind].is_object());
    let tmp = items(&spec["volumes"]).find(|volume| volume["name"] == "tmp");
    let bounded = tmp.is_some_and(|tmp| tmp["emptyDir"]["sizeLimit"].is_string());
    [
        unless(
            context["runAsNonRoot"] == true && is_somebody,
            "it may run as root",
        ),
        unless(
            context["seccompProfile"]["type"] == "RuntimeDefault",
            "no seccomp profile",
        ),
        unless(
            spec["automountServiceAccountToken"] == false,
            "it gets a token of the API server",
        ),
        unless(!on_host, "it shares a namespace of the host"),
        unless(
            items(&spec["volumes"]).all(is_usual),
            "a volume that \"restricted\" does not allow",
        ),
        unless(bounded, "/tmp has no sizeLimit"),
        unless(pod.containers().next().is_some(), "no container"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn container_security(container: &Value) -> Vec<String> {
    let context = &container["securityContext"];
    let dropped = items(&context["capabilities"]["drop"]).any(|capability| capability == "ALL");
    let gained = context["capabilities"]["add"].is_array() || context["privileged"] == true;
    let resources = &container["resources"];
    let wanted = [
        &resources["requests"]["cpu"],
        &resources["requests"]["memory"],
        &resources["limits"]["memory"],
    ];
    let mut tmp = items(&container["volumeMounts"]).filter(|mount| mount["mountPath"] == "/tmp");
    let image = container["image"].as_str().unwrap_or_default();
    let is_pinned = image.contains('@')
        || image
            .rsplit('/')
            .next()
            .is_some_and(|end| end.contains(':'));
    [
        unless(
            context["readOnlyRootFilesystem"] == true,
            "its root can be written",
        ),
        unless(
            context["allowPrivilegeEscalation"] == false,
            "it may gain privileges",
        ),
        unless(dropped && !gained, "it keeps capabilities"),
        unless(
            wanted.iter().all(|value| !value.is_null()),
            "no requests, or no limit of memory",
        ),
        unless(tmp.next().is_some(), "it has no /tmp"),
        unless(
            is_pinned && !image.ends_with(":latest"),
            "its image has no version",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// They ask the admin port over HTTP: there may be no shell in the image.
fn probes(container: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for (probe, path) in [
        ("startupProbe", "/livez"),
        ("livenessProbe", "/livez"),
        ("readinessProbe", "/readyz"),
    ] {
        let asked = &container[probe]["httpGet"];
        if asked["path"] != path || asked["port"] != "admin" {
            problems.push(format!("its {probe} does not ask {path} of the admin port"));
        }
    }
    let admin = items(&container["ports"]).find(|port| port["name"] == "admin");
    problems.extend(unless(
        admin.is_some_and(|port| port["containerPort"] == 9090),
        "no port admin, 9090",
    ));
    let startup = &container["startupProbe"];
    let times = startup["failureThreshold"]
        .as_u64()
        .zip(startup["periodSeconds"].as_u64());
    let seconds = times.map_or(0, |(times, period)| times.saturating_mul(period));
    problems.extend(unless(seconds >= SHORTEST_START, "it has no time to start"));
    let pause = &container["lifecycle"]["preStop"];
    let sleeps = pause["sleep"]["seconds"].is_u64();
    problems.extend(unless(
        pause.is_null() || sleeps,
        "its preStop needs a program",
    ));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::objects::fixture::{deployment, set, without};

    fn problems(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut made = deployment("worker");
        change(&mut made);
        check(&Objects::new(vec![made]))
    }

    #[test]
    fn a_pod_that_keeps_the_rules_is_let_pass() {
        assert_eq!(problems(|_| {}), [""; 0]);
    }

    #[test]
    fn each_way_to_break_a_rule_is_told() {
        let pod = "/spec/template/spec";
        let container = "/spec/template/spec/containers/0";
        for (place, value, told) in [
            (pod, "/securityContext/runAsNonRoot", "root"),
            (pod, "/securityContext/seccompProfile", "seccomp"),
            (pod, "/automountServiceAccountToken", "token"),
            (pod, "/volumes/0/emptyDir/sizeLimit", "sizeLimit"),
            (
                container,
                "/securityContext/readOnlyRootFilesystem",
                "written",
            ),
            (
                container,
                "/securityContext/allowPrivilegeEscalation",
                "gain",
            ),
            (container, "/securityContext/capabilities", "capabilities"),
            (container, "/resources/limits/memory", "limit"),
            (container, "/livenessProbe/httpGet", "livenessProbe"),
            (container, "/readinessProbe", "readinessProbe"),
            (container, "/startupProbe/failureThreshold", "time to start"),
            (container, "/ports/0/name", "port admin"),
            ("", "/spec/strategy", "loses a pod"),
            ("", "/spec/revisionHistoryLimit", "revisionHistoryLimit"),
        ] {
            let found = problems(|made| without(made, &format!("{place}{value}")));
            assert!(
                found.iter().any(|text| text.contains(told)),
                "{value}: {found:?}"
            );
        }
    }

    #[test]
    fn what_should_not_be_there_is_told() {
        let pod = "/spec/template/spec";
        for (place, value, told) in [
            ("/securityContext/runAsUser", serde_json::json!(0), "root"),
            (
                "/volumes/0",
                serde_json::json!({"name": "tmp", "hostPath": {}}),
                "restricted",
            ),
            ("/hostNetwork", serde_json::json!(true), "host"),
            (
                "/containers/0/image",
                serde_json::json!("host:5000/sluice"),
                "version",
            ),
            (
                "/containers/0/livenessProbe/httpGet/path",
                serde_json::json!("/readyz"),
                "liveness",
            ),
            (
                "/containers/0/lifecycle",
                serde_json::json!({"preStop": {"exec": {}}}),
                "preStop",
            ),
            (
                "/containers/0/securityContext/privileged",
                serde_json::json!(true),
                "capabilities",
            ),
        ] {
            let found = problems(|made| set(made, &format!("{pod}{place}"), value));
            assert!(
                found.iter().any(|text| text.contains(told)),
                "{place}: {found:?}"
            );
        }
    }
}
