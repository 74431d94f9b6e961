//! Rendered objects, and how one finds another: by kind, by name, by labels.

use serde_json::{Map, Value};

/// All objects of one installation.
pub(crate) struct Objects(Vec<Value>);

/// What makes pods: a Deployment or a `StatefulSet`.
pub(crate) struct Workload<'a>(pub(crate) &'a Value);

/// A pod as it will be, whoever makes it.
pub(crate) struct Pod<'a> {
    /// Kind and name of what makes it.
    pub(crate) owner: String,
    /// Its labels.
    pub(crate) labels: &'a Value,
    /// Its `spec`.
    pub(crate) spec: &'a Value,
    /// Whether it is there for `helm test` only.
    pub(crate) is_test: bool,
}

impl Objects {
    pub(crate) fn new(objects: Vec<Value>) -> Self {
        Self(objects)
    }

    pub(crate) fn all(&self) -> &[Value] {
        &self.0
    }

    pub(crate) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    pub(crate) fn named(&self, kind: &str, name: &Value) -> Option<&Value> {
        let mut found = self.0.iter().filter(|object| object["kind"] == kind);
        found.find(|object| object["metadata"]["name"] == *name)
    }

    pub(crate) fn workloads(&self) -> Vec<Workload<'_>> {
        let kinds = ["Deployment", "StatefulSet"];
        let made = |object: &&Value| kinds.iter().any(|kind| object["kind"] == *kind);
        self.0.iter().filter(made).map(Workload).collect()
    }

    pub(crate) fn pods(&self) -> Vec<Pod<'_>> {
        let alone = self.of_kind("Pod").map(|pod| Pod {
            owner: name(pod),
            labels: &pod["metadata"]["labels"],
            spec: &pod["spec"],
            is_test: pod["metadata"]["annotations"]["helm.sh/hook"] == "test",
        });
        let workloads = self.workloads();
        let made = workloads.iter().map(Workload::pod);
        made.chain(alone).collect()
    }
}

impl<'a> Workload<'a> {
    pub(crate) fn name(&self) -> String {
        name(self.0)
    }

    pub(crate) fn template(&self) -> &'a Value {
        &self.0["spec"]["template"]
    }

    pub(crate) fn selector(&self) -> &'a Value {
        &self.0["spec"]["selector"]["matchLabels"]
    }

    /// What it is there for.
    pub(crate) fn role(&self) -> &'a str {
        let labels = &self.template()["metadata"]["labels"];
        labels["app.kubernetes.io/component"]
            .as_str()
            .unwrap_or_default()
    }

    pub(crate) fn pod(&self) -> Pod<'a> {
        Pod {
            owner: self.name(),
            labels: &self.template()["metadata"]["labels"],
            spec: &self.template()["spec"],
            is_test: false,
        }
    }
}

impl<'a> Pod<'a> {
    pub(crate) fn containers(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        let lists = ["initContainers", "containers"];
        let spec = self.spec;
        lists.into_iter().flat_map(move |list| items(&spec[list]))
    }

    /// Variables of a container with the values that they have.
    pub(crate) fn variables(container: &Value) -> impl Iterator<Item = (&str, &str)> {
        items(&container["env"])
            .filter_map(|variable| Some((variable["name"].as_str()?, variable["value"].as_str()?)))
    }
}

/// Kind and name, for people.
pub(crate) fn name(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    format!(
        "{} {}",
        text(&object["kind"]),
        text(&object["metadata"]["name"])
    )
}

/// The items of a list, if it is one.
pub(crate) fn items(value: &Value) -> std::slice::Iter<'_, Value> {
    value.as_array().map_or([].iter(), |list| list.iter())
}

/// Whether labels have all that is asked for. What asks for nothing matches everything.
pub(crate) fn matches(selector: &Value, labels: &Value) -> bool {
    let wanted: Option<&Map<String, Value>> = selector.as_object();
    let mut wanted = wanted.into_iter().flatten();
    wanted.all(|(key, value)| labels[key] == *value)
}

/// Objects that keep every rule, and ways to break one.
#[cfg(test)]
pub(crate) mod fixture {
    use serde_json::{Value, json};

    /// What the pods of a role are known by.
    pub(crate) fn labels(role: &str) -> Value {
        json!({
            "app.kubernetes.io/name": "sluice",
            "app.kubernetes.io/instance": "rel",
            "app.kubernetes.io/component": role,
        })
    }

    pub(crate) fn deployment(role: &str) -> Value {
        let probe = |path: &str| {
            let asked = json!({"path": path, "port": "admin"});
            json!({"httpGet": asked, "periodSeconds": 5, "failureThreshold": 120})
        };
        let container = json!({
            "name": "sluice",
            "image": "ghcr.io/sluice-health/sluice:0.1.0",
            "command": [format!("sluice-{role}")],
            "env": [{"name": "SLUICE_PORTS__INDEX_FILE", "value": "/run/secrets/sluice/index"}],
            "ports": [{"name": "admin", "containerPort": 9090}],
            "startupProbe": probe("/livez"),
            "livenessProbe": probe("/livez"),
            "readinessProbe": probe("/readyz"),
            "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
            "securityContext": {
                "readOnlyRootFilesystem": true,
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
            },
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
            "volumeMounts": [
                {"name": "tmp", "mountPath": "/tmp"},
                {"name": "secrets", "mountPath": "/run/secrets/sluice", "readOnly": true},
            ],
        });
        let secret = json!({"name": "redis", "items": [{"key": "url", "path": "index"}]});
        let projected = json!({"defaultMode": 0o440, "sources": [{"secret": secret}]});
        let spec = json!({
            "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [
                {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
                {"name": "secrets", "projected": projected},
            ],
        });
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": format!("rel-sluice-{role}")},
            "spec": {
                "replicas": 2,
                "revisionHistoryLimit": 5,
                "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                "selector": {"matchLabels": labels(role)},
                "template": {"metadata": {"labels": labels(role)}, "spec": spec},
            },
        })
    }

    /// Puts a value where a JSON pointer says.
    pub(crate) fn set(object: &mut Value, pointer: &str, value: Value) {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = object.pointer_mut(parent).unwrap();
        match key.parse::<usize>() {
            Ok(index) => parent[index] = value,
            Err(_) => parent[key] = value,
        }
    }

    /// Takes away what is there.
    pub(crate) fn without(object: &mut Value, pointer: &str) {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = object.pointer_mut(parent).unwrap();
        assert!(
            parent.as_object_mut().unwrap().remove(key).is_some(),
            "{pointer}"
        );
    }
}
