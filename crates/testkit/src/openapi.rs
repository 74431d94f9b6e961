//! Whether an answer is one that an OpenAPI document has.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// What of an answer a document tells.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its HTTP status.
    pub status: u16,
    /// Its `Content-Type`, if it has one.
    pub content_type: Option<&'a str>,
    /// The names of its headers.
    pub headers: &'a [&'a str],
    /// Its body, if there is one to look at.
    pub body: Option<&'a [u8]>,
}

/// An OpenAPI 3.1 document.
#[derive(Clone, Debug)]
pub struct OpenApi(Value);

const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

impl OpenApi {
    /// Reads a document, which must be JSON and have paths.
    pub fn read(text: &str) -> Result<Self, String> {
        let document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match document["paths"].as_object() {
            Some(_) => Ok(Self(document)),
            None => Err("the document has no paths".to_owned()),
        }
    }

    fn paths(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0["paths"].as_object().into_iter().flatten()
    }

    /// Every method, in capitals, with the path that has it.
    pub fn operations(&self) -> BTreeSet<(String, String)> {
        let each = self.paths().flat_map(|(path, item)| {
            let has = METHODS.iter().filter(|method| item.get(method).is_some());
            has.map(|method| (method.to_uppercase(), path.clone()))
        });
        each.collect()
    }

    /// Whether a path of the document has a method.
    pub fn has(&self, method: &str, path: &str) -> bool {
        !self.0["paths"][path][method.to_lowercase()].is_null()
    }

    /// The path of the document that a path of a request is; one that names more of it goes first.
    pub fn path(&self, asked: &str) -> Option<&str> {
        let found = self.paths().filter(|(path, _)| is_of(path, asked));
        let found = found.min_by_key(|(path, _)| path.matches('{').count());
        found.map(|(path, _)| path.as_str())
    }

    /// Says what of an answer is not in the document; `path` is the document's.
    pub fn check(&self, method: &str, path: &str, answer: Answer<'_>) -> Result<(), String> {
        let operation = &self.0["paths"][path][method.to_lowercase()];
        if operation.is_null() {
            return Err("the document has no such operation".to_owned());
        }
        let status = answer.status.to_string();
        let documented = self.resolved(&operation["responses"][&status])?;
        if documented.is_null() {
            return Err(format!("the document has no status {status}"));
        }
        for (name, header) in documented["headers"].as_object().into_iter().flatten() {
            let is_required = self.resolved(header)?["required"] == true;
            let mut names = answer.headers.iter();
            if is_required && !names.any(|given| given.eq_ignore_ascii_case(name)) {
                return Err(format!("status {status} must have {name}"));
            }
        }
        let Some(media) = answer.content_type else {
            return match answer.body {
                Some([_, ..]) => Err("the body has no Content-Type".to_owned()),
                _ => Ok(()),
            };
        };
        let media = media.split(';').next().unwrap_or_default().trim();
        let content = &documented["content"][media];
        if content.is_null() {
            return Err(format!("the document has no {media} with status {status}"));
        }
        let Some(body) = answer.body else {
            return Ok(());
        };
        let body = if media.ends_with("json") && !media.ends_with("ndjson") {
            serde_json::from_slice(body).map_err(|error| format!("the body: {error}"))?
        } else {
            Value::from(String::from_utf8_lossy(body))
        };
        self.fits(&body, &content["schema"], "$")
    }

    fn resolved<'d>(&'d self, value: &'d Value) -> Result<&'d Value, String> {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
            return Ok(value);
        };
        let found = reference.strip_prefix('#');
        let found = found.and_then(|pointer| self.0.pointer(pointer));
        found.ok_or_else(|| format!("nothing is at {reference}"))
    }

    /// Knows as much of JSON Schema as the document of this project has in answers. A keyword that it does
    /// not know is an error, as it would be one that is not looked at.
    fn fits(&self, value: &Value, schema: &Value, at: &str) -> Result<(), String> {
        let schema = self.resolved(schema)?;
        let keywords = schema
            .as_object()
            .ok_or_else(|| format!("{at} has no schema"))?;
        for (keyword, wanted) in keywords {
            let fits = match keyword.as_str() {
                "description" | "examples" | "format" => true,
                "type" => is_a(value, wanted),
                "const" => value == wanted,
                "enum" => wanted.as_array().is_some_and(|all| all.contains(value)),
                "minimum" => value.as_f64() >= wanted.as_f64(),
                "minItems" => {
                    let length = value.as_array().map(Vec::len);
                    length.and_then(|length| u64::try_from(length).ok()) >= wanted.as_u64()
                }
                "required" => {
                    let mut names = wanted.as_array().into_iter().flatten();
                    names.all(|name| name.as_str().is_some_and(|name| value.get(name).is_some()))
                }
                "anyOf" => {
                    let mut all = wanted.as_array().into_iter().flatten();
                    all.any(|one| self.fits(value, one, at).is_ok())
                }
                "additionalProperties" => {
                    wanted != &Value::Bool(false) || only_known(value, keywords)
                }
                "properties" => {
                    for (name, schema) in wanted.as_object().into_iter().flatten() {
                        if let Some(value) = value.get(name) {
                            self.fits(value, schema, &format!("{at}.{name}"))?;
                        }
                    }
                    true
                }
                "items" => {
                    for (n, value) in value.as_array().into_iter().flatten().enumerate() {
                        self.fits(value, wanted, &format!("{at}[{n}]"))?;
                    }
                    true
                }
                other => return Err(format!("{at}: this test does not know {other:?}")),
            };
            if !fits {
                return Err(format!("{at} does not fit {keyword}: {wanted}"));
            }
        }
        Ok(())
    }
}

