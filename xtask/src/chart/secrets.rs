//! Rules of secrets: they are in Secrets that somebody else makes, and come as files.

use serde_json::Value;

use super::objects::{Objects, Pod, items, name};

/// What a setting or a variable ends in that must not be seen.
const SECRET: [&str; 6] = [
    "secret",
    "password",
    "secret_access_key",
    "otlp_headers",
    "index",
    "queue",
];
const FROM_FILE: &str = "_FILE";

pub(crate) fn check(objects: &Objects) -> Vec<String> {
    let made = objects
        .of_kind("Secret")
        .map(|secret| format!("{}: it holds secrets", name(secret)));
    let mut problems: Vec<String> = made.collect();
    for map in objects.of_kind("ConfigMap") {
        let files = map["data"].as_object().into_iter().flatten();
        let texts = files.filter_map(|(_, text)| text.as_str());
        for line in texts.flat_map(str::lines) {
            let (key, value) = line.split_once(" = ").unwrap_or(("", line));
            if is_secret(key) && value != "\"\"" || has_password(value) {
                problems.push(format!("{}: {} is a secret", name(map), key.trim()));
            }
        }
    }
    for pod in objects.pods() {
        let found = pod
            .containers()
            .flat_map(|container| variables(&pod, container));
        let found = found.chain(readable(&pod));
        problems.extend(found.map(|text| format!("{}: {text}", pod.owner)));
    }
    problems
}

fn is_secret(key: &str) -> bool {
    let last = key
        .rsplit("__")
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    SECRET
        .iter()
        .any(|secret| last == *secret || last.ends_with(&format!("_{secret}")))
}

/// As in `scheme://user:password@host`.
fn has_password(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '"', ' ']).next().unwrap_or_default();
        authority
            .split_once('@')
            .is_some_and(|(user, _)| user.contains(':'))
    })
}

fn variables(pod: &Pod<'_>, container: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for (variable, value) in Pod::variables(container) {
        if variable.starts_with("SLUICE_") && variable.ends_with(FROM_FILE) {
            if !is_mounted(pod, container, value) {
                problems.push(format!(
                    "{variable} names {value}, which is not mounted from a Secret"
                ));
            }
        } else if is_secret(variable) || has_password(value) {
            problems.push(format!("{variable} is a secret"));
        }
    }
    problems
}

/// Whether a file of a container comes from a key of a Secret that the chart names, and cannot be
/// written.
fn is_mounted(pod: &Pod<'_>, container: &Value, file: &str) -> bool {
    items(&container["volumeMounts"]).any(|mount| {
        let within = mount["mountPath"]
            .as_str()
            .and_then(|path| file.strip_prefix(path));
        let Some(path) = within.and_then(|within| within.strip_prefix('/')) else {
            return false;
        };
        let mut volumes = items(&pod.spec["volumes"]);
        let volume = volumes.find(|volume| volume["name"] == mount["name"]);
        let has = volume.is_some_and(|volume| {
            let sources = items(&volume["projected"]["sources"]).map(|source| &source["secret"]);
            let mut sources = sources.chain([&volume["secret"]]);
            sources.any(|secret| items(&secret["items"]).any(|item| item["path"] == path))
        });
        has && mount["readOnly"] == true
    })
}

/// Files of secrets that others in the container might read.
fn readable(pod: &Pod<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    for volume in items(&pod.spec["volumes"]) {
        let sources = items(&volume["projected"]["sources"]);
        let projected = sources
            .filter(|source| source["secret"].is_object())
            .count()
            > 0;
        let mode = if projected {
            &volume["projected"]["defaultMode"]
        } else if volume["secret"].is_object() {
            &volume["secret"]["defaultMode"]
        } else {
            continue;
        };
        if mode.as_u64().is_none_or(|mode| mode & 0o007 != 0) {
            problems.push(format!("volume {} can be read by others", volume["name"]));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::objects::fixture::{deployment, set};
    use serde_json::json;

    fn told(objects: Vec<Value>, word: &str) {
        let found = check(&Objects::new(objects));
        assert!(
            found.iter().any(|text| text.contains(word)),
            "{word}: {found:?}"
        );
    }

    fn config(text: &str) -> Vec<Value> {
        let metadata = json!({"name": "settings"});
        vec![json!({"kind": "ConfigMap", "metadata": metadata, "data": {"sluice.toml": text}})]
    }

    #[test]
    fn secrets_by_reference_are_let_pass() {
        let mut objects = config("[server]\npublic_url = \"https://h\"\n[auth]\nsecret = \"\"");
        objects.push(deployment("worker"));
        assert_eq!(check(&Objects::new(objects)), [""; 0]);
    }

    #[test]
    fn a_secret_in_a_config_map_is_told() {
        told(config("[auth]\nsecret = \"x\""), "secret is a secret");
        told(config("[tenants.a.postgres]\npassword = \"x\""), "password");
        told(config("[ports]\nqueue = \"amqp://h\""), "queue");
        told(
            config("[tenants.a]\nsource = \"postgres://a:b@h/d\""),
            "source",
        );
        told(
            vec![json!({"kind": "Secret", "metadata": {"name": "s"}})],
            "holds secrets",
        );
    }

    #[test]
    fn a_secret_in_a_variable_is_told() {
        let container = "/spec/template/spec/containers/0";
        for (name, value, word) in [
            ("SLUICE_AUTH__SECRET", "x", "SLUICE_AUTH__SECRET is"),
            ("SLUICE_PORTS__QUEUE", "amqp://h", "QUEUE is"),
            ("DATABASE_PASSWORD", "x", "DATABASE_PASSWORD is"),
            ("SLUICE_S3__ENDPOINT", "https://a:b@h", "ENDPOINT is"),
            (
                "SLUICE_AUTH__SECRET_FILE",
                "/run/secrets/sluice/other",
                "not mounted",
            ),
        ] {
            let mut made = deployment("worker");
            set(
                &mut made,
                &format!("{container}/env/0"),
                json!({"name": name, "value": value}),
            );
            told(vec![made], word);
        }
    }

    #[test]
    fn a_secret_that_can_be_written_or_read_by_all_is_told() {
        let pod = "/spec/template/spec";
        let mut made = deployment("worker");
        set(
            &mut made,
            &format!("{pod}/containers/0/volumeMounts/1/readOnly"),
            json!(false),
        );
        told(vec![made], "not mounted");
        let mut made = deployment("worker");
        set(
            &mut made,
            &format!("{pod}/volumes/1/projected/defaultMode"),
            json!(0o444),
        );
        told(vec![made], "read by others");
    }
}
