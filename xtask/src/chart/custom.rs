//! Ways in, and the kinds of others' CRDs: what they refer to is there, and they have the shape that
//! their operators read.

use std::path::Path;

use serde_json::Value;

use super::objects::{Objects, items, matches, name};
use super::render::is_custom;

pub(crate) fn check(objects: &Objects) -> Vec<String> {
    let mut problems = Vec::new();
    for object in objects.all() {
        let found = match object["kind"].as_str().unwrap_or_default() {
            "Ingress" => ingress(objects, object),
            "HTTPRoute" => route(objects, object),
            "ServiceMonitor" => monitor(objects, object),
            "PrometheusRule" => rules(object),
            "ConfigMap" => dashboards(object),
            // Told of where there is more about scaling.
            "ScaledObject" => Vec::new(),
            kind if is_custom(object) => vec![format!("nobody looks at a {kind}")],
            _ => Vec::new(),
        };
        problems.extend(
            found
                .into_iter()
                .map(|text| format!("{}: {text}", name(object))),
        );
    }
    problems
}

/// Whether clients can be sent on to this port of this Service.
fn is_front(objects: &Objects, service: &Value, port: &Value) -> bool {
    let ports = objects
        .named("Service", service)
        .map(|service| &service["spec"]["ports"]);
    let mut ports = ports.into_iter().flat_map(items);
    ports.any(|there| there["port"] == *port && there["targetPort"] == "http")
}

fn ingress(objects: &Objects, object: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let rules: Vec<&Value> = items(&object["spec"]["rules"]).collect();
    if rules.is_empty() || rules.iter().any(|rule| !rule["host"].is_string()) {
        problems.push("it is for no host, or for every one".to_owned());
    }
    for path in rules.iter().flat_map(|rule| items(&rule["http"]["paths"])) {
        let backend = &path["backend"]["service"];
        if !is_front(objects, &backend["name"], &backend["port"]["number"]) {
            problems.push("it leads nowhere".to_owned());
        }
    }
    problems
}

fn route(objects: &Objects, object: &Value) -> Vec<String> {
    let spec = &object["spec"];
    let mut problems = Vec::new();
    let parents: Vec<&Value> = items(&spec["parentRefs"]).collect();
    if parents.is_empty() || parents.iter().any(|parent| !parent["name"].is_string()) {
        problems.push("it hangs on no Gateway".to_owned());
    }
    if items(&spec["hostnames"]).next().is_none() {
        problems.push("it is for every host".to_owned());
    }
    let mut ends = items(&spec["rules"])
        .flat_map(|rule| items(&rule["backendRefs"]))
        .peekable();
    if ends.peek().is_none() || ends.any(|end| !is_front(objects, &end["name"], &end["port"])) {
        problems.push("it leads nowhere".to_owned());
    }
    problems
}

/// Each role's admin port is scraped, and no other.
fn monitor(objects: &Objects, object: &Value) -> Vec<String> {
    let endpoints: Vec<&Value> = items(&object["spec"]["endpoints"]).collect();
    let [endpoint] = endpoints.as_slice() else {
        return vec!["it needs one endpoint".to_owned()];
    };
    let selector = &object["spec"]["selector"]["matchLabels"];
    let services = objects.of_kind("Service");
    let scraped = services.filter(|service| matches(selector, &service["metadata"]["labels"]));
    let has_port = |service: &&Value| {
        items(&service["spec"]["ports"])
            .any(|port| port["name"] == endpoint["port"] && port["targetPort"] == "admin")
    };
    let (scraped, others): (Vec<_>, Vec<_>) = scraped.partition(has_port);
    let mut problems = Vec::new();
    if scraped.len() != objects.workloads().len() || !others.is_empty() {
        problems.push("it does not scrape each role once".to_owned());
    }
    if endpoint["path"] != "/metrics" || !endpoint["interval"].is_string() {
        problems.push("it does not ask /metrics".to_owned());
    }
    problems
}

fn rules(object: &Value) -> Vec<String> {
    let groups: Vec<&Value> = items(&object["spec"]["groups"]).collect();
    let is_rule = |rule: &Value| {
        rule["expr"].is_string() && (rule["alert"].is_string() || rule["record"].is_string())
    };
    let is_group =
        |group: &&Value| group["name"].is_string() && items(&group["rules"]).all(is_rule);
    let fits = !groups.is_empty() && groups.iter().all(is_group);
    (!fits)
        .then(|| "it has no groups of rules".to_owned())
        .into_iter()
        .collect()
}

