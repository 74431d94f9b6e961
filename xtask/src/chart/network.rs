//! Who finds and who reaches whom: selectors choose one role each, and policies open to each what it
//! needs and nothing else.

use serde_json::Value;

use super::objects::{Objects, Pod, items, matches, name};
use super::render::{Case, render};
use super::tools::Tools;

/// DNS; the index and the queue, which the separate services share.
const DNS: u64 = 53;
const SHARED: [u64; 2] = [6379, 5672];
const COMPONENT: &str = "app.kubernetes.io/component";
/// Where clouds tell keys: a node's role, and EKS Pod Identity.
const METADATA: [&str; 2] = ["169.254.169.254/32", "169.254.170.23/32"];

pub(crate) fn check(objects: &Objects) -> Vec<String> {
    [
        selectors(objects),
        services(objects),
        denials(objects),
        openings(objects),
    ]
    .concat()
}

/// Where a cloud tells keys is shut, unless values open it; then to each pod that uses the store, by HTTP only.
pub(crate) fn metadata(tools: &Tools) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for file in ["full", "all-in-one"] {
        for (set, opened) in [
            (&[][..], false),
            (&["networkPolicy.instanceMetadata=true"][..], true),
        ] {
            let case = Case::of(file, set);
            let objects = render(tools, &case)?;
            for pod in objects.pods() {
                let wanted: &[&str] = if opened && !pod.is_test {
                    &METADATA
                } else {
                    &[]
                };
                let told = told_keys(&objects, &pod);
                if told != wanted {
                    problems.push(format!(
                        "{}: {} may ask for keys at {told:?}, and not at {wanted:?}",
                        case.name, pod.owner
                    ));
                }
            }
        }
    }
    Ok(problems)
}

/// Blocks of link-local addresses that a pod may reach; with a port that is not HTTP, something that is no block.
fn told_keys(objects: &Objects, pod: &Pod<'_>) -> Vec<String> {
    let policies = objects.of_kind("NetworkPolicy");
    let own = policies.filter(|policy| matches(selector(policy), pod.labels));
    let rules = own.flat_map(|policy| items(&policy["spec"]["egress"]));
    let mut told = Vec::new();
    for rule in rules {
        let blocks = items(&rule["to"]).filter_map(|peer| peer["ipBlock"]["cidr"].as_str());
        let local: Vec<&str> = blocks
            .filter(|block| block.starts_with("169.254."))
            .collect();
        let others = items(&rule["ports"]).filter(|port| port["port"] != 80);
        if !local.is_empty() && others.count() > 0 {
            told.push("other ports".to_owned());
        }
        told.extend(local.into_iter().map(str::to_owned));
    }
    told
}

/// Names of the pods that a selector chooses; none if it asks for nothing, as it then means all.
fn chosen(objects: &Objects, selector: &Value) -> Vec<String> {
    if selector.as_object().is_none_or(serde_json::Map::is_empty) {
        return Vec::new();
    }
    let pods = objects.pods().into_iter();
    pods.filter(|pod| matches(selector, pod.labels))
        .map(|pod| pod.owner)
        .collect()
}

fn selectors(objects: &Objects) -> Vec<String> {
    let mut problems = Vec::new();
    for workload in objects.workloads() {
        let chosen = chosen(objects, workload.selector());
        if chosen != [workload.name()] {
            problems.push(format!(
                "{}: it selects the pods of {chosen:?}",
                workload.name()
            ));
        }
    }
    problems
}

fn services(objects: &Objects) -> Vec<String> {
    let mut problems = Vec::new();
    for service in objects.of_kind("Service") {
        let selector = &service["spec"]["selector"];
        let chosen = chosen(objects, selector);
        if chosen.len() != 1 {
            problems.push(format!(
                "{}: it selects the pods of {chosen:?}",
                name(service)
            ));
        }
        let pods: Vec<Pod<'_>> = objects.pods();
        let pods = pods.iter().filter(|pod| chosen.contains(&pod.owner));
        let containers: Vec<&Value> = pods.flat_map(Pod::containers).collect();
        for port in items(&service["spec"]["ports"]) {
            let mut there = containers
                .iter()
                .flat_map(|container| items(&container["ports"]));
            if !there.any(|there| there["name"] == port["targetPort"]) {
                problems.push(format!(
                    "{}: nobody listens on {}",
                    name(service),
                    port["targetPort"]
                ));
            }
        }
    }
    problems
}

