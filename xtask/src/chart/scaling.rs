//! How many pods: budgets let a node be emptied, and whoever scales has something to scale.

use serde_json::Value;

use super::objects::{Objects, Workload, items, matches, name};

/// What workers follow: chunks handed out, and chunks that wait.
const WORK: [&str; 2] = ["export_chunks_outstanding", "export_chunks_backlog"];

pub(crate) fn check(objects: &Objects) -> Vec<String> {
    let mut problems = Vec::new();
    for workload in objects.workloads() {
        let fewest = fewest(objects, &workload);
        let found = if fewest > 1 {
            budget(objects, &workload, fewest)
        } else {
            None
        };
        problems.extend(found.map(|text| format!("{}: {text}", workload.name())));
    }
    for scaler in objects
        .of_kind("HorizontalPodAutoscaler")
        .chain(objects.of_kind("ScaledObject"))
    {
        let found = scaled(objects, scaler).into_iter().chain(follows(scaler));
        problems.extend(found.map(|text| format!("{}: {text}", name(scaler))));
    }
    problems
}

fn target<'a>(objects: &'a Objects, scaler: &Value) -> Option<&'a Value> {
    objects.named("Deployment", &scaler["spec"]["scaleTargetRef"]["name"])
}

fn limits(scaler: &Value) -> (Option<u64>, Option<u64>) {
    let spec = &scaler["spec"];
    let either = |one: &str, other: &str| spec[one].as_u64().or(spec[other].as_u64());
    (
        either("minReplicas", "minReplicaCount"),
        either("maxReplicas", "maxReplicaCount"),
    )
}

/// The fewest pods that there are on purpose.
fn fewest(objects: &Objects, workload: &Workload<'_>) -> u64 {
    let mut scalers = objects
        .of_kind("HorizontalPodAutoscaler")
        .chain(objects.of_kind("ScaledObject"));
    let scaler = scalers.find(|scaler| target(objects, scaler) == Some(workload.0));
    let least = scaler.and_then(|scaler| limits(scaler).0);
    least
        .or(workload.0["spec"]["replicas"].as_u64())
        .unwrap_or(1)
}

/// Of several pods one may go, and not all.
fn budget(objects: &Objects, workload: &Workload<'_>, fewest: u64) -> Option<String> {
    let labels = workload.pod().labels;
    let mut budgets = objects
        .of_kind("PodDisruptionBudget")
        .filter(|budget| matches(&budget["spec"]["selector"]["matchLabels"], labels));
    let (Some(budget), None) = (budgets.next(), budgets.next()) else {
        return Some("it has no PodDisruptionBudget, or several".to_owned());
    };
    if budget["spec"]["selector"]["matchLabels"] != *workload.selector() {
        return Some("its PodDisruptionBudget is for others, too".to_owned());
    }
    let (gone, kept) = (
        &budget["spec"]["maxUnavailable"],
        &budget["spec"]["minAvailable"],
    );
    let allows = match (gone.as_u64(), kept.as_u64()) {
        (Some(gone), None) => gone >= 1 && gone < fewest,
        (None, Some(kept)) => kept >= 1 && kept < fewest,
        _ => gone
            .as_str()
            .is_some_and(|share| !["0%", "100%"].contains(&share)),
    };
    (!allows).then(|| format!("its PodDisruptionBudget lets none or all of {fewest} go"))
}

fn scaled(objects: &Objects, scaler: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    match target(objects, scaler) {
        None => problems.push("it scales what is not there".to_owned()),
        Some(deployment) if !deployment["spec"]["replicas"].is_null() => {
            // Each upgrade would set it back to that.
            problems.push("its Deployment says a number of replicas itself".to_owned());
        }
        Some(_) => {}
    }
    let (least, most) = limits(scaler);
    if least
        .zip(most)
        .is_none_or(|(least, most)| least < 1 || least > most)
    {
        problems.push("its limits make no sense".to_owned());
    }
    problems
}

/// Workers follow their work, not their processors, which idle while a source is slow.
fn follows(scaler: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let is_keda = scaler["kind"] == "ScaledObject";
    let of_worker = scaler["metadata"]["name"]
        .as_str()
        .is_some_and(|name| name.ends_with("-worker"));
    if is_keda {
        let triggers: Vec<&Value> = items(&scaler["spec"]["triggers"]).collect();
        let [trigger] = triggers.as_slice() else {
            return vec!["it needs one trigger".to_owned()];
        };
        let metadata = &trigger["metadata"];
        let query = metadata["query"].as_str().unwrap_or_default();
        let words = ["serverAddress", "query", "threshold"]
            .iter()
            .all(|key| metadata[key].is_string());
        if trigger["type"] != "prometheus" || !words {
            problems.push("its trigger does not ask Prometheus".to_owned());
        }
        problems.extend(unless_asked(query, "namespace="));
    } else if of_worker {
        let external = items(&scaler["spec"]["metrics"]).all(|metric| {
            metric["type"] == "External" && metric["external"]["target"]["type"] == "AverageValue"
        });
        if !external {
            problems.push("it does not follow the chunks there are for each worker".to_owned());
        }
    }
    problems
}