fn dashboards(object: &Value) -> Vec<String> {
    let files = object["data"].as_object().into_iter().flatten();
    let files =
        files.filter(|(file, _)| Path::new(file).extension().is_some_and(|end| end == "json"));
    let is_dashboard = |text: &Value| {
        let parsed = text
            .as_str()
            .and_then(|text| serde_json::from_str::<Value>(text).ok());
        parsed.is_some_and(|board| board["title"].is_string())
    };
    let broken = files.filter(|(_, text)| !is_dashboard(text));
    broken
        .map(|(file, _)| format!("{file} is no dashboard"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::objects::fixture::{deployment, set};
    use serde_json::json;

    fn service(label: &str, port: &str) -> Value {
        json!({"kind": "Service", "metadata": {"name": "rel-sluice", "labels": {"port": label}}, "spec": {
            "ports": [{"name": port, "port": 80, "targetPort": port}],
        }})
    }

    fn told(objects: Vec<Value>) -> String {
        check(&Objects::new(objects)).join("; ")
    }

    #[test]
    fn ways_in_lead_to_the_gateway() {
        let path = json!({"backend": {"service": {"name": "rel-sluice", "port": {"number": 80}}}});
        let rules = json!([{"host": "h", "http": {"paths": [path]}}]);
        let way = json!({"kind": "Ingress", "metadata": {"name": "i"}, "spec": {"rules": rules}});
        assert_eq!(told(vec![way.clone(), service("", "http")]), "");
        assert!(told(vec![way.clone(), service("", "admin")]).contains("nowhere"));
        let mut all = way;
        set(&mut all, "/spec/rules/0/host", json!(null));
        assert!(told(vec![all, service("", "http")]).contains("every one"));

        let ends = json!([{"backendRefs": [{"name": "rel-sluice", "port": 80}]}]);
        let spec = json!({"parentRefs": [{"name": "public"}], "hostnames": ["h"], "rules": ends});
        let route = json!({"kind": "HTTPRoute", "metadata": {"name": "r"}, "spec": spec});
        assert_eq!(told(vec![route.clone(), service("", "http")]), "");
        for (place, word) in [
            ("parentRefs", "Gateway"),
            ("hostnames", "every host"),
            ("rules", "nowhere"),
        ] {
            let mut route = route.clone();
            set(&mut route, &format!("/spec/{place}"), json!([]));
            assert!(
                told(vec![route, service("", "http")]).contains(word),
                "{place}"
            );
        }
    }

    #[test]
    fn a_monitor_scrapes_each_role_once() {
        let spec = json!({
            "selector": {"matchLabels": {"port": "admin"}},
            "endpoints": [{"port": "admin", "path": "/metrics", "interval": "15s"}],
        });
        let monitor = json!({"kind": "ServiceMonitor", "metadata": {"name": "m"}, "spec": spec});
        let of = |monitor: &Value, service: Value| {
            told(vec![monitor.clone(), service, deployment("worker")])
        };
        assert_eq!(of(&monitor, service("admin", "admin")), "");
        assert!(of(&monitor, service("", "admin")).contains("each role"));
        assert!(of(&monitor, service("admin", "http")).contains("each role"));
        let mut other = monitor;
        set(&mut other, "/spec/endpoints/0/path", json!("/"));
        assert!(of(&other, service("admin", "admin")).contains("/metrics"));
    }

    #[test]
    fn rules_and_dashboards_have_their_shape() {
        let rule = |spec: Value| {
            told(vec![
                json!({"kind": "PrometheusRule", "metadata": {}, "spec": spec}),
            ])
        };
        let good = json!({"groups": [{"name": "g", "rules": [{"alert": "A", "expr": "up == 0"}]}]});
        assert_eq!(rule(good), "");
        assert!(
            rule(json!({"groups": [{"name": "g", "rules": [{"alert": "A"}]}]}))
                .contains("no groups")
        );
        assert!(rule(json!({"rules": []})).contains("no groups"));
        let board = |text: &str| {
            told(vec![
                json!({"kind": "ConfigMap", "metadata": {}, "data": {"a.json": text}}),
            ])
        };
        assert_eq!(board("{\"title\": \"Overview\"}"), "");
        assert!(board("{").contains("no dashboard"));
    }

    #[test]
    fn a_kind_that_nobody_looks_at_is_told() {
        let other =
            json!({"apiVersion": "example.org/v1", "kind": "Other", "metadata": {"name": "o"}});
        assert!(told(vec![other]).contains("nobody looks"));
    }
}