fn is_both_ways(policy: &Value) -> bool {
    let types = &policy["spec"]["policyTypes"];
    ["Ingress", "Egress"]
        .iter()
        .all(|way| items(types).any(|one| one == way))
}

fn selector(policy: &Value) -> &Value {
    &policy["spec"]["podSelector"]["matchLabels"]
}

fn is_denial(policy: &Value) -> bool {
    let spec = &policy["spec"];
    is_both_ways(policy) && spec["ingress"].is_null() && spec["egress"].is_null()
}

/// Some policy allows every pod nothing, so that what no other opens is shut.
fn denials(objects: &Objects) -> Vec<String> {
    let denials: Vec<&Value> = objects
        .of_kind("NetworkPolicy")
        .filter(|one| is_denial(one))
        .collect();
    let pods = objects.pods().into_iter();
    let open = pods.filter(|pod| {
        !denials
            .iter()
            .any(|denial| matches(selector(denial), pod.labels))
    });
    open.map(|pod| format!("{}: nothing denies it the network", pod.owner))
        .collect()
}

fn openings(objects: &Objects) -> Vec<String> {
    let mut problems = Vec::new();
    let policies: Vec<&Value> = objects
        .of_kind("NetworkPolicy")
        .filter(|policy| !is_denial(policy))
        .collect();
    for policy in &policies {
        let chosen = chosen(objects, selector(policy));
        if chosen.len() != 1 || !is_both_ways(policy) {
            problems.push(format!(
                "{}: it opens to {chosen:?}, or one way only",
                name(policy)
            ));
        }
    }
    for pod in objects.pods() {
        let mut own = policies
            .iter()
            .filter(|policy| matches(selector(policy), pod.labels));
        let found = match (own.next(), own.next()) {
            (Some(policy), None) => opening(&pod, policy),
            _ => vec!["it has no NetworkPolicy of its own, or several".to_owned()],
        };
        problems.extend(
            found
                .into_iter()
                .map(|text| format!("{}: {text}", pod.owner)),
        );
    }
    problems
}

/// What one policy opens to the one pod that it is for.
fn opening(pod: &Pod<'_>, policy: &Value) -> Vec<String> {
    let (ingress, egress) = (&policy["spec"]["ingress"], &policy["spec"]["egress"]);
    let mut problems = Vec::new();
    let mut rules = items(ingress).chain(items(egress));
    if rules.any(|rule| items(&rule["ports"]).next().is_none()) {
        problems.push("a rule opens every port".to_owned());
    }
    let (within, without) = (ports(ingress), ports(egress));
    let listens: Vec<u64> = pod
        .containers()
        .flat_map(|container| items(&container["ports"]))
        .filter_map(|port| port["containerPort"].as_u64())
        .collect();
    if let Some(port) = within.iter().find(|port| !listens.contains(port)) {
        problems.push(format!("port {port} is open, and it does not listen there"));
    }
    if listens.contains(&8080) && !within.contains(&8080) {
        problems.push("clients cannot reach it".to_owned());
    }
    if !without.contains(&DNS) {
        problems.push("it cannot find names".to_owned());
    }
    let is_one_of_three = ["gateway", "coordinator", "worker"]
        .iter()
        .any(|role| pod.labels[COMPONENT] == *role);
    for port in SHARED {
        if without.contains(&port) != is_one_of_three {
            problems.push(format!(
                "port {port} of others is open to it: {}",
                !is_one_of_three
            ));
        }
    }
    problems
}