/// Whether a query asks for all the work of one installation: each coordinator tells of all of it, and one Prometheus may
/// know several installations, which `label` tells apart.
pub(crate) fn unless_asked(query: &str, label: &str) -> Option<String> {
    let words: String = query.split_whitespace().collect();
    let left_out = WORK.iter().find(|metric| {
        let asked = format!("sum(maxby(tenant)({metric}{{{label}");
        !words.contains(&asked)
    });
    left_out.map(|metric| {
        format!("its query leaves out {metric}, or asks for that of others, or counts it twice")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::objects::fixture::{deployment, labels, set, without};
    use serde_json::json;

    fn budget_of(key: &str, value: &Value) -> Value {
        json!({"kind": "PodDisruptionBudget", "spec": {"selector": {"matchLabels": labels("worker")}, key: value}})
    }

    fn keda(query: &str) -> Value {
        let metadata = json!({"serverAddress": "http://p", "query": query, "threshold": "4"});
        json!({"kind": "ScaledObject", "metadata": {"name": "rel-sluice-worker"}, "spec": {
            "scaleTargetRef": {"name": "rel-sluice-worker"},
            "minReplicaCount": 2, "maxReplicaCount": 8,
            "triggers": [{"type": "prometheus", "metadata": metadata}],
        }})
    }

    fn problems(objects: Vec<Value>) -> Vec<String> {
        check(&Objects::new(objects))
    }

    #[test]
    fn a_budget_lets_one_go_and_not_all() {
        for (key, value, fits) in [
            ("maxUnavailable", json!(1), true),
            ("minAvailable", json!(1), true),
            ("maxUnavailable", json!("50%"), true),
            ("maxUnavailable", json!(0), false),
            ("maxUnavailable", json!(2), false),
            ("minAvailable", json!(2), false),
            ("maxUnavailable", json!("0%"), false),
        ] {
            let found = problems(vec![deployment("worker"), budget_of(key, &value)]);
            assert_eq!(found.is_empty(), fits, "{key} {value}: {found:?}");
        }
        assert_eq!(problems(vec![deployment("worker")]).len(), 1);
        let mut alone = deployment("worker");
        set(&mut alone, "/spec/replicas", json!(1));
        assert_eq!(problems(vec![alone]), [""; 0]);
    }

    #[test]
    fn scalers_follow_the_work() {
        let mut scaled = deployment("worker");
        without(&mut scaled, "/spec/replicas");
        let with = |scaler: Value| {
            problems(vec![
                scaled.clone(),
                budget_of("maxUnavailable", &json!(1)),
                scaler,
            ])
        };
        let asked = |label: &str| {
            let each = WORK.map(|metric| format!("sum(max by (tenant) ({metric}{{{label}}}))"));
            each.join(" + ")
        };
        let query = asked("namespace=\"a\"");
        assert_eq!(with(keda(&query)), [""; 0]);
        let half = query.split(" + ").next().unwrap();
        assert!(with(keda(half))[0].contains("leaves out"));
        assert!(with(keda(&asked("job=\"b\"")))[0].contains("of others"));
        assert!(with(keda(&query.replace("max by", "sum by")))[0].contains("twice"));
        let mut other = keda(&query);
        set(&mut other, "/spec/scaleTargetRef/name", json!("other"));
        assert!(with(other)[0].contains("not there"));
        let mut other = keda(&query);
        set(&mut other, "/spec/maxReplicaCount", json!(1));
        assert!(with(other)[0].contains("no sense"));
        let mut hpa = keda(&query);
        set(&mut hpa, "/kind", json!("HorizontalPodAutoscaler"));
        set(&mut hpa, "/spec/metrics", json!([{"type": "Resource"}]));
        assert!(with(hpa)[0].contains("does not follow"));
        let fixed = vec![
            deployment("worker"),
            budget_of("maxUnavailable", &json!(1)),
            keda(&query),
        ];
        assert!(problems(fixed)[0].contains("replicas itself"));
    }
}