/// Whether a path is of a template; `{name}` is one part, and not an empty one.
fn is_of(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let same = wanted.by_ref().all(|wanted| {
        let is_parameter = wanted.starts_with('{');
        given
            .next()
            .is_some_and(|part| part == wanted || is_parameter && !part.is_empty())
    });
    same && given.next().is_none()
}

fn is_a(value: &Value, types: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        _ => false,
    };
    types
        .as_array()
        .map_or_else(|| is(types), |types| types.iter().any(is))
}

fn only_known(value: &Value, keywords: &Map<String, Value>) -> bool {
    let known = keywords.get("properties");
    let mut names = value.as_object().into_iter().flatten();
    names.all(|(name, _)| known.is_some_and(|known| known.get(name).is_some()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> OpenApi {
        let thing = json!({
            "type": "object", "required": ["n"], "additionalProperties": false,
            "properties": { "n": { "type": "integer", "minimum": 1 }, "list": {
                "type": "array", "minItems": 1, "items": { "anyOf": [
                    { "type": "string", "enum": ["a"] }, { "type": "boolean", "const": true } ] } } },
        });
        let answers = json!({
            "200": { "$ref": "#/components/responses/Thing" },
            "204": { "description": "nothing", "headers": {
                "Seen": { "required": true }, "Perhaps": { "description": "or not" } } },
        });
        let document = json!({
            "paths": {
                "/{tenant}/things/{id}": { "get": { "responses": answers }, "parameters": [] },
                "/{tenant}/things/last": { "get": { "responses": answers } },
            },
            "components": {
                "responses": { "Thing": { "content": {
                    "application/json": { "schema": { "$ref": "#/components/schemas/Thing" } },
                    "text/plain": { "schema": { "type": "string" } } } } },
                "schemas": { "Thing": thing },
            },
        });
        OpenApi::read(&document.to_string()).unwrap()
    }

    fn wrong(status: u16, media: Option<&str>, body: &str) -> String {
        let answer = Answer {
            status,
            content_type: media,
            headers: if body == "unseen" { &[] } else { &["seen"] },
            body: Some(body.as_bytes()),
        };
        let checked = document().check("GET", "/{tenant}/things/{id}", answer);
        checked.err().unwrap_or_default()
    }

    #[test]
    fn paths_are_found_and_those_that_say_more_go_first() {
        let document = document();
        let found = |path| document.path(path);
        assert_eq!(found("/a/things/b"), Some("/{tenant}/things/{id}"));
        assert_eq!(found("/a/things/last"), Some("/{tenant}/things/last"));
        for none in ["/a/things", "/a/things/", "/a/things/b/c", "a/things/b", ""] {
            assert_eq!(found(none), None, "{none}");
        }
        let operations = document.operations();
        assert_eq!(operations.len(), 2);
        assert!(document.has("GET", "/{tenant}/things/last"));
        assert!(!document.has("PUT", "/{tenant}/things/last"));
        assert!(operations.contains(&("GET".to_owned(), "/{tenant}/things/last".to_owned())));
    }

    #[test]
    fn an_answer_is_held_against_status_type_and_schema() {
        let json = Some("application/json; charset=utf-8");
        assert_eq!(wrong(200, json, r#"{"n": 1, "list": ["a", true]}"#), "");
        assert_eq!(wrong(200, Some("text/plain"), "all is well"), "");
        assert_eq!(wrong(204, None, ""), "");
        for (status, media, body, why) in [
            (201, json, "{}", "status 201"),
            (200, Some("text/html"), "{}", "text/html"),
            (200, None, "{}", "Content-Type"),
            (200, json, "{", "the body"),
            (204, None, "unseen", "Seen"),
            (200, json, "[]", "type"),
            (200, json, "{}", "required"),
            (200, json, r#"{"n": 0}"#, "minimum"),
            (200, json, r#"{"n": "1"}"#, "$.n"),
            (200, json, r#"{"n": 1, "m": 1}"#, "additionalProperties"),
            (200, json, r#"{"n": 1, "list": []}"#, "minItems"),
            (200, json, r#"{"n": 1, "list": ["a", false]}"#, "$.list[1]"),
        ] {
            let told = wrong(status, media, body);
            assert!(told.contains(why), "{body}: {told}");
        }
        let post = document().check(
            "POST",
            "/{tenant}/things/{id}",
            Answer {
                status: 200,
                content_type: None,
                headers: &[],
                body: None,
            },
        );
        assert!(post.is_err());
    }
}