fn ports(rules: &Value) -> Vec<u64> {
    let ports = items(rules).flat_map(|rule| items(&rule["ports"]));
    ports.filter_map(|port| port["port"].as_u64()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::objects::fixture::{deployment, labels, set, without};
    use serde_json::json;

    fn policy(role: &str, inner: &[u64], outer: &[u64]) -> Value {
        let rules = |ports: &[u64]| -> Vec<Value> {
            ports
                .iter()
                .map(|port| json!({"ports": [{"port": port}]}))
                .collect()
        };
        json!({"kind": "NetworkPolicy", "metadata": {"name": role}, "spec": {
            "podSelector": {"matchLabels": labels(role)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": rules(inner),
            "egress": rules(outer),
        }})
    }

    fn gateway() -> Value {
        let mut gateway = deployment("gateway");
        let ports = json!([{"name": "admin", "containerPort": 9090}, {"name": "http", "containerPort": 8080}]);
        set(
            &mut gateway,
            "/spec/template/spec/containers/0/ports",
            ports,
        );
        gateway
    }

    fn service(role: &str, port: &str) -> Value {
        json!({"kind": "Service", "metadata": {"name": role}, "spec": {
            "selector": labels(role), "ports": [{"targetPort": port}],
        }})
    }

    /// Gateway, worker, their policies, the denial, a Service.
    fn all() -> Vec<Value> {
        let mut release = labels("");
        release.as_object_mut().unwrap().remove(COMPONENT);
        let deny = json!({"kind": "NetworkPolicy", "metadata": {"name": "deny"}, "spec": {
            "podSelector": {"matchLabels": release}, "policyTypes": ["Ingress", "Egress"],
        }});
        vec![
            gateway(),
            deployment("worker"),
            policy("gateway", &[8080, 9090], &[53, 6379, 5672]),
            policy("worker", &[9090], &[53, 6379, 5672, 443]),
            deny,
            service("gateway", "http"),
        ]
    }

    fn told(change: impl FnOnce(&mut Vec<Value>), word: &str) {
        let mut objects = all();
        change(&mut objects);
        let found = check(&Objects::new(objects));
        assert!(
            found.iter().any(|text| text.contains(word)),
            "{word}: {found:?}"
        );
    }

    #[test]
    fn roles_that_are_told_apart_are_let_pass() {
        assert_eq!(check(&Objects::new(all())), [""; 0]);
    }

    #[test]
    fn selectors_that_choose_others_are_told() {
        let widen = |made: &mut Value| {
            let labels = made.pointer_mut("/spec/selector/matchLabels").unwrap();
            labels.as_object_mut().unwrap().remove(COMPONENT).unwrap();
        };
        told(
            |all| widen(&mut all[1]),
            "it selects the pods of [\"Deployment rel-sluice-gateway\", \"Dep",
        );
        told(
            |all| set(&mut all[1], "/spec/selector/matchLabels", json!({"a": "b"})),
            "selects the pods of []",
        );
        told(
            |all| without(&mut all[5], "/spec/selector"),
            "Service gateway: it selects",
        );
        told(|all| all[5] = service("gateway", "other"), "nobody listens");
    }

    #[test]
    fn policies_that_open_too_much_or_too_little_are_told() {
        told(|all| drop(all.remove(4)), "nothing denies");
        told(|all| drop(all.remove(3)), "no NetworkPolicy of its own");
        told(
            |all| all[3] = policy("worker", &[8080], &[53, 6379, 5672]),
            "does not listen",
        );
        told(|all| all[3] = policy("worker", &[], &[6379, 5672]), "names");
        told(|all| all[3] = policy("worker", &[], &[53, 6379]), "5672");
        told(
            |all| all[2] = policy("gateway", &[9090], &[53, 6379, 5672]),
            "clients cannot",
        );
        told(
            |all| set(&mut all[3], "/spec/egress/0", json!({})),
            "every port",
        );
        told(
            |all| set(&mut all[3], "/spec/policyTypes", json!(["Ingress"])),
            "one way only",
        );
    }
}
